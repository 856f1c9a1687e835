"""What a stored model says of its own inputs: their axes, and names of states and lengths."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from rnnscope.checkpoints.interface import Checkpoint
from rnnscope.errors import InputError, spell
from rnnscope.inputs import InputSource
from rnnscope.inputs.sibling_arrays import ModelNames
from rnnscope.model.cell import Array
from rnnscope.model.network import Network

_Taken = Callable[[Array], Array]


def names_of_inputs(network: Network) -> ModelNames:
    """The names under which a model takes initial states and lengths."""
    states: dict[str, dict[str, _Taken]] = {}
    lengths: set[str] = set()
    for node in network.recurrent:
        layer = node.recurrent
        assert layer is not None
        if layer.lengths.value.input:
            lengths.add(layer.lengths.value.input)
        for state, part in layer.initial_state.value.outside().items():
            if part.taken is not None:
                key = f"{node.name}/initial_{state}"
                states.setdefault(part.name, {})[key] = part.taken
    return ModelNames(
        {name: partial(_taken, parts) for name, parts in states.items()}, frozenset(lengths)
    )


def _taken(parts: Mapping[str, _Taken], array: Array) -> dict[str, Array]:
    return {key: take(array) for key, take in parts.items()}


def is_time_first(checkpoint: Checkpoint) -> bool:
    """Whether the model's inputs, as the file has them, begin with timesteps.

    Raises
    ------
    InputError
        Some do and some do not, or sequences lie on another axis.
    """
    places = {
        axes.index("sequence") for axes in checkpoint.input_axes.values() if "sequence" in axes
    }
    if places <= {0}:
        return False
    if places == {1}:
        return True
    raise InputError(
        "The model's inputs have sequences on an axis that rnnscope does not read them from.",
        where=checkpoint.path,
        expected="sequences on the first axis of all inputs, or on the second",
        found=axes_words(checkpoint),
        hint=f"give what the first recurrent layer receives, without {spell('model_input')}",
    )


def check_rank(checkpoint: Checkpoint, source: InputSource) -> None:
    """Refuse an input that has not the axes of the model's own.

    Raises
    ------
    InputError
    """
    rank = len(source.array.shape)
    taken = [_ranks(axes, ids=source.is_ids) for axes in checkpoint.input_axes.values()]
    if not taken or any(rank in ranks for ranks in taken):
        return
    raise InputError(
        "The input has not the axes of the model's own input.",
        where=source.name,
        expected=axes_words(checkpoint),
        found=f"shape {source.array.shape}",
        hint=f"give what the first recurrent layer receives, without {spell('model_input')}",
    )


def _ranks(axes: tuple[str, ...], *, ids: bool) -> set[int]:
    """How many axes an input may have: one sequence alone has one less than several."""
    if "sequence" not in axes:
        return {len(axes), len(axes) + 1}
    if len(axes) == 2 and not ids:
        return set()  # (sequence, timestep) would be taken for (timestep, feature)
    return {len(axes), len(axes) - 1}


def axes_words(checkpoint: Checkpoint) -> str:
    """Every input with its axes: ``"'X' (timestep, sequence, feature)"``."""
    return ", ".join(
        f"'{name}' ({', '.join(axes)})" for name, axes in checkpoint.input_axes.items()
    )
