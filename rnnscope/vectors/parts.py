"""The parts of a model that get vectors: each recurrent layer alone, and the whole."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import RnnscopeError, UnsupportedCellError, spell_command
from rnnscope.explaining.compared.result_places import scale_of
from rnnscope.explaining.compared.subject import Subject, subject_of
from rnnscope.explaining.computing.setup import STACKABLE, DrivenLayer, Setup
from rnnscope.explaining.computing.simulated import results_of
from rnnscope.explaining.readings.deviations import Target, View
from rnnscope.model.cell import Array
from rnnscope.model.initial_state import ZERO_STATE
from rnnscope.model.network import Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.record.planning import PlannedRun
from rnnscope.vectors.exact.functions import exact_activation
from rnnscope.vectors.exact.run import computes
from rnnscope.vectors.result import LeftOut

Results = dict[str, dict[str, Array]]
"""What a part gives, by node and key, as of `results_of`."""

INPUT = "x"
"""What a layer alone reads."""

UNSEEN = ("last", "unprojected", "final/unprojected", "unprojected outputs")
"""Results that vectors do not hold."""

WHOLE = "model"
"""The name of the part that is all layers together."""


@dataclass(frozen=True, eq=False)
class Part:
    """A recurrent layer alone, or all of them as the model has them.

    Attributes
    ----------
    name : str
        Of letters that file formats and C take.
    layer : str
        As the file calls it; empty for the whole.
    setup : Setup
        Over the input with which it was planned; its shapes are right, its numbers mean nothing.
    planned : PlannedRun
    """

    name: str
    layer: str
    setup: Setup
    planned: PlannedRun

    @property
    def driven(self) -> DrivenLayer:
        """The layer of a part that is one."""
        return self.setup.layers[self.layer]

    @property
    def input_size(self) -> int:
        return int(next(iter(self.setup.inputs.values())).shape[2])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of its weights in the file: float32 where any layer's is."""
        kinds = [
            node.recurrent.cell.dtype
            for node in self.planned.plan.layers
            if node.recurrent is not None and node.name in self.setup.layers
        ]
        return np.dtype(np.float64 if all(kind == np.float64 for kind in kinds) else np.float32)

    @property
    def takes_lengths(self) -> bool:
        """Whether steps past a length are treated otherwise by any of its layers."""
        return any(one.layer.padding.value != "none" for one in self.setup.layers.values())

    @property
    def last(self) -> str:
        """The node whose outputs are those of the part: nothing of it reads them."""
        read = {name for node in self.setup.nodes for name in node.reads}
        return next(node.name for node in reversed(self.setup.nodes) if node.name not in read)

    def with_input(
        self, x: Array, lengths: Array | None, initial: dict[str, Array] | None
    ) -> Setup:
        """The setup over another input.

        Parameters
        ----------
        x : ndarray (sequence, timestep, feature), float64
        lengths : ndarray of int (sequence,) or None
        initial : dict of str to ndarray (sequence, width), or None
            Of a part that is one layer; None: as the part itself starts.
        """
        mask = None if lengths is None else np.arange(x.shape[1]) < lengths[:, None]
        layers = self.setup.layers
        if initial is not None:
            layers = {self.layer: replace(self.driven, start=initial)}
        inputs = dict.fromkeys(self.setup.inputs, x)
        return replace(self.setup, inputs=inputs, mask=mask, layers=layers)

    def subject(self, setup: Setup, results: Results | None = None) -> Subject:
        """The part over an input, as what is to be explained."""
        found = results_of(setup) if results is None else results
        return Subject(self.planned, setup, found, setup.sequences)


def parts_of(planned: PlannedRun) -> tuple[list[Part], list[LeftOut]]:
    """The parts of a planned run, and what gets no vectors, with the reason.

    Raises
    ------
    UnsupportedCellError
        There is no part.
    """
    found: list[Part] = []
    left: list[LeftOut] = []
    nodes = [node for node in planned.plan.layers if node.recurrent is not None]
    names: set[str] = set()
    for node in nodes:
        reason = _reason(node.recurrent)
        if reason:
            left.append(LeftOut(node.name, reason))
            continue
        name = _plain_name(node.name, names)
        found.append(Part(name, node.name, _alone(node), planned))
    if len(nodes) > 1:
        whole = _whole(planned, nodes, _plain_name(WHOLE, names))
        (found if isinstance(whole, Part) else left).append(whole)  # type: ignore[arg-type]
    if not found:
        raise UnsupportedCellError(
            "No layer of the model can have test vectors.",
            where=planned.checkpoint.path,
            expected="a layer whose cell is one of " + ", ".join(sorted(STACKABLE)),
            found="; ".join(f"{one.name}: {one.reason}" for one in left) or "no recurrent layer",
            hint=f"{spell_command('run')} keeps the states of such layers in a trace, to compare "
            "with",
        )
    return found, left


