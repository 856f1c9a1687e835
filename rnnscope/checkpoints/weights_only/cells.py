"""From the variables of one scope to a cell, by their roles and shapes alone.

What weights do not hold is the default of the class that the names tell (``class default``), or
of the usual class where they tell none (``guess``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rnnscope.checkpoints.weights_only.variables import Bag
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import (
    Array,
    CellSpec,
    LSTMOptions,
    LSTMWeights,
    Option,
    Origin,
    reorder_gates,
)
from rnnscope.model.cells.classes import CELL_CLASSES
from rnnscope.model.cells.coupled_lstm import (
    COUPLED_GATE_ORDER,
    CoupledLSTMOptions,
    CoupledLSTMWeights,
)
from rnnscope.model.cells.gru import GRUOptions, GRUWeights
from rnnscope.model.cells.layer_norm_lstm import LayerNormLSTMOptions, LayerNormLSTMWeights
from rnnscope.model.cells.simple_rnn import SimpleRNNOptions, SimpleRNNWeights

TF1_GATES = ("i", "g", "f", "o")
TF1_COUPLED_GATES = ("g", "f", "o")
NORM_PARTS = {"i": "input", "g": "transform", "f": "forget", "o": "output"}
"""LayerNormBasicLSTMCell's names of its gates."""

LAYER_NORM_EPSILON = 1e-12

OLD_BLOCK_CLIP = 3.0
"""What LSTMBlockCell clipped c at in TensorFlow 0.x and 1.0 unless told otherwise: the default
of its op's attribute, which the class did not set."""

Read = Callable[[str], Array]


@dataclass(frozen=True)
class RecognisedCell:
    """A cell, or why a scope that looks like one is none that rnnscope computes."""

    cell: CellSpec | None
    reason: str = ""


def tf1_cell(bag: Bag, class_name: str | None, read: Read) -> RecognisedCell:
    """The cell of TensorFlow 1 that a scope's variables make.

    Parameters
    ----------
    bag : Bag
    class_name : str or None
        The class that the scope names.
    read : callable
        ``read(name) -> ndarray``.
    """
    arrays = {role: _joined([_floats(read(name)) for name in names])
              for role, names in bag.roles.items()}  # fmt: skip
    if bag.has("gates_kernel"):
        made = _gru(arrays, class_name)
    elif bag.has("kernel", "state_gamma"):
        made = _layer_norm(arrays)
    elif class_name == "CoupledInputForgetGateLSTMCell":
        made = _coupled(arrays)
    elif class_name == "BasicRNNCell":
        made = _basic_rnn(arrays)
    elif bag.has("kernel", "bias"):
        arrays["kernel"] = _rejoined(bag, arrays, read)
        made = _lstm(arrays, class_name, old_block="W" in _lasts(bag))
    else:
        return RecognisedCell(None, "it has no kernel and bias of a cell")
    if isinstance(made, str):
        return RecognisedCell(None, made)
    kind, source_class, weights, options, order = made
    return RecognisedCell(CellSpec(kind, source_class, weights, options, bag.names, order))


_Parts = tuple[str, str, Any, Any, str]
"""kind, source class, weights, options, stored gate order."""


def _lstm(arrays: dict[str, Array], class_name: str | None, *, old_block: bool) -> _Parts | str:
    kernel, bias, projection = arrays["kernel"], arrays["bias"], arrays.get("projection")
    if kernel.ndim != 2 or kernel.shape[1] % 4 or bias.shape != (kernel.shape[1],):
        return f"its kernel {kernel.shape} and bias {bias.shape} are none of an LSTM"
    units = kernel.shape[1] // 4
    if projection is not None and (projection.ndim != 2 or projection.shape[0] != units):
        return f"its projection {projection.shape} does not fit {units} units"
    rows = kernel.shape[0] - (units if projection is None else projection.shape[1])
    if rows < 1:
        return f"its kernel {kernel.shape} leaves no rows for an input: it looks like a dense layer"
    peepholes = {gate: arrays.get(f"peephole_{gate}") for gate in "ifo"}
    if any(array is not None and array.shape != (units,) for array in peepholes.values()):
        return f"its peepholes do not fit {units} units"
    if class_name is None and any(array is not None for array in (projection, *peepholes.values())):
        class_name = "LSTMCell"  # no other class has them
    known = CELL_CLASSES.get(class_name or "LSTMCell", CELL_CLASSES["LSTMBlockCell"])
    options = known.options("guess" if class_name is None else "class default")
    if old_block:
        clip = Option[float | None](OLD_BLOCK_CLIP, "class default", "LSTMBlockCell before 1.1")
        options = LSTMOptions(**{**dict(options.items()), "cell_clip": clip})
    kernel = reorder_gates(kernel, TF1_GATES)
    weights = LSTMWeights(
        kernel=np.ascontiguousarray(kernel[:rows]),
        recurrent_kernel=np.ascontiguousarray(kernel[rows:]),
        bias=reorder_gates(bias, TF1_GATES),
        peephole_i=peepholes["i"],
        peephole_f=peepholes["f"],
        peephole_o=peepholes["o"],
        projection=projection,
    )
    return "lstm", class_name or "LSTM cell", weights, options, " ".join(TF1_GATES)


