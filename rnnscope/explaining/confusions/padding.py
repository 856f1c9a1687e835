"""Steps that count: lengths, what happens past them, and at which end the padding stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np

from rnnscope.explaining.computing.setup import DrivenLayer, Setup, altered
from rnnscope.explaining.confusions.changes import ChangeLayer, ChangeSetup
from rnnscope.explaining.confusions.interface import Confusion, Facts
from rnnscope.explaining.readings.deviations import Deviation, View
from rnnscope.model.cell import Array
from rnnscope.model.recurrent_layer import PaddingRule

MOST_LENGTHS = 64
"""Lengths that a command is printed with."""

SHOWN_LENGTHS, ADVISED_LENGTHS = 16, 8
MOST_LENGTHS_TRIED = 8

RULES: dict[str, PaddingRule] = {"held": "hold", "zeroed": "zeros", "ignored": "none"}
RULE_WORDS = {
    "zeros": "zeros past the length",
    "hold": "the last valid output repeated",
    "none": "every step computed",
}

LEFT = (
    "The sequences are padded at the beginning there: put the valid steps first, or pass over the "
    "padding."
)


def _with_rule(rule: PaddingRule) -> ChangeLayer:
    def change(driven: DrivenLayer) -> DrivenLayer | None:
        padding = driven.layer.padding
        if padding.value == rule:
            return None
        return altered(driven, layer=altered(driven.layer, padding=altered(padding, value=rule)))

    return change


def _counting(setup: Setup) -> Setup:
    """The setup whose layers take lengths, also those that compute every step."""
    changed = setup.changed(
        lambda driven: _with_rule("zeros")(driven) if driven.layer.padding.value == "none" else None
    )
    return changed or setup


def _listed(lengths: Array, most: int) -> str:
    return ", ".join(map(str, lengths[:most])) + (", …" if len(lengths) > most else "")


def _lengths(facts: Facts) -> Iterator[Deviation]:
    setup, own = facts.setup, facts.setup.lengths
    if setup.mask is not None and not facts.subject.masked_by_file:
        every = np.full(facts.subject.sequences, setup.timesteps)
        yield _of_lengths(facts, "ignored", lambda one: altered(one, mask=None), every)
    named: dict[bytes, str] = {}
    if own is not None:
        for value, by in (("one less", -1), ("one more", 1)):
            other = np.clip(own + by, 0, setup.timesteps)
            named[other.tobytes()] = value
            if not np.array_equal(other, own):
                for zero_past in (False, True):
                    change = _longer(by, zero_past=zero_past)
                    yield _of_lengths(facts, value, change, other, zero_past=zero_past)
    for lengths in _lengths_of_reference(facts):
        same = own is not None and np.array_equal(lengths, own)
        if same or lengths.tobytes() in named or (lengths == setup.timesteps).all():
            continue
        for zero_past in (False, True):
            change = _with_lengths(lengths, zero_past=zero_past)
            listed = _listed(lengths, SHOWN_LENGTHS)
            yield _of_lengths(facts, listed, change, lengths, zero_past=zero_past)


def _of_lengths(
    facts: Facts, value: str, change: ChangeSetup, lengths: Array, *, zero_past: bool = False
) -> Deviation:
    own = facts.setup.lengths
    ours = "every step counts here"
    if own is not None:
        ours = f"here they are {_listed(own, ADVISED_LENGTHS)}"
    what = f"The lengths are {value} there"
    if value == "ignored":
        what = "Lengths are ignored there, every step is computed"
    told = not zero_past and len(lengths) == facts.subject.sequences <= MOST_LENGTHS
    options = {"lengths": tuple(map(int, lengths))} if told else None
    return Deviation("lengths", value, change, advice=f"{what}; {ours}.", options=options)


def _longer(by: int, *, zero_past: bool = False) -> ChangeSetup:
    def change(setup: Setup) -> Setup | None:
        own = setup.lengths
        if own is None:
            return None
        other = np.clip(own + by, 0, setup.timesteps)
        return _with_lengths(other, zero_past=zero_past)(setup)

    return change


def _with_lengths(lengths: Array, *, zero_past: bool = False) -> ChangeSetup:
    def change(setup: Setup) -> Setup | None:
        other = _counting(setup).with_lengths(lengths[: setup.sequences])
        if not zero_past:
            return other
        return other.changed(lambda driven: altered(driven, zero_past=True))

    return change


def _lengths_of_reference(facts: Facts) -> list[Array]:
    """Lengths that the reference says, or shows: by zeros at the end, or a state that stands."""
    found: dict[bytes, Array] = {}
    timesteps, sequences = facts.setup.timesteps, facts.setup.sequences
    for view in facts.views:
        if view.lengths is not None and len(view.lengths) >= sequences:
            lengths = np.minimum(view.lengths[:sequences], timesteps).astype(np.int64)
            found.setdefault(lengths.tobytes(), lengths)
        for lengths in (*_lengths_shown(view, timesteps), *_lengths_of_finals(facts, view)):
            found.setdefault(lengths.tobytes(), lengths)
    return list(found.values())[:MOST_LENGTHS_TRIED]


def _lengths_shown(view: View, timesteps: int) -> Iterator[Array]:
    """One past the last step that is not zero, or not the one before again."""
    for target in view.targets:
        values = target.values
        if values.ndim != 3 or not np.isfinite(values).all() or values.shape[1] < 2:
            continue
        changing = np.ones(values.shape, bool)
        changing[:, 1:] = values[:, 1:] != values[:, :-1]
        for some in ((values != 0).any(axis=2), changing.any(axis=2)):
            last = np.where(some, np.arange(1, some.shape[1] + 1), 0).max(axis=1)
            if (last < timesteps).any() and last.any():
                yield last.astype(np.int64)


def _lengths_of_finals(facts: Facts, view: View) -> Iterator[Array]:
    """The step of each sequence at which its state is the reference's final one."""
    for target in view.targets:
        driven = facts.setup.layers.get(target.node)
        if not target.key.startswith("final/") or driven is None or driven.layer.backward.value:
            continue
        steps = facts.subject.results[target.node].get(target.key.removeprefix("final/"))
        if steps is None or target.values.shape != (steps.shape[0], steps.shape[2]):
            continue
        if not np.isfinite(target.values).all():
            continue
        apart = np.abs(steps - target.values[:, None]).max(axis=2)
        at = apart.argmin(axis=1)
        if (apart[np.arange(len(at)), at] < 1e-4 * target.scale).all():
            yield at.astype(np.int64) + 1


