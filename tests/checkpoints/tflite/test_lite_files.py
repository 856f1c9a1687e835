"""Files as TensorFlow Lite's converter writes them, against Keras and the interpreter."""

import struct
import time
from pathlib import Path

import numpy as np
import pytest
from lite_files import LSTM_INPUTS, LiteFile, add_weights, lstm_weights, states

import rnnscope
from rnnscope.checkpoints import read_checkpoint
from rnnscope.checkpoints.tflite.model_file import read_lite_model
from rnnscope.checkpoints.tflite.schema import DTYPES, OPERATORS, OPTIONS, SCHEMA
from rnnscope.checkpoints.tflite.translation.elementwise import ELEMENTWISE
from rnnscope.checkpoints.tflite.translation.whole_model import translated
from rnnscope.errors import CheckpointError, RnnscopeError, UnsupportedCellError
from rnnscope.model.ops import MISFITS

DATA = Path(__file__).parents[2] / "data/lite"

LAYERS = {
    "while_lstm": {"layer0": ("graph", False)},
    "while_both_ways": {"layer0": ("graph", False), "layer0_back": ("graph", True),
                        "layer1": ("graph", False)},
    "while_masked": {"layer1": ("graph", False)},
    "while_others": {"layer1": ("graph", False), "layer2": ("graph", False)},
    "while_lists": {"layer0": ("graph", False)},
    "while_hard_sigmoid": {"layer0": ("graph", False)},
    "unrolled_lstm": {"layer0": ("graph", False)},
    "fused_both_ways": {"layer0": ("lstm", False), "layer0_back": ("lstm", True),
                        "layer1": ("lstm", False)},
}  # fmt: skip
"""By file: its layers, the cell of each, and whether it reads from the end."""


@pytest.mark.parametrize("name", LAYERS)
def test_states_of_keras(name):
    """M and c of every step are what Keras returns as the state after every prefix."""
    path = DATA / f"{name}.tflite"
    with np.load(DATA / f"{name}_truth.npz") as truth:
        trace = rnnscope.run(path, truth["x"], model_input=True)
        read = {node.name: node.recurrent for node in read_checkpoint(path).network.recurrent}
        for wanted, (kind, backward) in LAYERS[name].items():
            m = truth[f"{wanted}_m"]
            fitting = [own for own in read if trace.layers[own].m.shape == m.shape
                       and np.abs(trace.layers[own].m[...] - m).max() < 1e-6]  # fmt: skip
            assert len(fitting) == 1, wanted
            (own,) = fitting
            assert (read[own].cell.kind, read[own].backward.value) == (kind, backward)
            if f"{wanted}_c" in truth:
                np.testing.assert_allclose(
                    trace.layers[own].c[...], truth[f"{wanted}_c"], atol=2e-6
                )
        trace.close()


def test_whole_numbers_to_the_last_bit():
    """A step of m's grid is 0.006, of c's 0.00006: not one number is rounded otherwise."""
    path = DATA / "fused_whole_numbers.tflite"
    with np.load(DATA / "fused_whole_numbers_truth.npz") as truth:
        trace = rnnscope.run(path, truth["x"])
        (layer,) = trace.layers.values()
        np.testing.assert_allclose(layer.outputs[...], truth["outputs"], atol=1e-7)
        assert np.abs(layer.m[...] - truth["layer0_m"]).max() > 1e-3  # those of floats
        trace.close()


def test_the_schema_is_tensorflows():
    """Every slot, default and kind of options, held to the code that TensorFlow generates."""
    from tensorflow.lite.python import schema_py_generated as theirs

    for table, fields in SCHEMA.tables.items():
        for field in fields:
            words = field.name.split("_")
            camel = "".join(word[:1].upper() + word[1:] for word in words)
            source = getattr(theirs, table)
            assert hasattr(source, camel), (table, field.name)
            adder = getattr(theirs, f"{table}Add{camel}")

            builder = _Builder()
            adder(builder, 0)
            kind, slot, default = builder.seen
            assert slot == field.slot, (table, field.name)
            if field.kind in KINDS and not field.vector:
                assert kind == KINDS[field.kind], (table, field.name)
                assert default == field.default, (table, field.name)
    numbers = {number: name for name, number in vars(theirs.BuiltinOperator).items()
               if isinstance(number, int)}  # fmt: skip
    assert tuple(numbers[number] for number in sorted(numbers)) == OPERATORS
    assert all(getattr(theirs.BuiltinOptions, name) == number for number, name in OPTIONS.items())
    named = {"<f4": "FLOAT32", "<f2": "FLOAT16", "<i4": "INT32", "<u1": "UINT8", "<i8": "INT64",
             "?": "BOOL", "<i2": "INT16", "<i1": "INT8", "<f8": "FLOAT64", "<u8": "UINT64",
             "<u4": "UINT32", "<u2": "UINT16"}  # fmt: skip
    assert all(getattr(theirs.TensorType, named[dtype]) == n for n, dtype in DTYPES.items())


