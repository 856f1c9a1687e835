"""Time: lengths, masks, padding, direction, axes, and steps too early or too late."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np

from rnnscope.explaining.confusions.interface import Confusion, Facts
from rnnscope.explaining.deviations import Deviation
from rnnscope.explaining.setup import DrivenLayer, Setup, altered
from rnnscope.model.cell import Array
from rnnscope.model.recurrent_layer import PaddingRule


def _with_rule(rule: str) -> Callable[[DrivenLayer], DrivenLayer | None]:
    def change(driven: DrivenLayer) -> DrivenLayer | None:
        padding = driven.layer.padding
        if padding.value == rule:
            return None
        option: Any = altered(padding, value=cast("PaddingRule", rule))
        return altered(driven, layer=altered(driven.layer, padding=option))

    return change


def _counting(setup: Setup) -> Setup:
    """The setup whose layers take lengths, also those that compute every step."""
    changed = setup.changed(
        lambda driven: _with_rule("zeros")(driven) if driven.layer.padding.value == "none" else None
    )
    return changed or setup


def _lengths(facts: Facts) -> Iterator[Deviation]:
    setup, own = facts.setup, facts.setup.lengths
    timesteps = setup.timesteps
    if setup.mask is not None and not facts.subject.masked_by_file:
        yield Deviation("lengths", "ignored", lambda one: altered(one, mask=None))
    if own is not None:
        for value, by in (("one less", -1), ("one more", 1)):
            other = np.clip(own + by, 0, timesteps)
            if not np.array_equal(other, own):
                yield Deviation("lengths", value, _longer(by))
                yield Deviation("lengths", value, _longer(by, zero_past=True))
    for lengths in _lengths_of_reference(facts):
        if own is None or not np.array_equal(lengths, own):
            named = {"one less": -1, "one more": 1}
            if own is not None and any(
                np.array_equal(lengths, np.clip(own + by, 0, timesteps)) for by in named.values()
            ):
                continue
            if (lengths == timesteps).all():
                continue
            value = ", ".join(map(str, lengths[:16])) + (", …" if len(lengths) > 16 else "")
            yield Deviation("lengths", value, _other_lengths(lengths))
            yield Deviation("lengths", value, _other_lengths(lengths, zero_past=True))


def _longer(by: int, *, zero_past: bool = False) -> Callable[[Setup], Setup | None]:
    def change(setup: Setup) -> Setup | None:
        own = setup.lengths
        if own is None:
            return None
        other = np.clip(own + by, 0, setup.timesteps)
        return _other_lengths(other, zero_past=zero_past)(setup)

    return change


def _other_lengths(lengths: Array, *, zero_past: bool = False) -> Callable[[Setup], Setup | None]:
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
            lengths = np.minimum(view.lengths[:sequences], timesteps)
            found.setdefault(lengths.tobytes(), lengths)
        for target in view.targets:
            values = target.values
            if values.ndim != 3 or not np.isfinite(values).all() or values.shape[1] < 2:
                continue
            for changes in (values != 0, _changing(values)):
                some = changes.any(axis=2)
                last = np.where(some, np.arange(1, some.shape[1] + 1), 0).max(axis=1)
                if (last < timesteps).any() and last.any():
                    lengths = last.astype(np.int64)
                    found.setdefault(lengths.tobytes(), lengths)
        for lengths in _lengths_of_finals(facts, view):
            found.setdefault(lengths.tobytes(), lengths)
    return list(found.values())[:8]


def _changing(values: Array) -> Array:
    """Where a value is another than at the step before; the first step counts as changed."""
    changes = np.ones(values.shape, bool)
    changes[:, 1:] = values[:, 1:] != values[:, :-1]
    return changes


def _lengths_of_finals(facts: Facts, view: Any) -> Iterator[Array]:
    """The step of each sequence at which its state is the reference's final one."""
    for target in view.targets:
        state = target.key.removeprefix("final/")
        results = facts.subject.results.get(target.node, {})
        steps = results.get(state)
        driven = facts.setup.layers.get(target.node)
        if not target.key.startswith("final/") or steps is None or driven is None:
            continue
        if driven.layer.backward.value or not np.isfinite(target.values).all():
            continue
        if target.values.shape != (steps.shape[0], steps.shape[2]):
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
        yield Deviation("mask", "ignored", lambda one: altered(one, mask=None))
    yield Deviation("mask", "held", lambda one: one.changed(_with_rule("hold")))
    yield Deviation("mask", "zeroed", lambda one: one.changed(_with_rule("zeros")))

    def zeroed(driven: DrivenLayer) -> DrivenLayer:
        other = _with_rule("zeros")(driven) or driven
        return altered(other, zero_past=True)

    yield Deviation("mask", "zeroed", lambda one: one.changed(zeroed))


def _left_padding(facts: Facts) -> Iterator[Deviation]:
    own = facts.setup.lengths
    if own is None or (own == facts.setup.timesteps).all():
        return

    def moved(setup: Setup) -> Setup | None:
        lengths = setup.lengths
        if lengths is None:
            return None
        return altered(setup.with_inputs(lambda x: moved_to_end(x, lengths)), mask=None)

    def masked(setup: Setup) -> Setup | None:
        lengths = setup.lengths
        if lengths is None:
            return None
        steps = np.arange(setup.timesteps)
        mask = steps >= setup.timesteps - lengths[:, None]
        return altered(setup.with_inputs(lambda x: moved_to_end(x, lengths)), mask=mask)

    yield Deviation("left-padding", "true", moved)
    yield Deviation("left-padding", "true, masked", masked)


