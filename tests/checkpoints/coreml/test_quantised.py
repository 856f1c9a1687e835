"""Core ML's quantised weights: what they stand for, and that large ones stay in their files."""

from __future__ import annotations

import shutil
import struct

import numpy as np
import pytest
from checkpoint_truth import DATA

from rnnscope.checkpoints import read_checkpoint
from rnnscope.checkpoints.coreml.network.weights import read_weights, weights_in_file
from rnnscope.checkpoints.coreml.proto import TABLE, parse_model
from rnnscope.errors import CheckpointError
from rnnscope.files.messages.packed_values import MAX_LISTED
from rnnscope.files.messages.values_in_file import value_in_file
from rnnscope.model.layers.deferred_table import DeferredTable

FOLDER = DATA / "coreml"


@pytest.mark.parametrize("bits", [1, 3, 5, 8])
def test_quantised_values_are_unpacked(bits):
    """The highest bit first, each value behind the other; a scale for every row."""
    values = np.random.default_rng(bits).integers(0, 1 << bits, (3, 7))
    text = "".join(f"{one:0{bits}b}" for one in values.ravel())
    text += "0" * (-len(text) % 8)
    raw = bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))
    params = TABLE.message_class("WeightParams")(rawValue=raw)
    params.quantization.numberOfBits = bits
    params.quantization.linearQuantization.scale.extend([0.5, 2.0, -1.0])
    params.quantization.linearQuantization.bias.extend([1.0, 0.0, 3.0])
    made = read_weights(params, (3, 7), "w")
    expected = values * np.array([[0.5], [2.0], [-1.0]]) + np.array([[1.0], [0.0], [3.0]])
    np.testing.assert_array_equal(made, expected)


QUANTISED = {
    **{f"{bits} bits, a scale a row": (bits, "rows", 7 * 2**18) for bits in (1, 3, 5, 8)},
    "8 bits, one scale": (8, "one", 7 * 2**18),
    "a table": (4, "table", 7 * 2**18),
    "a table of odd bits": (7, "table", 7 * 2**18 + 1),
}


