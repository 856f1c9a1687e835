"""What a comparison finds: plain data; the field names are the keys of the JSON report."""

from __future__ import annotations

from dataclasses import field
from math import inf
from typing import ClassVar, Literal

from rnnscope.comparing.reduction import Reduction
from rnnscope.deferred_dataclass import dataclass
from rnnscope.printable import Printable
from rnnscope.states.state_set import UnreadArray

Verdict = Literal["same", "differ"]
SideName = Literal["A", "B"]

STATE_AXES = ("sequence", "timestep", "unit")
FINAL_AXES = ("sequence", "unit")


@dataclass(frozen=True)
class Divergence:
    """The first place where two arrays differ by more than the tolerance.

    Attributes
    ----------
    place : tuple of int
        An index for each of the array's axes, by the coordinates of A.
    a, b : float
        The two values.
    gate : str
        Where it comes from, as far as the gates or the other state tell; empty if they do not.
    """

    place: tuple[int, ...]
    a: float
    b: float
    gate: str = ""


@dataclass(frozen=True)
class ArrayDiff:
    """One array of both operands.

    Attributes
    ----------
    name : str
        ``c``, ``m``, ``outputs``, ``gates/i``, ``final/c`` …, or the name of a weight.
    verdict : "same" or "differ"
    axes : tuple of str
        What `Divergence.place` counts.
    shape_a, shape_b : tuple of int
    dtype_a, dtype_b : str
    compared : int
        Values compared: those of valid steps, unless padding was asked for.
    max_abs, mean_abs : float
        Of the differences that are finite.
    median_abs, abs_99 : float
        Half of the differences, and 99 % of them, are at most so large; within 7 %.
    snr_db : float
        10 log10 of the sum of a² over the sum of (a - b)²; infinite where nothing differs.
    signs_differ : int
        Values of which A and B have opposite signs: ULP say nothing of these.
    max_rel : float
        |a - b| / max(|a|, |b|).
    ulp_max : int or None
        Representable numbers of `ulp_dtype` between the two, at most; None if a value is NaN
        or infinite on one side alone.
    ulp_99 : int
        99 % of the values are at most so far apart.
    ulp_dtype : str
        The narrower dtype of both.
    nonfinite_a, nonfinite_b : int
        NaN and infinities.
    exceed : int
        Values beyond the tolerance.
    tolerance : str
        ``"atol 1e-05, rtol 1e-05"``, ``"exact"``, ``"4 ulp"``.
    passes_at : str
        The smallest tolerance at which it would pass: ``"atol 3.1e-05"``; empty where none would.
    first : Divergence or None
    worst : tuple of int
        The place of the largest difference; empty if there is none.
    growth : tuple of float
        The largest difference at each timestep, or of each of up to 60 runs of timesteps.
    problems : tuple of str
        Why it differs apart from the values: shapes, lengths.
    complete : bool
        False if the comparison stopped at the first difference.
    """

    name: str
    verdict: Verdict
    axes: tuple[str, ...]
    shape_a: tuple[int, ...]
    shape_b: tuple[int, ...]
    dtype_a: str
    dtype_b: str
    compared: int = 0
    max_abs: float = 0.0
    mean_abs: float = 0.0
    median_abs: float = 0.0
    abs_99: float = 0.0
    snr_db: float = inf
    signs_differ: int = 0
    max_rel: float = 0.0
    ulp_max: int | None = 0
    ulp_99: int = 0
    ulp_dtype: str = ""
    nonfinite_a: int = 0
    nonfinite_b: int = 0
    exceed: int = 0
    tolerance: str = ""
    passes_at: str = ""
    first: Divergence | None = None
    worst: tuple[int, ...] = ()
    growth: tuple[float, ...] = ()
    problems: tuple[str, ...] = ()
    complete: bool = True


