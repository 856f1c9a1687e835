"""Comparing states from Python."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnnscope.api.trace import StateTrace
    from rnnscope.comparing.result import DiffResult


def diff(
    a: str | os.PathLike[str] | StateTrace | Mapping[str, Any],
    b: str | os.PathLike[str] | StateTrace | Mapping[str, Any],
    /,
    *,
    atol: float | Mapping[str, float] | None = None,
    rtol: float | Mapping[str, float] | None = None,
    exact: bool = False,
    ulp: int | None = None,
    equal_nan: bool = False,
    padding: bool = False,
    fail_fast: bool = False,
    a_format: str | None = None,
    b_format: str | None = None,
    num_units: Sequence[int] = (),
    time_major_a: bool | None = None,
    time_major_b: bool | None = None,
) -> DiffResult:
    """Compare two sets of states, in whatever formats they are.

    Parameters
    ----------
    a, b : str, path, StateTrace, or mapping of str to array
        A trace; whatever ``rnnscope diff`` reads; or arrays by name: ``c``, ``m``, ``outputs``
        (sequence, timestep, unit), ``final/c``, ``final/m`` (sequence, unit), with a layer in
        front where there are several: ``encoder/c``.
    atol, rtol : float, or mapping of array to float, optional
        Allowed is ``|a - b| <= atol + rtol * max(|a|, |b|)``; by default 1e-5 for float32, 1e-10
        for float64.
    exact : bool
        Bit for bit.
    ulp : int, optional
        So many representable numbers between the two values.
    equal_nan : bool
        NaN beside NaN is no difference.
    padding : bool
        Compare steps past the length, too.
    fail_fast : bool
        Stop at the first difference of each array.
    a_format, b_format : str, optional
        How the states are kept, where names and shapes leave a choice: ``"keras"``, ``"torch"``, …
    num_units : sequence of int
        Widths of c, one a layer, for states that are one array ``[c, m]``.
    time_major_a, time_major_b : bool, optional
        Axes are (timestep, sequence, unit).

    Returns
    -------
    DiffResult
        ``.verdict`` is ``"same"`` or ``"differ"``; printed, it says where they part.

    Raises
    ------
    RnnscopeError
        One cannot be read, or in several ways; an array is named that is not there.

    Examples
    --------
    >>> import rnnscope
    >>> truth = "sample_data/lstm_float64/truth.npz"
    >>> found = rnnscope.diff("trace.h5", truth)
    >>> found.verdict
    'same'
    >>> rnnscope.diff("trace.h5", truth, exact=True).verdict
    'differ'
    """
    from rnnscope.api.trace import StateTrace
    from rnnscope.comparing import DiffSettings, diff_states
    from rnnscope.comparing.tolerance import tolerances_of
    from rnnscope.states.interface import ReadOptions
    from rnnscope.states.recognise import recognise

    operands = [one.stored if isinstance(one, StateTrace) else one for one in (a, b)]
    options = [
        ReadOptions(_format(one, name), tuple(num_units), major)
        for one, name, major in (
            (a, a_format, time_major_a),
            (b, b_format, time_major_b),
        )
    ]
    settings = DiffSettings(
        tolerances_of(atol, rtol, exact=exact, ulp=ulp, equal_nan=equal_nan),
        padding=padding,
        fail_fast=fail_fast,
    )
    one, other = recognise((operands[0], operands[1]), (options[0], options[1]))
    with one.states, other.states:
        return diff_states(one, other, settings, "rnnscope.diff")


def _format(operand: Any, name: str | None) -> str | None:
    """Arrays by name in memory are what they are called, unless the user says otherwise."""
    return "arrays" if name is None and isinstance(operand, Mapping) else name
