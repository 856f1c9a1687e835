"""Weights of the right kind in the wrong place: layers of a stack, the two directions."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

from rnnscope.explaining.computing.setup import Setup, altered, shapes_of
from rnnscope.explaining.confusions.changes import ChangeSetup
from rnnscope.explaining.confusions.interface import Confusion, Facts
from rnnscope.explaining.readings.deviations import Deviation
from rnnscope.model.network import Network

MOST_LAYERS = 4


def _layer_orders(facts: Facts) -> Iterator[Deviation]:
    """Layers of a stack with weights of one shape, in another order; both directions alike."""
    levels: dict[bool, list[str]] = {}
    for name, driven in facts.setup.layers.items():
        levels.setdefault(driven.layer.backward.value, []).append(name)
    depths = {len(names) for names in levels.values()}
    if len(depths) != 1 or not 2 <= min(depths) <= MOST_LAYERS:
        return
    own = tuple(range(min(depths)))

    def reordered(order: tuple[int, ...]) -> ChangeSetup:
        def change(setup: Setup) -> Setup | None:
            pairs = [
                (names[place], names[source])
                for names in levels.values()
                for place, source in zip(own, order, strict=True)
            ]
            return _with_cells_of(setup, dict(pairs))

        return change

    for order in permutations(own):
        if order != own and reordered(order)(facts.setup) is not None:
            value = " ".join(str(place + 1) for place in order)
            advice = (
                f"The layers are taken in the order {value}: take them in the order of the file."
            )
            yield Deviation("layer-order", value, reordered(order), advice=advice)


def _with_cells_of(setup: Setup, sources: dict[str, str]) -> Setup | None:
    """Layers with the weights and options of others, by name; None where shapes forbid it."""
    layers = dict(setup.layers)
    for name, source in sources.items():
        one, other = setup.layers[name], setup.layers[source]
        if shapes_of(one.cell) != shapes_of(other.cell):
            return None
        layers[name] = one.with_cell(weights=other.cell.weights, options=other.cell.options)
    return altered(setup, layers=layers)


def _directions(facts: Facts) -> Iterator[Deviation]:
    network = Network((), facts.setup.nodes)
    sources = {
        node.name: other.name
        for node in network.recurrent
        if (other := network.other_direction(node)) is not None
    }
    if sources:
        yield Deviation(
            "directions",
            "swapped",
            lambda setup: _with_cells_of(setup, sources),
            advice="The weights of the two directions have changed places: exchange them.",
        )


CONFUSIONS = (Confusion("layer-order", _layer_orders), Confusion("directions", _directions))
