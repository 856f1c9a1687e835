"""Large tables of TensorFlow Lite files stay where they lie, and give the interpreter's rows."""

import numpy as np
import pytest
from lite_files import LSTM_INPUTS, LiteFile, add_weights, interpreted, lstm_weights, states

import rnnscope
from rnnscope.checkpoints import read_checkpoint
from rnnscope.checkpoints.tflite.model_file import read_lite_model
from rnnscope.errors import CheckpointError
from rnnscope.files.messages.values_in_file import LARGE_BYTES
from rnnscope.model.layers import Embedding
from rnnscope.model.layers.deferred_table import DeferredTable

WIDTH, UNITS, STEPS = 16, 3, 5
ROWS = LARGE_BYTES // WIDTH + 3
RNG = np.random.default_rng(4)
NUMBERS = RNG.integers(-128, 128, (ROWS, WIDTH)).astype(np.int8)
HALVES = RNG.normal(size=(ROWS, WIDTH)).astype(np.float16)
IDS = RNG.integers(0, ROWS, (3, STEPS)).astype(np.int32)
WEIGHTS = lstm_weights(np.random.default_rng(5), WIDTH, UNITS)
SCALE, ZERO = float(np.float32(0.02)), -7


def recurrent(file, x):
    """An LSTM that reads a tensor; its outputs."""
    places = add_weights(file, WEIGHTS) | states(file, 1, UNITS, UNITS)
    reads = [x] + [-1] * 23
    for role, place in LSTM_INPUTS.items():
        reads[place] = places.get(role, -1)
    y = file.tensor("y", (1, STEPS, UNITS), open_batch=True)
    file.operator("UNIDIRECTIONAL_SEQUENCE_LSTM", reads, [y], "UnidirectionalSequenceLSTMOptions",
                  fusedActivationFunction=4, timeMajor=False)  # fmt: skip
    return y


def whole_rows(file, ids):
    """Rows of whole numbers, turned into floats."""
    grid = {"kind": "INT8", "scale": SCALE, "zero": ZERO}
    table = file.tensor("table", NUMBERS.shape, NUMBERS, **grid)
    found = file.tensor("found", (1, STEPS, WIDTH), **grid)
    file.operator("GATHER", [table, ids], [found], "GatherOptions", axis=0)
    rows = file.tensor("rows", (1, STEPS, WIDTH))
    file.operator("DEQUANTIZE", [found], [rows])
    return rows


def widened_first(file, ids):
    """Floats of 16 bits, turned into those of 32 before rows are taken."""
    table = file.tensor("table", HALVES.shape, HALVES, kind="FLOAT16")
    wide, rows = file.tensor("wide", HALVES.shape), file.tensor("rows", (1, STEPS, WIDTH))
    file.operator("DEQUANTIZE", [table], [wide])
    file.operator("GATHER", [wide, ids], [rows], "GatherOptions", axis=0)
    return rows


TRUE = {
    whole_rows: (NUMBERS.astype(np.float32) - ZERO) * np.float32(SCALE),
    widened_first: HALVES.astype(np.float32),
}


def written(path, looked_up):
    file = LiteFile()
    ids = file.tensor("ids", (1, STEPS), kind="INT32", open_batch=True)
    y = recurrent(file, looked_up(file, ids))
    return file.write(path, [ids], [y]), y


def table_of(path):
    """What stands for the table in the network."""
    nodes = read_checkpoint(path).network.nodes
    (found,) = [node.layer.table for node in nodes if isinstance(node.layer, Embedding)]
    assert isinstance(found, DeferredTable)
    return found


@pytest.mark.parametrize("looked_up", TRUE, ids=lambda one: one.__name__)
def test_rows_are_the_interpreters(tmp_path, looked_up):
    path, y = written(tmp_path / "m.tflite", looked_up)
    table = table_of(path)
    assert table.shape == (ROWS, WIDTH)
    np.testing.assert_array_equal(table[IDS], TRUE[looked_up][IDS])
    true = interpreted(path, IDS, [y])[y]
    with rnnscope.run(path, IDS, model_input=True) as trace:
        (layer,) = [one for one in trace.layers.values() if one.outputs.shape == true.shape]
        np.testing.assert_allclose(layer.outputs[...], true, atol=2e-6)


