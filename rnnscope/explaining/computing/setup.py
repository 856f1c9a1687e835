"""What a reading computes with: layers, how each is driven over time, and the input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field, fields
from functools import cached_property
from typing import Any, Literal, TypeVar

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array, CellSpec
from rnnscope.model.initial_state import FinalState
from rnnscope.model.network import Node
from rnnscope.model.recurrent_layer import RecurrentLayer

STACKABLE = frozenset({"lstm", "gru", "simple_rnn"})
"""Kinds of cells whose equations use the last axes of their arrays alone."""

MOST_WHOLE_VALUES = 100_000
"""Values of the inputs of all sequences that are kept beside those of some."""

NUMBERS = ("forget_bias", "cell_clip", "proj_clip", "gate_clip")
"""Options that are numbers and may differ within a stack."""

CACHED = ("structure", "bytes_of_weights")
"""What a `DrivenLayer` works out once; a changed one does so anew."""

T = TypeVar("T")

PeepholeOfO = Literal["the clipped c", "the unclipped c", "the previous c"]


def altered(value: T, /, **changes: Any) -> T:
    """A frozen dataclass with other values of some fields, as `dataclasses.replace` makes it.

    A search makes some hundred thousand of them: this takes a fifth of the time, since it calls no
    constructor, of which none here does more than set its fields.
    """
    made = object.__new__(type(value))
    fields_of = made.__dict__
    fields_of.update(value.__dict__)
    for name in CACHED:
        fields_of.pop(name, None)
    fields_of.update(changes)
    return made


def shapes_of(cell: CellSpec) -> tuple[object, ...]:
    """What two cells have alike where the weights of one fit the other."""
    return (
        cell.kind,
        *((item.name, np.shape(getattr(cell.weights, item.name))) for item in fields(cell.weights)),
    )


@dataclass(frozen=True, eq=False)
class DrivenLayer:
    """A recurrent layer, and what happens to its state between the steps.

    Attributes
    ----------
    layer : RecurrentLayer
        Its weights are float64, whatever the file holds.
    start : mapping of str to ndarray (sequence, width) or (1, width)
        The state before the first step, by name; zeros where it is not there.
    start_swapped : bool
        c and m of the state before the first step have changed places.
    reset_every : int
        Steps after which the state is that of the start again; 0: never, 1: it is never carried.
    dropped : tuple of str
        States that are those of the start before every step.
    swapped : bool
        Before every step but the first, c and m change places.
    kept : bool
        A sequence starts from the final state of the one before it.
    rounding : str
        The dtype that the states are rounded to after every step; empty: none.
    rounds_first : bool
        With `rounding`: m is made of the rounded c.
    zero_past : bool
        Past the length states are zero, rather than those of the last valid step.
    peephole_of_o : str
        Which c the peephole of o sees.
    last_of_array : bool
        What is handed on of a layer that returns its last output is that of the array's last step.
    """

    layer: RecurrentLayer
    start: Mapping[str, Array] = field(default_factory=dict)
    start_swapped: bool = False
    reset_every: int = 0
    dropped: tuple[str, ...] = ()
    swapped: bool = False
    kept: bool = False
    rounding: str = ""
    rounds_first: bool = False
    zero_past: bool = False
    peephole_of_o: PeepholeOfO = "the clipped c"
    last_of_array: bool = False

    @property
    def stackable(self) -> bool:
        """Whether it may be stepped with others that differ in numbers alone."""
        return self.cell.kind in STACKABLE and not self.layer.wrapper

    @property
    def handed_over(self) -> tuple[str, ...]:
        """The states that begin with the final ones of other layers."""
        parts = self.layer.initial_state.value.parts.items()
        return tuple(
            name for name, part in parts
            if isinstance(part, FinalState) and name not in self.start
        )  # fmt: skip

    @property
    def needs_the_end(self) -> bool:
        """Whether its first step needs the last one of its input, or of another layer's."""
        return bool(self.layer.backward.value) or bool(self.handed_over)

    @property
    def cell(self) -> CellSpec:
        return self.layer.cell

    @cached_property
    def structure(self) -> tuple[object, ...]:
        """What has to be equal for layers to be stepped at once."""
        layer, cell = self.layer, self.layer.cell
        arrays = tuple(
            None if (array := getattr(cell.weights, item.name)) is None else np.shape(array)
            for item in fields(cell.weights)
        )
        options = tuple(
            (name, option.value is None) if name in NUMBERS else (name, option.value)
            for name, option in cell.options.items()
        )
        return (
            () if self.stackable else (id(self),),
            cell.kind, arrays, options,
            tuple(sorted((name, len(array)) for name, array in self.start.items())),
            layer.backward.value, layer.reversal, layer.padding.value,
            layer.outputs_in_input_order, layer.return_sequences,
            self.start_swapped, self.reset_every, self.dropped, self.swapped, self.kept,
            self.rounding, self.rounds_first, self.zero_past, self.peephole_of_o,
            self.last_of_array,
        )  # fmt: skip

    @cached_property
    def bytes_of_weights(self) -> int:
        arrays = vars(self.cell.weights).values()
        return sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))

    def with_cell(self, **changes: Any) -> DrivenLayer:
        """The layer with other fields of its `CellSpec`."""
        return altered(self, layer=altered(self.layer, cell=altered(self.cell, **changes)))

    def with_weights(self, **arrays: Array | None) -> DrivenLayer:
        """The layer with other weights."""
        return self.with_cell(weights=altered(self.cell.weights, **arrays))

    def with_options(self, **values: Any) -> DrivenLayer:
        """The layer with other values of its cell's options."""
        options = self.cell.options
        changed = {
            name: altered(getattr(options, name), value=value) for name, value in values.items()
        }
        return self.with_cell(options=altered(options, **changed))


