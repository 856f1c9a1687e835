"""Who watches a run and who takes what it computes: the run knows neither checks nor files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from rnnscope.model.cell import Array
from rnnscope.model.network import Node
from rnnscope.model.states import LayerStates

if TYPE_CHECKING:
    from rnnscope.running.prepared import Prepared
    from rnnscope.trace import LayerHeader

Progress = Callable[[int], None]
"""Called with the number of sequences done since the last call."""


class Observer(Protocol):
    """Sees the states of every layer while they are at hand."""

    def see_layer(
        self,
        node: Node,
        states: LayerStates,
        mask: Array | None,
        lengths: Array | None,
        input_steps: Array | None,
        sequences: slice,
        start: Mapping[str, Array] | None = None,
    ) -> None:
        """Some sequences of a layer, all timesteps.

        `start` is the joined final state of the layers that this one starts from, if it does.
        """

    def see_steps(
        self,
        node: Node,
        states: LayerStates,
        mask: Array | None,
        lengths: Array | None,
        sequences: slice,
        first_step: int,
        output_before: Array | None,
    ) -> None:
        """Some sequences of a layer over a slice of time, with lengths within it.

        Such a slice is a run of its own: it starts from the state, and after the output
        `output_before` (sequence, output), that the slice before it left.
        """

    def see_lengths(
        self,
        node: Node,
        mask: Array | None,
        lengths: Array | None,
        input_steps: Array | None,
        sequences: slice,
        timesteps: int,
    ) -> None:
        """The lengths of some sequences, after all their slices of time were seen."""

    def saved(self) -> str:
        """All that was seen, as text, for a run that takes this one up."""

    def restore(self, text: str) -> None:
        """Go on from what `saved` returned."""

    def summary(self) -> str:
        """What was found, as text for the sink to keep."""


class StateSink(Protocol):
    """Takes the states of a run, slice by slice."""

    def write_layer(
        self, name: str, states: LayerStates, sequences: slice, steps: slice = ...
    ) -> None: ...
    def write_outputs(
        self, name: str, array: Array, sequences: slice, steps: slice = ...
    ) -> None: ...
    def keeps_outputs(self, name: str) -> bool: ...
    def read_outputs(self, name: str, sequences: slice, steps: slice = ...) -> Array: ...
    def write_common(
        self,
        sequences: slice,
        lengths: Array | None,
        mask: Array | None,
        input_steps: Array | None,
        resets: Array | None = None,
    ) -> None: ...
    def commit(self, done: int, state: str = "") -> None: ...


class Sink(StateSink, Protocol):
    """Where a run goes: taken slice by slice; leaving its ``with`` normally keeps it.

    Attributes
    ----------
    done : int
        Sequences that an earlier run has left here and this one need not compute.
    saved_state : str or None
        What the observer of that run had saved.
    """

    done: int
    saved_state: str | None

    def __enter__(self) -> Sink: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
    def set_checks(self, json_text: str) -> None: ...


OpenSink = Callable[[list["LayerHeader"], Array | None, bool, str], Sink]
"""``open_sink(layer_headers, lengths, has_mask, engine)``."""

MakeObserver = Callable[["Prepared"], Observer]
