"""What every entry of WEIGHT_FORMATS promises, over every family of files."""

from __future__ import annotations

import numpy as np
import pytest
from converting.sources import SOURCES, cell, keras_model, source
from explaining.model_files import recurrent_layer

import rnnscope
from rnnscope.checkpoints import read_checkpoint
from rnnscope.converting import WEIGHT_FORMATS, weight_format
from rnnscope.converting.interface import FormatOptions
from rnnscope.converting.misfits import misfits
from rnnscope.converting.plan import plan_levels
from rnnscope.errors import CheckpointError, UnsupportedCellError
from rnnscope.files.tensorflow.bundle_writer import write_bundle

REFUSED = {
    ("tf1 options", "torch"): "has peepholes",
    ("tf1 options", "keras"): "has a projection (num_proj=7)",
    ("tf1 options", "onnx"): "has cell_clip=0.9",
    ("keras 2 hard_sigmoid", "torch"): "has recurrent_activation=hard_sigmoid, clip(0.2 z + 0.5)",
    ("keras 2 hard_sigmoid", "keras"): "has recurrent_activation=hard_sigmoid, clip(0.2 z + 0.5)",
    ("keras 2 hard_sigmoid", "tf1"): "has recurrent_activation=hard_sigmoid, clip(0.2 z + 0.5)",
    ("torch projection", "keras"): "has a projection",
    ("torch projection", "flax"): "has a projection",
    ("torch relu", "flax"): "has activation=relu",
    ("onnx rnn", "flax"): "has activation=relu",
    ("tf1 options", "flax"): "has peepholes",
    ("keras 2 hard_sigmoid", "flax"): "has recurrent_activation=hard_sigmoid",
    ("torch projection", "onnx"): "has a projection",
    ("tf1 two", "onnx"): "one that reads 'x'",
    ("keras backward", "torch"): "reads from the end on its own (backward)",
    ("onnx backward", "torch"): "reads from the end on its own (backward)",
    ("tf1", "tfjs"): "has weights in float64 (dtype)",
    ("tf1 options", "tfjs"): "has peepholes",
    ("tf1 two", "tfjs"): "one that reads 'x'",
    ("torch gru", "tfjs"): "has reset_after=True",
    ("torch projection", "tfjs"): "has a projection",
    ("torch stack, both ways, ids", "tfjs"): "'top/l0' has reset_after=True",
    ("onnx gru", "tfjs"): "has reset_after=True",
    **{
        (family, to): "is a cell of another kind (graph)"
        for family in ("frozen graph", "tflite")
        for to in ("torch", "keras", "onnx", "tf1", "flax", "tfjs")
    },
    **{
        ("tfjs", to): "has recurrent_activation=hard_sigmoid, clip(0.2 z + 0.5)"
        for to in ("torch", "keras", "tf1", "flax")
    },
    **{(family, "onnx"): "one that reads 'input'" for family in ("flax", "equinox", "mlx")},
    **{(family, "tfjs"): "'gru' has reset_after=True" for family in ("flax", "equinox", "mlx")},
    ("openvino", "torch"): "has reset_after=False",
    ("openvino", "flax"): "has reset_after=False",
    **{
        ("coreml", to): "'cell' has gate_clip=50"
        for to in ("torch", "keras", "tf1", "flax", "tfjs")
    },
}
"""Pairs that no target of the kind can compute, and what is said; all others are written."""

SAME = {"safetensors": "torch", "npz": "torch"}
"""Formats that can compute what another can."""

SUFFIXES = {name: next(iter(weight_format(name).suffixes), "") for name in WEIGHT_FORMATS}


@pytest.mark.parametrize("to", WEIGHT_FORMATS)
@pytest.mark.parametrize("family", SOURCES)
def test_every_family_is_written_or_refused_by_name(family, to, tmp_path):
    """Kernels come back bit for bit, and the states of every layer are the source's."""
    path = tmp_path / f"out{SUFFIXES[to]}"
    reason = REFUSED.get((family, SAME.get(to, to)))
    if reason is not None:
        with pytest.raises(UnsupportedCellError) as refused:
            rnnscope.convert(source(family), to, path)
        assert reason in refused.value.found
        assert not [*tmp_path.iterdir()]
        return
    done = rnnscope.convert(source(family), to, path)
    assert [*tmp_path.iterdir()] == [path]
    network = read_checkpoint(source(family)).network
    assert {layer.name for layer in done.layers} == {node.name for node in network.recurrent}
    assert all(layer.kernels_equal for layer in done.layers)
    assert done.largest_difference <= done.limit
    assert not any("{target}" in line for line in done.load)


