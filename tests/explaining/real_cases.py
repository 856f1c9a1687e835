"""Mistakes that people made and wrote about, rebuilt small: model, input, and their numbers.

Each case is a saved model in the thread's own format and what the program of its author computed.
The programs here are plain loops, as those in C, Rust and JavaScript were; where a framework was
the program, its own numbers lie in ``tests/data/explain``, whose ``make.py`` tells how they came
about. Nothing is computed by rnnscope.
"""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx_files

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data" / "explain"
SAMPLE = ROOT / "sample_data" / "lstm_float64"


@dataclass(frozen=True)
class Given:
    """What `explain` is asked about; `right` is what the program says once it is mended."""

    checkpoint: Path
    input: Any
    reference: Any
    options: dict[str, Any] = field(default_factory=dict)
    right: dict[str, Any] | None = None


@dataclass(frozen=True)
class RealCase:
    """A thread, how its files are made in a folder, and what is right of it.

    Attributes
    ----------
    reading : tuple of (str, str)
        Ids and values; empty where nothing explains the numbers.
    words : tuple of str
        Must stand in what is said to the other side.
    """

    name: str
    thread: str
    make: Callable[[Path], Given]
    reading: tuple[tuple[str, str], ...]
    words: tuple[str, ...] = ()

    def __str__(self):
        return self.name


# The programs


def sigmoid(z):
    return (1 / (1 + np.exp(-z))).astype(z.dtype)


def hard_sigmoid(z):
    return np.clip(z.dtype.type(0.2) * z + z.dtype.type(0.5), 0, 1)


def program(
    x,
    w_ih,
    w_hh,
    bias,
    blocks="ifgo",
    *,
    blocks_of_x=None,
    gate=sigmoid,
    carry=True,
    calls=0,
    start=None,
):
    """An LSTM over one sequence, (timestep, feature): c and m of every step.

    `blocks` says what the program takes the four blocks of rows for, which may be wrong;
    `blocks_of_x` those of `w_ih` alone; without `carry` every step begins with zeros, and every
    `calls` steps if there are several calls.
    """
    units = w_hh.shape[1]
    c, m = start or (np.zeros(units, x.dtype),) * 2
    kept = {"c": [], "m": []}
    for step, row in enumerate(x):
        if not carry or (calls and step % calls == 0):
            c = m = np.zeros(units, x.dtype)
        of_x = dict(zip(blocks_of_x or blocks, (w_ih @ row).reshape(4, units), strict=True))
        of_m = dict(zip(blocks, (w_hh @ m + bias).reshape(4, units), strict=True))
        z = {name: of_x[name] + of_m[name] for name in "ifgo"}
        c = gate(z["f"]) * c + gate(z["i"]) * np.tanh(z["g"])
        m = gate(z["o"]) * np.tanh(c)
        kept["c"].append(c)
        kept["m"].append(m)
    return {name: np.stack(rows) for name, rows in kept.items()}


def gru(x, w_ih, w_hh, b_ih, b_hh, candidate_of="n"):
    """A GRU of torch over one sequence: m of every step; blocks are r, z, n.

    `candidate_of` is the block whose product with m goes into the candidate.
    """
    units = w_hh.shape[1]
    m, rows = np.zeros(units, x.dtype), []
    for row in x:
        of_x = dict(zip("rzn", (w_ih @ row + b_ih).reshape(3, units), strict=True))
        of_m = dict(zip("rzn", (w_hh @ m + b_hh).reshape(3, units), strict=True))
        r, z = sigmoid(of_x["r"] + of_m["r"]), sigmoid(of_x["z"] + of_m["z"])
        m = z * m + (1 - z) * np.tanh(of_x["n"] + r * of_m[candidate_of])
        rows.append(m)
    return np.stack(rows)


def both_ways(x, weights, blocks="ifgo"):
    """Outputs of two directions side by side; `weights` are (w_ih, w_hh, bias) of each."""
    forward, backward = (
        program(steps, *one, blocks)["m"] for steps, one in zip((x, x[::-1]), weights, strict=True)
    )
    return np.concatenate([forward, backward[::-1]], axis=1)


# Models


def draw(seed, *shapes):
    """Arrays far from zero, so that no mistake in reading them can hide."""
    rng = np.random.default_rng(seed)
    return [rng.normal(scale=0.7, size=shape).astype(np.float32) for shape in shapes]


