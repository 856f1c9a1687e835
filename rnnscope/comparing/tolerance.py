"""How far two values may be apart: |a - b| <= atol + rtol * max(|a|, |b|), or a number of ULP."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from math import isfinite

import numpy as np

from rnnscope.errors import OptionError, spell

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
        given_atol = _given(self.atol, layer, array)
        given_rtol = _given(self.rtol, layer, array)
        if given_atol is not None or given_rtol is not None:
            # What is said of one of them is meant to be all that is allowed.
            return Tolerance(given_atol or 0.0, given_rtol or 0.0)
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
        given = [f"{name} {pattern}{':' if pattern else ''}{value:g}".replace("*:", "")
                 for name, pairs in (("atol", self.atol), ("rtol", self.rtol))
                 for pattern, value in pairs]  # fmt: skip
        plain = "|a - b| <= atol + rtol * max(|a|, |b|)"
        if given:
            return f"{plain}; {', '.join(given)}{nan}"
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


def _given(pairs: Sequence[tuple[str, float]], layer: str, array: str) -> float | None:
    fitting = [
        value
        for pattern, value in pairs
        if fnmatchcase(array, pattern) or fnmatchcase(f"{layer}/{array}", pattern)
    ]
    return fitting[-1] if fitting else None


def parse_tolerances(flag: str, texts: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """``1e-6`` and ``c:1e-6`` as pairs of a pattern and a value.

    Raises
    ------
    OptionError
        A value is no finite number of 0 or more.
    """
    pairs = []
    for text in texts:
        pattern, _, number = text.rpartition(":")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if not (isfinite(value) and value >= 0):
            raise OptionError(
                f"{flag} does not understand its value.",
                expected="a number of 0 or more, or ARRAY:NUMBER, for example c:1e-6",
                found=text,
            )
        pairs.append((pattern or "*", value))
    return tuple(pairs)


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


def tolerances_of(
    atol: float | Mapping[str, float] | None,
    rtol: float | Mapping[str, float] | None,
    *,
    exact: bool = False,
    ulp: int | None = None,
    equal_nan: bool = False,
) -> Tolerances:
    """Tolerances as Python gives them: a number for all arrays, or one by array or pattern.

    Raises
    ------
    OptionError
        More than one way to say what is allowed, or a bound that is no number of 0 or more.
    """
    bounds = atol is not None or rtol is not None
    if sum((exact, ulp is not None, bounds)) > 1:
        names = " and ".join(map(spell, ("exact", "ulp", "atol or rtol")))
        raise OptionError(f"{names} exclude each other.", expected="one of them")
    return Tolerances(
        _pairs("atol", atol), _pairs("rtol", rtol), exact=exact, ulp=ulp, equal_nan=equal_nan
    )


def _pairs(name: str, value: float | Mapping[str, float] | None) -> tuple[tuple[str, float], ...]:
    if value is None:
        return ()
    pairs = value.items() if isinstance(value, Mapping) else [("*", value)]
    return parse_tolerances(spell(name), [f"{array}:{bound}" for array, bound in pairs])
