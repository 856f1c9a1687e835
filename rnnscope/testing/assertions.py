"""Assertions on states, for any way of testing; what they need is imported when they are used."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnnscope.checks.interface import Finding
    from rnnscope.comparing.result import ArrayDiff, DiffResult
    from rnnscope.model.cell import Array


def assert_states_close(
    actual: str | os.PathLike[str] | Mapping[str, Any],
    expected: str | os.PathLike[str] | Mapping[str, Any],
    *,
    atol: float | None = None,
    rtol: float | None = None,
    equal_nan: bool = False,
    padding: bool = False,
) -> None:
    """Assert that two sets of states are equal within |a - b| <= atol + rtol * max(|a|, |b|).

    Parameters
    ----------
    actual, expected : path, or mapping of str to array
        A trace, or whatever ``rnnscope diff`` reads; or arrays by name: ``c``, ``m``, ``outputs``
        (sequence, timestep, unit), ``final/c``, ``final/m`` (sequence, unit). Slashes before these
        name a layer: ``encoder/c``.
    atol, rtol : float, optional
        Without both, those of ``rnnscope diff`` for the narrower dtype.
    equal_nan : bool
        NaN beside NaN is no difference.
    padding : bool
        Compare steps past the length, too.

    Raises
    ------
    AssertionError
        It names layer, array, sequence, timestep and unit of the first difference, and both values.
    """
    __tracebackhide__ = True
    from rnnscope.api.diff import diff

    found = diff(actual, expected, atol=atol, rtol=rtol, equal_nan=equal_nan, padding=padding)
    given = ((actual, found.a), (expected, found.b))
    # Arrays that are handed over one by one are meant to be compared; a file may hold others.
    unread = [str(array) for side, read in given if isinstance(side, Mapping)
              for array in read.not_read]  # fmt: skip
    if unread:
        raise AssertionError(f"arrays that are no states by their names: {'; '.join(unread)}")
    if found.verdict == "differ":
        raise AssertionError(_differences(found) + _explanation(actual, expected))


def assert_last_output_is_m(
    trace: str | os.PathLike[str] | None = None,
    *,
    outputs: Any = None,
    m: Any = None,
    lengths: Any = None,
    layer: str = "*",
) -> None:
    """Assert that the output of each sequence's last valid step is the state m, bit for bit.

    Parameters
    ----------
    trace : path, optional
    outputs : array (sequence, timestep, unit), or (timestep, unit)
        In place of a trace.
    m : array (sequence, unit), or (unit,)
        The final m, which Keras and torch call h.
    lengths : int or sequence of int, optional
        Valid steps of each sequence; all, if None.
    layer : str
        Glob over the layers of the trace.

    Raises
    ------
    AssertionError
        It names layer, sequence, timestep and unit, and both values.
    """
    __tracebackhide__ = True
    if (trace is None) == (outputs is None):
        raise TypeError("give a trace, or outputs and m")
    if trace is not None:
        told = _last_outputs_of(Path(trace), layer)
    else:
        told = _last_outputs(outputs, m, lengths)
    if told:
        raise AssertionError("\n".join(told))


def assert_all_checks_pass(
    subject: Any,
    *,
    only: Iterable[str] = (),
    skip: Iterable[str] = (),
    layers: Iterable[str] = (),
    limits: Mapping[str, float] | None = None,
    recompute: bool = False,
    allow_warnings: bool = True,
) -> None:
    """Assert that no check of a trace's states, or of a model's weights, fails.

    Parameters
    ----------
    subject : str, path, StateTrace or Model
        As `rnnscope.check` takes it.
    only, skip, layers, limits, recompute
        As of `rnnscope.check`.
    allow_warnings : bool
        A check of taste that warns is no failure.

    Raises
    ------
    AssertionError
        It names each check that failed, its layer, what was measured, where, and what to look at;
        or nothing could be judged.
    """
    __tracebackhide__ = True
    from rnnscope.api.check import check
    from rnnscope.report.checking.check_words import advice, sentence

    report = check(subject, only=only, skip=skip, layers=layers, limits=limits,
                   recompute=recompute)  # fmt: skip
    wrong = ("fail",) if allow_warnings else ("fail", "warn")
    told = [
        f"{one.status} {one.check}, layer '{one.layer}': {sentence(one)}\n  {advice(one)}"
        for checked in report.subjects
        for one in checked.findings
        if one.status in wrong
    ]
    if report.status == "skip":
        told = ["nothing could be judged: every check was skipped"]
    if told:
        raise AssertionError("\n".join(told))


EXPLAIN_SECONDS = 5.0
"""Time that a failing assertion takes to say why."""


def _explanation(actual: Any, expected: Any) -> str:
    """Why the states differ, where one side is a trace with its recipe; empty where none tells."""
    from rnnscope.api.diff_advice import recipe_trace
    from rnnscope.api.explain import explain
    from rnnscope.errors import RnnscopeError
    from rnnscope.report.explanations.explain_words import headline

    sides = recipe_trace(actual, expected)
    if sides is None:
        return ""
    try:
        found = explain(*sides, budget=EXPLAIN_SECONDS)
    except RnnscopeError:
        return ""  # the difference is told; its reason cannot be looked for
    if found.verdict == "none" or not all(fit.reading for fit in found.fits):
        return ""
    return "\n".join(["", f"why: {headline(found)}", *(fit.advice for fit in found.fits)])


def _differences(found: DiffResult) -> str:
    from rnnscope.comparing.wording import headline

    told = [f"states {headline(found)}", *found.differences]
    told += [f"layer '{name}' is in {found.a.name} alone" for name in found.only_a]
    told += [f"layer '{name}' is in {found.b.name} alone" for name in found.only_b]
    for layer in found.layers:
        name = f"layer '{layer.a or layer.b}', " if layer.a or layer.b else ""
        told += [name + _first(array) for array in layer.arrays if array.verdict == "differ"]
        told += [f"hint: {hint}" for hint in layer.hints]
    return "\n".join(told)


def _first(array: ArrayDiff) -> str:
    if array.first is None:
        return f"{array.name}: {'; '.join(array.problems)}"
    where = ", ".join(
        f"{axis} {place}" for axis, place in zip(array.axes, array.first.place, strict=True)
    )
    return (
        f"{array.name} at {where}: {array.first.a:.9g} is not {array.first.b:.9g} "
        f"({array.exceed} values beyond {array.tolerance}, largest difference {array.max_abs:.3g})"
    )


def _last_outputs_of(path: Path, glob: str) -> list[str]:
    from rnnscope.checks.settings import CheckSettings
    from rnnscope.record.checking.trace_checks import check_trace
    from rnnscope.trace import Trace

    check = "last-output-is-m"
    subject = check_trace(path, CheckSettings(only=(check,), layers=(glob,)))
    if not any(finding.status in ("pass", "fail") for finding in subject.findings):
        reasons = "; ".join(f"{one.layer}: {one.message}" for one in subject.findings)
        return [f"nothing could be judged: {reasons or 'the trace holds no layer'}"]
    told = []
    with Trace.open(path) as trace:
        for finding in subject.findings:
            if finding.status != "fail" or finding.place is None:
                continue
            row = finding.place.sequence or 0
            layer = trace.read_layer(finding.layer, slice(row, row + 1))
            told.append(_last_output(finding, layer))
    return told


def _last_outputs(outputs: Any, m: Any, lengths: Any) -> list[str]:
    import numpy as np

    from rnnscope.checks import run_checks
    from rnnscope.model.states import LayerFacts, LayerSlice, LayerStates

    def whole(values: Any, axes: int) -> Array:
        array = np.asarray(values)
        return array[None] if array.ndim == axes - 1 else array

    steps = None if lengths is None else np.atleast_1d(np.asarray(lengths))
    states = LayerStates({}, whole(outputs, 3), {}, {"m": whole(m, 2)})
    if states.outputs.shape[::2] != states.final["m"].shape:
        return [f"outputs {states.outputs.shape} and m {states.final['m'].shape} do not fit"]
    facts = LayerFacts("outputs", padding="none" if steps is None else "zeros")
    layer = LayerSlice(facts, states, lengths=steps)
    (finding,) = run_checks(layer, only=["last-output-is-m"])
    if finding.status == "skip":
        return [f"nothing could be judged: {finding.message}"]
    return [_last_output(finding, layer)] if finding.status == "fail" else []


def _last_output(finding: Finding, layer: Any) -> str:
    """What failed, with its place and both values; the slice begins where it says."""
    import numpy as np

    from rnnscope.checks import steps

    place = finding.place
    assert place is not None
    row = (place.sequence or 0) - layer.first_sequence
    time, unit = place.timestep or 0, place.unit or 0
    at = steps.output_rows(layer, np.array([row]), np.array([time]))
    output = layer.states.outputs[row, at[0], unit]
    states = layer.states.states.get("m")
    m = layer.states.final["m"][row, unit] if states is None else states[row, time, unit]
    return f"layer '{finding.layer}', {place}: the output is {output:.9g}, m is {m:.9g}"
