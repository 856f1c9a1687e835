"""WEIGHT_CHECKS: what the weights of one layer tell by themselves, without any input."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import NamedTuple

import numpy as np

from rnnscope.checks.interface import Finding, StatePlace, Status
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array, CellSpec, LSTMOptions
from rnnscope.model.cells import CELLS

MOST_UNITS = 2048
"""Eigenvalues of larger blocks would take minutes."""

SATURATED_BIAS = 10.0
"""sigmoid and tanh are within 5e-5 of their ends there: only a large input moves the gate."""

LARGEST_WEIGHT = 100.0
MOST_RADIUS = 10.0
"""Trained kernels stay far below; bytes in the wrong order, or of another dtype, do not."""


class Judged(NamedTuple):
    """What a check of weights found.

    Attributes
    ----------
    message : str
        What is so, in one sentence.
    measured : float or None
        None: it could not be judged, and `message` says why.
    unit : int or None
        The first unit that it is about.
    """

    message: str
    measured: float | None
    unit: int | None = None


@dataclass(frozen=True)
class WeightCheck:
    """One entry of WEIGHT_CHECKS.

    Attributes
    ----------
    id, title, advice : str
        As of `rnnscope.checks.interface.Check`.
    measure : callable
        ``measure(cell: CellSpec) -> Judged``.
    limit : float
        The most that is allowed. Where it is one of taste, what is beyond it warns; beyond one
        that the user set, and where it is none of taste, it fails.
    is_taste : bool
    counted : str
        What is counted; empty where a value is measured.
    is_quick : bool
        Whether ``rnnscope inspect`` does it, too.
    """

    id: str
    title: str
    advice: str
    measure: Callable[[CellSpec], Judged]
    limit: float = 0.0
    is_taste: bool = True
    counted: str = ""
    is_quick: bool = True

    def find(self, layer: str, cell: CellSpec, limit: float | None = None) -> Finding:
        """What the check finds in a layer's cell; `limit` is the user's."""
        found = self.measure(cell)
        if found.measured is None:
            return Finding(self.id, layer, "skip", found.message)
        most = self.limit if limit is None else limit
        fine = found.measured <= most  # NaN compares False
        worse: Status = "warn" if self.is_taste and limit is None else "fail"
        place = None if found.unit is None else StatePlace(unit=found.unit)
        status: Status = "pass" if fine else worse
        return Finding(self.id, layer, status, found.message, found.measured, most, place)


def check_weights(
    layer: str, cell: CellSpec, checks: dict[str, float | None] | None = None
) -> list[Finding]:
    """Check the weights of one cell.

    Parameters
    ----------
    layer : str
        Its name, for the findings.
    cell : CellSpec
    checks : dict of str to float or None, optional
        The checks that are wanted, with the limit that the user sets; without it all.
    """
    wanted = dict.fromkeys(WEIGHT_CHECKS) if checks is None else checks
    return [WEIGHT_CHECKS[name].find(layer, cell, limit) for name, limit in wanted.items()]


def arrays_of(cell: CellSpec) -> dict[str, Array]:
    """The weights of a cell by name."""
    weights = cell.weights
    named = ((item.name, getattr(weights, item.name)) for item in fields(weights))
    return {name: array for name, array in named if isinstance(array, np.ndarray) and array.size}


def _gate_blocks(cell: CellSpec, name: str) -> Iterator[tuple[str, Array]]:
    """Each gate's part of an array whose last axis has a block for each."""
    array = arrays_of(cell).get(name)
    gates = CELLS[cell.kind].gates or ("",)
    if array is None or array.shape[-1] % len(gates):
        return
    yield from zip(gates, np.split(array, len(gates), axis=-1), strict=True)


def _finite(cell: CellSpec) -> Judged:
    bad = {name: int(np.count_nonzero(~np.isfinite(array)))
           for name, array in arrays_of(cell).items()}  # fmt: skip
    named = [f"{count} in {name}" for name, count in bad.items() if count]
    if not named:
        return Judged("every weight is a finite number", 0.0)
    return Judged(f"NaN or infinite: {', '.join(named)}", float(sum(bad.values())))


def _constant(cell: CellSpec) -> Judged:
    words, count = [], 0
    for name in ("kernel", "recurrent_kernel"):
        blocks = dict(_gate_blocks(cell, name))
        values = {gate: block.flat[0] for gate, block in blocks.items()
                  if block.size > 1 and (block == block.flat[0]).all()}  # fmt: skip
        count += len(values)
        if len(values) == len(blocks) and len(set(values.values())) == 1:
            words.append(f"{name} is all {_value(next(iter(values.values())))}")
        else:
            words += [f"{name} of {gate} is all {_value(v)}" for gate, v in values.items()]
    return Judged(", ".join(words) or "no kernel holds one value alone", float(count))


