"""Which layer of one side is which of the other: by name, then by values, then by shape."""

from __future__ import annotations

from typing import NamedTuple

from rnnscope.states.sampled_values import layers_are_close
from rnnscope.states.state_set import StateLayer

Shapes = frozenset[tuple[str, tuple[int, ...]]]


class MatchedLayers(NamedTuple):
    """Two layers that are compared, and why these two."""

    a: StateLayer
    b: StateLayer
    how: str


def match_layers(
    a: tuple[StateLayer, ...], b: tuple[StateLayer, ...]
) -> tuple[list[MatchedLayers], list[StateLayer], list[StateLayer]]:
    """Pairs in the order of A, and what is left over on either side."""
    matched: dict[int, MatchedLayers] = {}
    rest_a, rest_b = dict(enumerate(a)), list(b)

    def pair_up(number: int, other: StateLayer, how: str) -> None:
        matched[number] = MatchedLayers(rest_a.pop(number), other, how)
        rest_b.remove(other)

    for number, layer in list(rest_a.items()):
        same = [other for other in rest_b if layer.named and other.named]
        same = [other for other in same if other.name == layer.name]
        if same:
            pair_up(number, same[0], "by name")
    if len(rest_a) == len(rest_b) == 1:
        pair_up(next(iter(rest_a)), rest_b[0], "the only ones left" if matched else "the only ones")
    for number, layer in list(rest_a.items()):
        near = [other for other in rest_b if layers_are_close(layer, other)]
        if near:
            pair_up(number, near[0], "by values")
    for number, layer in list(rest_a.items()):
        same_shapes = [other for other in rest_b if _shapes(layer) & _shapes(other)]
        if same_shapes:
            pair_up(number, same_shapes[0], "by shape and order")
    pairs = [matched[number] for number in sorted(matched)]
    return pairs, list(rest_a.values()), rest_b


def _shapes(layer: StateLayer) -> Shapes:
    """Sequences and units of the arrays; two layers that share none cannot be the same."""
    return frozenset(
        (key, (array.shape[0], array.shape[-1])) for key, array in layer.arrays.items()
    )