@pytest.mark.parametrize("name", QUANTISED)
def test_large_quantised_values_stay_in_the_file(tmp_path, name):
    """They are what they are in memory, bit for bit, and none of them is held before."""
    bits, kind, columns = QUANTISED[name]
    rng, count = np.random.default_rng(3), 5 * columns
    raw = rng.integers(0, 256, (count * bits + 7) // 8, np.uint8).tobytes()
    model = TABLE.message_class("Model")(specificationVersion=4)
    params = model.neuralNetwork.layers.add(name="table").embeddingND.weights
    params.rawValue, params.quantization.numberOfBits = raw, bits
    if kind == "table":
        table = rng.standard_normal(1 << bits)
        params.quantization.lookupTableQuantization.floatValue.extend(table)
    else:
        linear = params.quantization.linearQuantization
        linear.scale.extend(rng.standard_normal(5 if kind == "rows" else 1))
        linear.bias.extend(rng.standard_normal(5))
    path = tmp_path / "m.mlmodel"
    path.write_bytes(model.SerializeToString())
    large = parse_model(path).neuralNetwork.layers[0].embeddingND.weights
    assert len(large.SerializeToString()) < 10_000
    held = weights_in_file(large, (5, columns))
    expected = read_weights(params, (5, columns), "w")
    np.testing.assert_array_equal(np.frombuffer(held.read(), "<f4"), expected.ravel())
    again = value_in_file(held.stand_in())
    pieces = [np.frombuffer(piece, "<f4") for piece in again.pieces()]
    assert max(map(len, pieces)) <= 8 * 2**20 // bits + 8
    np.testing.assert_array_equal(np.concatenate(pieces), expected.ravel())
    np.testing.assert_array_equal(read_weights(large, (5, columns), "w"), expected)


def test_many_scales_are_read_with_their_numbers(tmp_path):
    """A stand-in holds all scales, and is to stay small."""
    rows = MAX_LISTED + 1
    model = TABLE.message_class("Model")(specificationVersion=4)
    params = model.neuralNetwork.layers.add(name="table").embeddingND.weights
    params.rawValue, params.quantization.numberOfBits = bytes(range(256)) * (rows * 16 // 256), 8
    params.rawValue += bytes(rows * 16 - len(params.rawValue))
    params.quantization.linearQuantization.scale.extend(np.linspace(0, 1, rows))
    path = tmp_path / "m.mlmodel"
    path.write_bytes(model.SerializeToString())
    large = parse_model(path).neuralNetwork.layers[0].embeddingND.weights
    assert weights_in_file(large, (rows, 16)) is None
    expected = read_weights(params, (rows, 16), "w")
    np.testing.assert_array_equal(read_weights(large, (rows, 16), "w"), expected)


@pytest.mark.parametrize("damage", ["short", "bits", "scales", "table", "nothing"])
def test_large_quantised_values_that_do_not_fit_are_refused(tmp_path, damage):
    model = TABLE.message_class("Model")(specificationVersion=4)
    params = model.neuralNetwork.layers.add(name="table").embeddingND.weights
    params.rawValue = b"\xff" * (2 * 2**20 - (damage == "short"))
    params.quantization.numberOfBits = 9 if damage == "bits" else 8
    if damage == "table":
        params.quantization.lookupTableQuantization.floatValue.extend([1.0] * 255)
    elif damage != "nothing":
        scales = [1.0] * (3 if damage == "scales" else 2)
        params.quantization.linearQuantization.scale.extend(scales)
    path = tmp_path / "m.mlmodel"
    path.write_bytes(model.SerializeToString())
    large = parse_model(path).neuralNetwork.layers[0].embeddingND.weights
    assert weights_in_file(large, (2, 2**20)) is None
    with pytest.raises(CheckpointError, match="do not fit"):
        read_weights(large, (2, 2**20), "w")


BLOB = {"float32": (2, 11), "uint8": (3, 31), "int8": (4, 21), "float16": (1, 10)}
"""The types of a blob and of a value, by numpy's dtype."""


def program_with_table(tmp_path, op, **values):
    """The program of front_program without its convolution, its embedding of values in blobs."""
    path = tmp_path / "m.mlpackage"
    shutil.copytree(FOLDER / "front_program.mlpackage", path)
    data = path / "Data" / "com.apple.CoreML"
    model = TABLE.message_class("Model").FromString((data / "model.mlmodel").read_bytes())
    function = model.mlProgram.functions["main"]
    operations = function.block_specializations[function.opset].operations
    (found,) = [
        one for one in operations if [out.name for out in one.outputs] == ["embedding_weight"]
    ]
    for one in operations:  # straight to the LSTM
        if "input_3" in [out.name for out in one.outputs]:
            one.inputs["x"].arguments[0].name = "input_1"
    found.type = op
    del found.attributes["val"]
    weights = bytearray((data / "weights" / "weight.bin").read_bytes())
    for role, array in ((role, np.asarray(one)) for role, one in values.items()):
        value = found.attributes[role]
        if role == "axis":
            value.type.tensorType.dataType = 23
            value.immediateValue.tensor.ints.values.append(int(array))
            continue
        weights += bytes(-len(weights) % 64)
        blob, kind = BLOB[str(array.dtype)]
        value.type.tensorType.dataType, value.type.tensorType.rank = kind, array.ndim
        for size in array.shape:
            value.type.tensorType.dimensions.add().constant.size = size
        value.blobFileValue.fileName = "@model_path/weights/weight.bin"
        value.blobFileValue.offset = len(weights)
        weights += struct.pack("<IIQQ", 0xDEADBEEF, blob, array.nbytes, len(weights) + 64)
        weights += bytes(-len(weights) % 64) + array.tobytes()
    for place in reversed(range(len(operations))):
        if operations[place].type in ("conv", "relu"):
            del operations[place]
    (data / "model.mlmodel").write_bytes(model.SerializeToString())
    (data / "weights" / "weight.bin").write_bytes(weights)
    return path


@pytest.mark.parametrize("kind", ["uint8", "int8"])
@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("scales", ["float32", "float16"])
def test_a_table_with_a_scale_and_a_zero_stays_in_its_file(tmp_path, kind, axis, scales):
    """ML programs: an embedding is what the numbers stand for, and is read when it is needed."""
    rng = np.random.default_rng(5)
    table = rng.integers(np.iinfo(kind).min, np.iinfo(kind).max + 1, (11, 5)).astype(kind)
    size = () if axis is None else (11, 5)[axis]
    scale = rng.uniform(0.001, 0.01, size).astype(scales)
    zero = rng.integers(np.iinfo(kind).min, np.iinfo(kind).max + 1, size).astype(kind)
    told = {"quantized_data": table, "scale": scale, "zero_point": zero, "axis": axis or 0}
    path = program_with_table(tmp_path, "constexpr_affine_dequantize", **told)
    along = {None: (), 0: (11, 1), 1: (5,), -1: (5,)}[axis]
    expected = (table.astype("f4") - zero.astype("f4").reshape(along)) * scale.astype("f4").reshape(
        along
    )
    checkpoint = read_checkpoint(path)
    (embedding,) = [
        one.layer for one in checkpoint.network.nodes if type(one.layer).__name__ == "Embedding"
    ]
    assert isinstance(embedding.table, DeferredTable)
    np.testing.assert_array_equal(np.asarray(embedding.table), expected)
    assert str(checkpoint.network.recurrent[0].recurrent.evidence).startswith("proved")
