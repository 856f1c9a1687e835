"""States of chunks: one step before the end, behind one another, below one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rnnscope.model.cell import Array
from rnnscope.model.states import LayerStates


def one_earlier(states: LayerStates, before: Mapping[str, Array]) -> dict[str, Array]:
    """The state one step before the end of a chunk of a layer that reads forward."""
    return {
        name: array[:, -2] if array.shape[1] > 1 else before[name]
        for name, array in states.states.items()
    }


def joined(parts: Sequence[LayerStates], kept: Sequence[slice]) -> LayerStates:
    """Chunks behind one another, of each the steps that are kept."""
    names = parts[0].states
    return LayerStates(
        states={name: np.concatenate([one.states[name][:, part]
                                      for one, part in zip(parts, kept, strict=True)], axis=1)
                for name in names},
        outputs=np.concatenate(
            [one.outputs[:, part] for one, part in zip(parts, kept, strict=True)], axis=1),
        initial=parts[0].initial,
        final=parts[-1].final,
    )  # fmt: skip


def stacked(parts: Sequence[LayerStates]) -> LayerStates:
    """Sequences below one another."""
    return LayerStates(
        states={name: np.concatenate([one.states[name] for one in parts])
                for name in parts[0].states},
        outputs=np.concatenate([one.outputs for one in parts]),
        initial={name: np.concatenate([one.initial[name] for one in parts])
                 for name in parts[0].initial},
        final={name: np.concatenate([one.final[name] for one in parts])
               for name in parts[0].final},
    )  # fmt: skip
