"""The compiled pass at work: its arrays, and what it found as a `BlockDifference`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.comparing import histogram
from rnnscope.comparing.block_difference import BlockDifference, Measured
from rnnscope.comparing.compiled.pass_code import PEAKS, TABLE, TOTALS, module_of
from rnnscope.comparing.compiled.vector_difference import COUNTERS, PassKind
from rnnscope.comparing.histogram import BINS, Histogram, bins_by_leading_bits
from rnnscope.engines.compiled import code_cache
from rnnscope.engines.compiled.cpu import machine_code, target
from rnnscope.engines.compiled.loaded_code import LoadedCode
from rnnscope.engines.workspace import Workspace, address
from rnnscope.model.cell import Array


@cache
def loaded(kind: PassKind) -> LoadedCode:
    """The code of a kind of pass, made once and kept (`code_cache`)."""
    sources = [*sorted(map(str, Path(__file__).parent.glob("*.py"))), histogram.__file__]
    name = code_cache.name(repr(kind), target(), sources=sources)
    code = code_cache.load(name)
    if code is None:
        code = machine_code(module_of(kind))
        code_cache.save(name, code)
    return LoadedCode(code)


class CompiledPass:
    """`block_difference` for blocks of float32 or float64, in machine code.

    Parameters
    ----------
    how : Measured
    dtypes : two dtypes
        Of the two sides.
    """

    def __init__(self, how: Measured, dtypes: tuple[np.dtype[Any], np.dtype[Any]]) -> None:
        names = [dtype.name for dtype in dtypes]
        by_ulp = how.tolerance.ulp is not None
        kind = PassKind(names[0], names[1], how.ulp_dtype.name, by_ulp, how.equal_nan)
        self._code = loaded(kind)
        self._measure = self._code.function("measure")
        self._how, self._dtypes = how, dtypes
        self._memory = Workspace()

    def __call__(
        self, a: Array, b: Array, valid: Array | None, histogram: Histogram
    ) -> BlockDifference:
        """Measure two blocks, as `block_difference` does."""
        a, b = (np.ascontiguousarray(values, dtype) for values, dtype in
                zip((a, b), self._dtypes, strict=True))  # fmt: skip
        width = a.shape[-1]
        rows = a.size // width if width else 0
        counts = np.ones(rows, np.uint8)
        if valid is not None:
            counts[:] = valid.reshape(-1)
        absolute = self._memory.array("absolute", a.shape, np.dtype(np.float64))
        found: dict[str, Array] = {
            "counts": counts, "absolute": absolute, "row_peaks": np.zeros(rows),
            "row_firsts": np.full(rows, -1, np.int64),
            "histogram": np.zeros((COUNTERS, BINS), np.int64),
            "bins": bins_by_leading_bits(), "totals": np.zeros(len(TOTALS), np.int64),
            "peaks": np.full(len(PEAKS), -1.0), "a": a, "b": b,
        }  # fmt: skip
        self._run(found, rows, width)
        histogram.counts += found["histogram"].sum(axis=0)
        totals = dict(zip(TOTALS, found["totals"].view(np.uint64).tolist(), strict=True))
        peaks = dict(zip(PEAKS, found["peaks"].tolist(), strict=True))
        compared = (rows if valid is None else int(np.count_nonzero(counts))) * width
        seen = (compared, totals["finite"], totals["nonfinite_a"], totals["nonfinite_b"])
        if not (peaks["absolute"] > 0 or totals["apart"]):
            return BlockDifference(*seen)
        worst = totals["worst_row"]
        with np.errstate(over="ignore"):
            # In numpy's order, whose roundings are those of the reference.
            sum_abs = float(absolute.sum())
        return BlockDifference(
            *seen,
            exceed=totals["exceed"],
            sum_abs=sum_abs,
            max_abs=max(peaks["absolute"], 0.0),
            max_rel=max(peaks["relative"], 0.0),
            needed=max(peaks["needed"], 0.0),
            ulp_max=totals["ulp_max"],
            nonfinite_apart=totals["apart"] > 0,
            worst=worst * width + int(absolute.reshape(rows, width)[worst].argmax()),
            row_peaks=found["row_peaks"],
            row_firsts=found["row_firsts"],
            absolute=absolute,
        )

    def _run(self, found: dict[str, Array], rows: int, width: int) -> None:
        tolerance = self._how.tolerance
        reals = {"atol": tolerance.atol, "rtol": tolerance.rtol}
        whole = {"rows": rows, "width": width, "ulp": min(tolerance.ulp or 0, 2**64 - 1)}
        table = np.zeros(len(TABLE), np.uint64)
        for place, (name, sort) in enumerate(TABLE.items()):
            if sort == "real":
                table[place : place + 1].view(np.float64)[0] = reals[name]
            elif sort == "int":
                table[place] = whole[name]
            else:
                assert found[name].flags.c_contiguous, name
                table[place] = address(found[name])
        self._measure(address(table))
