"""Cases as an engine may have read them: each function changes one thing, or returns None.

None says that the change makes no difference in such a case.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from rnnscope.conforming.case import Case
from rnnscope.model.cell import Array, Option
from rnnscope.model.recurrent_layer import RecurrentLayer

Change = Callable[[Case], "Case | None"]


def with_layers(case: Case, change: Callable[[RecurrentLayer], RecurrentLayer]) -> Case:
    """The case with each direction changed."""
    return replace(case, layers=tuple(change(layer) for layer in case.layers))


def with_options(**values: object) -> Callable[[RecurrentLayer], RecurrentLayer]:
    """A change of a layer: other values of the options that its cell has."""

    def change(layer: RecurrentLayer) -> RecurrentLayer:
        options = layer.cell.options
        known = {
            name: Option(value, "guess") for name, value in values.items() if hasattr(options, name)
        }
        return replace(layer, cell=replace(layer.cell, options=replace(options, **known)))

    return change


def with_weights(
    change: Callable[[Mapping[str, Array]], Mapping[str, Array | None]],
) -> Callable[[RecurrentLayer], RecurrentLayer]:
    """A change of a layer: other arrays by name, made of those that it has."""

    def changed(layer: RecurrentLayer) -> RecurrentLayer:
        weights = layer.cell.weights
        return replace(
            layer, cell=replace(layer.cell, weights=replace(weights, **change(vars(weights))))
        )

    return changed


DEFAULTS = {"activation": "tanh", "recurrent_activation": "sigmoid", "output_activation": "tanh"}


def ignoring(name: str, otherwise: object) -> Change:
    """The case with one option at its default."""

    def answer(case: Case) -> Case | None:
        if case.option(name, otherwise) == otherwise:
            return None
        return with_layers(case, with_options(**{name: otherwise}))

    return answer


def default_activations(case: Case) -> Case | None:
    """With tanh and sigmoid, whatever the case says."""
    if all(case.option(name, default) == default for name, default in DEFAULTS.items()):
        return None
    return with_layers(case, with_options(**DEFAULTS))


def no_lengths(case: Case) -> Case | None:
    """Every step computed."""
    return None if case.lengths is None else replace(case, lengths=None)


def no_initial(case: Case) -> Case | None:
    """Begun with zeros."""
    return None if case.initial is None else replace(case, initial=None)


def no_peepholes(case: Case) -> Case | None:
    """No gate sees c."""
    if not case.layers[0].cell.peepholes:
        return None
    none = {f"peephole_{gate}": None for gate in "ifo"}
    return with_layers(case, with_weights(lambda _: none))


def half_of_the_bias(case: Case) -> Case | None:
    """Of two biases that are half of the whole each, as engines are given one, one alone."""
    if not case.biased or (case.cell == "gru" and case.option("reset_after")):
        return None
    return with_layers(case, with_weights(lambda held: {"bias": held["bias"] / 2}))


def no_bias(case: Case) -> Case | None:
    """Without any bias."""
    if not case.biased:
        return None
    names = ("bias", "recurrent_bias")

    def without(held: Mapping[str, Array]) -> dict[str, Array]:
        return {name: np.zeros_like(held[name]) for name in names if held.get(name) is not None}

    return with_layers(case, with_weights(without))


def forward_alone(case: Case) -> Case | None:
    """No direction reads backwards."""
    if not any(layer.backward.value for layer in case.layers):
        return None
    return with_layers(
        case, lambda layer: replace(layer, backward=replace(layer.backward, value=False))
    )


def first_weights_twice(case: Case) -> Case | None:
    """Both directions with the weights of the first."""
    if len(case.layers) < 2:
        return None
    first, second = case.layers
    return replace(case, layers=(first, replace(second, cell=first.cell)))


def first_direction_twice(case: Case) -> Case | None:
    """Both directions with the weights and the initial states of the first."""
    changed = first_weights_twice(case)
    if changed is None or case.initial is None:
        return None
    return replace(changed, initial=(case.initial[0], case.initial[0]))


def other_reset(case: Case) -> Case | None:
    """A GRU with its reset gate on the other side of the product."""
    if case.cell != "gru":
        return None
    other = not case.option("reset_after")
    return with_layers(case, with_options(reset_after=other))