@dataclass(frozen=True, eq=False)
class Setup:
    """One way to compute what a reference holds.

    Attributes
    ----------
    nodes : tuple of Node
        In order; the recurrent ones stand for the layer of their name in `layers`.
    layers : mapping of str to DrivenLayer
    inputs : mapping of str to ndarray (sequence, timestep, feature)
        What the first recurrent layers read, by the node or input that it comes from, float64.
    mask : ndarray of bool (sequence, timestep) or None
        True where a step counts.
    transposed : bool
        Sequences are taken for timesteps and timesteps for sequences; results are turned back.
    ids : ndarray of int (sequence, timestep) or None
        What an embedding turned into `inputs`.
    whole_inputs : mapping of str to ndarray or None
        The inputs of all sequences, where `inputs` has some of them, and they are few enough.
    of_decoder : frozenset of str
        Those of `inputs`, the last ones, that a decoder reads: their steps are others, and all of
        them count.
    """

    nodes: tuple[Node, ...]
    layers: Mapping[str, DrivenLayer]
    inputs: Mapping[str, Array]
    mask: Array | None
    transposed: bool = False
    ids: Array | None = None
    whole_inputs: Mapping[str, Array] | None = None
    of_decoder: frozenset[str] = frozenset()

    @property
    def sequences(self) -> int:
        return len(next(iter(self.inputs.values())))

    @property
    def timesteps(self) -> int:
        return int(next(iter(self.inputs.values())).shape[1])

    @property
    def lengths(self) -> Array | None:
        """Valid steps a sequence, where the mask is a plain prefix; None without a mask."""
        if self.mask is None:
            return None
        lengths: Array = self.mask.sum(axis=1, dtype=np.int64)
        plain = np.array_equal(self.mask, np.arange(self.mask.shape[1]) < lengths[:, None])
        return lengths if plain else None

    def first_steps(self, steps: int) -> Setup | None:
        """The first steps alone; None where a later one is needed for them."""
        if self.transposed or any(one.needs_the_end for one in self.layers.values()):
            return None
        mask = None if self.mask is None else self.mask[:, :steps]
        return altered(self.with_inputs(lambda x: x[:, :steps]), mask=mask)

    def changed(self, change: Callable[[DrivenLayer], DrivenLayer | None]) -> Setup | None:
        """Every layer changed, where the change means something to it; None if to none."""
        layers = dict(self.layers)
        some = False
        for name, driven in self.layers.items():
            other = change(driven)
            if other is not None:
                layers[name], some = other, True
        return altered(self, layers=layers) if some else None

    def with_inputs(self, change: Callable[[Array], Array]) -> Setup:
        """The same with changed inputs."""
        inputs = {name: change(x) for name, x in self.inputs.items()}
        whole = self.whole_inputs
        if whole is not None:
            whole = {name: change(x) for name, x in whole.items()}
        return altered(self, inputs=inputs, whole_inputs=whole)

    def with_lengths(self, lengths: Array | None) -> Setup:
        """The same with other lengths; None: every step counts."""
        mask = None if lengths is None else np.arange(self.timesteps) < lengths[:, None]
        return altered(self, mask=mask)

    def rows(self, rows: Array) -> Setup:
        """Some sequences of it."""
        size = sum(x.size for x in self.inputs.values())
        keeps = len(rows) < self.sequences and size <= MOST_WHOLE_VALUES
        layers = {
            name: altered(
                driven,
                start={state: a[rows] if len(a) > 1 else a for state, a in driven.start.items()},
            )
            if driven.start
            else driven
            for name, driven in self.layers.items()
        }
        return altered(
            self,
            layers=layers,
            inputs={name: x[rows] for name, x in self.inputs.items()},
            mask=None if self.mask is None else self.mask[rows],
            ids=None if self.ids is None else self.ids[rows],
            whole_inputs=self.inputs if keeps else None,
        )
