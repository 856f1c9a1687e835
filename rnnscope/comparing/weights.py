"""Two checkpoints' recurrent weights, in rnnscope's gate order whatever their formats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from rnnscope.checkpoints.interface import Checkpoint
from rnnscope.comparing.array_measure import AlignedArrays
from rnnscope.comparing.arrays import coordinates_of, diff_arrays
from rnnscope.comparing.result import (
    ArrayDiff,
    DiffResult,
    LayerDiff,
    OneSided,
    OperandReport,
    OptionDiff,
)
from rnnscope.comparing.tolerance import DiffSettings
from rnnscope.comparing.weight_hints import weight_hints
from rnnscope.errors import CheckpointError, spell_command
from rnnscope.files.arrays.stored_array import LoadedArray
from rnnscope.model.cell import Array, CellSpec, LSTMOptions
from rnnscope.model.cells import CELLS
from rnnscope.model.network import Node

BIAS = "bias"
FOLDED = "bias + forget_bias"
AXES = {1: ("column",), 2: ("row", "column")}


def diff_weights(
    a: Checkpoint, b: Checkpoint, settings: DiffSettings | None = None, command: str = ""
) -> DiffResult:
    """Compare the recurrent layers of two checkpoints.

    Layers are matched by name, then by values, then by shape in the order of the files. A forget
    bias that a cell adds at run time is compared within the bias, since others keep it there.

    Raises
    ------
    CheckpointError
        One holds no recurrent layer.
    OptionError
        A tolerance is for a weight that there is not.
    """
    settings = settings or DiffSettings()
    for checkpoint in (a, b):
        if not checkpoint.network.recurrent:
            raise CheckpointError(
                "The file holds no recurrent layer that rnnscope reads.",
                where=checkpoint.path,
                hint=f"{spell_command('open_model', checkpoint.path)} lists everything the file "
                "holds",
            )
    pairs, rest_a, rest_b = _match(a.network.recurrent, b.network.recurrent)
    settings.tolerances.check_arrays(_weights_by_layer(pairs, rest_a))
    return DiffResult(
        a=_operand(a),
        b=_operand(b),
        tolerance=settings.tolerances.words(),
        layers=tuple(_diff_layer(one, other, how, settings) for one, other, how in pairs),
        only_a=tuple(node.name for node in rest_a),
        only_b=tuple(node.name for node in rest_b),
        command=command,
        kind="weights",
    )


def _weights_by_layer(
    pairs: Iterable[tuple[Node, Node, str]], rest: Iterable[Node]
) -> dict[str, list[str]]:
    """Names of all weights, by the layer's name in A."""
    names = {a.name: [*weights_of(_cell(a)), *weights_of(_cell(b))] for a, b, _ in pairs}
    return names | {node.name: list(weights_of(_cell(node))) for node in rest}


def _operand(checkpoint: Checkpoint) -> OperandReport:
    return OperandReport(
        str(checkpoint.path), checkpoint.format, checkpoint.framework, notes=checkpoint.notes
    )


def _match(
    a: tuple[Node, ...], b: tuple[Node, ...]
) -> tuple[list[tuple[Node, Node, str]], list[Node], list[Node]]:
    rest = list(b)
    pairs: dict[str, tuple[Node, Node, str]] = {}
    for how in ("by name", "by values", "by shape and order"):
        for node in a:
            if node.name in pairs:
                continue
            fitting = [other for other in rest if _fits(node, other, how)]
            if fitting:
                pairs[node.name] = (node, fitting[0], how)
                rest.remove(fitting[0])
    left = [node for node in a if node.name not in pairs]
    return [pairs[node.name] for node in a if node.name in pairs], left, rest


def _fits(a: Node, b: Node, how: str) -> bool:
    if how == "by name":
        return a.name == b.name
    one, other = weights_of(_cell(a)), weights_of(_cell(b))
    if {name: array.shape for name, array in one.items()} != {
        name: array.shape for name, array in other.items()
    }:
        return False
    if how == "by shape and order":
        return True
    kernels = [name for name in one if name.endswith("kernel")]
    return all(np.allclose(one[name], other[name], rtol=1e-3, atol=1e-5) for name in kernels)


def _cell(node: Node) -> CellSpec:
    layer = node.recurrent
    assert layer is not None, "only recurrent nodes are compared"
    return layer.cell


