"""Other values of the same variables: moving averages, and other steps of training."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from rnnscope.checkpoints import read_checkpoint
from rnnscope.errors import RnnscopeError
from rnnscope.explaining.computing.setup import DrivenLayer, Setup, shapes_of
from rnnscope.explaining.confusions.gate_order import block_columns, stored_order
from rnnscope.explaining.confusions.interface import Confusion, Facts
from rnnscope.explaining.readings.deviations import Deviation
from rnnscope.model.cell import Array, CellSpec

AVERAGE = "/ExponentialMovingAverage"
"""What TensorFlow's ExponentialMovingAverage appends to the name of a variable."""

ROLES = {"kernel": "kernel", "weights": "kernel", "bias": "bias", "biases": "bias",
         "w_i_diag": "peephole_i", "w_f_diag": "peephole_f", "w_o_diag": "peephole_o"}  # fmt: skip
"""What the last part of a variable's name says it is."""

MOST_OTHERS = 8
"""Other checkpoints that are read, the nearest steps first."""

MOST_BYTES = 64 * 2**20


def _other_weights(values: Mapping[str, CellSpec]) -> Callable[[Setup], Setup | None]:
    """Layers with the weights of other cells of the same shapes, by name."""

    def change(setup: Setup) -> Setup | None:
        layers = dict(setup.layers)
        some = False
        for name, cell in values.items():
            if name in layers and shapes_of(layers[name].cell) == shapes_of(cell):
                layers[name] = layers[name].with_cell(weights=cell.weights)
                some = True
        return replace(setup, layers=layers) if some else None

    return change


def _variables(facts: Facts) -> Iterator[Deviation]:
    read = facts.subject.planned.checkpoint.read_variable
    if read is None:
        return
    found: dict[str, CellSpec] = {}
    averaged = False
    for name, driven in facts.setup.layers.items():
        averaged = averaged or any(one.endswith(AVERAGE) for one in driven.cell.variables)
        other = _with_variables(driven, read, _other_name)
        if other is not None:
            found[name] = other
    if found:
        value = "raw variables" if averaged else "moving averages"
        advice = f"The {value} are loaded there: load the others."
        yield Deviation("variables", value, _other_weights(found), advice=advice)


def _other_name(name: str) -> str:
    return name.removesuffix(AVERAGE) if name.endswith(AVERAGE) else name + AVERAGE


def _with_variables(
    driven: DrivenLayer, read: Callable[[str], Array], other: Callable[[str], str]
) -> CellSpec | None:
    """An LSTM of TensorFlow 1 with other variables; None where it is not one, or they are not.

    The same arrays, put together the same way, have to give the weights that were read.
    """
    if driven.cell.kind != "lstm" or not driven.stackable:
        return None
    own = _assembled(driven, read, lambda name: name)
    if own is None or not all(
        np.array_equal(array, getattr(driven.cell.weights, role)) for role, array in own.items()
    ):
        return None
    changed = _assembled(driven, read, other)
    return None if changed is None else driven.with_weights(**changed).cell


def _assembled(
    driven: DrivenLayer, read: Callable[[str], Array], called: Callable[[str], str]
) -> dict[str, Array] | None:
    arrays: dict[str, Array] = {}
    rows = len(driven.cell.weights.kernel)
    columns = np.argsort(block_columns(driven, stored_order(driven)))
    for name in driven.cell.variables:
        plain = name.removesuffix(AVERAGE)
        role = ROLES.get(plain.rpartition("/")[2])
        if plain.endswith("projection/kernel"):
            role = "projection"
        if role is None:
            return None
        try:
            values = np.asarray(read(called(name)), np.float64)
        except (RnnscopeError, KeyError):
            return None
        if role == "kernel":
            if values.ndim != 2 or values.shape[1] != len(columns):
                return None
            arrays["kernel"] = values[:rows, columns]
            arrays["recurrent_kernel"] = values[rows:, columns]
        else:
            arrays[role] = values[columns] if role == "bias" else values
    return arrays if "kernel" in arrays else None


def _steps(facts: Facts) -> Iterator[Deviation]:
    """The other checkpoints of the folder: files of the same name with another number."""
    path = facts.subject.planned.checkpoint.path
    for step, other in _siblings(path):
        try:
            checkpoint = read_checkpoint(other)
        except RnnscopeError:
            continue
        cells = {
            node.name: node.recurrent.cell.in_double()
            for node in checkpoint.network.recurrent
            if node.name in facts.setup.layers and node.recurrent is not None
        }
        if cells:
            yield Deviation(
                "checkpoint-step",
                step,
                _other_weights(cells),
                advice=f"The weights are those of step {step}: load the other checkpoint.",
                options={},
                checkpoint=str(other),
            )


def _siblings(path: Path) -> list[tuple[str, Path]]:
    """Checkpoints beside one that differ in one number of their name, the nearest first."""
    numbers = list(re.finditer(r"\d+", path.name))
    found: dict[str, tuple[int, str, Path]] = {}
    try:
        names = sorted(other.name for other in path.parent.iterdir())
    except OSError:
        return []
    for number in numbers:
        head, tail = path.name[: number.start()], path.name[number.end() :]
        pattern = re.compile(re.escape(head) + r"(\d+)" + re.escape(tail) + r"(\.index)?")
        for name in names:
            match = pattern.fullmatch(name)
            if match is None or int(match[1]) == int(number[0]):
                continue
            other = path.parent / name.removesuffix(".index")
            file = path.parent / name
            if file.is_file() and file.stat().st_size <= MOST_BYTES:
                apart = abs(int(match[1]) - int(number[0]))
                found[other.name] = (apart, match[1], other)
    ordered = sorted(found.values(), key=lambda one: (one[0], one[1]))
    return [(step, other) for _, step, other in ordered[:MOST_OTHERS]]


CONFUSIONS = (Confusion("variables", _variables), Confusion("checkpoint-step", _steps))
