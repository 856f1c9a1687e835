"""Why two layers differ, if one of them was only misread: each usual confusion is tried out.

A confusion is a way to read B. Its arrays are views again, compared as any others, and a wrong
guess ends at the first block that differs; a hint is never said of what was not seen equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from rnnscope.comparing.align import LayerOfSet, valid_steps
from rnnscope.comparing.array_measure import AlignedArrays
from rnnscope.comparing.arrays import coordinates_of, diff_arrays
from rnnscope.comparing.tolerance import DiffSettings
from rnnscope.errors import spell
from rnnscope.files.arrays.array_views import Joined, Reversed, Span, Turned
from rnnscope.files.arrays.stored_array import StoredArray
from rnnscope.model.cell import Array
from rnnscope.states.state_set import FINAL

Arrays = Mapping[str, StoredArray]

MOST_SHIFT = 3
LOOK_BYTES = 64 * 2**20
"""Arrays up to this size are read as a whole to find rows of zeros."""

SWAPPED = {
    "tuple": "[h, c]",
    "nested": "[h, c], layer by layer",
    "keras": "(c, h)",
    "keras-bidirectional": "[fc, fh, bc, bh]",
    "concat": "[m, c]",
    "torch": "(c, h)",
}
"""What a format is when c and m have changed places."""


class Misreading(NamedTuple):
    """One way to read B: in words, the arrays it makes, and A's and the steps to compare."""

    words: str
    b: Arrays
    a: Arrays
    valid: Array | None


def layer_hints(a: LayerOfSet, b: LayerOfSet, settings: DiffSettings) -> tuple[str, ...]:
    """Ways to read B in which the layers are equal, in words; the simplest one alone."""
    for guess in _guesses(a, b, settings):
        if _equal(a, guess, settings):
            return (guess.words,)
    return ()


def _states(side: LayerOfSet) -> dict[str, StoredArray]:
    """C and m over time, or final where there is nothing else."""
    arrays = side.layer.arrays
    over_time = {key: arrays[key] for key in ("c", "m", "array", "outputs") if key in arrays}
    if {"c", "m"} & over_time.keys():
        over_time.pop("outputs", None)
    if over_time:
        return over_time
    return {key: arrays[FINAL + key] for key in ("c", "m") if FINAL + key in arrays}


def _guesses(a: LayerOfSet, b: LayerOfSet, settings: DiffSettings) -> Iterator[Misreading]:
    own, other = _states(a), _states(b)
    if any(len(array.shape) != 3 for array in own.values()) and any(
        len(array.shape) == 3 for array in other.values()
    ):
        other = {key: b.layer.arrays[FINAL + key] for key in ("c", "m")
                 if FINAL + key in b.layer.arrays}  # fmt: skip
    valid = None if settings.padding else _valid(a, b)
    if settings.padding and (steps := _valid(a, b)) is not None:
        yield Misreading(
            "equal at the valid steps: they part only past the length", other, own, steps
        )
    ways: list[tuple[str, Arrays]] = [("", other)]
    swapped = {key: other[was] for key, was in (("c", "m"), ("m", "c")) if was in other}
    if swapped:
        name = SWAPPED.get(b.states.format)
        words = f"B is read as {name}" if name else "c and m of B change places"
        ways.append((words, swapped))
    ways += _other_cuts(own, other)
    times = list(_times(b, other))
    for words, arrays in ways[1:]:
        yield Misreading(f"equal if {words}", arrays, own, valid)
    for time_words, turn in times:
        for words, arrays in ways:
            both = " and ".join(part for part in (words, time_words) if part)
            turned = {key: turn(array) for key, array in arrays.items()}
            # B's own lengths are about its axes as they were read.
            steps = None if settings.padding else _own_valid(a)
            yield Misreading(f"equal if {both}", turned, own, steps)
    yield from _shifts(own, other, None if settings.padding else _own_valid(a))
    yield from _zero_tails(own, other)


def _other_cuts(own: Arrays, other: Arrays) -> list[tuple[str, Arrays]]:
    """C and m cut out of B's [c, m] at the other place, for widths that are not equal."""
    if not {"c", "m"} <= own.keys() & other.keys():
        return []
    axis = len(other["c"].shape) - 1
    c, m = own["c"].shape[-1], own["m"].shape[-1]
    whole = Joined([other["c"], other["m"]], axis)
    if whole.shape[-1] != c + m or c == m:
        return []
    cut = {"c": Span(whole, axis, 0, c), "m": Span(whole, axis, c, c + m)}
    turned = {"m": Span(whole, axis, 0, m), "c": Span(whole, axis, m, c + m)}
    return [
        (f"B is cut at {c}: {spell('num_units', str(c))}", cut),
        (f"B is read as [m, c], m {m} wide and c {c}", turned),
    ]