class _Builder:
    """Notes what a generated function would write."""

    def __getattr__(self, kind):
        def call(slot, _value=None, default=0):
            self.seen = (kind, slot, default)

        return call


KINDS = {
    "bool": "PrependBoolSlot", "int8": "PrependInt8Slot", "uint8": "PrependUint8Slot",
    "int32": "PrependInt32Slot", "uint32": "PrependUint32Slot", "int64": "PrependInt64Slot",
    "uint64": "PrependUint64Slot", "float": "PrependFloat32Slot",
}  # fmt: skip


def test_damage_is_said():
    data = (DATA / "while_lstm.tflite").read_bytes()
    started, ends = time.monotonic(), set()
    rng = np.random.default_rng(0)
    for number in range(30):
        changed = bytearray(data)
        if number % 3:
            place = int(rng.integers(8, len(data) - 4))
            changed[place : place + 4] = struct.pack("<I", int(rng.integers(0, 1 << 32)))
        else:
            changed = changed[: int(rng.integers(8, len(data)))]
        ends.add(_end_of(bytes(changed)))
    assert ends <= {"read", CheckpointError, UnsupportedCellError}
    assert CheckpointError in ends
    assert time.monotonic() - started < 120


def _end_of(data):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.tflite"
        path.write_bytes(data)
        try:
            read_checkpoint(path)
        except RnnscopeError as error:
            return type(error)
        return "read"


def test_a_vector_longer_than_the_file(tmp_path):
    """No array is made of a length that the file only claims."""
    data = bytearray((DATA / "while_lstm.tflite").read_bytes())
    place = data.index(struct.pack("<IIII", 3, 1, 7, 5))  # the shape 1 x 7 x 5
    data[place : place + 4] = struct.pack("<I", 1 << 30)
    path = tmp_path / "m.tflite"
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="its tables lead out of it"):
        read_checkpoint(path)


def test_what_is_not_computed_is_named(tmp_path):
    """An operator of whole numbers in front of a layer: its outputs would be off by one here."""
    file = LiteFile()
    x = file.tensor("x", (1, 4, 5), kind="INT8", scale=0.1)
    front = file.tensor("front", (1, 4, 5), kind="INT8", scale=0.2)
    floats = file.tensor("floats", (1, 4, 5))
    file.operator("LOGISTIC", [x], [front])
    file.operator("DEQUANTIZE", [front], [floats])
    places = add_weights(file, lstm_weights(np.random.default_rng(0), 5, 3))
    places |= states(file, 1, 3, 3)
    y = file.tensor("y", (1, 4, 3))
    every = [floats, *([-1] * 23)]
    for role, place in places.items():
        every[LSTM_INPUTS[role]] = place
    file.operator("UNIDIRECTIONAL_SEQUENCE_LSTM", every, [y], "UnidirectionalSequenceLSTMOptions",
                  fusedActivationFunction=4, cellClip=0.0, projClip=0.0)  # fmt: skip
    path = file.write(tmp_path / "m.tflite", [x], [y])
    sequence = np.zeros((1, 4, 5), np.float32)
    with pytest.raises(RnnscopeError, match="LOGISTIC of whole numbers"):
        rnnscope.run(path, sequence, model_input=True)


@pytest.mark.parametrize("error", MISFITS)
def test_an_operator_that_does_not_fit_is_one_that_is_not_computed(tmp_path, monkeypatch, error):
    """Sizes of a damaged file may ask for more memory than there is: that is no end of rnnscope."""

    def damaged(site):
        raise error

    monkeypatch.setitem(ELEMENTWISE, "TANH", damaged)
    file = LiteFile()
    x, y = file.tensor("x", (1, 4)), file.tensor("y", (1, 4))
    file.operator("TANH", [x], [y])
    model = translated(read_lite_model(file.write(tmp_path / "m.tflite", [x], [y])))
    assert [node.op_type for node in model.graph.node] == ["TANH whose parts do not fit"]


def test_a_file_without_a_recurrence_says_what_it_has(tmp_path):
    file = LiteFile()
    x, y = file.tensor("x", (1, 5)), file.tensor("y", (1, 5))
    file.operator("SVDF", [x], [y])
    path = file.write(tmp_path / "m.tflite", [x], [y])
    with pytest.raises(UnsupportedCellError, match="holds no recurrent layer") as caught:
        read_checkpoint(path)
    assert "SVDF" in str(caught.value)