def _coupled(arrays: dict[str, Array]) -> _Parts | str:
    kernel, bias = arrays.get("kernel"), arrays.get("bias")
    if kernel is None or bias is None or kernel.ndim != 2 or kernel.shape[1] % 3:
        return "its kernel and bias are none of a CoupledInputForgetGateLSTMCell"
    units, projection = kernel.shape[1] // 3, arrays.get("projection")
    rows = kernel.shape[0] - (units if projection is None else projection.shape[1])
    if rows < 1 or bias.shape != (3 * units,):
        return f"its kernel {kernel.shape} and bias {bias.shape} do not fit each other"
    origin: Origin = "class default"
    detail = "default of CoupledInputForgetGateLSTMCell"
    kernel = _blocks(kernel, TF1_COUPLED_GATES, COUPLED_GATE_ORDER)
    weights = CoupledLSTMWeights(
        kernel=np.ascontiguousarray(kernel[:rows]),
        recurrent_kernel=np.ascontiguousarray(kernel[rows:]),
        bias=_blocks(bias, TF1_COUPLED_GATES, COUPLED_GATE_ORDER),
        peephole_f=arrays.get("peephole_f"),
        peephole_o=arrays.get("peephole_o"),
        projection=projection,
    )
    options = CoupledLSTMOptions(
        forget_bias=Option(1.0, origin, detail),
        activation=Option("tanh", origin, detail),
        recurrent_activation=Option("sigmoid", origin, detail),
        proj_clip=Option(None, origin, detail),
    )
    order = " ".join(TF1_COUPLED_GATES)
    return "coupled_lstm", "CoupledInputForgetGateLSTMCell", weights, options, order


def _layer_norm(arrays: dict[str, Array]) -> _Parts | str:
    kernel = arrays["kernel"]
    units = kernel.shape[-1] // 4
    wanted = [f"{part}_{norm}" for part in (*NORM_PARTS.values(), "state")
              for norm in ("gamma", "beta")]  # fmt: skip
    missing = [role for role in wanted if role not in arrays or arrays[role].shape != (units,)]
    rows = kernel.shape[0] - units
    if kernel.ndim != 2 or missing or rows < 1:
        return f"its kernel {kernel.shape} and scales do not fit each other"
    kernel = reorder_gates(kernel, TF1_GATES)
    gates = ("i", "f", "g", "o")
    weights = LayerNormLSTMWeights(
        kernel=np.ascontiguousarray(kernel[:rows]),
        recurrent_kernel=np.ascontiguousarray(kernel[rows:]),
        gamma=np.concatenate([arrays[f"{NORM_PARTS[gate]}_gamma"] for gate in gates]),
        beta=np.concatenate([arrays[f"{NORM_PARTS[gate]}_beta"] for gate in gates]),
        state_gamma=arrays["state_gamma"],
        state_beta=arrays["state_beta"],
    )
    origin: Origin = "class default"
    detail = "default of LayerNormBasicLSTMCell"
    options = LayerNormLSTMOptions(
        forget_bias=Option(1.0, origin, detail),
        activation=Option("tanh", origin, detail),
        recurrent_activation=Option("sigmoid", origin, detail),
        epsilon=Option(LAYER_NORM_EPSILON, origin, detail),
    )
    return "layer_norm_lstm", "LayerNormBasicLSTMCell", weights, options, " ".join(TF1_GATES)


