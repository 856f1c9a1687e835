"""Recurrent modules among the tensors of a PyTorch state dict, found by name and shape.

``nn.LSTM``, ``nn.GRU`` and ``nn.RNN`` name their tensors ``weight_ih_l0``, ``weight_hh_l0``,
``bias_ih_l0``, ``bias_hh_l0``, ``weight_hr_l0`` (proj_size), each with ``_reverse`` for the second
direction; their cells the same without ``_l0``. The number of gates tells the class.

References
----------
torch/nn/modules/rnn.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rnnscope.errors import CheckpointError
from rnnscope.files.loadable_arrays import LoadableArray
from rnnscope.model.cell import (
    IN_BIAS,
    NO_CLIP,
    Array,
    CellSpec,
    LSTMOptions,
    LSTMWeights,
    Option,
    only_choice,
    reorder_gates,
)
from rnnscope.model.cells.gru import GRU_GATE_ORDER, GRUOptions, GRUWeights
from rnnscope.model.cells.simple_rnn import SimpleRNNOptions, SimpleRNNWeights

TENSOR = re.compile(
    r"(?P<module>|.*[./])(?P<role>(?:weight|bias)_(?:ih|hh)|weight_hr)"
    r"(?:_l(?P<layer>\d{1,4})(?P<reverse>_reverse)?)?"
)
"""A tensor of a recurrent module, whose name may be empty. A slash stands behind the name of a dict
that holds state dicts."""

LSTM_GATES = ("i", "f", "g", "o")
GATES = {"LSTM": LSTM_GATES, "GRU": GRU_GATE_ORDER, "RNN": ("n",)}
KINDS = {4: "LSTM", 3: "GRU", 1: "RNN"}
"""Gates of a cell to its class."""


@dataclass
class ModuleDirection:
    """The tensors of one direction of one layer, by role."""

    tensors: dict[str, LoadableArray] = field(default_factory=dict)


@dataclass
class Module:
    """A recurrent module.

    Attributes
    ----------
    name : str
        Its name in the state dict, without the dot; empty if it is the whole model.
    is_cell : bool
        ``nn.LSTMCell`` and its kin: no layers, no second direction.
    layers : dict of (layer, reverse) to ModuleDirection
    """

    name: str
    is_cell: bool
    layers: dict[tuple[int, bool], ModuleDirection] = field(default_factory=dict)


def find_modules(arrays: Iterable[LoadableArray]) -> list[Module]:
    """The recurrent modules, in the order of their first tensors."""
    found: dict[tuple[str, bool], Module] = {}
    for array in arrays:
        match = TENSOR.fullmatch(array.name)
        if match is None:
            continue
        name, is_cell = match["module"].rstrip("./"), match["layer"] is None
        module = found.setdefault((name, is_cell), Module(name, is_cell))
        place = (int(match["layer"] or 0), bool(match["reverse"]))
        module.layers.setdefault(place, ModuleDirection()).tensors[match["role"]] = array
    return [
        module for module in found.values()
        if all({"weight_ih", "weight_hh"} <= set(d.tensors) for d in module.layers.values())
        and (0, False) in module.layers
    ]  # fmt: skip


def read_cell(direction: ModuleDirection, module: Module, where: object) -> CellSpec:
    """The cell of one direction of one layer.

    Raises
    ------
    CheckpointError
        Shapes do not fit each other; it names the tensor.
    """
    tensors = direction.tensors
    shapes = {role: array.shape for role, array in tensors.items()}
    hh, hr = shapes["weight_hh"], shapes.get("weight_hr")
    known = len(hh) == 2 and (hr is None or len(hr) == 2)
    units = (hr[1] if hr is not None else hh[1]) if known else 0
    gates = hh[0] // units if units else 0
    if not known or gates not in KINDS or hh[0] != gates * units or (hr is not None and gates != 4):
        raise _misfit(tensors["weight_hh"], "1, 3 or 4 times as many rows as columns", where)
    output = hr[0] if hr is not None else units
    wanted: dict[str, tuple[int | None, ...]] = {
        "weight_ih": (hh[0], None),
        "weight_hh": (hh[0], output),
        "bias_ih": (hh[0],),
        "bias_hh": (hh[0],),
        "weight_hr": (output, units),
    }
    for role, shape in shapes.items():
        fits = len(shape) == len(wanted[role]) and all(
            size in (None, found) for size, found in zip(wanted[role], shape, strict=True)
        )
        if not fits:
            raise _misfit(tensors[role], str(wanted[role]), where)
    arrays = _load(tensors)
    kind = KINDS[gates]
    build = {"LSTM": _lstm, "GRU": _gru, "RNN": _rnn}[kind]
    class_name = f"torch nn.{kind}{'Cell' if module.is_cell else ''}"
    weights, options = build(arrays, class_name)
    return CellSpec(
        kind={"LSTM": "lstm", "GRU": "gru", "RNN": "simple_rnn"}[kind],
        source_class=class_name,
        weights=weights,
        options=options,
        variables=tuple(array.name for array in tensors.values()),
        stored_gate_order=" ".join(
            {"LSTM": LSTM_GATES, "GRU": GRU_GATE_ORDER, "RNN": ("n",)}[kind]
        ),
    )


def _load(tensors: dict[str, LoadableArray]) -> dict[str, Array]:
    """All tensors of a direction in one dtype of floats; biases that are not there are zeros."""
    arrays = {role: tensor.load() for role, tensor in tensors.items()}
    for role, array in arrays.items():
        if array.dtype not in (np.float32, np.float64):
            arrays[role] = array.astype(np.float32)
    dtype = np.result_type(*(array.dtype for array in arrays.values()))
    rows = len(arrays["weight_ih"])
    for role in ("bias_ih", "bias_hh"):
        arrays.setdefault(role, np.zeros(rows, dtype))
    return {role: array.astype(dtype, copy=False) for role, array in arrays.items()}


def _lstm(arrays: dict[str, Array], class_name: str) -> tuple[Any, Any]:
    projection = arrays.get("weight_hr")
    weights = LSTMWeights(
        kernel=reorder_gates(arrays["weight_ih"].T, LSTM_GATES),
        recurrent_kernel=reorder_gates(arrays["weight_hh"].T, LSTM_GATES),
        bias=reorder_gates(arrays["bias_ih"] + arrays["bias_hh"], LSTM_GATES),
        projection=None if projection is None else np.ascontiguousarray(projection.T),
    )
    detail = f"{class_name} has no other"
    options = LSTMOptions(
        forget_bias=IN_BIAS,
        activation=only_choice("tanh", detail),
        recurrent_activation=only_choice("sigmoid", detail),
        output_activation=only_choice("tanh", detail),
        cell_clip=NO_CLIP,
        proj_clip=NO_CLIP,
    )
    return weights, options


def _gru(arrays: dict[str, Array], class_name: str) -> tuple[Any, Any]:
    kernel, recurrent, bias, recurrent_bias = (
        reorder_gates(array, GRU_GATE_ORDER, order=GRU_GATE_ORDER)
        for array in (
            arrays["weight_ih"].T, arrays["weight_hh"].T, arrays["bias_ih"], arrays["bias_hh"]
        )
    )  # fmt: skip
    detail = f"{class_name} has no other"
    options = GRUOptions(
        activation=only_choice("tanh", detail),
        recurrent_activation=only_choice("sigmoid", detail),
        reset_after=only_choice(True, detail),
    )
    return GRUWeights(kernel, recurrent, bias, recurrent_bias), options


def _rnn(arrays: dict[str, Array], class_name: str) -> tuple[Any, Any]:
    weights = SimpleRNNWeights(
        kernel=np.ascontiguousarray(arrays["weight_ih"].T),
        recurrent_kernel=np.ascontiguousarray(arrays["weight_hh"].T),
        bias=arrays["bias_ih"] + arrays["bias_hh"],
    )
    detail = f"default of {class_name}; nonlinearity='relu' is not stored"
    return weights, SimpleRNNOptions(activation=Option("tanh", "class default", detail))


def _misfit(array: LoadableArray, expected: str, where: object) -> CheckpointError:
    return CheckpointError(
        "A tensor of a recurrent module does not fit the others.",
        where=f"{where}: {array.name}",
        expected=f"shape {expected}",
        found=f"shape {array.shape}",
        hint="the file is damaged, or the module is none of torch's own",
    )