@dataclass(frozen=True)
class OneSided:
    """An array of a layer that is compared with nothing.

    Attributes
    ----------
    name : str
    side : "A" or "B"
        Which of the two has it.
    unread : str
        The array in the file of the other that its name says to be the same, and that was not
        read; empty if there is none.
    """

    name: str
    side: SideName
    unread: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.why})"

    @property
    def why(self) -> str:
        """``only in A``, or which array of the other was not read."""
        if self.unread:
            return f"in {'B' if self.side == 'A' else 'A'} not read: {self.unread}"
        return f"only in {self.side}"


@dataclass(frozen=True)
class LayerDiff:
    """One layer of both operands.

    Attributes
    ----------
    a, b : str
        Its name on either side.
    matched : str
        How they came together: ``"by name"``, ``"by values"`` …
    arrays : tuple of ArrayDiff
    options : tuple of OptionDiff
        For weights: options that differ.
    one_sided : tuple of OneSided
        Arrays that only one side has.
    hints : tuple of str
        How the two would be equal.
    """

    json_properties: ClassVar[tuple[str, ...]] = ("verdict", "not_compared")

    a: str
    b: str
    matched: str
    arrays: tuple[ArrayDiff, ...]
    options: tuple[OptionDiff, ...] = ()
    one_sided: tuple[OneSided, ...] = ()
    hints: tuple[str, ...] = ()

    @property
    def not_compared(self) -> tuple[str, ...]:
        """The arrays that only one side has, in words: ``outputs (only in A)``."""
        return tuple(map(str, self.one_sided))

    @property
    def verdict(self) -> Verdict:
        same = all(array.verdict == "same" for array in self.arrays) and not self.options
        return "same" if same else "differ"


@dataclass(frozen=True)
class OptionDiff:
    """An option of a cell that differs, with the origin of each value."""

    name: str
    a: str
    a_origin: str
    b: str
    b_origin: str


@dataclass(frozen=True)
class OperandReport:
    """How an operand was read.

    Attributes
    ----------
    name : str
    format : str
        A key of STATE_FORMATS, or of READERS.
    words, reason : str
        What is read as what, and why.
    notes : tuple of str
    not_read : tuple of UnreadArray
        What the file holds and no state was read from.
    """

    name: str
    format: str
    words: str = ""
    reason: str = ""
    notes: tuple[str, ...] = ()
    not_read: tuple[UnreadArray, ...] = ()


@dataclass(frozen=True)
class DiffResult(Printable):
    """A whole comparison.

    Attributes
    ----------
    a, b : OperandReport
    tolerance : str
        What was allowed, in words.
    layers : tuple of LayerDiff
    only_a, only_b : tuple of str
        Layers that the other side lacks.
    outputs_alone_a, outputs_alone_b : tuple of str
        Layers without states (merges) that are compared with nothing, since the other side's
        format has no place for them.
    differences : tuple of str
        What differs apart from the values: lengths, coordinates.
    notes : tuple of str
    command : str
    explain : str
        The command, in Python the call, that looks for the reason, where they differ and one side
        is a trace that can be explained; else empty.
    reduced : Reduction or None
        The smallest case of it, where one was asked for.
    """

    report_kind: ClassVar[str] = "diff"
    json_properties: ClassVar[tuple[str, ...]] = ("verdict", "complete")

    a: OperandReport
    b: OperandReport
    tolerance: str
    layers: tuple[LayerDiff, ...]
    only_a: tuple[str, ...] = ()
    only_b: tuple[str, ...] = ()
    outputs_alone_a: tuple[str, ...] = ()
    outputs_alone_b: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    command: str = ""
    kind: Literal["states", "weights"] = field(default="states")
    explain: str = ""
    reduced: Reduction | None = None

    @property
    def verdict(self) -> Verdict:
        whole = not (self.only_a or self.only_b or self.differences)
        same = whole and all(layer.verdict == "same" for layer in self.layers)
        return "same" if same else "differ"

    @property
    def complete(self) -> bool:
        """Whether all that the two files hold was read, and compared with something."""
        left = (self.a.not_read, self.b.not_read, self.outputs_alone_a, self.outputs_alone_b)
        return not any(left) and not any(layer.one_sided for layer in self.layers)