def _value(value: float) -> str:
    return f"{value:.6g}" if value else "zero"


def _sizes(cell: CellSpec) -> Judged:
    largest, where = 0.0, ""
    for name, array in arrays_of(cell).items():
        finite = array[np.isfinite(array)]
        here = float(np.abs(finite).max()) if finite.size else 0.0
        if here > largest:
            largest, where = here, name
    return Judged(f"the largest weight is in {where}" if where else "all is zero", largest)


def _dead(cell: CellSpec) -> Judged:
    """Units that see neither an input nor any state, in any gate."""
    seen: Array | None = None
    for name in ("kernel", "recurrent_kernel"):
        for _, block in _gate_blocks(cell, name):
            if block.ndim != 2 or block.shape[1] != cell.num_units:
                return Judged("its kernels have no columns by unit", None)
            here = (block != 0).any(axis=0)
            seen = here if seen is None else seen | here
    if seen is None:
        return Judged("it has no kernel by that name", None)
    dead = np.flatnonzero(~seen)
    message = (
        f"{len(dead)} of {len(seen)} units see neither input nor state: every weight is zero"
        if dead.size
        else "every unit sees an input or a state"
    )
    return Judged(message, float(dead.size), int(dead[0]) if dead.size else None)


def _saturated(cell: CellSpec) -> Judged:
    added = cell.options.forget_bias.value if isinstance(cell.options, LSTMOptions) else 0.0
    found, first = [], None
    for gate, block in _gate_blocks(cell, "bias"):
        beyond = np.abs(block + (added if gate == "f" else 0.0)) > SATURATED_BIAS
        if beyond.any():
            at = np.flatnonzero(beyond.reshape(-1, beyond.shape[-1]).any(axis=0))
            first = int(at[0]) if first is None else first
            found.append((gate, int(np.count_nonzero(beyond))))
    if not arrays_of(cell).get("bias", np.empty(0)).size:
        return Judged("it has no bias", None)
    words = ", ".join(f"{count} of {gate or 'the bias'}" for gate, count in found)
    message = (
        f"beyond {SATURATED_BIAS:g}: {words}"
        if found
        else (f"no bias is beyond {SATURATED_BIAS:g}")
    )
    return Judged(message, float(sum(count for _, count in found)), first)


def _radius(cell: CellSpec) -> Judged:
    """The largest |eigenvalue| of a gate's recurrent kernel, with its projection if it has one.

    R P of (projected, projected) has the eigenvalues of P R of (unit, unit) that are not zero.
    """
    projection = getattr(cell.weights, "projection", None)
    radii: dict[str, float] = {}
    for gate, block in _gate_blocks(cell, "recurrent_kernel"):
        square = block if projection is None else block @ projection
        if square.ndim != 2 or square.shape[0] != square.shape[1]:
            return Judged("its recurrent kernel has no square block for each gate", None)
        if square.shape[0] > MOST_UNITS:
            return Judged(f"it has more than {MOST_UNITS} units", None)
        if not np.isfinite(square).all():
            return Judged("its recurrent kernel is not finite", None)
        radii[gate] = float(np.abs(np.linalg.eigvals(square.astype(np.float64))).max())
    if not radii:
        return Judged("it has no recurrent kernel by that name", None)
    listed = ", ".join(f"{gate} {value:.3g}".strip() for gate, value in radii.items())
    return Judged(f"spectral radius of the recurrent kernel: {listed}", max(radii.values()))


WEIGHT_CHECKS: dict[str, WeightCheck] = {
    check.id: check
    for check in (
        WeightCheck(
            "weights-finite", "Every weight is a finite number",
            "Training diverged, or the file was read with another dtype.",
            _finite, is_taste=False, counted="values",
        ),
        WeightCheck(
            "weights-constant", "No gate's kernel is all zero, or of one value",
            "Was the layer never trained, or were its weights not copied?",
            _constant, counted="blocks",
        ),
        WeightCheck(
            "weights-size", "Weights are of a usual size",
            "Is the byte order, dtype or scale right? Quantised weights need their scale.",
            _sizes, limit=LARGEST_WEIGHT,
        ),
        WeightCheck(
            "weights-dead-units", "Every unit sees an input or a state",
            "A pruned unit does nothing; a copy that went wrong may have left it out.",
            _dead, counted="units",
        ),
        WeightCheck(
            "weights-saturated-bias", "No bias holds a gate at its end",
            "Such a gate is open or shut whatever comes in; is the forget bias added twice?",
            _saturated, counted="values",
        ),
        WeightCheck(
            "weights-spectral-radius", "The recurrent kernel does not blow states up",
            "States may grow or oscillate over long sequences; look at exploding-c of a run.",
            _radius, limit=MOST_RADIUS, is_quick=False,
        ),
    )
}  # fmt: skip
"""Every check of weights by id, in the order of reports."""