def _gru(arrays: dict[str, Array], class_name: str | None) -> _Parts | str:
    gates, gates_bias = arrays["gates_kernel"], arrays.get("gates_bias")
    if gates.ndim != 2 or gates.shape[1] % 2 or gates_bias is None:
        return f"its gates' kernel {gates.shape} is none of a GRU"
    units = gates.shape[1] // 2
    rows = gates.shape[0] - units
    if rows < 1 or gates_bias.shape != (2 * units,):
        return f"its gates' kernel {gates.shape} and bias {gates_bias.shape} do not fit"
    cudnn = "candidate_hidden_kernel" in arrays
    if cudnn:
        roles = ("input_kernel", "hidden_kernel", "input_bias", "hidden_bias")
        parts = [arrays.get(f"candidate_{role}") for role in roles]
        shapes = [(rows, units), (units, units), (units,), (units,)]
    else:
        whole, bias = arrays.get("candidate_kernel"), arrays.get("candidate_bias")
        if whole is None or whole.shape != (rows + units, units):
            return "its candidate's kernel does not fit its gates'"
        parts = [whole[:rows], whole[rows:], bias]
        shapes = [(rows, units), (units, units), (units,)]
    if any(part is None or part.shape != shape for part, shape in zip(parts, shapes, strict=True)):
        return "its candidate's weights do not fit its gates'"
    x_part, m_part, bias_n = parts[:3]
    zeros = np.zeros(2 * units, gates.dtype)
    # Reset and update are stored in the order of GRU_GATE_ORDER.
    weights = GRUWeights(
        kernel=np.concatenate([gates[:rows], x_part], axis=1),
        recurrent_kernel=np.concatenate([gates[rows:], m_part], axis=1),
        bias=np.concatenate([gates_bias, bias_n]),
        recurrent_bias=np.concatenate([zeros, parts[3]]) if cudnn else None,
    )
    name = class_name or ("CudnnCompatibleGRUCell" if cudnn else "GRUCell")
    origin: Origin = "guess" if class_name is None else "class default"
    options = GRUOptions(
        activation=Option("tanh", origin, f"default of {name}"),
        recurrent_activation=Option("sigmoid", origin, f"default of {name}"),
        reset_after=Option(cudnn, "class default", name),
    )
    return "gru", name, weights, options, "r u | n"


def _basic_rnn(arrays: dict[str, Array]) -> _Parts | str:
    kernel, bias = arrays.get("kernel"), arrays.get("bias")
    if kernel is None or bias is None or kernel.ndim != 2 or bias.shape != kernel.shape[1:]:
        return "its kernel and bias are none of a BasicRNNCell"
    rows = kernel.shape[0] - kernel.shape[1]
    if rows < 1:
        return f"its kernel {kernel.shape} leaves no rows for an input"
    weights = SimpleRNNWeights(kernel[:rows], kernel[rows:], bias)
    options = SimpleRNNOptions(Option("tanh", "class default", "default of BasicRNNCell"))
    return "simple_rnn", "BasicRNNCell", weights, options, "none"


def _blocks(array: Array, stored: tuple[str, ...], wanted: tuple[str, ...]) -> Array:
    """Equal blocks on the last axis, from one order into another."""
    blocks = dict(zip(stored, np.split(array, len(stored), axis=-1), strict=True))
    return np.concatenate([blocks[gate] for gate in wanted], axis=-1)


def _joined(parts: list[Array], axis: int = 0) -> Array:
    """Shards and partitions, which lie along the first axis unless their shapes say otherwise."""
    if len(parts) == 1:
        return parts[0]
    if axis == 0 and len({part.shape[1:] for part in parts}) > 1:
        axis = 1
    fitting = {part.shape[:axis] + part.shape[axis + 1 :] for part in parts}
    # Parts that fit nowhere stay apart; their shape then fits no cell.
    return np.concatenate(parts, axis=axis) if len(fitting) == 1 else parts[0]


def _rejoined(bag: Bag, arrays: dict[str, Array], read: Read) -> Array:
    """The kernel, joined along its columns where only then the bias fits."""
    kernel, names = arrays["kernel"], bag.roles["kernel"]
    if len(names) > 1 and kernel.shape[1:] != arrays["bias"].shape:
        joined = _joined([_floats(read(name)) for name in names], axis=1)
        return joined if joined.shape[1:] == arrays["bias"].shape else kernel
    return kernel


def _lasts(bag: Bag) -> set[str]:
    return {name.rpartition("/")[2] for name in bag.names}


def _floats(array: Array) -> Array:
    """Half floats widened; what holds no floats fits no cell and is left to the shape checks."""
    if array.dtype.kind != "f":
        return np.zeros((0,), np.float32)
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float32)
