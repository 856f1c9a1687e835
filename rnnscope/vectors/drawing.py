"""Inputs that are drawn: few numbers, short in any notation, the same on every machine."""

from __future__ import annotations

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.cells import CELLS
from rnnscope.vectors.parts import Part

GRID = 64
"""Every number is a multiple of 1/64: exact in float16 and in seven digits of text, so that an
implementation that reads it as float32 computes over the same input."""

SCALES = (2.0, 1.0, 4.0, 0.5, 8.0, 16.0, 64.0, 256.0)
"""Of the inputs, in the order of trying: gates that stay saturated need large ones."""

MOST_STATE = 1.0

FIRST_STEPS, FIRST_SEQUENCES = 5, 2
"""Of the plain case, with which an implementation begins: zeros before it, every step valid."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """An input of a part.

    Attributes
    ----------
    x : ndarray (sequence, timestep, feature), float64
    lengths : ndarray of int (sequence,)
        All of them the number of steps where the part takes none.
    initial : dict of str to ndarray (sequence, width), or None
        The state before the first step, zeros where it is not there; None where the part starts as
        the model does.
    plain : bool
        The first one, of another shape than those that are searched.
    """

    x: Array
    lengths: Array
    initial: dict[str, Array] | None
    plain: bool = False

    @property
    def given_lengths(self) -> Array | None:
        """The lengths, None where every step counts."""
        return self.lengths if (self.lengths < self.x.shape[1]).any() else None


def plain_case(part: Part, random: np.random.Generator) -> Drawn:
    """A first input: small, from zeros, every step valid."""
    x = _numbers(random, (FIRST_SEQUENCES, FIRST_STEPS, part.input_size), 1.0)
    initial: dict[str, Array] | None = {} if part.layer else None
    return Drawn(x, np.full(FIRST_SEQUENCES, FIRST_STEPS), initial, plain=True)


def searched_case(
    part: Part, random: np.random.Generator, attempt: int, sequences: int, steps: int
) -> Drawn:
    """An input with lengths and states before the first step, of a scale that goes with `attempt`.

    The lengths are the same at every attempt: what is said of them stays the same.
    """
    x = _numbers(random, (sequences, steps, part.input_size), SCALES[attempt % len(SCALES)])
    lengths = np.full(sequences, steps)
    if part.takes_lengths:
        # A full one, one in the middle, a short one; no two of neighbours that only differ by one.
        lengths = np.array([max(1, steps - (row * steps * 2) // (2 * sequences + 1))
                            for row in range(sequences)])  # fmt: skip
    initial = None
    if part.layer:
        initial = {
            name: _numbers(random, (sequences, width), MOST_STATE)
            for name, width in _widths(part).items()
        }
    return Drawn(x, lengths, initial)


def _widths(part: Part) -> dict[str, int]:
    return dict(CELLS[part.driven.cell.kind].widths(part.driven.cell))


def _numbers(random: np.random.Generator, shape: tuple[int, ...], scale: float) -> Array:
    """Numbers up to a scale that are multiples of its 64th."""
    drawn: Array = np.rint((2 * random.random(shape) - 1) * GRID) / GRID * scale
    return drawn + 0.0  # no minus zero: a text of it reads as another number in some languages