def weights_of(cell: CellSpec) -> dict[str, Array]:
    """A cell's arrays by name; of an LSTM the forget bias is added to its gate's bias."""
    weights = cell.weights
    arrays = {
        item.name: array
        for item in fields(weights)
        if item.name != "added_bias"  # a part of the bias, which is compared whole
        and isinstance(array := getattr(weights, item.name), np.ndarray)
    }
    added = _added_forget_bias(cell)
    if added is not None and BIAS in arrays:
        order = CELLS[cell.kind].gates
        bias = arrays.pop(BIAS).reshape(len(order), -1).copy()
        bias[order.index("f")] += added
        arrays[FOLDED] = bias.reshape(-1)
    return arrays


def _added_forget_bias(cell: CellSpec) -> float | None:
    options = cell.options
    return float(options.forget_bias.value) if isinstance(options, LSTMOptions) else None


def _diff_layer(a: Node, b: Node, how: str, settings: DiffSettings) -> LayerDiff:
    one, other = weights_of(_cell(a)), weights_of(_cell(b))
    gates = CELLS[_cell(a).kind].gates
    arrays = tuple(
        _diff_weight(a.name, name, one[name], other[name], gates, settings)
        for name in one
        if name in other
    )
    only_a = [OneSided(name, "A") for name in one if name not in other]
    only_b = [OneSided(name, "B") for name in other if name not in one]
    # Unlike a state that a file leaves out, a weight that one side lacks is a difference.
    options = [
        *_options(a, b),
        *(OptionDiff(weight.name, "there", "weights", "none", "weights") for weight in only_a),
        *(OptionDiff(weight.name, "none", "weights", "there", "weights") for weight in only_b),
    ]
    hints: tuple[str, ...] = ()
    if settings.hints and any(array.verdict == "differ" for array in arrays):
        hints = weight_hints(_cell(a), _cell(b), a.name, settings)
    return LayerDiff(a.name, b.name, how, arrays, tuple(options), (*only_a, *only_b), hints)


def _diff_weight(
    layer: str, name: str, a: Array, b: Array, gates: tuple[str, ...], settings: DiffSettings
) -> ArrayDiff:
    tolerance = settings.tolerances.of(layer, name, (a.dtype, b.dtype))
    if a.shape != b.shape:
        return ArrayDiff(
            name, "differ", (), a.shape, b.shape, str(a.dtype), str(b.dtype),
            tolerance=str(tolerance), problems=("the shapes differ",),
        )  # fmt: skip
    result = diff_arrays(
        name,
        AlignedArrays(LoadedArray(a), LoadedArray(b), None, coordinates_of(a.shape)),
        tolerance,
        equal_nan=settings.tolerances.equal_nan,
        fail_fast=settings.fail_fast,
        axes=AXES.get(a.ndim, tuple(f"axis {axis}" for axis in range(a.ndim))),
    )
    blocked = name.endswith("kernel") or name.startswith(BIAS)
    if result.first is None or not blocked or a.shape[-1] % len(gates):
        return result
    gate = gates[result.first.place[-1] // (a.shape[-1] // len(gates))]
    return replace(result, first=replace(result.first, gate=f"gate {gate}"))


def _options(a: Node, b: Node) -> list[OptionDiff]:
    """The options that differ; a forget bias is compared within the bias, and not here."""
    one, other = _option_values(a), _option_values(b)
    differing = []
    for name in [*one, *(name for name in other if name not in one)]:
        mine, theirs = one.get(name), other.get(name)
        if mine is not None and theirs is not None and mine[0] == theirs[0]:
            continue
        mine, theirs = mine or ("not there", ""), theirs or ("not there", "")
        differing.append(OptionDiff(name, _word(mine[0]), mine[1], _word(theirs[0]), theirs[1]))
    return differing


def _option_values(node: Node) -> Mapping[str, tuple[Any, str]]:
    layer = node.recurrent
    assert layer is not None, "only recurrent nodes are compared"
    values = {
        name: (option.value, option.origin)
        for name, option in layer.cell.options.items()
        if name != "forget_bias"
    }
    return {
        "cell": (layer.cell.kind, "weights"),
        **values,
        "direction": ("backward" if layer.backward.value else "forward", layer.backward.origin),
    }


def _word(value: object) -> str:
    return "none" if value is None else str(value)
