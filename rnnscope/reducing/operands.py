"""The two sides as they were given, and the runs of them that can be done again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rnnscope.checkpoints.case.layer_entries import KINDS
from rnnscope.comparing.result import SideName
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import RnnscopeError, UnsupportedCellError
from rnnscope.files.arrays.reference import split_reference
from rnnscope.record.recipes.recipe import Recipe
from rnnscope.record.replaying.recomputation import Recomputation, open_recomputation
from rnnscope.record.replaying.replayed_recipe import Replay
from rnnscope.reducing.layer_pair import LayerPair
from rnnscope.reducing.processed import ProcessedSequence
from rnnscope.reducing.target import Target
from rnnscope.states.recognise import Recognised
from rnnscope.trace import Trace


@dataclass(frozen=True, eq=False)
class Operand:
    """One side as it was given.

    Attributes
    ----------
    side : SideName
    given : object
        A path, an open `Trace`, or arrays.
    read : Recognised
    recipe : Recipe or None
        In place of the trace's own text of it.
    """

    side: SideName
    given: Any
    read: Recognised
    recipe: Recipe | None = None

    @property
    def has_recipe(self) -> bool:
        return self.read.states.has_recipe


@contextmanager
def recomputed(operand: Operand) -> Iterator[Recomputation]:
    """The run of a trace, planned once more.

    Raises
    ------
    RnnscopeError
        As of `open_recomputation`.
    """
    replay = Replay(recipe=operand.recipe)
    if isinstance(operand.given, Trace):
        with open_recomputation(operand.given, replay) as again:
            yield again
        return
    path, _ = split_reference(str(operand.given))
    with Trace.open(path) as trace, open_recomputation(trace, replay) as again:
        yield again


def processed_sequence(
    again: Recomputation, layer: str, goal: Target, operand: Operand
) -> ProcessedSequence:
    """One sequence of a layer, computed again.

    Raises
    ------
    UnsupportedCellError
        Its cell is none that a case can hold, or the run has resets.
    """
    if again.source.resets is not None:
        raise UnsupportedCellError(
            "A run whose state is reset cannot be reduced: a case holds one episode.",
            where=operand.read.states.name,
            expected="a run without resets",
            hint="cut the episodes apart, or compare without the reduction",
        )
    computed = again.again(slice(goal.sequence, goal.sequence + 1))
    one = computed[layer]
    if one.states.states and (kind := one.node.recurrent) and kind.cell.kind not in KINDS:
        raise UnsupportedCellError(
            "The cell of the layer that differs is none that a case can hold.",
            where=f"{operand.read.states.name}: {layer}",
            expected=", ".join(KINDS),
            found=kind.cell.kind,
            hint="compare without the reduction",
        )
    return ProcessedSequence.of(one)


def source_of(again: Recomputation) -> dict[str, str]:
    """What a trace says of the model that was run."""
    header = again.trace.header
    return {
        "checkpoint": header.checkpoint,
        "format": header.checkpoint_format,
        "framework": header.framework,
        "checkpoint_sha256": header.checkpoint_sha256,
    }


def partner_of(
    other: Operand, pair: LayerPair, goal: Target
) -> tuple[ProcessedSequence | None, str]:
    """The other side computed again; or why it is not."""
    name = pair.of(other.side).layer.name
    try:
        with recomputed(other) as again:
            return processed_sequence(again, name, goal, other), ""
    except RnnscopeError as error:
        return None, f"{other.side}'s run cannot be done again: {error.what}"
