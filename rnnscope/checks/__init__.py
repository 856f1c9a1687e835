"""Sanity checks on the states of a layer: a table of them, and how to run it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import inf, isnan

from rnnscope.checks.compared import COMPARED_CHECKS
from rnnscope.checks.gates import GATE_CHECKS
from rnnscope.checks.interface import STATUS_ORDER, Check, CheckedSlice, Finding, StatePlace
from rnnscope.checks.lengths import LENGTH_CHECKS
from rnnscope.checks.measure import skip
from rnnscope.checks.numbers import NUMBER_CHECKS
from rnnscope.checks.padding import PADDING_CHECKS
from rnnscope.checks.state import STATE_CHECKS, widths_that_differ
from rnnscope.errors import OptionError, spelled
from rnnscope.model.states import LayerSlice

CHECKS: dict[str, Check] = {
    check.id: check
    for check in (
        *STATE_CHECKS,
        *GATE_CHECKS,
        *PADDING_CHECKS,
        *LENGTH_CHECKS,
        *NUMBER_CHECKS,
        *COMPARED_CHECKS,
    )
}
"""Every check by id, in the order of reports."""

REQUIREMENTS = {
    "c": "the cell state c",
    "m": "the output state m of every step",
    "outputs": "the outputs",
    "gates": "the gates ({gates})",
    "final": "the final state",
    "lengths": "lengths",
    "mask": "lengths or a mask",
    "input_steps": "a layer that reads the input of the run itself",
    "initial": "the initial state",
    "origin": "a layer whose final state it starts from",
    "alone": "each sequence computed alone ({recompute})",
    "wide": "a float64 recomputation ({recompute})",
    "verified": "another engine ({verify})",
    "golden": "a stored trace ({golden})",
}
"""What a check may require of a slice, in the words of a skipped check."""


def run_checks(layer: LayerSlice, only: Iterable[str] | None = None) -> list[Finding]:
    """Run the checks on a slice of one layer.

    Parameters
    ----------
    layer : LayerSlice
        A `CheckedSlice` says more than one that is not.
    only : iterable of str, optional
        The ids of the checks to run; all of `CHECKS` if None.

    Returns
    -------
    list of Finding
        One for each check, in the order of `CHECKS`. A check that lacks what it requires is
        skipped and says what that is. Of a slice that is not `CheckedSlice.context` (a run under
        way) only the checks that a run does, and those at the end only of the last slice.

    Raises
    ------
    OptionError
        If `only` names no check; it suggests the nearest id.
    """
    if not isinstance(layer, CheckedSlice):
        layer = CheckedSlice.of(layer)
    chosen = [check for check in select_checks(only) if _is_due(check, layer)]
    if layer.context is not None:
        wrong = widths_that_differ(layer)
        if wrong:
            return [_run(check, layer) if check.id in ("state-width", "finite")
                    else skip(check.id, layer, f"arrays do not fit each other: {wrong}")
                    for check in chosen]  # fmt: skip
    return [_run(check, layer) for check in chosen]


def _is_due(check: Check, layer: CheckedSlice) -> bool:
    if layer.context is None:
        return check.during_run
    return layer.context.last or not check.at_end


def select_checks(only: Iterable[str] | None = None) -> list[Check]:
    """The checks with these ids, in the order of `CHECKS`; all if None."""
    if only is None:
        return list(CHECKS.values())
    wanted = set(only)
    for name in sorted(wanted - CHECKS.keys()):
        from difflib import get_close_matches

        near = get_close_matches(name, CHECKS, n=1)
        raise OptionError(
            f"There is no check '{name}'.",
            expected="one of " + ", ".join(CHECKS),
            found=name,
            hint=f"Did you mean '{near[0]}'?" if near else None,
        )
    return [check for check in CHECKS.values() if check.id in wanted]


def _run(check: Check, layer: CheckedSlice) -> Finding:
    lacking = [spelled(REQUIREMENTS[name]) for name in check.requires if not _holds(layer, name)]
    if lacking:
        return skip(check.id, layer, "needs " + " and ".join(lacking))
    return check.function(layer)


def _holds(layer: CheckedSlice, requirement: str) -> bool:
    if requirement in ("c", "m"):
        return requirement in layer.states.states
    if requirement == "mask":
        return layer.mask is not None or layer.lengths is not None
    if requirement in ("lengths", "input_steps"):
        return getattr(layer, requirement) is not None
    if requirement in ("origin", "alone", "wide", "verified", "golden"):
        return layer.context is not None and getattr(layer.context, requirement) is not None
    present = getattr(layer.states, requirement)
    return present is not None and len(present) > 0


def merge(findings: Iterable[Finding]) -> list[Finding]:
    """One finding for each check and layer, from the findings of several slices.

    The worst status wins, then the largest measured value (NaN above all). Checks that count
    (`Check.counted`) add up, and keep the first place. The result can be merged again.

    Returns
    -------
    list of Finding
        In the order in which each check and layer first appears.
    """
    merged: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        key = (finding.check, finding.layer)
        merged[key] = _worse(merged[key], finding) if key in merged else finding
    return list(merged.values())


def _worse(a: Finding, b: Finding) -> Finding:
    ranks = STATUS_ORDER.index(a.status), STATUS_ORDER.index(b.status)
    if ranks[0] != ranks[1]:
        return a if ranks[0] > ranks[1] else b
    if a.check in CHECKS and CHECKS[a.check].counted:
        first = min(a, b, key=lambda finding: _sequence(finding.place))
        measured = None if a.measured is None else a.measured + (b.measured or 0)
        return replace(first, measured=measured)
    return b if _size(b.measured) > _size(a.measured) else a


def _size(measured: float | None) -> float:
    if measured is None:
        return -inf
    return inf if isnan(measured) else measured


def _sequence(place: StatePlace | None) -> float:
    return inf if place is None or place.sequence is None else place.sequence


def worst_status(findings: Iterable[Finding]) -> str:
    """The worst status among the findings; ``"skip"`` if there is none."""
    return max((finding.status for finding in findings), key=STATUS_ORDER.index, default="skip")
