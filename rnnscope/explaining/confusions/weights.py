"""Weights read otherwise: gate order, rows, layout, biases, peepholes, projection, layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import permutations

import numpy as np

from rnnscope.explaining.confusions.interface import Confusion, Facts
from rnnscope.explaining.deviations import Deviation
from rnnscope.explaining.setup import DrivenLayer, Setup, altered
from rnnscope.model.cell import GATE_ORDER, Array
from rnnscope.model.cells.gru import GRU_GATE_ORDER
from rnnscope.model.network import Network

GATES = {"lstm": GATE_ORDER, "gru": GRU_GATE_ORDER}

PARTS = {
    "": ("kernel", "recurrent_kernel", "bias", "recurrent_bias", "added_bias"),
    "kernels only": ("kernel", "recurrent_kernel"),
    "bias only": ("bias", "recurrent_bias", "added_bias"),
    "input kernel only": ("kernel",),
    "recurrent kernel only": ("recurrent_kernel",),
}
"""What may be read in another order, alone or together; in words, and fields of the weights."""

USUAL_ORDERS = ("i f g o", "i g f o", "i o f g", "f i g o", "i f o g", "f i o g", "i g o f")
"""Orders that frameworks have: torch and Keras, TensorFlow 1, ONNX, others; for parts alone."""

MOST_LAYERS = 4


def stored_order(driven: DrivenLayer) -> tuple[str, ...]:
    """The order in which the file has the gates, in the words of the cell."""
    own = GATES[driven.cell.kind]
    stored = tuple(driven.cell.stored_gate_order.split())
    return stored if sorted(stored) == sorted(own) else own


def block_columns(driven: DrivenLayer, order: Sequence[str]) -> Array:
    """The columns of the weights in another order of blocks."""
    return _columns(GATES[driven.cell.kind], driven.cell.num_units, tuple(order))


@cache
def _columns(own: tuple[str, ...], units: int, order: tuple[str, ...]) -> Array:
    starts = {gate: place * units for place, gate in enumerate(own)}
    return np.concatenate([np.arange(starts[gate], starts[gate] + units) for gate in order])


def taken_for(driven: DrivenLayer, assumed: Sequence[str], parts: Sequence[str]) -> DrivenLayer:
    """The layer whose stored blocks are taken for gates in an assumed order."""
    block_of = dict(zip(assumed, stored_order(driven), strict=True))
    columns = block_columns(driven, [block_of[gate] for gate in GATES[driven.cell.kind]])
    weights = driven.cell.weights
    changed = {
        name: array[..., columns]
        for name in parts
        if (array := getattr(weights, name, None)) is not None
    }
    return driven.with_weights(**changed)


def _gate_orders(facts: Facts) -> Iterator[Deviation]:
    for kind, own in GATES.items():
        layers = facts.some(kind)
        if not layers:
            continue
        stored = stored_order(layers[0])
        usual = [tuple(order.split()) for order in USUAL_ORDERS]
        swaps = [_swapped(stored, *pair) for pair in permutations(range(len(own)), 2)]
        for part, names in PARTS.items():
            orders = permutations(own) if not part or kind == "gru" else [*usual, *swaps]
            for order in dict.fromkeys(orders):
                if order == stored or sorted(order) != sorted(own):
                    continue
                value = " ".join(order) + (f" ({part})" if part else "")
                common = not part and (kind == "gru" or order in usual or order in swaps)
                change = _each(kind, _order(order, names))
                yield Deviation("gate-order", value, change, usual=common)


def _order(order: tuple[str, ...], names: Sequence[str]) -> Callable[[DrivenLayer], DrivenLayer]:
    return lambda driven: taken_for(driven, order, names)


def _swapped(order: Sequence[str], one: int, other: int) -> tuple[str, ...]:
    found = list(order)
    found[one], found[other] = found[other], found[one]
    return tuple(found)


def _each(
    kind: str, change: Callable[[DrivenLayer], DrivenLayer | None]
) -> Callable[[Setup], Setup | None]:
    """A change of every layer of a kind."""
    return lambda setup: setup.changed(
        lambda driven: change(driven) if driven.cell.kind == kind and driven.stackable else None
    )


def _every(change: Callable[[DrivenLayer], DrivenLayer | None]) -> Callable[[Setup], Setup | None]:
    return lambda setup: setup.changed(lambda driven: change(driven) if driven.stackable else None)


def _kernel_rows(facts: Facts) -> Iterator[Deviation]:
    def swapped(driven: DrivenLayer) -> DrivenLayer:
        weights = driven.cell.weights
        whole = np.concatenate([weights.kernel, weights.recurrent_kernel])
        cut = len(weights.recurrent_kernel)
        return driven.with_weights(recurrent_kernel=whole[:cut], kernel=whole[cut:])

    if any(driven.stackable for driven in facts.layers):
        yield Deviation("kernel-rows", "[m; x]", _every(swapped))


def _transposed(facts: Facts) -> Iterator[Deviation]:
    layers = [driven for driven in facts.layers if driven.stackable]
    if not layers:
        return
    roles = {"kernel": ("kernel",), "recurrent kernel": ("recurrent_kernel",),
             "both": ("kernel", "recurrent_kernel")}  # fmt: skip
    for words, names in roles.items():
        for read in (_rows_as_columns, _columns_as_rows):
            yield Deviation("transposed", words, _every(_reread(names, read)))
        if all(any(_square_blocks(driven, name) for driven in layers) for name in names):
            value = f"{words}, gate by gate"
            yield Deviation("transposed", value, _every(_reread(names, _blocks_turned)))
    yield Deviation("transposed", "both", _every(_whole_reread))


def _reread(
    names: Sequence[str], read: Callable[[Array], Array | None]
) -> Callable[[DrivenLayer], DrivenLayer | None]:
    def change(driven: DrivenLayer) -> DrivenLayer | None:
        changed = {}
        for name in names:
            read_again = _in_stored_order(driven, getattr(driven.cell.weights, name), read)
            if read_again is not None:
                changed[name] = read_again
        return driven.with_weights(**changed) if changed else None

    return change


def _in_stored_order(
    driven: DrivenLayer, array: Array, read: Callable[[Array], Array | None]
) -> Array | None:
    """An array as the file has its columns, read again, and put in the cell's order."""
    if driven.cell.kind not in GATES:
        return read(array)
    columns = block_columns(driven, stored_order(driven))
    found = read(array[:, columns])
    if found is None:
        return None
    back = np.empty_like(found)
    back[:, columns] = found
    return back


