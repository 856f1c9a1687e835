"""torch's (h, c): h_n and c_n of shape (layers x directions, batch, unit); h first.

Over time there is no format of torch's own; h and c of (layers x directions, batch, timestep, unit)
follow it.
"""

from __future__ import annotations

from collections.abc import Mapping

from rnnscope.errors import OptionError
from rnnscope.files.array_views import Expanded, Picked, stacked
from rnnscope.files.named_arrays import NamedArrays
from rnnscope.files.stored_array import StoredArray
from rnnscope.states.build import Member, build_states, positional
from rnnscope.states.interface import Reading, ReadOptions, StateFormat, WriteOptions, Written
from rnnscope.states.model import FINAL, StateSet
from rnnscope.states.naming import parse_array_name
from rnnscope.states.writing import companions, direction_pairs, not_held, state_of, time_first

NAME = "torch"
WORDS = "(h, c) of (layers x directions, batch, unit)"


def readings(arrays: NamedArrays, options: ReadOptions) -> list[Reading]:
    """``h_n`` and ``c_n``, h and c of four axes, or two arrays of three axes in that order."""
    forced = options.format == NAME
    found = positional(arrays, forced=False)
    if forced and found is None:
        found = positional(arrays, forced=True)
    if found is not None:
        if len(found) != 2 or not all(len(array.shape) in (3, 4) for array in found):
            return []
        named = dict(zip(("m", "c"), found, strict=True))
        why = "as --a-format or --b-format says" if forced else "two arrays, h first"
        return _reading(arrays, named, options, why, sure=forced)
    named, sure, others = {}, forced, 0
    for name in arrays.names:
        parsed = parse_array_name(name)
        array = arrays.array(name)
        if parsed is None:
            continue
        rank, state = len(array.shape), parsed.key.removeprefix(FINAL)
        stacked_ends = parsed.key.startswith(FINAL) and rank == 3
        if state in ("c", "m") and (stacked_ends or rank == 4 or (forced and rank == 3)):
            named[state] = array
            sure = sure or stacked_ends or rank == 4
        elif state in ("c", "m"):
            others += 1
    if others and not forced:
        return []  # layers of their own stand beside torch's: the file tells more by name
    return _reading(arrays, named, options, "h_n and c_n by name", sure=sure)


def _reading(
    arrays: NamedArrays,
    named: Mapping[str, StoredArray],
    options: ReadOptions,
    reason: str,
    *,
    sure: bool,
) -> list[Reading]:
    if not named or len({array.shape[0] for array in named.values()}) != 1:
        return []
    members = []
    count = next(iter(named.values())).shape[0]
    for number in range(count):
        for state, array in named.items():
            key = state if len(array.shape) == 4 else FINAL + state
            layer = "" if count == 1 else str(number)
            members.append(Member(layer, key, Picked(array, 0, number), named=False))
    states = build_states(arrays, NAME, members, time_major=options.time_major)
    return [Reading(NAME, WORDS, reason, states, sure)] if states else []


def write(states: StateSet, options: WriteOptions) -> Written:
    """``h_n`` and ``c_n``, or ``h`` and ``c`` over time; directions beside each other."""
    layers = []
    for pair in direction_pairs(states.layers):
        layers += [pair.forward] + ([pair.backward] if pair.backward else [])
    held: dict[str, StoredArray] = {}
    names = {"m": "h", "c": "c"} if options.steps == "all" else {"m": "h_n", "c": "c_n"}
    for state, name in names.items():
        parts = [
            time_first(state_of(layer, state, options, NAME), options.time_major)
            for layer in layers
        ]
        if len({part.shape for part in parts}) != 1:
            raise OptionError(
                "torch holds layers of one width.",
                where=states.name,
                expected=f"{state} of one shape in every layer",
                found=", ".join(f"{layer.name} {part.shape}" for layer, part in
                                zip(layers, parts, strict=True)),
                hint="choose layers with --layer, or write --to nested",
            )  # fmt: skip
        held[name] = Expanded(parts[0], 0) if len(parts) == 1 else stacked(parts)
    order = ", ".join(f"{number} is {layer.name}" for number, layer in enumerate(layers))
    lost = ("the layers' names", *not_held(states, options))
    return Written(held | companions(states, options), lost, (order,))


STATE_FORMAT = StateFormat(
    NAME,
    "torch (h, c) of (layers x directions, batch, unit)",
    "arrays h_n and c_n of three axes, or two arrays: h, then c",
    "c and m of layers of one width",
    readings,
    write,
)
