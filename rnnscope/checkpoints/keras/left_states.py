"""What a stateful layer was left with by its last batch, which a SavedModel holds."""

from __future__ import annotations

from collections.abc import Sequence

from rnnscope.checkpoints.keras.weights import LayerWeights, StoredVariable
from rnnscope.errors import CheckpointError
from rnnscope.files.messages.json_config import ConfigView
from rnnscope.model.cell import CellSpec, Option
from rnnscope.model.cells import CELLS
from rnnscope.model.initial_state import ZERO_STATE, InitialState, StatePart, StoredState


def left_states(
    states: Sequence[Sequence[str]], config: ConfigView, weights: LayerWeights
) -> tuple[StoredVariable, ...]:
    """The states that a stateful layer goes on from; none of them where the file lacks one.

    Parameters
    ----------
    states : sequence of sequence of str
        The names of the states of each of its cells.
    config : ConfigView
    weights : LayerWeights
        Of the layer.
    """
    if not config.get("stateful", bool, False):
        return ()
    found = weights.left_states()
    return found if len(found) == sum(map(len, states)) else ()


def start_of(
    spec: CellSpec, names: Sequence[str], left: Sequence[StoredVariable]
) -> Option[InitialState]:
    """Zeros, or what was left: a variable (sequence, width) for each of a cell's states.

    Raises
    ------
    CheckpointError
        One has another shape.
    """
    if not left:
        return Option(ZERO_STATE, "class default")
    widths = CELLS[spec.kind].widths(spec)
    parts: dict[str, StatePart] = {}
    for name, variable in zip(names, left, strict=True):
        state = "m" if name == "h" else name
        if len(variable.shape) != 2 or variable.shape[1] != widths[state]:
            raise CheckpointError(
                "A stored state of a stateful layer has the wrong shape.",
                where=variable.name,
                expected=f"(sequence, {widths[state]})",
                found=str(variable.shape),
                hint="the file is damaged; save the model again",
            )
        parts[state] = StoredState(variable.load(), f"variable '{variable.name}'")
    return Option(InitialState(parts), "config", "stateful")


def goes_on(state: InitialState) -> bool:
    """Whether a layer starts from what was left, though its call gives states.

    Keras does so unless all that was left is zero.
    """
    stored = [part.values for part in state.parts.values() if isinstance(part, StoredState)]
    return any(values.any() for values in stored)