def moved_to_end(values: Array, lengths: Array) -> Array:
    """Valid steps at the end of each sequence, zeros before them."""
    out = np.zeros_like(values)
    timesteps = values.shape[1]
    for row, length in enumerate(lengths):
        if length:
            out[row, timesteps - length :] = values[row, :length]
    return out


def turned_within(values: Array, lengths: Array) -> Array:
    """Each sequence turned within its length; what comes after stays."""
    out: Array = values.copy()
    for row, length in enumerate(lengths):
        out[row, :length] = values[row, :length][::-1]
    return out


def _reversed(facts: Facts) -> Iterator[Deviation]:
    backward = [driven for driven in facts.layers if driven.layer.backward.value]
    forward = [driven for driven in facts.layers if not driven.layer.backward.value]
    if backward:
        yield Deviation("reversed", "not reversed", lambda setup: setup.changed(_forward))
        if facts.setup.mask is not None:
            for way in ("whole", "within length"):
                if any(one.layer.reversal != way for one in backward):
                    yield Deviation("reversed", way, _other_reversal(way))
    if forward and not backward:
        yield Deviation("reversed", "whole", lambda setup: setup.with_inputs(_whole_turned))
        yield Deviation("reversed", "whole", _backward_layers("whole"))
        own = facts.setup.lengths
        if own is not None and (own < facts.setup.timesteps).any():

            def within(setup: Setup) -> Setup | None:
                lengths = setup.lengths
                if lengths is None:
                    return None
                return setup.with_inputs(lambda x: turned_within(x, lengths))

            yield Deviation("reversed", "within length", within)
            yield Deviation("reversed", "within length", _backward_layers("within length"))


def _whole_turned(x: Array) -> Array:
    return np.ascontiguousarray(x[:, ::-1])


def _forward(driven: DrivenLayer) -> DrivenLayer | None:
    option = driven.layer.backward
    if not option.value:
        return None
    layer = altered(driven.layer, backward=altered(option, value=False))
    return altered(driven, layer=altered(layer, outputs_in_input_order=True))


def _other_reversal(way: str) -> Callable[[Setup], Setup | None]:
    def change(driven: DrivenLayer) -> DrivenLayer | None:
        layer: Any = driven.layer
        if not layer.backward.value or layer.reversal == way:
            return None
        return altered(driven, layer=altered(layer, reversal=way))

    return lambda setup: setup.changed(change)


def _backward_layers(way: str) -> Callable[[Setup], Setup | None]:
    """Forward layers read from the end, and their outputs turned back."""

    def change(driven: DrivenLayer) -> DrivenLayer | None:
        layer: Any = driven.layer
        if layer.backward.value:
            return None
        turned = altered(layer, backward=altered(layer.backward, value=True), reversal=way)
        return altered(driven, layer=turned)

    return lambda setup: setup.changed(change)


def _time_major(facts: Facts) -> Iterator[Deviation]:
    setup = facts.setup
    shape = next(iter(setup.inputs.values())).shape
    if shape[0] > 1 and shape[1] > 1:
        yield Deviation("time-major", "input", _turned_axes)
        yield Deviation("time-major", "input reshaped", _reshaped)


def _turned_axes(setup: Setup) -> Setup:
    # Sequences become steps: all of them are needed for the last state.
    whole = setup.whole_inputs or setup.inputs
    return altered(setup, transposed=True, mask=None, inputs=whole, whole_inputs=None)


def _reshaped(setup: Setup) -> Setup | None:
    """The bytes of (sequence, timestep) taken for (timestep, sequence)."""
    if setup.transposed:
        return None

    def other(x: Array) -> Array:
        return np.ascontiguousarray(x.reshape(x.shape[1], x.shape[0], -1).swapaxes(0, 1))

    if setup.whole_inputs is None:
        return setup.with_inputs(other)
    # Which bytes become which step depends on all sequences.
    made = {name: other(x)[: setup.sequences] for name, x in setup.whole_inputs.items()}
    return altered(setup, inputs=made)


def _shifts(facts: Facts) -> Iterator[Deviation]:
    if facts.setup.timesteps < 2:
        return
    for steps in (1, 2):
        for value, by in ((f"{steps} late", steps), (f"{steps} early", -steps)):
            if steps < facts.setup.timesteps:
                yield Deviation("shift", value, _shifted(by))


def _shifted(by: int) -> Callable[[Setup], Setup | None]:
    def moved(x: Array) -> Array:
        out = np.zeros_like(x)
        if by > 0:
            out[:, by:] = x[:, :-by]
        else:
            out[:, :by] = x[:, -by:]
        return out

    return lambda setup: setup.with_inputs(moved)


CONFUSIONS = (
    Confusion("lengths", _lengths),
    Confusion("mask", _masks),
    Confusion("left-padding", _left_padding),
    Confusion("reversed", _reversed),
    Confusion("time-major", _time_major),
    Confusion("shift", _shifts),
)
