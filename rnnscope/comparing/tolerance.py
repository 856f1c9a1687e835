"""How far two values may be apart: |a - b| <= atol + rtol * max(|a|, |b|), or a number of ULP."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import OptionError, spell
from rnnscope.options.interface import accept
from rnnscope.options.kinds import AtMost, Integer, Switch

DEFAULTS = {2: (1e-3, 1e-3), 4: (1e-5, 1e-5), 8: (1e-10, 1e-10)}
"""atol and rtol by the bytes of the narrower of both dtypes. Engines that add in another order part
by some 1e-6 in float32, and it grows with time; a wrong gate parts by more than 1e-3."""


@dataclass(frozen=True)
class Tolerance:
    """What one array is held to.

    Attributes
    ----------
    atol, rtol : float
    ulp : int or None
        Instead of both: representable numbers between the two.
    """

    atol: float
    rtol: float
    ulp: int | None = None

    def __str__(self) -> str:
        if self.ulp is not None:
            return f"{self.ulp} ulp"
        if not self.atol and not self.rtol:
            return "exact"
        return f"atol {self.atol:g}, rtol {self.rtol:g}"


@dataclass(frozen=True)
class Tolerances:
    """Tolerances as given: by array, by pattern, or for all.

    Attributes
    ----------
    atol, rtol : tuple of (pattern, value)
        The last whose pattern fits wins; patterns are arrays (``c``, ``final/*``) or
        ``LAYER/ARRAY``.
    exact : bool
    ulp : int or None
    equal_nan : bool
        NaN beside NaN is no difference.
    """

    atol: tuple[tuple[str, float], ...] = ()
    rtol: tuple[tuple[str, float], ...] = ()
    exact: bool = False
    ulp: int | None = None
    equal_nan: bool = False

    def of(self, layer: str, array: str, dtypes: Sequence[np.dtype[np.generic]]) -> Tolerance:
        """The tolerance of one array: as given, else the default of the narrower dtype."""
        if self.exact:
            return Tolerance(0.0, 0.0)
        narrow = narrower(*dtypes)
        atol, rtol = DEFAULTS.get(narrow.itemsize if narrow.kind == "f" else 0, (0.0, 0.0))
        atol_here = _fitting_bound(self.atol, layer, array)
        rtol_here = _fitting_bound(self.rtol, layer, array)
        if atol_here is not None or rtol_here is not None:
            # What is said of one of them is meant to be all that is allowed.
            return Tolerance(atol_here or 0.0, rtol_here or 0.0)
        return Tolerance(atol, rtol, self.ulp)

    def check_arrays(self, arrays: Mapping[str, Iterable[str]], known: Iterable[str] = ()) -> None:
        """Refuse a pattern that fits no array.

        Parameters
        ----------
        arrays : mapping of str to (iterable of str)
            The arrays that there are, by layer.
        known : iterable of str
            Names that an array may have elsewhere: these are not misspelt.

        Raises
        ------
        OptionError
            It names the arrays, and the nearest one.
        """
        plain = list(dict.fromkeys(name for names in arrays.values() for name in names))
        whole = [f"{layer}/{name}" for layer, names in arrays.items() for name in names]
        fine = [*plain, *whole, *known]
        for option, pairs in (("atol", self.atol), ("rtol", self.rtol)):
            for pattern, value in pairs:
                if any(fnmatchcase(name, pattern) for name in fine):
                    continue
                near = get_close_matches(pattern, fine, n=1, cutoff=0.5)
                raise OptionError(
                    "A tolerance is for an array that is not there.",
                    where=spell(option, f"{pattern}:{value:g}"),
                    expected=f"one of {', '.join(plain)}; or LAYER/ARRAY",
                    found=pattern,
                    hint=f"did you mean {near[0]}?" if near else None,
                )

    def words(self) -> str:
        """For the head of a report."""
        nan = ", NaN beside NaN is equal" if self.equal_nan else ""
        if self.exact:
            return f"exact{nan}"
        if self.ulp is not None:
            return f"{self.ulp} ulp{nan}"
        bounds = [f"{name} {pattern}{':' if pattern else ''}{value:g}".replace("*:", "")
                 for name, pairs in (("atol", self.atol), ("rtol", self.rtol))
                 for pattern, value in pairs]  # fmt: skip
        plain = "|a - b| <= atol + rtol * max(|a|, |b|)"
        if bounds:
            return f"{plain}; {', '.join(bounds)}{nan}"
        listed = ", ".join(
            f"{both[0]:g} for float{size * 8}" for size, both in DEFAULTS.items() if size > 2
        )
        return f"{plain}; by default atol = rtol = {listed}{nan}"


def narrower(a: np.dtype[np.generic], b: np.dtype[np.generic]) -> np.dtype[np.generic]:
    """The dtype with fewer bytes, if both are floats; else the float, or the wider."""
    floats = [dtype for dtype in (a, b) if dtype.kind == "f"]
    if len(floats) == 1:
        return floats[0]
    return min((a, b), key=lambda dtype: dtype.itemsize)


def _fitting_bound(pairs: Sequence[tuple[str, float]], layer: str, array: str) -> float | None:
    fitting = [
        value
        for pattern, value in pairs
        if fnmatchcase(array, pattern) or fnmatchcase(f"{layer}/{array}", pattern)
    ]
    return fitting[-1] if fitting else None


Bounds = float | str | Mapping[str, float] | Iterable[str] | None
"""A tolerance as it is given: a number; text, ``"1e-6"`` or ``"c:1e-6"``; a number by array; or
several texts; None for the default."""


def tolerance_pairs(
    called: str, bounds: Bounds, where: object = None
) -> tuple[tuple[str, float], ...]:
    """A tolerance as pairs of a pattern and a value.

    Parameters
    ----------
    called : str
        What the surface calls the option, for messages.
    bounds : Bounds
    where : object, optional
        What holds the option.

    Raises
    ------
    OptionError
        A value is no finite number of 0 or more.
    """
    if bounds is None:
        return ()
    if isinstance(bounds, Mapping):
        return tuple((str(name), _bound(called, one, one, where)) for name, one in bounds.items())
    several = isinstance(bounds, Iterable) and not isinstance(bounds, str)
    texts: Iterable[Any] = bounds if several else (bounds,)  # type: ignore[assignment]
    pairs = []
    for one in texts:
        pattern, _, number = one.rpartition(":") if isinstance(one, str) else ("", "", one)
        pairs.append((pattern or "*", _bound(called, number, one, where)))
    return tuple(pairs)


def _bound(called: str, value: object, given: object, where: object) -> float:
    try:
        return AtMost().accept(value)
    except ValueError as error:
        raise OptionError(
            f"{called} does not understand its value.",
            where=where,
            expected=f"{error}, or ARRAY:NUMBER, for example c:1e-6",
            found=given,
        ) from None


def make_tolerances(
    atol: Bounds = None,
    rtol: Bounds = None,
    *,
    exact: bool = False,
    ulp: int | None = None,
    equal_nan: bool = False,
    called: Callable[[str], str] = spell,
    where: object = None,
) -> Tolerances:
    """Tolerances from what any surface gives.

    Parameters
    ----------
    atol, rtol : Bounds
    exact, equal_nan : bool
    ulp : int, optional
    called : callable
        ``called(name)``: what the surface calls an option.
    where : object, optional
        What holds the options, for messages: a suite's case.

    Raises
    ------
    OptionError
        A value is not to be understood, or two of them contradict each other.
    """
    at_most = {
        "atol": tolerance_pairs(called("atol"), atol, where),
        "rtol": tolerance_pairs(called("rtol"), rtol, where),
    }
    exact = accept(Switch(), exact, called=called("exact"), where=where)
    equal_nan = accept(Switch(), equal_nan, called=called("equal_nan"), where=where)
    if ulp is not None:
        ulp = accept(Integer(), ulp, called=called("ulp"), where=where)
    if sum((exact, ulp is not None, any(at_most.values()))) > 1:
        raise OptionError(
            f"{called('exact')}, {called('ulp')} and {called('atol')} or {called('rtol')} exclude "
            "each other.",
            where=where,
        )
    return Tolerances(at_most["atol"], at_most["rtol"], exact, ulp, equal_nan)


@dataclass(frozen=True)
class DiffSettings:
    """How to compare.

    Attributes
    ----------
    tolerances : Tolerances
    padding : bool
        Compare steps past the length, too.
    fail_fast : bool
        Stop at the first difference of an array.
    hints : bool
        Look for a misreading that would explain a difference.
    """

    tolerances: Tolerances = Tolerances()
    padding: bool = False
    fail_fast: bool = False
    hints: bool = True