def _plain_name(name: str, taken: set[str]) -> str:
    """A name of letters, digits and underscores that no other part has."""
    plain = re.sub(r"\W", "_", name, flags=re.ASCII).strip("_") or "layer"
    found, number = plain, 2
    while found in taken:
        found, number = f"{plain}_{number}", number + 1
    taken.add(found)
    return found


def _reason(layer: RecurrentLayer | None) -> str:
    """Why a layer gets no vectors; empty if it does."""
    assert layer is not None
    cell = layer.cell
    if cell.kind == "graph":
        return f"its cell ({cell.source_class}) runs as the file's own graph: it has no known gates"
    if cell.kind not in STACKABLE:
        return f"explain knows no readings of its cell ({cell.source_class})"
    if layer.wrapper:
        kinds = ", ".join(one.kind for one in layer.wrapper)
        return f"its outputs go through {kinds} at every step"
    for option in ("activation", "recurrent_activation", "output_activation"):
        value = getattr(cell.options, option, None)
        try:
            if value is not None:
                exact_activation(value.value)
        except UnsupportedCellError as error:
            return error.what
    return ""


def _alone(node: Node) -> Setup:
    """The layer with an input and a state before the first step of its own."""
    layer = node.recurrent
    assert layer is not None
    alone = replace(layer, cell=layer.cell.in_double(), return_sequences=True, feedback=None)
    alone = alone.starting(ZERO_STATE, "flag")
    single = Node(node.name, alone, (INPUT,))
    x = np.zeros((1, 1, layer.cell.input_size))
    return Setup((single,), {node.name: DrivenLayer(alone)}, {INPUT: x}, None)


def _whole(planned: PlannedRun, nodes: Sequence[Node], name: str) -> Part | LeftOut:
    """All layers together, where what lies between them is only joined and handed on."""
    try:
        subject = subject_of(planned)
    except RnnscopeError as error:
        return LeftOut("the whole model", error.what)
    setup = subject.setup
    needed = _needed(setup, [node.name for node in nodes])
    setup = replace(setup, nodes=tuple(node for node in setup.nodes if node.name in needed))
    for node in setup.nodes:
        reason = (
            "" if node.recurrent is None and computes(node.layer)
            else f"'{node.name}' ({node.layer.kind}) stands between its layers"  # type: ignore[union-attr]
            if node.recurrent is None
            else _reason(node.recurrent)
        )  # fmt: skip
        if reason:
            return LeftOut("the whole model", reason)
    if len(setup.layers) < len(nodes) or subject.masked_by_file:
        return LeftOut("the whole model", "the mask is made by the model itself")
    if len({id(x) for x in setup.inputs.values()}) != 1 and not _same(setup):
        return LeftOut("the whole model", "its layers read several inputs")
    starts = [array for one in setup.layers.values() for array in one.start.values()]
    if any((array != array[:1]).any() for array in starts):
        return LeftOut("the whole model", "its layers start from other states in each sequence")
    layers = {
        layer: replace(one, start={state: array[:1] for state, array in one.start.items()})
        for layer, one in setup.layers.items()
    }
    setup = replace(setup, layers=layers)  # of any number of sequences
    if subject.front:
        return LeftOut("the whole model", f"'{subject.front}' stands before its layers")
    return Part(name, "", setup, planned)


def _same(setup: Setup) -> bool:
    first = next(iter(setup.inputs.values()))
    return all(np.array_equal(first, x) for x in setup.inputs.values())


def _needed(setup: Setup, recurrent: Sequence[str]) -> set[str]:
    """The recurrent nodes, what they read, and the joins of directions behind them."""
    known = set(recurrent)
    for node in reversed(setup.nodes):
        if node.name in known:
            known.update(node.reads)
    for node in setup.nodes:
        joins = node.recurrent is None and node.layer.joins_directions  # type: ignore[union-attr]
        # A join that only explaining looks at is no node of the model's own.
        if joins and known.issuperset(node.reads) and " + " not in node.name:
            known.add(node.name)
    return known


def view_of(results: Results, setup: Setup) -> View:
    """Everything that vectors hold, as a reference that is to be explained.

    Gates of steps that do not count mean nothing: there the view says nothing.
    """
    targets = []
    for node, arrays in results.items():
        driven = setup.layers.get(node)
        heeds = driven is not None and driven.layer.padding.value != "none"
        past = None if setup.mask is None or not heeds else ~setup.mask
        for key, array in arrays.items():
            if key in UNSEEN:
                continue
            values = array
            if past is not None and key.startswith("gates/"):
                values = np.where(past[..., None], np.nan, array)
            targets.append(Target(node, key, values, scale_of(array), f"{node} {key}"))
    return View(tuple(targets))
