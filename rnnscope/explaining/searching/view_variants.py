"""Views beside those that names and shapes give: by direction, and of results done otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from rnnscope.explaining.compared.reference import Reference
from rnnscope.explaining.compared.result_places import scale_of
from rnnscope.explaining.compared.subject import Subject
from rnnscope.explaining.compared.views import views_of
from rnnscope.explaining.confusions.cell_weights import unprojected_advice
from rnnscope.explaining.readings.deviations import Deviation, View
from rnnscope.model.layers import BidirectionalMerge

MOST_LOOKS = 2
"""Deviations of comparing that a view may have."""


def plain_views(reference: Reference, subject: Subject) -> list[View]:
    """Every way to read a reference, as it is held to what is computed step by step.

    Raises
    ------
    InputError
        The reference fits no result of the model.
    """
    found = views_of(reference, subject.shapes(), subject.recurrent, subject.sequences)
    split = [_split_joins(view, subject) for view in found]
    return [_named(_without_zero_tails(view, subject), subject) for view in split]


def with_looks(views: Sequence[View], looks: Sequence[Deviation]) -> list[View]:
    """Every view, alone and with some deviations of comparing."""
    found = list(views)
    for count in range(1, MOST_LOOKS + 1):
        for view in views:
            for chosen in combinations(looks, count):
                other = _looked_at(view, chosen)
                if other is not None:
                    found.append(other)
    return found


def _looked_at(view: View, looks: Sequence[Deviation]) -> View | None:
    """A view with deviations of comparing; None where that says nothing, or one thing twice."""
    every = (*view.deviations, *looks)
    if len({one.id for one in every}) < len(every):
        return None
    found: View | None = view
    for deviation in looks:
        found = None if found is None else found.and_also(deviation)
    if found is None or not any(np.isfinite(target.values).any() for target in found.targets):
        return None
    return found


def _without_zero_tails(view: View, subject: Subject) -> View:
    """A view that says nothing of c and m past the lengths where the reference has zeros there.

    No framework returns these states; who records them step by step leaves zeros.
    """
    lengths = subject.setup.lengths
    if lengths is None:
        return view
    past = np.arange(subject.setup.timesteps) >= lengths[:, None]
    targets, some = [], False
    for target in view.targets:
        values = target.values
        states = target.key in ("c", "m", "unprojected") and values.ndim == 3
        if states and past.any() and not np.nan_to_num(values[past]).any():
            before = np.flatnonzero(lengths > 0)
            last = values[before, lengths[before] - 1]
            if (last != 0).any(axis=1).all():
                values, some = values.copy(), True
                values[past] = np.nan
        targets.append(target.with_values(values))
    return replace(view, targets=tuple(targets)) if some else view


def _split_joins(view: View, subject: Subject) -> View:
    """A view of two directions side by side as a view of each: a layer is judged step by step."""
    joins = {
        node.name: node.reads
        for node in subject.setup.nodes
        if isinstance(node.layer, BidirectionalMerge)
        and node.layer.mode == "concat"
        and not node.layer.flip_second
        and all(name in subject.setup.layers for name in node.reads)
    }
    targets = []
    for target in view.targets:
        reads = joins.get(target.node, ())
        key = {"value": "outputs", "final/m": "final/m"}.get(target.key)
        layers = [subject.setup.layers[name].layer for name in reads]
        if key is None or not reads or not all(layer.return_sequences for layer in layers):
            targets.append(target)
            continue
        cut = layers[0].output_size
        halves = np.split(target.values, [cut], axis=-1)
        for name, values in zip(reads, halves, strict=True):
            half = replace(target, node=name, key=key, values=values, scale=scale_of(values))
            targets.append(half)
    return replace(view, targets=tuple(targets))


def _named(view: View, subject: Subject) -> View:
    """A view that had to take m before its projection has that as a deviation."""
    for target in view.targets:
        if "unprojected" in target.key:
            projection = subject.setup.layers[target.node].cell.weights.projection
            advice = unprojected_advice(*projection.shape)
            ignored = Deviation("projection", "ignored", look=lambda one: one, advice=advice)
            return replace(view, deviations=(ignored,))
    return view