def _biases(cell):
    """The sum of a cell's biases, with what is added at run time."""
    weights = cell.weights
    bias = weights.bias.copy()
    if cell.kind == "lstm":
        units = cell.num_units
        bias[units : 2 * units] += bias.dtype.type(cell.options.forget_bias.value)
    second = getattr(weights, "recurrent_bias", None)
    return (bias, np.zeros_like(bias) if second is None else second)


EXACT = [
    (family, to)
    for family in ("tf1", "keras 2 stack", "torch gru", "onnx lstm", "onnx rnn")
    for to in ("torch", "safetensors", "keras", "onnx", "tfjs")
    if (family, to) not in REFUSED
]


@pytest.mark.parametrize(("family", "to"), EXACT)
def test_no_weight_changes_by_a_single_bit(family, to, tmp_path):
    """Gate blocks move and biases are joined, and nothing else: 0 ULP."""
    path = tmp_path / f"out{SUFFIXES[to]}"
    done = rnnscope.convert(source(family), to, path)
    before = read_checkpoint(source(family)).network
    after = read_checkpoint(path).network
    for layer in done.layers:
        one = before.node(layer.name).recurrent.cell
        other = after.node(layer.written_as).recurrent.cell
        np.testing.assert_array_equal(one.weights.kernel, other.weights.kernel)
        np.testing.assert_array_equal(one.weights.recurrent_kernel, other.weights.recurrent_kernel)
        for first, second in zip(_biases(one), _biases(other), strict=True):
            np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("to", WEIGHT_FORMATS)
def test_named_arrays_of_a_layout_are_a_source_too(to, tmp_path):
    """An .npz says neither names nor order: with its layout it is written like any other."""
    arrays = tmp_path / "arrays.npz"
    rnnscope.convert(source("keras 2"), "npz", arrays, as_layout="tf1")
    done = rnnscope.convert(arrays, to, tmp_path / f"out{SUFFIXES[to]}", layout="tf1")
    assert len(done.layers) == len(read_checkpoint(source("keras 2")).network.recurrent)
    assert all(layer.kernels_equal for layer in done.layers)


def test_layers_that_read_different_inputs_are_no_one_model(tmp_path):
    """Bare arrays do not say what feeds what; widths that differ are inputs that differ."""
    arrays = tmp_path / "arrays.npz"
    rnnscope.convert(source("tf1 stack"), "npz", arrays, as_layout="tf1")
    with pytest.raises(UnsupportedCellError) as refused:
        rnnscope.convert(arrays, "keras", tmp_path / "out.keras", layout="tf1")
    assert "read different inputs" in refused.value.what
    assert refused.value.found == "'input (3 features)', 'input (4 features)'"
    assert "layers" in refused.value.hint


@pytest.mark.parametrize("to", WEIGHT_FORMATS)
def test_what_was_written_is_a_source_of_every_other(to, tmp_path):
    """Keras, by way of any format, and back: no kernel has changed by a bit."""
    path = tmp_path / f"out{SUFFIXES[to]}"
    done = rnnscope.convert(source("keras 3"), to, path)
    more = {"layout": "torch"} if to == "npz" else {}
    inside = path / "model.ckpt" if to == "tf1" else path
    back = rnnscope.convert(inside, "keras", tmp_path / "back.keras", **more)
    before = read_checkpoint(source("keras 3")).network
    after = read_checkpoint(tmp_path / "back.keras").network
    for first, second in zip(done.layers, back.layers, strict=True):
        one = before.node(first.name).recurrent.cell.weights
        other = after.node(second.written_as).recurrent.cell.weights
        np.testing.assert_array_equal(one.kernel, other.kernel)
        np.testing.assert_array_equal(one.recurrent_kernel, other.recurrent_kernel)


@pytest.mark.parametrize("family", SOURCES)
def test_what_is_named_as_able_is_able(family, tmp_path):
    """The formats that a refusal names do write the model, unless its wiring is no chain."""
    network = read_checkpoint(source(family)).network
    plan = plan_levels(network, (), "test")
    for to in WEIGHT_FORMATS:
        can = weight_format(to).abilities(FormatOptions())
        able = not any(True for level in plan.levels for _ in misfits(level, can))
        reason = REFUSED.get((family, SAME.get(to, to)), "")
        refused = bool(reason) and "one that reads" not in reason  # of its wiring, not of a cell
        assert able is not refused, to


def _content(path):
    """The bytes of a file, or of every file of a folder by name."""
    if path.is_dir():
        return {file.name: file.read_bytes() for file in path.iterdir()}
    return path.read_bytes()


def test_every_target_writes_the_same_bytes_twice(tmp_path):
    for to in ("torch", "safetensors", "npz", "onnx", "flax", "tfjs"):
        for number in (1, 2):
            rnnscope.convert(source("keras 2 stack"), to, tmp_path / f"{to}{number}{SUFFIXES[to]}")
        one, two = (tmp_path / f"{to}{number}{SUFFIXES[to]}" for number in (1, 2))
        assert _content(one) == _content(two)


