"""Trees of arrays of JAX's libraries, MLX and ggml give the states of the libraries' own cells."""

from __future__ import annotations

import pickle
import shutil

import numpy as np
import pytest
from checkpoint_truth import DATA
from damage import damaged_copies
from safetensors_files import save_safetensors

from rnnscope.checkpoints import read_checkpoint
from rnnscope.checkpoints.module_layouts import MODULE_LAYOUTS, find_layout_modules
from rnnscope.checkpoints.module_layouts.interface import plain_name
from rnnscope.checkpoints.safetensors import READER as SAFETENSORS
from rnnscope.engines.numpy_engine import run_layer
from rnnscope.errors import CheckpointError, OptionError, RnnscopeError, UnsupportedCellError
from rnnscope.files.arrays.loadable_arrays import LoadableArray
from rnnscope.files.containers import orbax
from rnnscope.files.containers.msgpack_arrays import begins_as_map

TREES = DATA / "array_trees"
FLAX = ("lstm", "plain", "gru", "simple")
CASES = {
    "flax.msgpack": ("flax", FLAX), "flax.pkl": ("flax", FLAX), "flax.safetensors": ("flax", FLAX),
    "flax.npz": ("flax", FLAX), "flax_chunks.msgpack": ("flax", ("lstm",)),
    "haiku.pkl": ("haiku", ("lstm", "gru", "vanilla_rnn")),
    "haiku.npz": ("haiku", ("lstm", "gru", "vanilla_rnn")),
    "equinox.safetensors": ("equinox", ("lstm", "gru")),
    "orbax_ocdbt": ("flax", ("lstm",)), "orbax_zarr": ("flax", ("lstm",)),
    "nnx.safetensors": ("nnx", FLAX), "mlx.safetensors": ("mlx", ("lstm", "gru", "rnn")),
    "mlx.npz": ("mlx", ("lstm", "gru", "rnn")), "mlx.gguf": ("mlx", ("lstm", "gru", "rnn")),
    "flax.gguf": ("flax", ("lstm", "gru", "simple")),
}  # fmt: skip
"""Files to the library and the cells in them."""

ONLY_NEW = ("nnx.safetensors", "mlx.safetensors", "mlx.npz", "mlx.gguf", "flax.gguf")


def read(name):
    layout = {"layout": name.split("_")[1].split(".")[0]} if name.endswith(".npz") else {}
    return read_checkpoint(TREES / name, **layout)


def states(checkpoint, x):
    """By cell: what one step after the other gives."""
    return {
        node.name: run_layer(node.recurrent, x, None, {}) for node in checkpoint.network.recurrent
    }


def cases():
    for prefix in ("new", "old"):
        for name in CASES:
            if prefix == "new" or name not in ONLY_NEW:
                yield prefix, name


@pytest.mark.parametrize(("prefix", "name"), [*cases()])
def test_states_are_the_librarys_own(prefix, name):
    if "orbax" in name:
        pytest.importorskip("tensorstore")
    library, cells = CASES[name]
    with np.load(TREES / f"{prefix}_truth.npz") as truth:
        made = states(read(f"{prefix}_{name}"), truth["x"])
        for cell in cells:
            for state in ("c", "m"):
                wanted = truth.get(f"{library}:{cell}:{state}")
                if wanted is not None:
                    got = getattr(made[cell], state)
                    np.testing.assert_allclose(got, wanted, atol=2e-6)


@pytest.mark.parametrize("prefix", ["new", "old"])
def test_both_directions_of_flax(prefix):
    """Flax calls them forward_rnn and backward_rnn, and joins what they return."""
    with np.load(TREES / f"{prefix}_truth.npz") as truth:
        made = states(read(f"{prefix}_bidirectional.msgpack"), truth["x"])
        ways = [made[f"both.{way}_rnn.cell"].outputs for way in ("forward", "backward")]
        np.testing.assert_allclose(np.concatenate(ways, -1), truth["bidirectional"], atol=2e-6)


def test_halves_are_widened():
    """bfloat16 has eight bits: the states are near those of the whole numbers, and not equal."""
    with np.load(TREES / "new_truth.npz") as truth:
        made = states(read("new_flax_bfloat16.msgpack"), truth["x"])["lstm"]
        halves = states(read("new_flax.gguf"), truth["x"])["plain"]
        assert 1e-5 < np.abs(made.m - truth["flax:lstm:m"]).max() < 2e-2
        assert 1e-6 < np.abs(halves.m - truth["flax:plain:m"]).max() < 2e-3


def test_optimizers_are_left_out():
    checkpoint = read("new_flax.msgpack")
    assert {entry.reason for entry in checkpoint.left_out} == {"optimizer slot", "not recurrent"}
    assert {node.name for node in checkpoint.network.recurrent} == {*FLAX}
    (step,) = [entry.name for entry in checkpoint.left_out if entry.reason == "not recurrent"]
    assert step == "step"
    assert "found under 'params'" in checkpoint.notes[0]


def test_haiku_says_its_forget_bias():
    (lstm,) = [n for n in read("new_haiku.pkl").network.recurrent if n.name == "lstm"]
    assert lstm.recurrent.cell.options.forget_bias.value == 1.0
    assert lstm.recurrent.cell.stored_gate_order == "i g f o"


def test_a_newest_step_is_found(tmp_path):
    pytest.importorskip("tensorstore")
    for step in (9, 10):
        shutil.copytree(TREES / "new_orbax_zarr", tmp_path / str(step) / "default")
    checkpoint = read_checkpoint(tmp_path)
    assert "'10/default'" in checkpoint.notes[0]


