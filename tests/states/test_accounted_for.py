"""Every array of a file is read, or listed as not read: in every format, whatever it is called."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rnnscope.files.arrays.stored_array import LoadedArray
from rnnscope.files.containers.named_arrays import NamedArrays, open_named
from rnnscope.model.states import LayerFacts
from rnnscope.pooling import plan_pool, pool_trace
from rnnscope.states import STATE_FORMAT_MODULES, state_format
from rnnscope.states.export import ExportRequest, export_states
from rnnscope.states.interface import ReadOptions
from rnnscope.states.recognise import recognise_one
from rnnscope.states.state_set import StateLayer, StateSet
from rnnscope.trace import Trace
from rnnscope.trace.pooled import PooledWriter

RNG = np.random.default_rng(8)
SEQUENCES, TIMESTEPS, UNITS = 3, 5, 4
C = (RNG.normal(size=(SEQUENCES, TIMESTEPS, UNITS)) * 3).astype(np.float32)
M = np.tanh(RNG.normal(size=(SEQUENCES, TIMESTEPS, UNITS))).astype(np.float32)
LENGTHS = np.array([5, 3, 2])
ONE_LAYER = {"tuple", "single"}
OWN_CONTAINER = {"trace", "lstmvis"}


def states_of(format_name):
    """Two layers, forward and backward, or the one that the format holds."""
    sides = ("fw", "bw")[: 1 if format_name in ONE_LAYER else 2]
    layers = tuple(
        StateLayer(
            side,
            {"c": LoadedArray(C * (number + 1)), "m": LoadedArray(M / (number + 1))},
            LayerFacts(side, backward=side == "bw"),
        )
        for number, side in enumerate(sides)
    )
    return StateSet("states", "arrays", layers, LENGTHS)


class Watched(NamedArrays):
    """A file that keeps the names of the arrays of which a value was read."""

    def __init__(self, inner):
        self.read = set()

        def get(name):
            array, whole = inner.array(name), self

            class Reading(LoadedArray):
                def __init__(self):
                    self.shape, self.dtype = array.shape, array.dtype

                def read(self, key=(), out=None):
                    whole.read.add(name)
                    return array.read(key, out)

            return Reading()

        super().__init__(inner.path, inner.kind, inner.names, get, inner.close, inner.part)


def written(format_name, tmp_path, **more):
    """A file in this format, with more arrays in it, and how it is read."""
    path = tmp_path / "out.npz"
    export_states(states_of(format_name), ExportRequest(format_name, path))
    with np.load(path) as held:
        arrays = dict(held)
    np.savez(path, **arrays, **more)
    watched = Watched(open_named(str(path)))
    readings = state_format(format_name).readings(watched, ReadOptions(format_name))
    return watched, readings


@pytest.mark.parametrize("name", [n for n in STATE_FORMAT_MODULES if n not in OWN_CONTAINER])
@pytest.mark.parametrize("more", [{}, {"zz": C}, {"other/zz": C[0], "mask_of_loss": C}])
def test_each_array_is_read_or_listed(name, more, tmp_path):
    watched, readings = written(name, tmp_path, **more)
    if name == "single" and more:
        assert readings == []  # refused: it would be a guess which one is meant
        return
    assert readings
    about_steps = watched.read  # what tells lengths was read already
    for reading in readings:
        watched.read = set(about_steps)
        for layer in reading.states.layers:
            for array in layer.arrays.values():
                array.read()
        listed = {array.name for array in reading.states.not_read}
        assert watched.read | listed == set(watched.names)
        assert listed == set(more)


def test_of_two_arrays_with_one_meaning_the_second_is_listed(tmp_path):
    np.savez(tmp_path / "a.npz", c=C, m=M, h=M + 1)
    found = recognise_one(str(tmp_path / "a.npz"), ReadOptions()).states
    assert [(array.name, array.key, array.reason) for array in found.not_read] == [
        ("h", "m", "another array is m already")
    ]
    np.testing.assert_array_equal(found.layers[0].arrays["m"].read(), M)


def test_an_array_of_another_shape_than_its_name_says(tmp_path):
    np.savez(tmp_path / "a.npz", c=C, m=M, final_c=C)
    found = recognise_one(str(tmp_path / "a.npz"), ReadOptions()).states
    (left,) = found.not_read
    assert (left.name, left.key) == ("final_c", "final/c")
    assert left.reason == "float32 of shape (3, 5, 4) is no final/c"


def test_of_one_named_array_nothing_else_is_listed(tmp_path):
    """The user asks for that one: what else the file holds was never to be read."""
    header = {
        "c": {"dtype": "F32", "shape": list(C.shape), "data_offsets": [0, C.nbytes]},
        "zz": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [C.nbytes, C.nbytes + 4]},
    }
    text = json.dumps(header).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + C.tobytes() + bytes(4))
    whole = recognise_one(str(path), ReadOptions()).states
    assert [array.name for array in whole.not_read] == ["zz"]
    assert recognise_one(f"{path}::c", ReadOptions()).states.not_read == ()


def test_a_second_array_of_lengths_is_listed(tmp_path):
    np.savez(tmp_path / "a.npz", c=C, lengths=LENGTHS, sequence_lengths=LENGTHS - 1)
    found = recognise_one(str(tmp_path / "a.npz"), ReadOptions()).states
    assert [array.name for array in found.not_read] == ["sequence_lengths"]


# torch's output.


def torch_file(tmp_path, *, layers=1, directions=1, sequences=SEQUENCES, batch_first=False, **more):
    """What nn.LSTM returns: output of the top layer, h_n and c_n of all, as arrays."""
    rng = np.random.default_rng(2)
    count = layers * directions
    over_time = np.tanh(rng.normal(size=(count, sequences, TIMESTEPS, UNITS))).astype("f4")
    ends = [TIMESTEPS - 1 if number % directions == 0 else 0 for number in range(count)]
    h_n = np.stack([over_time[number][:, end] for number, end in enumerate(ends)])
    c_n = (h_n * 3).astype("f4")
    output = np.concatenate(over_time[-directions:], axis=-1)
    held = output if batch_first else output.swapaxes(0, 1)
    np.savez(tmp_path / "torch.npz", **{"output": held, "h_n": h_n, "c_n": c_n, **more})
    return tmp_path / "torch.npz", over_time


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("sequences", [1, SEQUENCES, TIMESTEPS])
@pytest.mark.parametrize(("layers", "directions"), [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_output_of_torch_is_that_of_the_top_layer(
    tmp_path, batch_first, sequences, layers, directions
):
    """Also where there are as many sequences as timesteps: then h_n tells which axis is which."""
    path, over_time = torch_file(
        tmp_path, layers=layers, directions=directions, sequences=sequences,
        batch_first=batch_first,
    )  # fmt: skip
    found = recognise_one(str(path), ReadOptions()).states
    assert found.not_read == ()
    with_outputs = [layer for layer in found.layers if "outputs" in layer.arrays]
    assert with_outputs == list(found.layers[-directions:])
    for layer, expected in zip(with_outputs, over_time[-directions:], strict=True):
        np.testing.assert_array_equal(layer.arrays["outputs"].read(), expected)


def test_time_major_is_what_the_user_says(tmp_path):
    path, over_time = torch_file(tmp_path, sequences=TIMESTEPS, h_n=np.zeros((1, 5, 4), "f4"))
    found = recognise_one(str(path), ReadOptions(time_major=True)).states
    np.testing.assert_array_equal(found.layers[0].arrays["outputs"].read(), over_time[0])


def test_output_whose_axes_nothing_tells_is_listed(tmp_path):
    path, _ = torch_file(tmp_path, sequences=TIMESTEPS, h_n=np.zeros((1, 5, 4), "f4"))
    (left,) = recognise_one(str(path), ReadOptions()).states.not_read
    assert (left.name, left.key) == ("output", "outputs")
    assert "(timestep, sequence, unit)" in left.reason


@pytest.mark.parametrize("shape", [(7, 9, UNITS), (TIMESTEPS, SEQUENCES, UNITS + 1)])
def test_output_of_another_shape_is_listed(tmp_path, shape):
    path, _ = torch_file(tmp_path, output=np.zeros(shape, "f4"))
    (left,) = recognise_one(str(path), ReadOptions()).states.not_read
    assert (left.name, left.key) == ("output", "outputs")
    assert str(shape) in left.reason


def test_states_of_two_modules_are_both_read(tmp_path):
    ends = {"h": M[:, -1][None], "c": C[:, -1][None]}
    arrays = {f"{name}_{state}_n": ends[state] for name in ("enc", "dec") for state in ends}
    np.savez(tmp_path / "a.npz", **arrays)
    found = recognise_one(str(tmp_path / "a.npz"), ReadOptions()).states
    assert [layer.name for layer in found.layers] == ["enc", "dec"]
    assert found.not_read == ()


# Containers with a shape of their own.


def test_a_project_of_lstmvis(tmp_path):
    import h5py

    export_states(states_of("lstmvis"), ExportRequest("lstmvis", tmp_path / "p"))
    assert recognise_one(str(tmp_path / "p"), ReadOptions()).states.not_read == ()
    with h5py.File(tmp_path / "p" / "states.h5", "r+") as file:
        file["zz"] = C[0]
    with h5py.File(tmp_path / "p" / "train.h5", "r+") as file:
        file["more"] = C[0]
    found = recognise_one(str(tmp_path / "p"), ReadOptions()).states
    assert {array.name for array in found.not_read} == {"states.h5/zz", "train.h5/more"}


def test_a_layer_of_lstmvis_with_other_rows_is_listed(tmp_path):
    import h5py

    export_states(states_of("lstmvis"), ExportRequest("lstmvis", tmp_path / "p"))
    with h5py.File(tmp_path / "p" / "states.h5", "r+") as file:
        del file["output2"]
        file["output2"] = np.zeros((3, 4), "f4")
    found = recognise_one(str(tmp_path / "p"), ReadOptions()).states
    assert [(array.name, array.reason) for array in found.not_read] == [
        ("states.h5/output2", "3 rows, not 10")
    ]


def test_a_trace(tmp_path):
    import h5py

    path = tmp_path / "t.h5"
    export_states(states_of("trace"), ExportRequest("trace", path))
    assert recognise_one(str(path), ReadOptions()).states.not_read == ()
    with Trace.open(path) as trace:
        plan = plan_pool(trace, ["m"], ["mean"])
        with PooledWriter(path, plan.headers) as sink:
            pool_trace(trace, plan, sink)
    with h5py.File(path, "r+") as file:
        file["fw/zz"] = C[0]
    found = recognise_one(str(path), ReadOptions()).states
    assert {array.name for array in found.not_read} == {
        "fw/zz", "pooled/fw/m/mean", "pooled/bw/m/mean",
    }  # fmt: skip


def test_of_a_trace_what_a_decoder_read_is_read(tmp_path):
    path = tmp_path / "t.h5"
    states = states_of("tuple")
    layer = StateLayer("fw", {**states.layers[0].arrays, "inputs": LoadedArray(C[..., :2])})
    export_states(StateSet("s", "arrays", (layer,)), ExportRequest("trace", path))
    found = recognise_one(str(path), ReadOptions()).states
    np.testing.assert_array_equal(found.layers[0].arrays["inputs"].read(), C[..., :2])
    with found:
        done = export_states(found, ExportRequest("arrays", tmp_path / "a.npz"))
    assert "what a decoder read at each step" in done.lost