def _rows_as_columns(matrix: Array) -> Array:
    """What is stored (gate, input), as torch does, taken for (input, gate)."""
    read: Array = matrix.T.reshape(matrix.shape)
    return read


def _columns_as_rows(matrix: Array) -> Array:
    """What is stored (input, gate), as Keras does, taken for (gate, input)."""
    read: Array = matrix.reshape(matrix.shape[::-1]).T
    return read


def _blocks_turned(matrix: Array) -> Array | None:
    rows, columns = matrix.shape
    if columns % rows:
        return None
    return np.concatenate([block.T for block in np.split(matrix, columns // rows, axis=1)], axis=1)


def _square_blocks(driven: DrivenLayer, name: str) -> bool:
    rows = getattr(driven.cell.weights, name).shape[0]
    return bool(rows == driven.cell.num_units)


def _whole_reread(driven: DrivenLayer) -> DrivenLayer | None:
    """[x; m] in one matrix, as TensorFlow 1 has it, taken for its transpose."""
    weights = driven.cell.weights
    whole = np.concatenate([weights.kernel, weights.recurrent_kernel])
    read = _in_stored_order(driven, whole, _columns_as_rows)
    if read is None:
        return None
    cut = len(weights.kernel)
    return driven.with_weights(kernel=read[:cut], recurrent_kernel=read[cut:])


def _biases(facts: Facts) -> Iterator[Deviation]:
    if not any(driven.stackable for driven in facts.layers):
        return

    def scaled(factor: float) -> Callable[[DrivenLayer], DrivenLayer]:
        def change(driven: DrivenLayer) -> DrivenLayer:
            weights = driven.cell.weights
            names = [name for name in ("bias", "recurrent_bias")
                     if getattr(weights, name, None) is not None]  # fmt: skip
            return driven.with_weights(**{name: getattr(weights, name) * factor for name in names})

        return change

    yield Deviation("bias", "none", _every(scaled(0.0)))
    yield Deviation("bias", "doubled", _every(scaled(2.0)))
    for value in ("input bias only", "recurrent bias only"):
        yield Deviation("bias", value, _every(_one_bias(value)))


def _one_bias(value: str) -> Callable[[DrivenLayer], DrivenLayer | None]:
    def change(driven: DrivenLayer) -> DrivenLayer | None:
        weights = driven.cell.weights
        both = getattr(weights, "recurrent_bias", None)
        if both is not None:
            name = "recurrent_bias" if value.startswith("input") else "bias"
            return driven.with_weights(**{name: np.zeros_like(getattr(weights, name))})
        added = getattr(weights, "added_bias", None)
        if added is None:
            return None
        one = added if value.startswith("recurrent") else weights.bias - added
        return driven.with_weights(bias=one)

    return change


def _peepholes(facts: Facts) -> Iterator[Deviation]:
    gates = ("i", "f", "o")
    names = [f"peephole_{gate}" for gate in gates]
    with_some = [one for one in facts.some("lstm") if one.cell.peepholes]
    if not with_some:
        return

    def ignored(driven: DrivenLayer) -> DrivenLayer | None:
        return driven.with_weights(**dict.fromkeys(names)) if driven.cell.peepholes else None

    yield Deviation("peepholes", "ignored", _each("lstm", ignored))

    def ordered(order: tuple[str, ...]) -> Callable[[DrivenLayer], DrivenLayer | None]:
        def change(driven: DrivenLayer) -> DrivenLayer | None:
            weights = driven.cell.weights
            arrays = [getattr(weights, f"peephole_{gate}") for gate in order]
            if any(array is None for array in arrays):
                return None
            return driven.with_weights(**dict(zip(names, arrays, strict=True)))

        return change

    for order in permutations(gates):
        if order != gates:
            yield Deviation("peepholes", f"order {' '.join(order)}", _each("lstm", ordered(order)))
    for seen in ("the unclipped c", "the previous c"):
        if seen == "the unclipped c" and with_some[0].cell.options.cell_clip.value is None:
            continue
        yield Deviation(
            "peepholes",
            f"o sees {seen}",
            _each("lstm", lambda driven, seen=seen: altered(driven, peephole_of_o=seen)),  # type: ignore[misc]
        )


def _projections(facts: Facts) -> Iterator[Deviation]:
    for driven in facts.some("lstm"):
        projection = driven.cell.weights.projection
        if projection is None:
            continue
        for read in (_rows_as_columns, _columns_as_rows):

            def reread(
                one: DrivenLayer, read: Callable[[Array], Array] = read
            ) -> DrivenLayer | None:
                projection = one.cell.weights.projection
                return None if projection is None else one.with_weights(projection=read(projection))

            yield Deviation("projection", "transposed", _each("lstm", reread))
        if projection.shape[0] != projection.shape[1]:
            return
        yield Deviation(
            "projection", "ignored", _each("lstm", lambda one: one.with_weights(projection=None))
        )
        return


def _layer_orders(facts: Facts) -> Iterator[Deviation]:
    """Layers of a stack with weights of one shape, in another order; both directions alike."""
    levels: dict[bool, list[str]] = {}
    for name, driven in facts.setup.layers.items():
        levels.setdefault(driven.layer.backward.value, []).append(name)
    depth = {len(names) for names in levels.values()}
    if len(depth) != 1 or not 2 <= next(iter(depth)) <= MOST_LAYERS:
        return
    places = range(next(iter(depth)))

    def reordered(order: tuple[int, ...]) -> Callable[[Setup], Setup | None]:
        def change(setup: Setup) -> Setup | None:
            layers = dict(setup.layers)
            for names in levels.values():
                for place, source in zip(places, order, strict=True):
                    one, other = setup.layers[names[place]], setup.layers[names[source]]
                    if _shapes(one) != _shapes(other):
                        return None
                    layers[names[place]] = one.with_cell(
                        weights=other.cell.weights, options=other.cell.options
                    )
            return altered(setup, layers=layers)

        return change

    for order in permutations(places):
        if order != tuple(places) and reordered(order)(facts.setup) is not None:
            value = " ".join(str(place + 1) for place in order)
            yield Deviation("layer-order", value, reordered(order))


def _shapes(driven: DrivenLayer) -> tuple[object, ...]:
    arrays = vars(driven.cell.weights)
    return (driven.cell.kind, *((name, np.shape(array)) for name, array in arrays.items()))


def _directions(facts: Facts) -> Iterator[Deviation]:
    network = Network((), facts.setup.nodes)
    pairs = [
        (node.name, other.name)
        for node in network.recurrent
        if (other := network.other_direction(node)) is not None
        and node.recurrent is not None
        and not node.recurrent.backward.value
    ]
    if not pairs:
        return

    def change(setup: Setup) -> Setup | None:
        layers = dict(setup.layers)
        for one, other in pairs:
            first, second = setup.layers[one], setup.layers[other]
            if _shapes(first) != _shapes(second):
                return None
            layers[one] = first.with_cell(weights=second.cell.weights, options=second.cell.options)
            layers[other] = second.with_cell(weights=first.cell.weights, options=first.cell.options)
        return altered(setup, layers=layers)

    yield Deviation("directions", "swapped", change)


CONFUSIONS = (
    Confusion("transposed", _transposed),
    Confusion("kernel-rows", _kernel_rows),
    Confusion("gate-order", _gate_orders),
    Confusion("bias", _biases),
    Confusion("peepholes", _peepholes),
    Confusion("projection", _projections),
    Confusion("layer-order", _layer_orders),
    Confusion("directions", _directions),
)
