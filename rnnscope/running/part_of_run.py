"""A part of a run: some sequences of its input, with the bits that the whole run gives them.

Layers, engines and slices are chosen as for the whole input. Where a bit may depend on which
sequences are computed together (a BLAS sums other numbers of rows in another order, some cells look
at the whole batch), the slices of the whole run that touch the part are computed, and what is
outside the part is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from rnnscope.model.cell import Array
from rnnscope.model.layers.elementwise import LastStep
from rnnscope.model.layers.masks import Embedding, Masking, StoredMask
from rnnscope.model.layers.merges import BidirectionalMerge, Merge
from rnnscope.model.layers.plain import PassThrough
from rnnscope.model.layers.shapes import LastOutput
from rnnscope.model.network import Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.states import LayerStates
from rnnscope.running.interface import Observer, StateSink
from rnnscope.running.memory import SliceSize
from rnnscope.running.plan import Plan
from rnnscope.running.prepared import Prepared

WITHOUT_SUMS = (
    Embedding, Masking, StoredMask, Merge, BidirectionalMerge, PassThrough, LastStep, LastOutput,
)  # fmt: skip
"""Layers that move numbers, or add two: a sequence's are the same whatever is beside it."""


def is_alike_in_any_slice(plan: Plan, engine: str) -> bool:
    """Whether no bit of a sequence depends on the sequences that are computed with it.

    Parameters
    ----------
    plan : Plan
    engine : str
        The engines that run, by name.
    """
    return engine == "compiled" and all(
        isinstance(node.layer, (RecurrentLayer, *WITHOUT_SUMS)) for node in plan.nodes
    )


def slices_of_part(
    prepared: Prepared,
    engine: str,
    size: SliceSize,
    rows: slice,
    done: int = 0,
) -> Iterator[slice]:
    """The slices to compute for some sequences of the input.

    Parameters
    ----------
    prepared : Prepared
    engine : str
        The engines that run, by name.
    size : SliceSize
        Of the whole run.
    rows : slice
        The part.
    done : int
        Of these, the first so many are there already.
    """
    first = rows.start + done
    if first >= rows.stop:
        return
    if is_alike_in_any_slice(prepared.plan, engine):
        yield from size.rows_of(rows.stop, first)
        return
    # Where time is cut, a later pass reads back what the part keeps, and nothing beside it.
    if size.steps < prepared.source.timesteps:
        prepared.notes.setdefault(
            "Sequences longer than the memory budget were computed in slices of the part's own: "
            "the last bits may differ from those of a run that is not in parts."
        )
        yield from size.rows_of(rows.stop, first)
        return
    for whole in size.rows_of(prepared.source.sequences):
        if whole.stop > first and whole.start < rows.stop:
            yield whole


def common_rows(one: slice, other: slice) -> int:
    """How many sequences two slices have in common."""
    first, stop = max(one.start, other.start), min(one.stop, other.stop)
    return int(max(0, stop - first))


class _Cut:
    """The rows of a slice of the whole run that are in a part."""

    def __init__(self, sequences: slice, part: slice) -> None:
        start, stop = max(sequences.start, part.start), min(sequences.stop, part.stop)
        self.sequences = slice(start, stop)
        self.in_part = slice(start - part.start, stop - part.start)
        self._rows = slice(start - sequences.start, stop - sequences.start)
        self._all = self.sequences == sequences

    def array(self, array: Array) -> Array:
        return array if self._all else array[self._rows]

    def maybe(self, array: Array | None) -> Array | None:
        return None if array is None else self.array(array)

    def each(self, arrays: Mapping[str, Array]) -> Mapping[str, Array]:
        # An initial state may be one row that stands for all.
        many = self._rows.stop
        return {
            name: self.array(array) if len(array) >= many else array
            for name, array in arrays.items()
        }

    def states(self, states: LayerStates) -> LayerStates:
        if self._all:
            return states
        return replace(
            states,
            states=self.each(states.states),
            outputs=self.array(states.outputs),
            initial=self.each(states.initial),
            final=self.each(states.final),
            gates=self.each(states.gates),
            inputs=self.maybe(states.inputs),
        )


class PartSink:
    """Takes slices of the whole run and gives a sink what is in the part, numbered from 0."""

    def __init__(self, sink: StateSink, part: slice) -> None:
        self._sink, self._part = sink, part

    def write_layer(
        self, name: str, states: LayerStates, sequences: slice, steps: slice = slice(None)
    ) -> None:
        cut = _Cut(sequences, self._part)
        self._sink.write_layer(name, cut.states(states), cut.in_part, steps)

    def write_outputs(
        self, name: str, array: Array, sequences: slice, steps: slice = slice(None)
    ) -> None:
        cut = _Cut(sequences, self._part)
        self._sink.write_outputs(name, cut.array(array), cut.in_part, steps)

    def keeps_outputs(self, name: str) -> bool:
        return self._sink.keeps_outputs(name)

    def read_outputs(self, name: str, sequences: slice, steps: slice = slice(None)) -> Array:
        return self._sink.read_outputs(name, _Cut(sequences, self._part).in_part, steps)

    def write_common(
        self,
        sequences: slice,
        lengths: Array | None,
        mask: Array | None,
        input_steps: Array | None,
        resets: Array | None = None,
    ) -> None:
        cut = _Cut(sequences, self._part)
        self._sink.write_common(
            cut.in_part,
            cut.maybe(lengths),
            cut.maybe(mask),
            cut.maybe(input_steps),
            cut.maybe(resets),
        )

    def commit(self, done: int, state: str = "") -> None:
        self._sink.commit(min(done, self._part.stop) - self._part.start, state)


class PartObserver:
    """Shows an observer what is in the part; sequences keep their numbers in the whole run."""

    def __init__(self, observer: Observer, part: slice) -> None:
        self._observer, self._part = observer, part

    def see_layer(
        self, node: Node, states: LayerStates, mask: Array | None, lengths: Array | None,
        input_steps: Array | None, sequences: slice,
        start: Mapping[str, Array] | None = None,
    ) -> None:  # fmt: skip
        cut = _Cut(sequences, self._part)
        self._observer.see_layer(
            node, cut.states(states), cut.maybe(mask), cut.maybe(lengths), cut.maybe(input_steps),
            cut.sequences, None if start is None else cut.each(start),
        )  # fmt: skip

    def see_steps(
        self, node: Node, states: LayerStates, mask: Array | None, lengths: Array | None,
        sequences: slice, first_step: int, output_before: Array | None,
    ) -> None:  # fmt: skip
        cut = _Cut(sequences, self._part)
        self._observer.see_steps(
            node, cut.states(states), cut.maybe(mask), cut.maybe(lengths), cut.sequences,
            first_step, cut.maybe(output_before),
        )  # fmt: skip

    def see_lengths(
        self, node: Node, mask: Array | None, lengths: Array | None, input_steps: Array | None,
        sequences: slice, timesteps: int,
    ) -> None:  # fmt: skip
        cut = _Cut(sequences, self._part)
        self._observer.see_lengths(
            node, cut.maybe(mask), cut.maybe(lengths), cut.maybe(input_steps), cut.sequences,
            timesteps,
        )  # fmt: skip

    def saved(self) -> str:
        return self._observer.saved()

    def restore(self, text: str) -> None:
        self._observer.restore(text)

    def summary(self) -> str:
        return self._observer.summary()