def torch_weights(seed, features, units):
    """w_ih, w_hh, b_ih and b_hh of one direction, blocks in torch's order i f g o."""
    return draw(seed, (4 * units, features), (4 * units, units), (4 * units,), (4 * units,))


def save_safetensors(path, arrays):
    header, data = {}, b""
    for name, array in arrays.items():
        raw = array.tobytes()
        place = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": place}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def save_pth(path, arrays):
    """What `torch.save` writes of parameters that share one storage, as cuDNN's LSTMs do."""

    def word(text):
        return b"X" + struct.pack("<I", len(text)) + text.encode()

    def whole(number):
        return b"J" + struct.pack("<i", number)

    def several(numbers):
        return b"(" + b"".join(whole(number) for number in numbers) + b"t"

    count = sum(array.size for array in arrays.values())
    storage = (
        b"(" + word("storage") + b"ctorch\nFloatStorage\n" + word("0") + word("cpu")
        + whole(count) + b"tQ"
    )  # fmt: skip
    state, offset = b"", 0
    for name, array in arrays.items():
        strides = [size // 4 for size in array.strides]
        state += (
            word(name) + b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + whole(offset)
            + several(array.shape) + several(strides) + b"\x89ccollections\nOrderedDict\n)RtR"
        )  # fmt: skip
        offset += array.size
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", b"\x80\x02}(" + state + b"u.")
        raw = b"".join(array.tobytes() for array in arrays.values())
        archive.writestr("model/data/0", raw)
        archive.writestr("model/version", b"3\n")
    return path


FEATURES, UNITS, CLASSES = 3, 4, 7


def segmentation_model(path):
    """Two bidirectional LSTMs, two linear layers, log-softmax, as torch exports them to ONNX.

    Returns the weights of each layer as ONNX keeps them (blocks i o f g), for both directions, and
    those of the linear layers.
    """
    layers, features = [], FEATURES
    for number in range(2):
        layers.append(
            draw(
                20 + number,
                (2, 4 * UNITS, features),
                (2, 4 * UNITS, UNITS),
                (2, 8 * UNITS),
            )
        )
        features = 2 * UNITS
    linear = draw(22, (2 * UNITS, 5), (5,), (5, CLASSES), (CLASSES,))
    names = [f"{part}{number}" for number in range(2) for part in "WRB"]
    arrays = dict(zip(names, (array for layer in layers for array in layer), strict=True))
    arrays |= dict(zip(("M0", "N0", "M1", "N1"), linear, strict=True))
    arrays["flat"] = np.array([0, 0, -1], np.int64)
    node = onnx_files.node
    nodes = [node("Transpose", ["x"], ["t0"], "turn", perm=[1, 0, 2])]
    for number in range(2):
        nodes += [
            node("LSTM", [f"t{number}", *names[3 * number : 3 * number + 3]], [f"y{number}"],
                 f"lstm_{number}", direction="bidirectional", hidden_size=UNITS),
            node("Transpose", [f"y{number}"], [f"s{number}"], perm=[0, 2, 1, 3]),
            node("Reshape", [f"s{number}", "flat"], [f"t{number + 1}"]),
        ]  # fmt: skip
    nodes += [
        node("Transpose", ["t2"], ["back"], perm=[1, 0, 2]),
        node("MatMul", ["back", "M0"], ["l0"]),
        node("Add", ["l0", "N0"], ["l1"]),
        node("LeakyRelu", ["l1"], ["l2"], alpha=0.01),
        node("MatMul", ["l2", "M1"], ["l3"]),
        node("Add", ["l3", "N1"], ["l4"]),
        node("LogSoftmax", ["l4"], ["output"], axis=-1),
    ]
    graph = onnx_files.graph(
        nodes,
        [onnx_files.value("x", (None, None, FEATURES))],
        [onnx_files.value("output")],
        arrays,
    )
    onnx_files.save(path, graph)
    return layers, linear


def one_direction_each(layer):
    """(w_ih, w_hh, bias) of both directions of an ONNX layer; the two biases are added."""
    w, r, b = layer
    return [(w[way], r[way], b[way, : 4 * UNITS] + b[way, 4 * UNITS :]) for way in range(2)]


def segmentation_in_c(x, layers, linear, blocks):
    """The port: outputs of each layer, and the log-probabilities of every frame."""
    outputs, rows = [], x
    for layer in layers:
        rows = both_ways(rows, one_direction_each(layer), blocks)
        outputs.append(rows)
    first, first_bias, second, second_bias = linear
    z = rows @ first + first_bias
    z = np.where(z >= 0, z, np.float32(0.01) * z)
    z = z @ second + second_bias
    z -= z.max(axis=1, keepdims=True)
    return outputs, z - np.log(np.exp(z).sum(axis=1, keepdims=True))


# The cases


def log_probabilities_of_frames(folder):
    """The program in C returns one array, (frame, class), of one sequence."""
    layers, linear = segmentation_model(folder / "segmentation.onnx")
    (x,) = draw(23, (1, 12, FEATURES))
    _, wrong = segmentation_in_c(x[0], layers, linear, "ifgo")
    np.save(folder / "x.npy", x)
    np.save(folder / "frames.npy", wrong)
    outputs, _ = segmentation_in_c(x[0], layers, linear, "iofg")
    return Given(
        folder / "segmentation.onnx", folder / "x.npy", folder / "frames.npy",
        right=sides(outputs),
    )  # fmt: skip


def sides(outputs):
    """Outputs of both directions by the layers' names."""
    return {
        f"lstm_{number}/{way}/outputs": rows[None, :, place]
        for number, rows in enumerate(outputs)
        for way, place in (("forward", slice(UNITS)), ("backward", slice(UNITS, None)))
    }


def outputs_of_the_first_layer(folder):
    """They looked at LSTM-0 alone: (frame, both directions side by side)."""
    layers, linear = segmentation_model(folder / "segmentation.onnx")
    (x,) = draw(24, (1, 9, FEATURES))
    outputs, _ = segmentation_in_c(x[0], layers, linear, "ifgo")
    np.save(folder / "x.npy", x)
    np.save(folder / "lstm0.npy", outputs[0])
    return Given(folder / "segmentation.onnx", folder / "x.npy", folder / "lstm0.npy")


def repacked_file_old_reader(folder):
    """Later the file was repacked to i f g o, and the old reader still took i o f g."""
    w_ih, w_hh, b_ih, b_hh = torch_weights(25, FEATURES, UNITS)
    names = [f"lstm.{part}_l0" for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    arrays = dict(zip(names, (w_ih, w_hh, b_ih, b_hh), strict=True))
    path = save_safetensors(folder / "repacked.safetensors", arrays)
    (x,) = draw(26, (1, 8, FEATURES))
    np.save(folder / "x.npy", x)
    wrong = program(x[0], w_ih, w_hh, b_ih + b_hh, "iofg")
    np.save(folder / "out.npy", wrong["m"])
    right = {name: rows[None] for name, rows in program(x[0], w_ih, w_hh, b_ih + b_hh).items()}
    return Given(path, folder / "x.npy", folder / "out.npy", right=right)


def offsets_in_elements_taken_for_bytes(folder):
    """All parameters but the first, which lies at 0, are read from the wrong place."""
    names, arrays, features = [], {}, FEATURES
    for layer in range(2):
        for way in ("", "_reverse"):
            parts = torch_weights(30 + len(names), features, UNITS)
            for part, array in zip(
                ("weight_ih", "weight_hh", "bias_ih", "bias_hh"), parts, strict=True
            ):
                arrays[f"rnn.{part}_l{layer}{way}"] = array
            names.append((layer, way))
        features = 2 * UNITS
    path = save_pth(folder / "encoder.pth", arrays)
    raw = b"".join(array.tobytes() for array in arrays.values())
    read, offset = {}, 0
    for name, array in arrays.items():
        read[name] = np.frombuffer(raw, "<f4", array.size, offset).reshape(array.shape)
        offset += array.size  # in elements, which is what the file says
    (x,) = draw(35, (1, 7, FEATURES))
    np.save(folder / "x.npy", x)
    reference = encoder(x[0], read)
    np.savez(folder / "candle.npz", output=reference[1][None])
    right = encoder(x[0], arrays)
    assert not np.allclose(reference[1], right[1], atol=0.01)
    return Given(path, folder / "x.npy", folder / "candle.npz")


def encoder(x, arrays):
    outputs = []
    for layer in range(2):
        ways = []
        for way in ("", "_reverse"):
            parts = [arrays[f"rnn.{part}_l{layer}{way}"]
                     for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]  # fmt: skip
            ways.append((parts[0], parts[1], parts[2] + parts[3]))
        x = both_ways(x, ways)
        outputs.append(x)
    return outputs


def keras_weights(path, scope=""):
    """w_ih, w_hh and bias of a layer in a file of Keras 2, those that it has; blocks i f g o."""
    found = {}

    def keep(name, item):
        if isinstance(item, h5py.Dataset) and name.startswith(scope):
            found[name.rpartition("/")[2].partition(":")[0]] = item[()]

    with h5py.File(path) as file:
        file["model_weights"].visititems(keep)
    names = ("kernel", "recurrent_kernel", "bias")
    return tuple(found[name].T for name in names if name in found)


def vanilla_numpy(folder):
    """Keras 2's gates are hard sigmoids by default; numpy's reader wrote sigmoids."""
    path = DATA / "keras2_hard_sigmoid.h5"
    held = dict(np.load(path.with_suffix(".npz")))
    np.save(folder / "x.npy", held["x"])
    wrong = program(held["x"][0], *keras_weights(path))
    np.save(folder / "numpy.npy", wrong["m"][-1:])
    rows = program(held["x"][0], *keras_weights(path), gate=hard_sigmoid)
    assert np.allclose(rows["m"][-1], held["keras2"][0], atol=1e-6)
    right = {name: values[None] for name, values in rows.items()}
    return Given(path, folder / "x.npy", folder / "numpy.npy", right=right)


def file_of_keras_2_in_keras_3(folder):
    """The same weights under the same name of an activation, whose slope is another."""
    path = DATA / "keras2_hard_sigmoid.h5"
    held = dict(np.load(path.with_suffix(".npz")))
    np.save(folder / "x.npy", held["x"])
    np.save(folder / "keras3.npy", held["keras3"])
    return Given(path, folder / "x.npy", folder / "keras3.npy")


def kept(name, reference):
    """A case whose files were all written by other programs."""

    def make(_folder):
        place = DATA / name
        return Given(place / "model.ckpt", place / "x.npy", place / reference)

    return make


def onnx_runtime_beside_keras(folder):
    """Keras repeats the last output at masked steps; ONNX Runtime writes zeros there."""
    path = DATA / "keras2_masked.h5"
    held = dict(np.load(path.with_suffix(".npz")))
    np.save(folder / "x.npy", held["x"])
    np.savez(folder / "ort.npz", Y=held["ort"])
    return Given(path, folder / "x.npy", folder / "ort.npz", {"model_input": True},
                 right={"outputs": held["keras2"]})  # fmt: skip


def outputs_of_onnx_runtime(folder):
    """The same with the axes of Keras, under the name of outputs."""
    given = onnx_runtime_beside_keras(folder)
    (y,) = np.load(given.reference).values()
    np.savez(folder / "outputs.npz", outputs=y[:, 0].transpose(1, 0, 2))
    return replace(given, reference=folder / "outputs.npz")


def keras_beside_onnx_runtime(folder):
    """The same, seen from the other side."""
    held = dict(np.load(DATA / "keras2_masked.npz"))
    np.savez(folder / "x.npz", x=held["x"], lengths=np.array([6, 4, 2]))
    np.savez(folder / "keras.npz", outputs=held["keras2"])
    return Given(DATA / "onnx_lengths.onnx", folder / "x.npz", folder / "keras.npz",
                 right={"outputs": held["ort"][:, 0].transpose(1, 0, 2)})  # fmt: skip


def backward_outputs_in_input_order(folder):
    """Keras leaves the outputs of go_backwards as it made them; ONNX Runtime turns them."""
    path = DATA / "keras2_backward.h5"
    held = dict(np.load(path.with_suffix(".npz")))
    np.save(folder / "x.npy", held["x"])
    np.savez(folder / "ort.npz", outputs=held["ort"][:, 0].transpose(1, 0, 2))
    return Given(path, folder / "x.npy", folder / "ort.npz", right={"outputs": held["keras2"]})


def backward_outputs_as_made(folder):
    """The same, seen from the other side."""
    held = dict(np.load(DATA / "keras2_backward.npz"))
    np.save(folder / "x.npy", held["x"])
    np.savez(folder / "keras.npz", outputs=held["keras2"])
    return Given(DATA / "onnx_backward.onnx", folder / "x.npy", folder / "keras.npz",
                 right={"outputs": held["ort"][:, 0].transpose(1, 0, 2)})  # fmt: skip


def voice_model(path):
    """An LSTM whose states come in and go out with every chunk, and the probability of speech."""
    w, r, b = draw(40, (1, 4 * UNITS, FEATURES), (1, 4 * UNITS, UNITS), (1, 8 * UNITS))
    out, out_bias = draw(41, (UNITS, 1), (1,))
    node = onnx_files.node
    zero, one, axis = (np.array(value, np.int64) for value in ([0], [1], [1]))
    arrays = {"W": w, "R": r, "B": b, "out": out, "out_bias": out_bias, "zero": zero, "one": one,
              "axis": axis}  # fmt: skip
    nodes = [
        node("Gather", ["state", "zero"], ["h"], axis=0),
        node("Gather", ["state", "one"], ["c"], axis=0),
        node("LSTM", ["input", "W", "R", "B", "", "h", "c"], ["Y", "Y_h", "Y_c"], "rnn",
             hidden_size=UNITS),
        node("Concat", ["Y_h", "Y_c"], ["stateN"], axis=0),
        node("Squeeze", ["Y", "axis"], ["rows"]),
        node("Relu", ["rows"], ["relu"]),
        node("MatMul", ["relu", "out"], ["logit"]),
        node("Add", ["logit", "out_bias"], ["shifted"]),
        node("Sigmoid", ["shifted"], ["output"]),
    ]  # fmt: skip
    graph = onnx_files.graph(
        nodes,
        [onnx_files.value("input", (None, 1, FEATURES)), onnx_files.value("state", (2, 1, UNITS))],
        [onnx_files.value("output"), onnx_files.value("stateN")],
        arrays,
    )
    onnx_files.save(path, graph)
    return (w[0], r[0], b[0, : 4 * UNITS] + b[0, 4 * UNITS :]), (out, out_bias)


def state_of_chunks(folder):
    """The state was read from a key that the model does not have: every chunk began with zeros."""
    weights, _ = voice_model(folder / "voice.onnx")
    (x,) = draw(42, (1, 10, FEATURES))
    np.save(folder / "x.npy", x)
    wrong = program(x[0], *weights, "iofg", carry=False)
    np.savez(folder / "chunks.npz", c=wrong["c"][None], m=wrong["m"][None])
    right = {name: rows[None] for name, rows in program(x[0], *weights, "iofg").items()}
    return Given(folder / "voice.onnx", folder / "x.npy", folder / "chunks.npz", right=right)


def probability_of_chunks(folder):
    """All that one sees of it from outside: one probability a chunk."""
    weights, (out, out_bias) = voice_model(folder / "voice.onnx")
    (x,) = draw(42, (1, 10, FEATURES))
    np.save(folder / "x.npy", x)
    wrong = program(x[0], *weights, "iofg", carry=False)["m"]
    speech = sigmoid(np.maximum(wrong, 0) @ out + out_bias)
    np.save(folder / "speech.npy", speech)  # (chunk, 1)
    return Given(folder / "voice.onnx", folder / "x.npy", folder / "speech.npy")


def gates_assigned_the_wrong_way_round(folder, **blocks):
    w_ih, w_hh, b_ih, b_hh = torch_weights(50, FEATURES, UNITS)
    names = [f"slstm.{part}_l0" for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    arrays = dict(zip(names, (w_ih, w_hh, b_ih, b_hh), strict=True))
    path = save_safetensors(folder / "cell.safetensors", arrays)
    (x,) = draw(51, (2, 6, FEATURES))
    np.save(folder / "x.npy", x)
    wrong = np.stack([program(rows, w_ih, w_hh, b_ih + b_hh, **blocks)["m"] for rows in x])
    np.savez(folder / "layer.npz", outputs=wrong)
    rows = [program(one, w_ih, w_hh, b_ih + b_hh) for one in x]
    right = {name: np.stack([one[name] for one in rows]) for name in "cm"}
    return Given(path, folder / "x.npy", folder / "layer.npz", right=right)


def input_and_forget_gate(folder):
    """The tuple i, f, z, o is filled with fgate, igate, zgate, ogate."""
    return gates_assigned_the_wrong_way_round(folder, blocks="figo")


def input_and_forget_gate_of_x(folder):
    """As it really was: what is made of x is swapped, recurrent kernel and bias are not."""
    return gates_assigned_the_wrong_way_round(folder, blocks_of_x="figo")


def torch_case(folder, wrong, *, fields=("c", "m")):
    """An LSTM of torch, two sequences, and what `wrong(x, w_ih, w_hh, b_ih, b_hh)` says of each."""
    weights = torch_weights(60, FEATURES, UNITS)
    names = [f"lstm.{part}_l0" for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    path = save_safetensors(folder / "lstm.safetensors", dict(zip(names, weights, strict=True)))
    (x,) = draw(61, (2, 9, FEATURES))
    np.save(folder / "x.npy", x)
    w_ih, w_hh, b_ih, b_hh = weights
    told = [wrong(one, *weights) for one in x]
    reference = {name: np.stack([one[name] for one in told]) for name in fields}
    rows = [program(one, w_ih, w_hh, b_ih + b_hh) for one in x]
    right = {name: np.stack([one[name] for one in rows]) for name in "cm"}
    return Given(path, folder / "x.npy", reference, right=right)


def documented_order(folder):
    """The documentation said i, f, z, o; the code took i, f, o, z."""

    def wrong(x, w_ih, w_hh, b_ih, b_hh):
        return program(x, w_ih, w_hh, b_ih + b_hh, "ifog")

    return torch_case(folder, wrong)


def bias_added_twice(folder):
    """Once with the product of x, and once more in the step."""

    def wrong(x, w_ih, w_hh, b_ih, b_hh):
        return program(x, w_ih, w_hh, 2 * (b_ih + b_hh))

    return torch_case(folder, wrong)


def one_bias_for_three_gates(folder):
    """`Zt @ Wf + bo`: i and f got the bias of o. Nothing in a vocabulary of readings says that."""

    def wrong(x, w_ih, w_hh, b_ih, b_hh):
        i, f, g, o = (b_ih + b_hh).reshape(4, UNITS)
        assert i is not f
        return program(x, w_ih, w_hh, np.concatenate([o, o, g, o]))

    return torch_case(folder, wrong)


def state_wiped_by_every_call(folder):
    """A kernel for microcontrollers that sets both states to zero whenever it is called."""

    def wrong(x, w_ih, w_hh, b_ih, b_hh):
        return program(x, w_ih, w_hh, b_ih + b_hh, calls=3)

    return torch_case(folder, wrong)


def cell_state_for_output(folder):
    """`c, h = lstm_cell(...)`, where torch gives h first."""

    def wrong(x, w_ih, w_hh, b_ih, b_hh):
        states = program(x, w_ih, w_hh, b_ih + b_hh)
        return {"c": states["m"], "m": states["c"]}

    return torch_case(folder, wrong)


def forget_bias_not_added(folder):
    """The first step was right, all others were not: c before the first step is zero."""
    place = DATA / "tf1_stack"
    wrong = dict(np.load(place / "reference_forget_bias.npz"))
    np.savez(folder / "trt.npz", outputs=wrong["outputs"])
    return Given(place / "model.ckpt", place / "x.npy", folder / "trt.npz")


def recurrent_block_of_z(folder):
    """A GRU whose candidate takes the recurrent block of z for its own."""
    weights = draw(70, (3 * UNITS, FEATURES), (3 * UNITS, UNITS), (3 * UNITS,), (3 * UNITS,))
    names = [f"gru.{part}_l0" for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    path = save_safetensors(folder / "gru.safetensors", dict(zip(names, weights, strict=True)))
    (x,) = draw(71, (2, 7, FEATURES))
    np.save(folder / "x.npy", x)
    reference = {"m": np.stack([gru(one, *weights, candidate_of="z") for one in x])}
    right = {"m": np.stack([gru(one, *weights) for one in x])}
    return Given(path, folder / "x.npy", reference, right=right)


def reset_gate_before_the_product(folder):
    """A GRU of torch, exported without linear_before_reset=1; the file is what is wrong here."""
    w_ih, w_hh, b_ih, b_hh = draw(
        72, (3 * UNITS, FEATURES), (3 * UNITS, UNITS), (3 * UNITS,), (3 * UNITS,)
    )

    def turned(array):  # r z n as ONNX keeps them: z r h
        r, z, n = np.split(array, 3)
        return np.concatenate([z, r, n])

    bias = np.concatenate([turned(b_ih), turned(b_hh)])
    arrays = {"W": turned(w_ih)[None], "R": turned(w_hh)[None], "B": bias[None]}
    node = onnx_files.node("GRU", ["X", "W", "R", "B"], ["Y", "Y_h"], "gru", hidden_size=UNITS)
    onnx_files.simple(folder / "gru.onnx", [node], arrays)
    (x,) = draw(73, (2, 7, FEATURES))
    np.save(folder / "x.npy", x)
    np.save(folder / "torch.npy", np.stack([gru(one, w_ih, w_hh, b_ih, b_hh) for one in x]))
    return Given(folder / "gru.onnx", folder / "x.npy", folder / "torch.npy")


def all_steps_count(_folder):
    """`X[1, 6:] = 0` with lengths [10, 6] in one script, and [10, 10] in the other."""
    truth = dict(np.load(SAMPLE / "truth_full_length.npz"))
    return Given(SAMPLE / "model.ckpt", SAMPLE / "inputs.npz",
                 {"c": truth["c"], "m": truth["m"]})  # fmt: skip


def some_steps_do_not_count(_folder):
    """The other way round: the model's user says 10, 10, the reference was made with 10, 6."""
    truth = dict(np.load(SAMPLE / "truth.npz"))
    return Given(SAMPLE / "model.ckpt", SAMPLE / "inputs_full_length.npz",
                 {"outputs": truth["outputs"]})  # fmt: skip


def outputs_alone_of_all_steps(_folder):
    """Outputs, since that is what dynamic_rnn returns."""
    truth = dict(np.load(SAMPLE / "truth_full_length.npz"))
    return Given(SAMPLE / "model.ckpt", SAMPLE / "inputs.npz", {"outputs": truth["outputs"]})


def final_state_of_all_steps(_folder):
    """The final state alone: that of the second sequence is four steps too late."""
    truth = dict(np.load(SAMPLE / "truth_full_length.npz"))
    final = {"final/c": truth["final_c"], "final/m": truth["final_m"]}
    return Given(SAMPLE / "model.ckpt", SAMPLE / "inputs.npz", final)


GITHUB = "https://github.com/"
CRISPASR = GITHUB + "CrispStrobe/CrispASR/issues/102"
ELIZA = GITHUB + "elizaOS/eliza/pull/9501"
NUMPY = "https://stackoverflow.com/questions/49759614"
TF_TO_KERAS = GITHUB + "tensorflow/tensorflow/issues/29622"
ORT = GITHUB + "microsoft/onnxruntime/issues/"
AGENTS = GITHUB + "livekit/agents-js/pull/944"
XLSTM = GITHUB + "NX-AI/xlstm/issues/98"
GATES, BIAS = ("gate-order", "i f g o"), ("forget-bias", "0")
SWAP = ("swap", "block")

CASES = (
    RealCase("crispasr-102", CRISPASR, log_probabilities_of_frames, (GATES,), ("i o f g",)),
    RealCase("eliza-9501", ELIZA, outputs_of_the_first_layer, (GATES,), ("i o f g",)),
    RealCase("eliza-11377", GITHUB + "elizaOS/eliza/issues/11377", repacked_file_old_reader,
             (("gate-order", "i o f g"),), ("weight_ih", "weight_hh")),
    RealCase("candle-2351", GITHUB + "huggingface/candle/issues/2351",
             offsets_in_elements_taken_for_bytes, ()),
    RealCase("stackoverflow-49759614", NUMPY, vanilla_numpy,
             (("recurrent-activation", "sigmoid"),), ("hard_sigmoid",)),
    RealCase("keras-2-in-keras-3", GITHUB + "keras-team/keras", file_of_keras_2_in_keras_3,
             (("recurrent-activation", "hard_sigmoid_keras3"),), ("hard_sigmoid",)),
    RealCase("keras-10179", GITHUB + "keras-team/keras/issues/10179",
             kept("tf1_fed_to_keras", "reference.npz"),
             (BIAS, ("recurrent-activation", "hard_sigmoid")), ("forget", "sigmoid")),
    RealCase("tensorflow-29622", TF_TO_KERAS, kept("tf1_stack", "reference_keras3.npz"),
             (GATES, BIAS), ("forget", "i g f o")),
    RealCase("tensorflow-29622-in-1.15", TF_TO_KERAS,
             kept("tf1_stack", "reference_tf1_keras.npz"),
             (GATES, BIAS, ("recurrent-activation", "hard_sigmoid")), ("forget", "sigmoid")),
    RealCase("onnxruntime-12492", ORT + "12492", onnx_runtime_beside_keras,
             (("mask", "zeroed"),), ("zero",)),
    RealCase("onnxruntime-12492-outputs", ORT + "12492", outputs_of_onnx_runtime,
             (("mask", "zeroed"),), ("zero",)),
    RealCase("onnxruntime-12492-keras", ORT + "12492", keras_beside_onnx_runtime,
             (("mask", "held"),), ("last",)),
    RealCase("onnxruntime-4187", ORT + "4187", backward_outputs_in_input_order,
             (("turned-outputs", "turned"),), ("output",)),
    RealCase("onnxruntime-4187-keras", ORT + "4187", backward_outputs_as_made,
             (("turned-outputs", "not turned"),), ("output",)),
    RealCase("agents-js-944", AGENTS, state_of_chunks, (("state-carry", "never"),), ("state",)),
    RealCase("agents-js-944-speech", AGENTS, probability_of_chunks,
             (("state-carry", "never"),), ("state",)),
    RealCase("xlstm-98", XLSTM, input_and_forget_gate, (("gate-order", "f i g o"),), SWAP),
    RealCase("xlstm-98-of-x", XLSTM, input_and_forget_gate_of_x,
             (("gate-order", "f i g o (input kernel only)"),), ("weight_ih",)),
    RealCase("coremltools-93", GITHUB + "apple/coremltools/pull/93", documented_order,
             (("gate-order", "i f o g"),), ("weight_ih", "weight_hh")),
    RealCase("deeplearningtutorials-81", GITHUB + "lisa-lab/DeepLearningTutorials/issues/81",
             bias_added_twice, (("bias", "doubled"),), ("bias",)),
    RealCase("numpy-ml-42", GITHUB + "ddbourgin/numpy-ml/issues/42", one_bias_for_three_gates, ()),
    RealCase("cmsis-nn-219", GITHUB + "ARM-software/CMSIS-NN/pull/219",
             state_wiped_by_every_call, (("state-carry", "reset every 3 steps"),), ("3",)),
    RealCase("nni-2839", GITHUB + "microsoft/nni/issues/2839", cell_state_for_output,
             (("state-order", "c and m swapped"),), ("c",)),
    RealCase("tensorrt-371", GITHUB + "NVIDIA/TensorRT/issues/371", forget_bias_not_added,
             (BIAS,), ("forget",)),
    RealCase("candle-gru", GITHUB + "huggingface/candle", recurrent_block_of_z, ()),
    RealCase("onnxscript-2852", GITHUB + "microsoft/onnxscript/issues/2852",
             reset_gate_before_the_product, (("reset-after", "true"),), ("reset",)),
    RealCase("forget-bias-without-meta", "tf1-saver", kept("tf1_forget_bias", "reference.npz"),
             (("forget-bias", "0.7"),), ("0.7",)),
    RealCase("lengths-ignored", "the source", all_steps_count,
             (("lengths", "ignored"),), ("length",)),
    RealCase("lengths-ignored-outputs", "the source", outputs_alone_of_all_steps,
             (("lengths", "ignored"),), ("length",)),
    RealCase("lengths-ignored-final", "the source", final_state_of_all_steps,
             (("lengths", "ignored"),), ("length",)),
    RealCase("lengths-of-the-other", "the source", some_steps_do_not_count,
             (("lengths", "10, 6"),), ("10, 6",)),
)  # fmt: skip
