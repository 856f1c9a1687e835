"""Which way two files are to be read: names first, then shapes, then numbers, each with its reason.

A file with names tells what its arrays are. Two arrays without names may be (c, m) or [h, c], or
torch's layers; then the readings that cannot be are struck out one after the other, and what is
left over must agree, or the user is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import InputError, spell
from rnnscope.files.containers.named_arrays import NamedArrays
from rnnscope.states import state_format, state_formats
from rnnscope.states.interface import ReadOptions, StateReading
from rnnscope.states.operands import Operand, open_operand
from rnnscope.states.sampled_values import layers_are_close, m_keeps_bound
from rnnscope.states.state_set import FINAL, StateLayer, StateSet, with_final

NO_WORD = "give the arrays all their axes, (sequence, timestep, unit), or names that tell"
"""The next step where no word for a format leaves one reading."""


@dataclass(frozen=True, eq=False)
class Recognised:
    """An operand as it is read, and why so."""

    reading: StateReading
    reason: str

    @property
    def states(self) -> StateSet:
        return self.reading.states


def readings_of(arrays: NamedArrays, options: ReadOptions) -> list[StateReading]:
    """Every way to read a file: those that are sure, if there are any.

    Raises
    ------
    InputError
        There is none; the message lists what was tried.
    """
    if options.format is not None:
        chosen = state_format(options.format)
        options = replace(options, format=chosen.name, meaning=options.format.partition(":")[2])
        readings = chosen.readings(arrays, options)
        if not readings:
            raise InputError(
                f"The file cannot be read as {chosen.name}.",
                where=arrays.label,
                expected=chosen.expects,
                found=_described(arrays),
            )
        return readings
    readings = []
    for entry in state_formats():
        readings += entry.readings(arrays, options)
        if any(reading.sure for reading in readings):
            return [reading for reading in readings if reading.sure][:1]
    if not readings:
        raise InputError(
            "The file holds no states that rnnscope knows.",
            where=arrays.label,
            expected="; ".join(f"{entry.name}: {entry.expects}" for entry in state_formats()),
            found=_described(arrays),
            hint=(
                "name one array: FILE::NAME; say what it is with "
                f"{spell('a_format')} or {spell('b_format')}; checkpoints are compared with "
                f"{spell('weights')}, or with {spell('input', 'INPUT')}"
            ),
        )
    return readings


def _described(arrays: NamedArrays) -> str:
    shapes = [f"{name or 'an array'} {arrays.array(name).shape}" for name in arrays.names[:8]]
    return ", ".join(shapes) or "no arrays"


def recognise_one(operand: Operand, options: ReadOptions) -> Recognised:
    """Read one file that is compared with nothing.

    Raises
    ------
    InputError
        It can be read in several ways; the message lists them.
    """
    readings = _within_bound(readings_of(open_operand(operand), options))
    same = all(_same_numbers(readings[0], other) for other in readings)
    if len(readings) > 1 and not same and not _are_of_one_word(readings):
        raise ambiguous(readings, spell("from"))
    return Recognised(readings[0], readings[0].reason)


def recognise(
    operands: tuple[Operand, Operand], options: tuple[ReadOptions, ReadOptions]
) -> tuple[Recognised, Recognised]:
    """Read two files that are to be compared.

    Parameters
    ----------
    operands : (Operand, Operand)
        Paths, ``PATH::NAME``, open traces, or arrays by name.
    options : (ReadOptions, ReadOptions)

    Returns
    -------
    (Recognised, Recognised)

    Raises
    ------
    InputError
        One cannot be read, or in several ways that would give other results; it lists them.
    """
    a, b = (open_operand(one, f"arrays {side}") for one, side in zip(operands, "AB", strict=True))
    readings_a, readings_b = _readings_or_none(a, options[0]), _readings_or_none(b, options[1])
    readings_a = _sized_by_other(a, options[0], readings_a, readings_b) or readings_of(
        a, options[0]
    )
    readings_b = _sized_by_other(b, options[1], readings_b, readings_a) or readings_of(
        b, options[1]
    )
    bounded_a, bounded_b = _within_bound(readings_a), _within_bound(readings_b)
    pairs = [(one, other) for one in bounded_a for other in bounded_b]
    pairs = _good_or_all(pairs, [_shapes_agree(*pair) for pair in pairs])
    by_number = False
    if len(pairs) > 1:
        near = [_near(*pair) for pair in pairs]
        by_number = any(near) and not all(near)
        pairs = _good_or_all(pairs, near)
        if not any(near):
            _refuse_ambiguity(pairs)
    # Where both may be anything, they are two arrays, rather than states cut in halves.
    plain = [pair for pair in pairs if all("array" in _keys(reading) for reading in pair)]
    chosen = (plain or pairs)[0]
    return (
        _with_reason(chosen[0], readings_a, bounded_a, "A", by_number=by_number),
        _with_reason(chosen[1], readings_b, bounded_b, "B", by_number=by_number),
    )


def _keys(reading: StateReading) -> set[str]:
    return {key for layer in reading.states.layers for key in layer.arrays}


def _readings_or_none(arrays: NamedArrays, options: ReadOptions) -> list[StateReading]:
    """The readings; none where the other operand may have to tell how to read it."""
    try:
        return readings_of(arrays, options)
    except InputError:
        return []


def _with_reason(
    chosen: StateReading,
    readings: list[StateReading],
    bounded: list[StateReading],
    side: str,
    *,
    by_number: bool,
) -> Recognised:
    """The reading with what decided for it."""
    if chosen.sure or len(readings) == 1:
        return Recognised(chosen, chosen.reason)
    other = "B" if side == "A" else "A"
    why = []
    if len(bounded) < len(readings):
        why.append("|m| stays within 1")
    if by_number:
        why.append(f"its numbers are near {other}'s")
    elif len(bounded) > 1:
        why.append(f"its shape fits {other}'s")
    return Recognised(chosen, f"{chosen.reason}; only so {' and '.join(why)}")


def _good_or_all(
    pairs: list[tuple[StateReading, StateReading]], good: Sequence[bool]
) -> list[tuple[StateReading, StateReading]]:
    """The pairs that are good, or all if none is."""
    return [pair for pair, fine in zip(pairs, good, strict=True) if fine] or pairs


def _sized_by_other(
    arrays: NamedArrays, options: ReadOptions, own: list[StateReading], other: list[StateReading]
) -> list[StateReading]:
    """More readings, if the other operand knows widths or lengths that this file does not hold."""
    if len(other) != 1 or not other[0].sure:
        return own
    sized = options
    states = other[0].states
    units = [_width(layer, "c") for layer in states.layers]
    if not options.num_units and all(units):
        sized = replace(sized, num_units=tuple(int(width or 0) for width in units))
    lengths = states.valid_steps()
    if lengths is None and states.timesteps is not None:
        lengths = np.full(states.sequences, states.timesteps)
    if lengths is not None:
        sized = replace(sized, lengths=tuple(int(length) for length in lengths))
    if sized == options:
        return own
    kinds = {reading.format for reading in own}
    if kinds & {"lstmvis", "diagnnose"}:
        return _readings_or_none(arrays, sized) or own
    if any(reading.sure for reading in own):
        return own
    more = list(own)
    for widths in dict.fromkeys((sized.num_units, *((width,) for width in sized.num_units))):
        for reading in _readings_or_none(arrays, replace(sized, num_units=widths)):
            if reading.format == "concat" and reading.words not in {one.words for one in more}:
                more.append(reading)
    return more


def _width(layer: StateLayer, state: str) -> int | None:
    array = layer.arrays.get(state, layer.arrays.get(FINAL + state))
    return None if array is None else array.shape[-1]


def _within_bound(readings: list[StateReading]) -> list[StateReading]:
    """Readings without those whose m leaves its bound, if others keep to it."""
    if len(readings) < 2:
        return readings
    within = [reading for reading in readings if m_keeps_bound(reading.states)]
    return within or readings


def _shapes_agree(one: StateReading, other: StateReading) -> bool:
    """Whether some layers of both have an array in common, and of one shape."""
    for a in with_final(one.states).layers:
        for b in with_final(other.states).layers:
            shared = a.arrays.keys() & b.arrays.keys()
            if shared and all(a.arrays[key].shape == b.arrays[key].shape for key in shared):
                return True
    return False


def _near(one: StateReading, other: StateReading) -> bool:
    """Whether each layer of the smaller has a layer in the other whose values are close."""
    a, b = with_final(one.states).layers, with_final(other.states).layers
    few, many = (a, b) if len(a) <= len(b) else (b, a)
    return all(any(layers_are_close(layer, candidate) for candidate in many) for layer in few)


def _same_numbers(one: StateReading, other: StateReading) -> bool:
    """Whether two readings call the same arrays the same."""
    shapes = [
        [(layer.name, key, array.shape) for layer in reading.states.layers
         for key, array in layer.arrays.items()]
        for reading in (one, other)
    ]  # fmt: skip
    return shapes[0] == shapes[1] and _near(one, other)


def _refuse_ambiguity(pairs: list[tuple[StateReading, StateReading]]) -> None:
    """Raise unless both operands have the same ways to be read, which come to the same."""
    left = list(dict.fromkeys(pair[0] for pair in pairs))
    right = list(dict.fromkeys(pair[1] for pair in pairs))
    if [reading.words for reading in left] == [reading.words for reading in right]:
        return
    if len(left) > 1 and not _are_of_one_word(left):
        raise ambiguous(left, spell("a_format"))
    if len(right) > 1 and not _are_of_one_word(right):
        raise ambiguous(right, spell("b_format"))


def _are_of_one_word(readings: Sequence[StateReading]) -> bool:
    """Whether the user has said all that can be said: two axes are (sequence, unit) then."""
    return bool(readings[0].said) and len({reading.said for reading in readings}) == 1


def ambiguous(readings: Sequence[StateReading], flag: str) -> InputError:
    """The error for a file that may be read in several ways."""
    words = [reading.said or reading.format for reading in readings]
    listed = [
        f"{word}: {reading.words} ({reading.reason})"
        for word, reading in zip(words, readings, strict=True)
    ]
    # The first that leaves one reading; "single" by itself would lead here again.
    alone = [word for word in dict.fromkeys(words)
             if not any(other.startswith(f"{word}:") for other in words)
             and (":" in word or words.count(word) == 1)]  # fmt: skip
    hint = f"say which: {flag} {alone[0]}" if alone else NO_WORD
    return InputError(
        "The file can be read in several ways, and they do not come to the same.",
        where=readings[0].states.name,
        expected="one of\n" + "\n".join(listed),
        found="neither names, nor |m| <= 1, nor the other operand tell which",
        hint=hint,
    )
