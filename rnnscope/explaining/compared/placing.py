"""Where an array of a reference may stand in a result: which sequences and steps it has."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.explaining.computing.setup import altered
from rnnscope.model.cell import Array

MOST_ROWS = 8
"""Sequences of which a reference of one may be any."""

MOST_MISSING_STEPS = 4
"""Steps that may be missing at either end with every place tried; more only at one of the ends."""


@dataclass(frozen=True)
class Part:
    """What an array has of a result, or a result of an array.

    Attributes
    ----------
    flat : bool
        Its rows hold timestep after timestep.
    sequences : tuple of int or None
        The first sequence and how many there are; None: all.
    steps : tuple of int or None
        The first of the result's timesteps and how many there are; None: all.
    of_its_own : tuple of int or None
        The first of the array's timesteps that the result has, and how many the array has; None:
        it has no more than the result.
    """

    flat: bool = False
    sequences: tuple[int, int] | None = None
    steps: tuple[int, int] | None = None
    of_its_own: tuple[int, int] | None = None

    def words(self, timesteps: int) -> tuple[str, ...]:
        """What had to be found out, for reports; `timesteps` are those of the result."""
        found = ["flat: timestep after timestep"] if self.flat else []
        if self.sequences is not None:
            first, count = self.sequences
            found.append(
                f"sequence {first} alone" if count == 1 else f"the first {count} sequences"
            )
        if self.steps is not None:
            first, count = self.steps
            found.append(f"steps {first} to {first + count - 1} alone")
        if self.of_its_own is not None:
            first, count = self.of_its_own
            found.append(f"steps {first} to {first + timesteps - 1} of its {count}")
        return tuple(found)


def placed(values: Array, shape: tuple[int, ...], sequences: int) -> Iterator[tuple[Array, Part]]:
    """The values in an array of a result's shape, NaN where there are none, in every place.

    Parameters
    ----------
    values : ndarray (sequence, timestep, width) or (sequence, width)
        Of (row, all values of it) and (timestep, width) as well.
    shape : tuple of int
        The result's: of the sequences that are computed.
    sequences : int
        Those of the input. An array that has them all is cut to those that are computed.
    """
    rows = shape[0]
    if len(values) == sequences > rows:
        values = values[:rows]
    if values.shape == shape:
        yield values, Part()
    elif values.ndim == 2 and len(shape) == 3:
        if values.shape[1] == shape[1] * shape[2]:
            for filled, part in placed(values.reshape(len(values), *shape[1:]), shape, sequences):
                yield filled, altered(part, flat=True)
        elif values.shape[1] == shape[2]:
            yield from placed(values[None], shape, sequences)  # one sequence over time
    elif values.ndim == len(shape) and values.shape[-1] == shape[-1] and len(values) <= rows:
        yield from _some_sequences(values, shape)


def _some_sequences(values: Array, shape: tuple[int, ...]) -> Iterator[tuple[Array, Part]]:
    count = len(values)
    alone = count == 1 and shape[0] > 1
    for first in range(min(shape[0], MOST_ROWS) if alone else 1):
        rows = np.full((shape[0], *values.shape[1:]), np.nan)
        rows[first : first + count] = values
        part = Part(sequences=None if count == shape[0] else (first, count))
        if rows.shape == shape:
            yield rows, part
        else:
            for filled, of_steps in _some_steps(rows, shape):
                yield filled, altered(of_steps, sequences=part.sequences)


def _some_steps(values: Array, shape: tuple[int, ...]) -> Iterator[tuple[Array, Part]]:
    """The same where sequences are as many, and timesteps are not."""
    steps, timesteps = values.shape[1], shape[1]
    if steps > timesteps:
        for first in range(min(steps - timesteps, MOST_MISSING_STEPS) + 1):
            cut = values[:, first : first + timesteps].copy()
            yield cut, Part(of_its_own=(first, steps))
        return
    missing = timesteps - steps
    for first in range(missing + 1) if missing <= MOST_MISSING_STEPS else (0, missing):
        out = np.full(shape, np.nan)
        out[:, first : first + steps] = values
        yield out, Part(steps=(first, steps))
