"""Bidirectional layers: which two layers of a trace belong together, and what both are called."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rnnscope.errors import OptionError, spell
from rnnscope.pooling.interface import Direction, PoolSource
from rnnscope.trace.schema import LayerHeader

Pair = tuple[LayerHeader, LayerHeader]
"""Forward, backward."""

DIRECTION_WORDS = ({"forward", "backward"}, {"fw", "bw"})


def find_pairs(layers: Iterable[LayerHeader]) -> list[Pair]:
    """The bidirectional layers: one forward and one backward that belong together.

    By what they read, where no other layer reads the same; or by names that differ in one word,
    ``fw`` and ``bw`` or ``forward`` and ``backward``, as in stacks inside of each direction.
    """
    layers = tuple(layers)
    pairs = []
    for layer in layers:
        if layer.known_facts.backward:
            continue
        alike = [other for other in layers if layer.inputs and other.inputs == layer.inputs]
        others = [other for other in alike if other is not layer]
        if len(others) != 1 or not _opposed(layer, others[0]):
            others = [other for other in layers if _named_alike(layer, other)]
        if len(others) == 1 and _opposed(layer, others[0]):
            pairs.append((layer, others[0]))
    return pairs


def _opposed(forward: LayerHeader, other: LayerHeader) -> bool:
    return other.known_facts.backward and other.timesteps == forward.timesteps


def _named_alike(forward: LayerHeader, other: LayerHeader) -> bool:
    different = _different_word(forward.name, other.name)
    return different is not None and {different[1], different[2]} in DIRECTION_WORDS


def _words(name: str) -> list[str]:
    return re.split(r"([/_])", name)


def _different_word(one: str, other: str) -> tuple[int, str, str] | None:
    """The only word in which two names differ, and its place."""
    a, b = _words(one), _words(other)
    differing = [k for k, (x, y) in enumerate(zip(a, b, strict=False)) if x != y]
    if len(a) != len(b) or len(differing) != 1:
        return None
    return differing[0], a[differing[0]], b[differing[0]]


def joined_name(forward: str, backward: str, direction: str) -> str:
    """``bidi/concat_lstm`` for ``bidi/forward_lstm`` and ``bidi/backward_lstm``."""
    different = _different_word(forward, backward)
    if different is None:
        return f"{forward}/{direction}"
    words = _words(forward)
    words[different[0]] = direction
    return "".join(words)


def source_of_pair(pair: Pair, direction: Direction) -> PoolSource:
    """One of the two, or both joined.

    Raises
    ------
    OptionError
        The sum of unequal widths.
    """
    forward, backward = pair
    if direction == "forward":
        return PoolSource(forward.name, (forward,), direction)
    if direction == "backward":
        return PoolSource(backward.name, (backward,), direction, (backward.name,))
    name = joined_name(forward.name, backward.name, direction)
    if direction == "sum" and (forward.widths, forward.output_size) != (
        backward.widths,
        backward.output_size,
    ):
        raise OptionError(
            "Directions of different widths have no sum.",
            where=f"{forward.name}, {backward.name}",
            expected="the same widths",
            found=f"{dict(forward.widths)} and {dict(backward.widths)}",
            hint=f"take {spell('direction', 'concat')}",
        )
    return PoolSource(name, pair, direction, (backward.name,))