def test_a_file_that_was_cut_meanwhile_is_named(tmp_path):
    path, _ = written(tmp_path / "m.tflite", whole_rows)
    tensors = read_lite_model(path).graphs[0].tensors
    (table,) = [tensor for tensor in tensors if tensor.name == "table"]
    path.write_bytes(path.read_bytes()[: LARGE_BYTES // 2])
    with pytest.raises(CheckpointError, match="shorter than it was"):
        table.in_file.read()


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("zeros", [True, False])
def test_a_scale_for_each_row_or_column(tmp_path, axis, zeros):
    """They lie in the file, too; with zeros of their own, or none."""
    file = LiteFile()
    scale = RNG.uniform(0.01, 0.1, NUMBERS.shape[axis]).astype(np.float32)
    zero = RNG.integers(-9, 9, len(scale)) if zeros else np.zeros(len(scale), int)
    place = file.tensor("table", NUMBERS.shape, NUMBERS, kind="INT8", scale=1.0)
    q = file.graph.tensors[place].quantization
    q.scale, q.zeroPoint, q.quantizedDimension = scale, zero, axis
    tensor = read_lite_model(file.write(tmp_path / "m.tflite", [], [])).graphs[0].tensors[place]
    along = (-1, 1) if axis == 0 else (1, -1)
    true = (NUMBERS - zero.reshape(along)) * scale.reshape(along).astype(np.float64)
    np.testing.assert_array_equal(tensor.real, true.astype(np.float32))
    kept = np.frombuffer(tensor.in_file.read(), "<f4").reshape(NUMBERS.shape)
    np.testing.assert_array_equal(kept, tensor.real)
    np.testing.assert_array_equal(
        np.frombuffer(tensor.place.read(), np.int8).reshape(NUMBERS.shape), NUMBERS
    )
    assert len(tensor.in_file.stand_in()) < 1024


def odd(tmp_path, change, values):
    """A file whose table was changed, on its way into the file."""
    file = LiteFile()
    kind = {"i1": "INT8", "u8": "UINT64"}[values.dtype.str[1:]]
    ids, table = (
        file.tensor("ids", (2,), kind="INT32"),
        file.tensor("table", values.shape, values, kind=kind, scale=0.5),
    )
    rows = file.tensor("rows", (2, values.shape[1]))
    file.operator("GATHER", [table, ids], [rows], "GatherOptions", axis=0, batchDims=0)
    file.end([ids], [rows])
    change(file.graph.tensors[table])
    return file.write(tmp_path / "m.tflite")


def on_grid(scales, zeros):
    def change(tensor):
        quantization = tensor.quantization
        quantization.scale, quantization.zeroPoint = [0.5] * scales, [3] * zeros
        quantization.quantizedDimension = 1

    return change


@pytest.mark.parametrize("rows", [4, 2**18])
@pytest.mark.parametrize(("scales", "zeros"), [(6, 2), (6, 9), (1, 6)])
def test_zero_points_of_another_number_than_scales_are_refused(tmp_path, rows, scales, zeros):
    """As the interpreter refuses them; they were repeated, or left out in silence."""
    path = odd(tmp_path, on_grid(scales, zeros), np.ones((rows, 6), np.int8))
    with pytest.raises(CheckpointError, match="do not fit each other") as caught:
        read_lite_model(path)
    assert f"{scales} scale" in caught.value.found
    assert f"{zeros} zero points" in caught.value.found


def test_sizes_below_zero_are_damage(tmp_path):
    """Two of them make a number that the bytes fit: a ValueError of numpy ended the program."""
    path = odd(tmp_path, lambda tensor: setattr(tensor, "shape", [-4, -6]), np.ones((4, 6), "i1"))
    with pytest.raises(CheckpointError, match="do not fit each other") as caught:
        read_lite_model(path)
    assert "(-4, -6)" in caught.value.found


@pytest.mark.parametrize("rows", [4, 2**18])
def test_whole_numbers_of_64_bits_without_a_sign_have_no_grid(tmp_path, rows):
    """They were taken for numbers with a sign: 2**63 for -2**63."""
    path = odd(tmp_path, lambda tensor: None, np.full((rows, 6), 2**63, np.uint64))
    with pytest.raises(CheckpointError, match="do not fit each other") as caught:
        read_lite_model(path)
    assert "uint64" in caught.value.found
