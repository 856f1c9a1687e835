"""What every verifier does alike: which steps count, where a layer starts, what was found."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import EngineError, spell
from rnnscope.model.cell import Array
from rnnscope.model.cells import CELLS
from rnnscope.model.network import Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.states import LayerStates
from rnnscope.model.verification import KernelDifference
from rnnscope.oracles.differences import Differences, Largest
from rnnscope.oracles.importing import FRAMEWORKS, import_framework


@dataclass(frozen=True, eq=False)
class LayerRun:
    """Some sequences of a layer, and the states that are to be verified.

    Attributes
    ----------
    name : str
        The layer's, for messages.
    layer : RecurrentLayer
    x : ndarray (sequence, timestep, input)
    mask : ndarray of bool (sequence, timestep) or None
        None also where the layer uses no lengths.
    initial : dict of str to ndarray (sequence, width)
        Every state before the first step.
    states : LayerStates
    """

    name: str
    layer: RecurrentLayer
    x: Array
    mask: Array | None
    initial: dict[str, Array]
    states: LayerStates


class LayerVerifier(ABC):
    """Computes layers again with a framework and keeps the largest differences.

    Attributes
    ----------
    name : str
        The framework and its version.

    Raises
    ------
    EngineError
        The framework is not installed, or does not import.
    """

    framework: ClassVar[str]
    """A key of FRAMEWORKS, and what the option ``verify`` calls it."""

    instead: ClassVar[str] = ""
    """What else to do where it is missing; empty: to leave the option out."""

    def __init__(self) -> None:
        instead = self.instead or f"leave out {spell('verify')}"
        self._module: Any = import_framework(
            self.framework, spell("verify", self.framework), instead
        )
        self.name = f"{FRAMEWORKS[self.framework].title} {self._module.__version__}"
        self._found = Differences()

    @abstractmethod
    def beyond(self, layer: RecurrentLayer) -> str:
        """Why the framework cannot verify a layer; empty if it can."""

    @abstractmethod
    def differences(self, run: LayerRun) -> Mapping[str, Largest]:
        """By state: how far it is off."""

    def pass_over(self, node: Node, expected: str, found: str) -> None:
        """What happens to a layer that cannot be verified: it is refused."""
        raise EngineError(
            f"{FRAMEWORKS[self.framework].title} cannot verify this layer.",
            where=f"layer '{node.name}'",
            expected=expected,
            found=found,
            hint=f"leave out {spell('verify')}, or choose other layers with {spell('layers')}",
        )

    expected: ClassVar[str] = "a recurrent layer"
    """What can be verified, in words."""

    def compare(
        self,
        node: Node,
        x: Array,
        mask: Array | None,
        initial: Mapping[str, Array],
        states: LayerStates,
    ) -> None:
        """Compute some sequences of a layer again, and note how far `states` are off.

        Parameters
        ----------
        node : Node
            A recurrent one.
        x : ndarray (sequence, timestep, input)
        mask : ndarray of bool (sequence, timestep) or None
        initial : mapping of str to ndarray (width,) or (sequence, width)
        states : LayerStates
            What is verified, carried states and padded outputs included.

        Raises
        ------
        EngineError
            The layer is of a kind that is not verified with this framework.
        """
        layer = node.recurrent
        beyond = "a plain layer" if layer is None else self.beyond(layer)
        if layer is None or beyond:
            self.pass_over(node, self.expected, beyond)
            return
        if layer.padding.value == "none":
            mask = None
        if not x.size:
            return
        run = LayerRun(node.name, layer, x, mask, whole_states(layer, initial, len(x)), states)
        self._found.add(node.name, self.differences(run))

    def rows(self) -> tuple[KernelDifference, ...]:
        """One row a layer and state, in the order in which they were computed."""
        return self._found.rows()


def whole_states(
    layer: RecurrentLayer, initial: Mapping[str, Array], sequences: int
) -> dict[str, Array]:
    """The state before the first step, (sequence, width); zeros where nothing is given."""
    cell = layer.cell
    return {
        name: np.broadcast_to(
            np.asarray(initial.get(name, 0), cell.dtype), (sequences, width)
        ).copy()
        for name, width in CELLS[cell.kind].widths(cell).items()
    }


@dataclass(frozen=True, eq=False)
class Packed:
    """The steps that count, moved to the front in the order of processing.

    An engine that reads forward and knows lengths then computes every mask and both directions.

    Attributes
    ----------
    x : ndarray (sequence, timestep, input)
    lengths : ndarray of int (sequence,)
    rows, order, times : ndarray of int
        Of every step that counts: its sequence, its place in `x`, its timestep.
    """

    x: Array
    lengths: Array
    rows: Array
    order: Array
    times: Array

    @classmethod
    def of(cls, run: LayerRun) -> Packed:
        """The steps of a run that count."""
        valid = np.ones(run.x.shape[:2], bool) if run.mask is None else run.mask
        rows, times = np.nonzero(valid)
        order = np.cumsum(valid, axis=1)[rows, times] - 1
        lengths = valid.sum(axis=1)
        if run.layer.backward.value:
            order = lengths[rows] - 1 - order
        x = np.zeros_like(run.x)
        x[rows, order] = run.x[rows, times]
        return cls(x, lengths, rows, order, times)

    def differences(
        self,
        kernel: str,
        states: LayerStates,
        steps: Mapping[str, Array],
        final: Mapping[str, Array],
    ) -> dict[str, Largest]:
        """How far states are off from what an engine made of `x`, where it computed.

        Parameters
        ----------
        kernel : str
            What computed it.
        states : LayerStates
        steps : mapping of str to ndarray (sequence, timestep, width)
            By state, of every step of `x`.
        final : mapping of str to ndarray (sequence, width)
            Sequences without a step are not compared: not every engine hands on their state.
        """
        some = self.lengths > 0
        pairs = {
            name: (states.states[name][self.rows, self.times], values[self.rows, self.order])
            for name, values in steps.items()
        } | {
            f"final {name}": (states.final[name][some], values[some])
            for name, values in final.items()
        }
        return {name: Largest.of(kernel, *pair) for name, pair in pairs.items()}