SWAPPED = {
    "torch": ("tf1", "torch", "modules.GATES", {"lstm": ("f", "i", "g", "o")}),
    "npz": ("torch gru", "npz", "modules.GATES", {"gru": ("z", "r", "n")}),
    "keras": ("torch gru", "keras", "keras_layers.GRU_GATES", ("r", "z", "n")),
    "onnx": ("tf1", "onnx", "onnx_cells.GATES", {"lstm": (("i", "f", "g", "o"),) * 2}),
    "tf1": ("tf1", "tf1", "tf1_arrays.TF1_GATES", ("i", "f", "g", "o")),
    "tfjs": ("keras 2", "tfjs", "tfjs_format.NAMES", {"tanh": "tanh", "sigmoid": "hard_sigmoid"}),
    "states": ("keras 3", "onnx", "onnx_cells.STATES", {"lstm": ("c", "m")}),
}
"""A mistake on the way into each format: source, format, the table, what it says wrongly."""


@pytest.mark.parametrize("mistake", SWAPPED)
def test_a_file_that_reads_back_otherwise_is_not_kept(mistake, tmp_path, monkeypatch):
    """Two gates or states swapped: the proof sees it, and nothing is left behind."""
    family, to, table, wrong = SWAPPED[mistake]
    monkeypatch.setattr(f"rnnscope.converting.{table}", wrong)
    more = {"expose_states": True} if mistake == "states" else {}
    with pytest.raises(CheckpointError, match="does not read back as the source"):
        rnnscope.convert(source(family), to, tmp_path / f"out{SUFFIXES[to]}", **more)
    assert not [*tmp_path.iterdir()]


def test_a_forget_bias_that_is_lost_is_seen(tmp_path, monkeypatch):
    from rnnscope.converting import modules

    monkeypatch.setattr(modules, "folded_bias", lambda cell: cell.weights.bias)
    with pytest.raises(rnnscope.RnnscopeError) as told:
        rnnscope.convert(source("tf1"), "torch", tmp_path / "out.pt")
    assert told.value.expected == "the states of 'rnn/lstm_cell', within 1e-12"


def test_directions_that_nothing_joins_stand_side_by_side(tmp_path):
    """As `bidirectional_dynamic_rnn` returns them: a pair, which Keras and ONNX have joined."""
    rng = np.random.default_rng(0)
    arrays = {
        f"rnn/{direction}/lstm_cell/{name}": rng.normal(size=shape).astype("f4")
        for direction in ("fw", "bw")
        for name, shape in (("kernel", (3 + 4, 16)), ("bias", (16,)))
    }
    write_bundle(tmp_path / "in", arrays)
    network = read_checkpoint(tmp_path / "in").network
    assert [node.recurrent.backward.value for node in network.nodes] == [True, False]
    for to in ("keras", "onnx"):
        done = rnnscope.convert(tmp_path / "in", to, tmp_path / f"out{SUFFIXES[to]}")
        assert "Nothing joins the directions of 'rnn': they stand side by side." in done.notes
        assert [layer.written_as.split("/")[0] for layer in done.layers] == ["rnn", "rnn"]


def test_names_that_a_target_keeps_for_itself_are_not_given_to_layers(tmp_path):
    """``forward`` is a method in torch; ``x`` and ``outputs`` are the graph's, ``input`` Keras'."""
    import onnxruntime

    names = ("forward", "keys", "x", "outputs", "input", "a/b", "a_b", "backward_1")
    cells = {
        name: cell(inputs=3 + seed % 2, units=4 - seed % 2, seed=seed)
        for seed, name in enumerate(names)
    }
    layers = [recurrent_layer(one, name) for name, one in cells.items()]
    path = keras_model(tmp_path / "in.h5", layers, cells, "2.4.0")
    for to in WEIGHT_FORMATS:
        done = rnnscope.convert(path, to, tmp_path / f"out_{to}{SUFFIXES[to]}")
        written = [layer.written_as.split("/")[0] for layer in done.layers]
        assert len({*written}) == len(names)
        assert not {"forward", "keys", "backward_1"} & {*written} or to in (
            "keras",
            "onnx",
            "tf1",
            "flax",
            "tfjs",
        )
        assert not {"x", "outputs"} & {*written} or to != "onnx"
        assert "input" not in written or to not in ("keras", "tfjs")
    session = onnxruntime.InferenceSession(tmp_path / "out_onnx.onnx")
    feed = {"x": np.zeros((2, 3, 3), "f4"), "lengths": np.array([3, 2], np.int32)}
    assert session.run(["outputs"], feed)[0].shape == (2, 3, 3)