def test_orbax_without_tensorstore_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tensorstore", None)
    with pytest.raises(CheckpointError, match=r"rnnscope\[orbax\]"):
        orbax.read_orbax(TREES / "new_orbax_ocdbt")


def zeros(**shapes):
    return [
        LoadableArray(name.replace("__", "/"), shape, lambda shape=shape: np.zeros(shape, "f4"))
        for name, shape in shapes.items()
    ]


def test_names_as_jax_prints_paths():
    assert plain_name("['params']['lstm']['hi']['kernel']") == "params.lstm.hi.kernel"
    assert plain_name(".cell.weight_ih") == "cell.weight_ih"
    assert plain_name("lstm/hi/kernel/value") == "lstm.hi.kernel"


def test_a_minimal_gated_unit_is_refused(tmp_path):
    """Flax' MGUCell has the names of an LSTM's gates, and computes something else."""
    arrays = {f"cell.{side}{gate}.kernel": (5 if side == "i" else 6, 6)
              for side in "ih" for gate in "fn"}  # fmt: skip
    path = save_safetensors(
        tmp_path / "m.safetensors", {n: np.ones(s, "f4") for n, s in arrays.items()}
    )
    with pytest.raises(UnsupportedCellError, match="gates f n"):
        read_checkpoint(path)


def test_what_lies_inside_a_module_refuses_it(tmp_path):
    """A norm inside a cell is computed by code that is not in the file."""
    arrays = {"cell.x2h.weight": (24, 5), "cell.h2h.weight": (24, 6), "cell.norm.weight": (6,)}
    path = save_safetensors(
        tmp_path / "m.safetensors", {n: np.ones(s, "f4") for n, s in arrays.items()}
    )
    with pytest.raises(UnsupportedCellError, match=r"cell\.norm\.weight"):
        read_checkpoint(path)


def test_peepholes_beside_gates_refuse_the_cell(tmp_path):
    arrays = {f"cell.W_{side}{gate}": (5 if side == "x" else 6, 6)
              for side in "xh" for gate in "ifco"}  # fmt: skip
    arrays |= {f"cell.W_c{gate}": (6,) for gate in "ifo"}
    path = save_safetensors(
        tmp_path / "m.safetensors", {n: np.ones(s, "f4") for n, s in arrays.items()}
    )
    with pytest.raises(UnsupportedCellError, match="W_ci"):
        read_checkpoint(path)


def test_square_arrays_without_a_layer_tell_no_orientation(tmp_path):
    arrays = {f"cell.{side}_{gate}": (6, 6) for side in "WU" for gate in "ifco"}
    path = save_safetensors(
        tmp_path / "m.safetensors", {n: np.ones(s, "f4") for n, s in arrays.items()}
    )
    with pytest.raises(UnsupportedCellError, match="square"):
        read_checkpoint(path)


def test_a_dense_layer_is_no_haiku_lstm():
    found = find_layout_modules(
        zeros(lstm_model__linear__w=(12, 8), lstm_model__linear__b=(8,)), MODULE_LAYOUTS
    )
    assert found == []


def test_a_layout_is_taken_where_names_are_known():
    assert SAFETENSORS.read(TREES / "new_mlx.safetensors", layout="mlx").network.recurrent
    with pytest.raises(UnsupportedCellError):
        SAFETENSORS.read(TREES / "new_mlx.safetensors", layout="flax")
    with pytest.raises(OptionError):
        SAFETENSORS.read(TREES / "new_mlx.safetensors", layout="tf1")


@pytest.mark.parametrize("name", ["new_flax.msgpack", "new_flax.gguf", "new_haiku.pkl"])
def test_damage_never_ends_in_a_traceback(tmp_path, name):
    """Every length of a cut file, and a flipped byte at many places: an error of ours, or none."""
    whole = (TREES / name).read_bytes()
    path = tmp_path / name
    for data in damaged_copies(whole, seed=3, step=97, most=2000, flips=60):
        path.write_bytes(data)
        try:
            read_checkpoint(path)
        except RnnscopeError:
            continue


@pytest.mark.parametrize(
    ("head", "is_map"),
    [(b"\x81\xa6params\x80", True), (b"\x80\x04\x95", False), (b"{}", False), (b"\x81\x01", False)],
)
def test_msgpack_is_told_by_its_first_key(head, is_map):
    assert begins_as_map(head) is is_map


@pytest.mark.parametrize("names", [("W.weight", "U.weight"), ("x2h.weight", "h2h.weight")])
def test_attention_is_no_cell(names):
    shapes = {f"attention.{name}": (6, 5 + place) for place, name in enumerate(names)}
    assert find_layout_modules(zeros(**shapes), MODULE_LAYOUTS) == []


def test_two_matrices_are_a_cell_only_by_a_clear_name():
    both = {"mix.W.weight": (6, 5), "mix.U.weight": (6, 6)}
    assert find_layout_modules(zeros(**both), MODULE_LAYOUTS) == []
    clear = {"mix.i2h.weight": (6, 5), "mix.h2h.weight": (6, 6)}
    (module,) = find_layout_modules(zeros(**clear), MODULE_LAYOUTS)
    (cell,) = module.read().values()
    assert cell.kind == "simple_rnn"


def test_a_key_beside_which_other_cells_lie_is_one_part(tmp_path):
    cell = {"cell.x2h.weight": np.ones((24, 5), "f4"), "cell.h2h.weight": np.ones((24, 6), "f4")}
    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps({"model": cell, "encoder": {**cell}}))
    network = read_checkpoint(path).network
    assert {node.name for node in network.recurrent} == {"model.cell", "encoder.cell"}
    path.write_bytes(pickle.dumps({"model": cell, "step": np.zeros(3)}))
    assert [node.name for node in read_checkpoint(path).network.recurrent] == ["cell"]
