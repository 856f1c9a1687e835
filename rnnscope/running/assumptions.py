"""What a run assumes where its checkpoint and input do not say: as notes of its report."""

from __future__ import annotations

from rnnscope.errors import InputError, spell
from rnnscope.inputs import InputSource
from rnnscope.model.cell import Array
from rnnscope.model.initial_state import (
    InitialState,
    StoredState,
)
from rnnscope.model.lengths_source import LengthsSource
from rnnscope.model.network import Node


def mention_assumptions(
    node: Node,
    source: InputSource,
    lengths: Array | None,
    notes: dict[str, None],
) -> None:
    """Say what a run takes for granted that the file or the user does not state."""
    layer = node.recurrent
    assert layer is not None
    if layer.padding.value != "none" and lengths is None and source.mask is None:
        _mention_lengths(layer.lengths.value, source.timesteps, notes)
    _mention_start(node.name, layer.initial_state.value, source.sequences, notes)
    assumed = [
        f"{name} {option.value} ({option.origin})"
        for name, option in layer.cell.options.items()
        if option.origin in ("class default", "guess") and not option.only_choice
    ]
    if assumed:
        notes.setdefault(f"'{node.name}': the file does not hold {', '.join(assumed)}.")
    if source.dtype.kind == "f" and source.dtype.itemsize > layer.cell.dtype.itemsize:
        notes.setdefault(
            f"The input is {source.dtype} and was narrowed to {layer.cell.dtype}, the dtype of "
            "the weights."
        )


def _mention_lengths(wanted: LengthsSource, timesteps: int, notes: dict[str, None]) -> None:
    """Say that a layer takes lengths, and that none were given."""
    counts = f"every sequence counts as {timesteps} steps long ({spell('lengths')})."
    if wanted.kind == "input":
        notes.setdefault(f"The graph takes {wanted}; none were given, so that {counts}")
    elif wanted.kind == "computed":
        notes.setdefault(
            f"The graph computes its lengths, which rnnscope does not ({wanted}); none were given, "
            f"so that {counts}"
        )


def _mention_start(name: str, state: InitialState, sequences: int, notes: dict[str, None]) -> None:
    """Say which states start from zeros here and would not in the model."""
    if state.outside():
        notes.setdefault(_outside_words(name, state))
    for part, stored in state.parts.items():
        if isinstance(stored, StoredState) and not stored.fits(sequences):
            raise InputError(
                f"The file holds an initial {part} of '{name}' for another number of sequences.",
                where=str(stored),
                expected=f"{len(stored.values)} sequences, or {spell(f'initial_{part}')}",
                found=f"{sequences} sequences",
                hint="the model was made for batches of that size alone",
            )


def _outside_words(name: str, state: InitialState) -> str:
    outside = state.outside()
    inputs = dict.fromkeys(part.name for part in outside.values() if part.kind == "model input")
    start = f"'{name}' starts from {state} in the graph"
    if inputs:
        names = ", ".join(f"'{one}'" for one in inputs)
        what = "inputs" if len(inputs) > 1 else "input"
        start = f"'{name}' takes its initial state from the model's {what} {names} ({state})"
    missing = " and ".join(f"initial_{part}" for part in sorted(outside))
    were = "were" if len(outside) > 1 else "was"
    it = "it" if len(outside) == len(state.parts) else min(outside)
    return f"{start}; no {missing} {were} given, so that {it} starts from zeros here."
