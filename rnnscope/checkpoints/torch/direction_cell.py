"""The cell of one direction of one layer of a recurrent module, from its tensors.

References
----------
torch/nn/modules/rnn.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnscope.checkpoints.torch.computed_weights import stored_names
from rnnscope.checkpoints.torch.module_names import (
    DeclaredModule,
    MisfitError,
    Module,
    ModuleDirection,
)
from rnnscope.files.arrays.loadable_arrays import LoadableArray
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

LSTM_GATES = ("i", "f", "g", "o")
GATES = {"LSTM": LSTM_GATES, "GRU": GRU_GATE_ORDER, "RNN": ("n",)}
KINDS = {4: "LSTM", 3: "GRU", 1: "RNN"}
"""Gates of a cell to its class."""

CELL_KINDS = {"LSTM": "lstm", "GRU": "gru", "RNN": "simple_rnn"}


def read_cell(direction: ModuleDirection, module: Module) -> CellSpec:
    """The cell of one direction of one layer.

    Raises
    ------
    MisfitError
        The tensors are not those of one of torch's cells; it names the one that is not.
    CheckpointError
        The file is damaged.
    """
    tensors = direction.tensors
    _require_complete(tensors)
    gates, wanted = _shapes(tensors)
    for role, array in tensors.items():
        fits = len(array.shape) == len(wanted[role]) and all(
            size in (None, found) for size, found in zip(wanted[role], array.shape, strict=True)
        )
        if not fits:
            raise _misfit(array, "does not fit the others", _shape_words(wanted[role]))
    arrays = _load(tensors)
    kind = KINDS[gates]
    if module.declared is not None:
        _require_declared(module.declared, kind, tensors["weight_hh"].name)
    class_name = f"torch nn.{kind}{'Cell' if module.is_cell else ''}"
    build = {"LSTM": _lstm, "GRU": _gru, "RNN": _rnn}[kind]
    weights, options = build(arrays, class_name)
    if kind == "RNN" and module.declared is not None:
        options = _declared_nonlinearity(module.declared) or options
    return CellSpec(
        kind=CELL_KINDS[kind],
        source_class=class_name,
        weights=weights,
        options=options,
        variables=tuple(name for array in tensors.values() for name in stored_names(array)),
        stored_gate_order=" ".join(GATES[kind]),
    )


def _require_complete(tensors: dict[str, LoadableArray]) -> None:
    some = next(iter(tensors.values())).name
    for role in ("weight_ih", "weight_hh"):
        if role not in tensors:
            raise MisfitError(
                f"has '{some}', but no {role} beside it",
                some,
                "weight_ih and weight_hh of every direction of every layer",
                ", ".join(array.name for array in tensors.values()),
                "it is none of torch's own modules, or the file holds a part of it only",
            )
    biases = [role for role in ("bias_ih", "bias_hh") if role in tensors]
    if len(biases) == 1:
        there = tensors[biases[0]].name
        missing = there.replace(biases[0], "bias_hh" if biases[0] == "bias_ih" else "bias_ih")
        raise MisfitError(
            f"has '{there}', but no '{missing}'",
            missing,
            "both biases, or none: torch never writes one alone",
            there,
            f"if the model has one bias only, add zeros of the same shape as '{missing}'; if not, "
            "the file has lost it",
        )


def _shapes(
    tensors: dict[str, LoadableArray],
) -> tuple[int, dict[str, tuple[int | None, ...]]]:
    """The number of gates, and the shape that each tensor has to have; None is any size."""
    hh = tensors["weight_hh"].shape
    hr = tensors["weight_hr"].shape if "weight_hr" in tensors else None
    known = len(hh) == 2 and (hr is None or len(hr) == 2)
    units = (hr[1] if hr is not None else hh[1]) if known else 0
    gates = hh[0] // units if units else 0
    if not known or gates not in KINDS or hh[0] != gates * units or (hr is not None and gates != 4):
        whole = known and units and hh[0] == gates * units
        raise _misfit(
            tensors["weight_hh"],
            f"has {gates} gates" if whole else "is of no cell of torch",
            "1, 3 or 4 times as many rows as the cell has units (RNN, GRU, LSTM)",
        )
    output = hr[0] if hr is not None else units
    return gates, {
        "weight_ih": (hh[0], None),
        "weight_hh": (hh[0], output),
        "bias_ih": (hh[0],),
        "bias_hh": (hh[0],),
        "weight_hr": (output, units),
    }


def _require_declared(declared: DeclaredModule, kind: str, tensor: str) -> None:
    """Refuse a cell whose tensors are not what its class says."""
    said = str(declared.settings.get("mode", ""))
    if not said:
        last = declared.class_name.rpartition(".")[2].removesuffix("Cell")
        said = last if last in CELL_KINDS else ""
    if said and said.split("_")[0] != kind:
        raise MisfitError(f"says that it is an {said}, but has the tensors of an {kind}", tensor)


def _declared_nonlinearity(declared: DeclaredModule) -> SimpleRNNOptions | None:
    mode = str(declared.settings.get("mode", ""))
    said = mode.partition("_")[2].lower() or str(declared.settings.get("nonlinearity", ""))
    if said not in ("tanh", "relu"):
        return None
    return SimpleRNNOptions(activation=Option(said, "config", "nonlinearity of the module"))


def _load(tensors: dict[str, LoadableArray]) -> dict[str, Array]:
    """All tensors of a direction in one dtype of floats; biases that are not there are zeros."""
    arrays = {role: tensor.load() for role, tensor in tensors.items()}
    for role, array in arrays.items():
        if array.dtype.kind != "f":
            raise _misfit(
                tensors[role], f"holds {array.dtype} values", "floats; it may be quantised"
            )
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
        added_bias=reorder_gates(arrays["bias_hh"], LSTM_GATES),
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
        added_bias=arrays["bias_hh"],
    )
    detail = f"default of {class_name}; nonlinearity='relu' is not stored"
    return weights, SimpleRNNOptions(activation=Option("tanh", "class default", detail))


def _misfit(array: LoadableArray, what: str, expected: str) -> MisfitError:
    return MisfitError(
        f"has '{array.name}' of shape {_shape_words(array.shape)}, which {what}",
        array.name,
        f"shape {expected}" if expected.startswith("(") else expected,
        f"shape {_shape_words(array.shape)}",
        "it is none of torch's own modules, or the file is damaged",
    )


def _shape_words(shape: tuple[int | None, ...]) -> str:
    return f"({', '.join('any' if size is None else str(size) for size in shape)})"