def _masks(facts: Facts) -> Iterator[Deviation]:
    setup = facts.setup
    if setup.mask is None:
        return
    if facts.subject.masked_by_file:
        yield _of_mask(facts, "ignored", lambda one: altered(one, mask=None))
    for value in ("held", "zeroed"):
        rule = RULES[value]
        yield _of_mask(facts, value, lambda one, rule=rule: one.changed(_with_rule(rule)))  # type: ignore[misc]

    def states_too(driven: DrivenLayer) -> DrivenLayer:
        return altered(_with_rule("zeros")(driven) or driven, zero_past=True)

    yield altered(_of_mask(facts, "zeroed", lambda one: one.changed(states_too)), options=None)


def _of_mask(facts: Facts, value: str, change: ChangeSetup) -> Deviation:
    told = {
        "ignored": "the mask is ignored, every step is computed",
        "held": "outputs repeat the last valid one",
        "zeroed": "outputs (or states) are zero",
    }
    rule = RULE_WORDS[facts.layers[0].layer.padding.value]
    return Deviation(
        "mask",
        value,
        change,
        advice=f"At steps that do not count, there {told[value]}; the file means {rule}.",
        options={"padding": RULES[value], "override": True},
    )


def _left_padding(facts: Facts) -> Iterator[Deviation]:
    own = facts.setup.lengths
    if own is None or (own == facts.setup.timesteps).all():
        return

    def moved(setup: Setup, *, masked: bool) -> Setup | None:
        lengths = setup.lengths
        if lengths is None:
            return None
        mask = np.arange(setup.timesteps) >= setup.timesteps - lengths[:, None]
        other = setup.with_inputs(lambda x: _moved_to_end(x, lengths))
        return altered(other, mask=mask if masked else None)

    for value, masked in (("true", False), ("true, masked", True)):
        change: Any = lambda setup, masked=masked: moved(setup, masked=masked)  # noqa: E731
        yield Deviation("left-padding", value, cast("ChangeSetup", change), advice=LEFT)


def _moved_to_end(values: Array, lengths: Array) -> Array:
    """Valid steps at the end of each sequence, zeros before them."""
    out = np.zeros_like(values)
    timesteps = values.shape[1]
    for row, length in enumerate(lengths):
        if length:
            out[row, timesteps - length :] = values[row, :length]
    return out


CONFUSIONS = (
    Confusion("lengths", _lengths),
    Confusion("mask", _masks),
    Confusion("left-padding", _left_padding),
)
