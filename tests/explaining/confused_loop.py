"""Recurrent networks one step of one sequence at a time, with every confusion as a parameter.

It is the judge of ``rnnscope explain`` and shares no code with rnnscope: plain numpy in float64,
one gate at a time, weights as a file stores them. `run` gives what somebody else's code would
compute who has confused what ``made`` says, by the ids and words of the explanations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]
Made = Mapping[str, str]
"""What is confused: a word for each id, for example ``{"gate-order": "i o f g"}``."""

ACTIVATIONS = {
    "tanh": np.tanh,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "hard_sigmoid": lambda z: np.minimum(1, np.maximum(0, 0.2 * z + 0.5)),
    "hard_sigmoid_keras3": lambda z: np.minimum(1, np.maximum(0, z / 6 + 0.5)),
    "relu": lambda z: np.maximum(z, 0),
    "linear": lambda z: z,
    "softsign": lambda z: z / (1 + np.abs(z)),
    "softmax": lambda z: np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True),
}


@dataclass(frozen=True, eq=False)
class Cell:
    """A cell as its file stores it, but for transposition: kernels are (rows, blocks of columns).

    Attributes
    ----------
    order : str
        The gates of the stored blocks: ``"ifgo"`` (PyTorch, Keras), ``"igfo"`` (TensorFlow 1),
        ``"iofg"`` (ONNX), or ``"rzn"``, ``"zrn"`` of a GRU.
    stored : str
        Who stores it, which says how the bytes of its kernels lie: torch and onnx store them the
        other way round.
    """

    order: str
    stored: str
    kernel: Array
    recurrent: Array
    bias: Array
    recurrent_bias: Array | None = None
    peepholes: Mapping[str, Array] | None = None
    projection: Array | None = None
    forget_bias: float = 0.0
    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    output_activation: str = "tanh"
    cell_clip: float | None = None
    proj_clip: float | None = None
    gate_clip: float | None = None
    reset_after: bool = True
    backward: bool = False
    in_input_order: bool = True

    @property
    def gru(self) -> bool:
        return "r" in self.order

    @property
    def units(self) -> int:
        return self.kernel.shape[1] // len(self.order)

    @property
    def width(self) -> int:
        return self.units if self.projection is None else self.projection.shape[1]


@dataclass(frozen=True, eq=False)
class Model:
    """Levels of one cell, or of a forward and a backward one; what stands before and behind.

    Attributes
    ----------
    padding : str
        What the outputs past a sequence's length are: ``"zeros"`` or ``"hold"``.
    masking : bool
        Steps of zeros alone are masked, by a layer of the file.
    dense : tuple of ndarray, ndarray, str, optional
        Kernel, bias and activation of a layer behind the last level.
    others : mapping of str to Model
        What else the files hold: moving averages, other steps of the training.
    """

    levels: tuple[tuple[Cell, ...], ...]
    padding: str = "zeros"
    masking: bool = False
    embedding: Array | None = None
    dense: tuple[Array, Array, str] | None = None
    others: Mapping[str, Model] = field(default_factory=dict)


@dataclass
class Layer:
    """What a cell computed: arrays (sequence, timestep, unit), final ones (sequence, unit)."""

    c: Array
    m: Array
    outputs: Array
    final_c: Array
    final_m: Array
    order: Array
    """(sequence, timestep): the timestep that was taken in each place."""


class States(NamedTuple):
    """Levels of layers; the outputs of the last level, merged; what the dense layer makes of them.

    ``outputs`` (sequence, timestep, unit); ``last`` (sequence, unit), the final m of the last
    level; ``dense`` and ``last_dense`` of each, None without one.
    """

    levels: list[list[Layer]]
    outputs: Array
    last: Array
    dense: Array | None
    last_dense: Array | None
    logits: Array | None


def run(model: Model, x: Array, lengths: Any = None, made: Made | None = None) -> States:
    """What code computes that has confused `made`.

    Parameters
    ----------
    model : Model
    x : ndarray (sequence, timestep, feature), or ids (sequence, timestep)
    lengths : sequence of int, optional
    made : mapping of str to str
    """
    made = made or {}
    model = _other_variables(model, made)
    levels = _other_levels(model, made)
    x, valid = _input(model, x, lengths, made)
    padding = {"held": "hold", "zeroed": "zeros"}.get(made.get("mask", ""), model.padding)
    layers: list[list[Layer]] = []
    for level in levels:
        layers.append([_layer(cell, x, valid, padding, made) for cell in level])
        x = np.concatenate([layer.outputs for layer in layers[-1]], axis=-1)
    return _report(model, layers, made)


# What is read: other variables, weights of other places, bytes in another order.


def _other_variables(model: Model, made: Made) -> Model:
    for name in ("variables", "checkpoint-step"):
        if name in made:
            model = model.others[made[name]]
    return model


def _other_levels(model: Model, made: Made) -> list[list[Cell]]:
    levels = [list(level) for level in model.levels]
    if "layer-order" in made:
        levels = [levels[int(number) - 1] for number in made["layer-order"].split()]
    if made.get("directions") == "swapped":
        levels = [
            [replace(cell, backward=place == 1) for place, cell in enumerate(level[::-1])]
            for level in levels
        ]
    if made.get("reversed") == "not reversed":
        levels = [[replace(cell, backward=False) for cell in level] for level in levels]
    return [[misread(cell, made) for cell in level] for level in levels]


def misread(cell: Cell, made: Made) -> Cell:
    """The cell as it is read where its bytes, rows, biases, blocks or options are confused."""
    kernel, recurrent = _kernels(cell, made)
    bias, other = cell.bias, cell.recurrent_bias
    which = made.get("bias")
    if which == "none":
        bias, other = 0 * bias, None if other is None else 0 * other
    elif which == "doubled":
        bias, other = 2 * bias, None if other is None else 2 * other
    elif which == "input bias only":
        other = 0 * other
    elif which == "recurrent bias only":
        bias = 0 * bias
    if "dtype" in made and made["dtype"].endswith("weights"):
        kind = made["dtype"].split()[0]
        kernel, recurrent, bias = (rounded(a, kind) for a in (kernel, recurrent, bias))
        other = None if other is None else rounded(other, kind)
    kernel, recurrent, bias, other = _blocks(cell, made, kernel, recurrent, bias, other)
    return replace(
        cell,
        kernel=kernel,
        recurrent=recurrent,
        bias=bias,
        recurrent_bias=other,
        peepholes=_peepholes(cell, made),
        projection=_projection(cell, made),
        **_options(cell, made),
    )


def _wrong_way(cell: Cell, matrix: Array) -> Array:
    """The matrix whose bytes, as the file has them, are taken for those of the transposed shape."""
    if cell.stored in ("torch", "onnx"):
        return np.ascontiguousarray(matrix.T).reshape(matrix.shape)
    return np.ascontiguousarray(matrix).reshape(matrix.shape[::-1]).T


def _kernels(cell: Cell, made: Made) -> tuple[Array, Array]:
    kernel, recurrent = cell.kernel, cell.recurrent
    which = made.get("transposed")
    whole = cell.stored == "tf1" and not cell.gru
    if which == "both" and whole:
        kernel, recurrent = np.split(
            _wrong_way(cell, np.concatenate([kernel, recurrent])), [len(kernel)]
        )
    elif which == "both":
        kernel, recurrent = _wrong_way(cell, kernel), _wrong_way(cell, recurrent)
    elif which == "kernel":
        kernel = _wrong_way(cell, kernel)
    elif which == "recurrent kernel":
        recurrent = _wrong_way(cell, recurrent)
    elif which == "recurrent kernel, gate by gate":
        blocks = np.split(recurrent, len(cell.order), axis=1)
        recurrent = np.concatenate([block.T for block in blocks], axis=1)
    if made.get("kernel-rows") == "[m; x]":
        recurrent, kernel = np.split(np.concatenate([kernel, recurrent]), [len(recurrent)])
    return kernel, recurrent


def _blocks(cell: Cell, made: Made, *arrays: Array | None) -> list[Array | None]:
    """The arrays with their blocks where the stored order has them, as they are understood."""
    if "gate-order" not in made:
        return list(arrays)
    words = made["gate-order"]
    order = words.partition("(")[0].replace(" ", "")
    kept = []
    for number, array in enumerate(arrays):
        is_bias = number >= 2
        if array is None or ("bias only" in words and not is_bias) or (
            "kernels only" in words and is_bias
        ):  # fmt: skip
            kept.append(array)
            continue
        # Block number k is taken for the gate order[k].
        taken = dict(zip(order, np.split(array, len(order), axis=-1), strict=True))
        kept.append(np.concatenate([taken[gate] for gate in cell.order], axis=-1))
    return kept


def _peepholes(cell: Cell, made: Made) -> Mapping[str, Array] | None:
    if cell.peepholes is None or made.get("peepholes") == "ignored":
        return None
    if made.get("peepholes", "").startswith("order"):
        taken = made["peepholes"].split()[1:]
        return {gate: cell.peepholes[other] for gate, other in zip("ifo", taken, strict=True)}
    return cell.peepholes


def _projection(cell: Cell, made: Made) -> Array | None:
    if cell.projection is not None and made.get("projection") == "transposed":
        return _wrong_way(cell, cell.projection)
    return cell.projection


def _options(cell: Cell, made: Made) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if "forget-bias" in made:
        options["forget_bias"] = float(made["forget-bias"])
    for name in ("cell-clip", "proj-clip", "gate-clip"):
        if name in made:
            bound = None if made[name] == "none" else float(made[name])
            options[name.replace("-", "_")] = bound
    if "activation" in made:
        options["activation"] = made["activation"].removesuffix(" (candidate only)")
        if "candidate only" not in made["activation"]:
            options["output_activation"] = options["activation"]
    if "output-activation" in made:
        options["output_activation"] = made["output-activation"]
    if "recurrent-activation" in made:
        options["recurrent_activation"] = made["recurrent-activation"]
    if "reset-after" in made:
        options["reset_after"] = made["reset-after"] == "true"
    return options


# The input.


def _input(model: Model, x: Array, lengths: Any, made: Made) -> tuple[Array, Array]:
    """The input as it is fed, and which of its steps count."""
    ids = x if model.embedding is not None else None
    if ids is not None:
        x = _embedded(model.embedding, ids, made.get("embedding"))
    x = np.asarray(x, np.float64)
    steps = x.shape[1]
    if model.masking:
        lengths = [int(np.max(np.flatnonzero(row.any(axis=1)) + 1, initial=0)) for row in x]
    if lengths is None:
        lengths = [steps] * len(x)
    lengths = _lengths(np.asarray(lengths), steps, made)
    x = _columns_and_scale(x, made)
    x, lengths = _turned_input(x, lengths, made)
    if "ignored" in (made.get("lengths"), made.get("mask")) or made.get("left-padding") == "true":
        lengths = np.full(len(x), x.shape[1])
    return x, np.arange(x.shape[1]) < lengths[:, None]


def _embedded(table: Array, ids: Array, how: str | None) -> Array:
    if how == "ids clipped":
        ids = np.minimum(ids, len(table) - 2)
    elif how:
        shift = 1 if how == "ids + 1" else -1
        ids = ids + shift
    rows = np.where((ids >= 0) & (ids < len(table)), ids, 0)
    return np.where(((ids >= 0) & (ids < len(table)))[..., None], table[rows], 0)


def _lengths(lengths: Array, steps: int, made: Made) -> Array:
    words = made.get("lengths", "")
    if words == "one less":
        return np.maximum(lengths - 1, 0)
    if words == "one more":
        return np.minimum(lengths + 1, steps)
    if words and words != "ignored":
        return np.array([int(word) for word in words.split(",")])
    return lengths


def _columns_and_scale(x: Array, made: Made) -> Array:
    if "input-columns" in made:
        x = x[..., [int(word) for word in made["input-columns"].split()]]
    if "input-scale" in made:
        words = made["input-scale"].replace(",", "").split()
        numbers = dict(zip(words[::2], map(float, words[1::2]), strict=True))
        x = numbers.get("factor", 1) * x + numbers.get("offset", 0)
    return x


def _turned_input(x: Array, lengths: Array, made: Made) -> tuple[Array, Array]:
    turned = made.get("reversed")
    if turned == "whole":
        x = x[:, ::-1]
    elif turned == "within length":
        x = x.copy()
        for row, length in zip(x, lengths, strict=True):
            row[:length] = row[:length][::-1].copy()
    if "(x)" in made.get("shift", ""):
        moved = np.zeros_like(x)
        if "late" in made["shift"]:
            moved[:, 1:] = x[:, :-1]
        else:
            moved[:, :-1] = x[:, 1:]
        x = moved
    if made.get("left-padding") == "true":
        moved = np.zeros_like(x)
        for old, new, length in zip(x, moved, lengths, strict=True):
            new[len(new) - length :] = old[:length]
        x = moved
    if made.get("time-major") == "input":
        x = x.transpose(1, 0, 2)
        lengths = np.full(len(x), x.shape[1])
    elif made.get("time-major") == "input reshaped":
        x = x.reshape(x.shape[1], x.shape[0], -1).transpose(1, 0, 2)
    return x, lengths


# The steps.


def _layer(cell: Cell, x: Array, valid: Array, padding: str, made: Made) -> Layer:
    batch, steps = valid.shape
    m_width = cell.units if made.get("projection") == "ignored" else cell.width
    made_arrays = {
        name: np.zeros((batch, steps, width))
        for name, width in (("c", cell.units), ("m", m_width), ("outputs", m_width))
    }
    final = {"c": np.zeros((batch, cell.units)), "m": np.zeros((batch, m_width))}
    order = np.tile(np.arange(steps), (batch, 1))
    state = _first_state(cell, made)
    for n in range(batch):
        if made.get("state-carry") != "kept from the sequence before":
            state = _first_state(cell, made)
        end = int(valid[n].sum())
        if cell.backward:
            order[n, :end] = np.arange(end)[::-1]
        output, shown = np.zeros(m_width), _shown(state, cell, made)
        for place, t in enumerate(order[n]):
            if valid[n, t]:
                state, shown = _step(cell, x[n, t], _carried(state, cell, place, made), made)
                output = shown
            elif padding == "zeros":
                output = np.zeros(m_width)
            made_arrays["c"][n, t], made_arrays["m"][n, t] = state[0], shown
            where = (
                t if cell.in_input_order and made.get("turned-outputs") != "not turned" else place
            )
            if made.get("turned-outputs") == "turned":
                where = t
            made_arrays["outputs"][n, where] = output
        final["c"][n], final["m"][n] = state[0], shown
    return Layer(
        made_arrays["c"], made_arrays["m"], made_arrays["outputs"], final["c"], final["m"], order
    )


def _first_state(cell: Cell, made: Made) -> tuple[Array, Array]:
    words = made.get("initial-state", "0")
    if words == "solved":
        rng = np.random.default_rng(99)
        return rng.normal(size=cell.units), rng.uniform(-0.9, 0.9, cell.width)
    value = 1.0 if words == "ones" else float(words)
    return np.full(cell.units, value), np.full(cell.width, value)


def _shown(state: tuple[Array, Array], cell: Cell, made: Made) -> Array:
    if made.get("projection") == "ignored":
        return np.zeros(cell.units)
    return state[1]


def _carried(state: tuple[Array, Array], cell: Cell, place: int, made: Made) -> tuple[Array, Array]:
    """The state that a step starts from."""
    how = made.get("state-carry")
    c, m = state
    if how is None or place == 0:
        return state
    if how == "c and m swapped":
        return m, c
    never = how == "never" or (how.startswith("reset every") and place % int(how.split()[2]) == 0)
    zero_c = never or how == "c never"
    zero_m = never or how == "m never"
    return (0 * c if zero_c else c), (0 * m if zero_m else m)


def _step(
    cell: Cell, x: Array, state: tuple[Array, Array], made: Made
) -> tuple[tuple[Array, Array], Array]:
    """The new (c, m), and the m that is shown."""
    c, m, shown = (_gru_step if cell.gru else _lstm_step)(cell, x, state, made)
    if "dtype" in made and made["dtype"].endswith("states"):
        kind = made["dtype"].split()[0]
        c, m, shown = (rounded(array, kind) for array in (c, m, shown))
    return (c, m), shown


def _lstm_step(
    cell: Cell, x: Array, state: tuple[Array, Array], made: Made
) -> tuple[Array, Array, Array]:
    c_before, m_before = state
    act, rec, out = (
        ACTIVATIONS[name]
        for name in (cell.activation, cell.recurrent_activation, cell.output_activation)
    )
    bias = cell.bias if cell.recurrent_bias is None else cell.bias + cell.recurrent_bias
    z = dict(
        zip(
            cell.order,
            np.split(x @ cell.kernel + m_before @ cell.recurrent + bias, 4),
            strict=True,
        )
    )
    z["f"] = z["f"] + cell.forget_bias
    peepholes = cell.peepholes or {}
    for gate in "if":
        if gate in peepholes:
            z[gate] = z[gate] + peepholes[gate] * c_before

    i = rec(_clipped(z["i"], cell.gate_clip))
    f = rec(_clipped(z["f"], cell.gate_clip))
    g = act(_clipped(z["g"], cell.gate_clip))
    unclipped = f * c_before + i * g
    c = _clipped(unclipped, cell.cell_clip)
    if "o" in peepholes:
        seen = {"o sees the unclipped c": unclipped, "o sees the previous c": c_before}
        z["o"] = z["o"] + peepholes["o"] * seen.get(made.get("peepholes", ""), c)
    o = rec(_clipped(z["o"], cell.gate_clip))
    m = o * out(c)
    shown = m
    if cell.projection is not None:
        m = _clipped(m @ cell.projection, cell.proj_clip)
        shown = shown if made.get("projection") == "ignored" else m
    return c, m, shown


def _gru_step(
    cell: Cell, x: Array, state: tuple[Array, Array], made: Made
) -> tuple[Array, Array, Array]:
    _, m_before = state
    act, rec = ACTIVATIONS[cell.activation], ACTIVATIONS[cell.recurrent_activation]
    zeros = np.zeros(3 * cell.units)
    bias = zeros if cell.recurrent_bias is None else cell.recurrent_bias
    of_x = dict(zip(cell.order, np.split(x @ cell.kernel + cell.bias, 3), strict=True))
    kernels = dict(zip(cell.order, np.split(cell.recurrent, 3, axis=1), strict=True))
    biases = dict(zip(cell.order, np.split(bias, 3), strict=True))

    r, z = (
        rec(_clipped(of_x[gate] + m_before @ kernels[gate] + biases[gate], cell.gate_clip))
        for gate in "rz"
    )
    if cell.reset_after:
        inner = of_x["n"] + r * (m_before @ kernels["n"] + biases["n"])
    else:
        inner = of_x["n"] + (r * m_before) @ kernels["n"] + biases["n"]
    n = act(_clipped(inner, cell.gate_clip))
    if made.get("update-gate") == "1 - z":
        z = 1 - z
    m = z * m_before + (1 - z) * n
    return m, m, m


def _clipped(value: Array, bound: float | None) -> Array:
    return value if bound is None else np.clip(value, -bound, bound)


def rounded(array: Array, kind: str) -> Array:
    """The array rounded to float16 or bfloat16, in float64."""
    if kind == "float16":
        return np.asarray(array, np.float16).astype(np.float64)
    bits = np.asarray(array, np.float32).view(np.uint32)
    # To the nearest, ties to even.
    bits = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    return (bits & np.uint32(0xFFFF0000)).view(np.float32).astype(np.float64)


# What is handed over.


def _report(model: Model, layers: list[list[Layer]], made: Made) -> States:
    for level in layers:
        for layer in level:
            _misreport(layer, made)
    outputs = np.concatenate([layer.outputs for layer in layers[-1]], axis=-1)
    last = np.concatenate([layer.final_m for layer in layers[-1]], axis=-1)
    if model.dense is None:
        return States(layers, outputs, last, None, None, None)
    kernel, bias, activation = model.dense
    function, logits = ACTIVATIONS[activation], outputs @ kernel + bias
    return States(layers, outputs, last, function(logits), function(last @ kernel + bias), logits)


def _misreport(layer: Layer, made: Made) -> None:
    if made.get("last-step") == "last of the array":
        layer.final_m = layer.outputs[:, -1].copy()
    if made.get("turned-outputs") == "not turned":
        for name in ("c", "m"):
            array = getattr(layer, name)
            setattr(layer, name, np.take_along_axis(array, layer.order[..., None], axis=1))
    words = made.get("shift", "")
    if words and "(x)" not in words:
        for name in ("c", "m", "outputs"):
            array = getattr(layer, name)
            moved = np.zeros_like(array)
            if "late" in words:
                moved[:, 1:] = array[:, :-1]
            else:
                moved[:, :-1] = array[:, 1:]
            setattr(layer, name, moved)
    if made.get("state-order") == "c and m swapped":
        layer.c, layer.m = layer.m, layer.c
        layer.final_c, layer.final_m = layer.final_m, layer.final_c