def _times(
    b: LayerOfSet, other: Arrays
) -> Iterator[tuple[str, Callable[[StoredArray], StoredArray]]]:
    """Time read in other ways, of arrays that have time."""
    if any(len(array.shape) != 3 for array in other.values()) or not other:
        return
    yield (
        (
            "B is read with the other axis first: time-major for batch-major "
            f"({spell('time_major_b')})"
        ),
        lambda array: Turned(array, (1, 0, 2)),
    )
    yield "B's time is reversed", Reversed
    lengths = b.states.valid_steps() if b.layer.counted else None
    if lengths is not None:
        own_lengths = lengths
        yield (
            "B's time is reversed within each length",
            lambda array: Reversed(array, own_lengths),
        )


def _shifts(own: Arrays, other: Arrays, valid: Array | None) -> Iterator[Misreading]:
    """B some steps early or late."""
    shapes = {array.shape[:2] for array in (*own.values(), *other.values())
              if len(array.shape) == 3}  # fmt: skip
    if len(shapes) != 1 or any(len(array.shape) != 3 for array in own.values()):
        return
    timesteps = next(iter(shapes))[1]
    for steps in range(1, MOST_SHIFT + 1):
        if timesteps - steps < max(2, timesteps // 2):
            return
        late = {key: Span(array, 1, steps, timesteps) for key, array in own.items()}
        early = {key: Span(array, 1, 0, timesteps - steps) for key, array in own.items()}
        b_early = {key: Span(array, 1, 0, timesteps - steps) for key, array in other.items()}
        b_late = {key: Span(array, 1, steps, timesteps) for key, array in other.items()}
        plural = "step" if steps == 1 else "steps"
        yield Misreading(
            f"equal if B is {steps} {plural} early: its timestep t is A's t + {steps}",
            b_early,
            late,
            None if valid is None else valid[:, steps:],
        )
        yield Misreading(
            f"equal if B is {steps} {plural} late: its timestep t + {steps} is A's t",
            b_late,
            early,
            None if valid is None else valid[:, : timesteps - steps],
        )


def _zero_tails(own: Arrays, other: Arrays) -> Iterator[Misreading]:
    """One side has zeros from some step of a sequence on, where the other goes on."""
    for name, arrays in (("B", other), ("A", own)):
        array = next((arrays[key] for key in ("m", "c", "array", "outputs") if key in arrays), None)
        if array is None or len(array.shape) != 3:
            continue
        if int(np.prod(array.shape)) * array.dtype.itemsize > LOOK_BYTES:
            continue
        some = (array.read() != 0).any(axis=2)
        turned = some[:, ::-1]
        lengths = np.where(turned.any(axis=1), some.shape[1] - turned.argmax(axis=1), 0)
        if (lengths == some.shape[1]).all() or not lengths.any():
            continue
        listed = ", ".join(str(int(length)) for length in lengths[:8])
        more = ", …" if len(lengths) > 8 else ""
        yield Misreading(
            f"equal up to where {name} has zeros: its lengths look like {listed}{more}, "
            "and the other side has states past them",
            other,
            own,
            np.arange(some.shape[1]) < lengths[:, None],
        )


def _valid(a: LayerOfSet, b: LayerOfSet) -> Array | None:
    one, other = _own_valid(a), _own_valid(b)
    if one is None or other is None:
        return other if one is None else one
    return one & other if one.shape == other.shape else one


def _own_valid(side: LayerOfSet) -> Array | None:
    key = next((key for key in ("m", "c", "outputs", "array") if key in side.layer.arrays), "")
    return valid_steps(side, key)


def _equal(a: LayerOfSet, guess: Misreading, settings: DiffSettings) -> bool:
    """Whether every array of A is equal in this reading of B."""
    shared = guess.a.keys() & guess.b.keys()
    if not shared:
        return False
    for key in shared:
        one, other = guess.a[key], guess.b[key]
        if one.shape != other.shape:
            return False
        valid = guess.valid if len(one.shape) == 3 else None
        if valid is not None and (valid.shape != one.shape[:2] or not valid.any()):
            return False
        result = diff_arrays(
            key,
            AlignedArrays(one, other, valid, coordinates_of(one.shape)),
            settings.tolerances.of(a.layer.name, key, (one.dtype, other.dtype)),
            equal_nan=settings.tolerances.equal_nan,
            fail_fast=True,
        )
        if result.verdict == "differ":
            return False
    return True
