"""Archives, folders and other wrappings of PyTorch's weights give PyTorch's own states."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import tarfile
import zipfile

import numpy as np
import pytest
from checkpoint_truth import DATA, run_network
from damage import damaged_copies
from safetensors_files import save_safetensors

from rnnscope.checkpoints import read_checkpoint
from rnnscope.checkpoints.torch.frozen_code import find_frozen
from rnnscope.engines.numpy_engine import run_layer
from rnnscope.errors import CheckpointError, RnnscopeError
from rnnscope.files.archives.members import looks_like_tar
from rnnscope.files.guarding.limits import put_limits_back, set_limits

UNPACKED = DATA / "unpacked"
CUSTOM = ("joint", "hydrology", "raw", "joined", "wu", "wi_wh", "x_h", "x2")
BOTH = ("frozen.pt", "frozen_traced.pt", "net.pt2", "distributed")
NEW = ("model.nemo", "model.tar.gz")


def truth(prefix="new"):
    with np.load(UNPACKED / f"{prefix}_truth.npz") as file:
        return {name: file[name] for name in file.files}


@pytest.mark.parametrize(
    ("prefix", "name"),
    [*(("new", name) for name in BOTH + NEW), *(("old", name) for name in BOTH)],
)
def test_the_lstm_inside_is_torchs(prefix, name):
    true = truth(prefix)
    checkpoint = read_checkpoint(UNPACKED / f"{prefix}_{name}")
    made = run_network(checkpoint.network, true["x"])
    np.testing.assert_allclose(made["lstm/l1"], true["y"], atol=2e-6)
    assert all(path.is_file() for path in checkpoint.files)
    kind = "by configuration" if "frozen" in name else "by name"
    assert {str(node.recurrent.evidence) for node in checkpoint.network.recurrent} == {kind}


@pytest.mark.parametrize("name", CUSTOM)
def test_cells_of_somebodys_own_are_guessed_and_said_to_be(name):
    true = truth()
    checkpoint = read_checkpoint(UNPACKED / f"new_custom_{name}.pt")
    (node,) = checkpoint.network.recurrent
    made = run_layer(node.recurrent, true["x"], None, {})
    np.testing.assert_allclose(made.c, true[f"{name}:c"], atol=2e-6)
    np.testing.assert_allclose(made.m, true[f"{name}:m"], atol=2e-6)
    assert "a guess" in str(node.recurrent.evidence)
    assert "is a guess" in checkpoint.notes[0]
    assert [entry.name for entry in checkpoint.left_out] == ["fc.weight", "fc.bias"]


def test_a_whole_module_of_an_unknown_class_is_a_guess_that_names_it():
    true = truth()
    checkpoint = read_checkpoint(UNPACKED / "new_whole_custom.pt")
    (node,) = checkpoint.network.recurrent
    np.testing.assert_allclose(
        run_layer(node.recurrent, true["x"], None, {}).m, true["joint:m"], atol=2e-6
    )
    assert "JointCell, whose code is not in the file" in checkpoint.notes[0]
    assert "a guess" in str(node.recurrent.evidence)


def test_cells_in_a_list_feed_each_other():
    """OpenNMT's StackedLSTM: input and units are as wide, so that widths alone tell nothing."""
    true = truth()
    network = read_checkpoint(UNPACKED / "new_opennmt.pt").network
    assert network.node("rnn.layers.1").reads == ("rnn.layers.0",)
    made = run_network(network, true["x"])
    np.testing.assert_allclose(made["rnn.layers.1"], true["opennmt1:m"], atol=2e-6)


def test_stable_baselines():
    true = truth()
    checkpoint = read_checkpoint(UNPACKED / "new_baselines.zip")
    made = run_network(checkpoint.network, true["x"])
    np.testing.assert_allclose(made["lstm_actor/l0"], true["baselines_actor"], atol=2e-6)
    assert "'policy.pth'" in checkpoint.notes[0]
    assert checkpoint.files == (UNPACKED / "new_baselines.zip",)


def test_guitar_amplifiers():
    true = truth()
    checkpoint = read_checkpoint(UNPACKED / "new_guitar.json")
    made = run_network(checkpoint.network, true["guitar_x"])
    np.testing.assert_allclose(made["rec/l0"], true["guitar_y"], atol=2e-6)
    assert "(skip)" in checkpoint.notes[-1]


def test_rtneural():
    with np.load(UNPACKED / "rtneural_truth.npz") as true:
        checkpoint = read_checkpoint(UNPACKED / "rtneural.json")
        made = run_network(checkpoint.network, true["x"])
        np.testing.assert_allclose(made["layers/1/lstm"], true["lstm"], atol=2e-6)
        np.testing.assert_allclose(made["layers/2/gru"], true["gru"], atol=2e-6)
    assert [entry.name for entry in checkpoint.left_out] == ["layers/3/dense"]


def test_rtneural_computes_no_other_activation(tmp_path):
    held = json.loads((UNPACKED / "rtneural.json").read_text())
    held["layers"][1]["activation"] = "relu"
    path = tmp_path / "m.json"
    path.write_text(json.dumps(held))
    network = read_checkpoint(path).network
    assert [node.name for node in network.recurrent] == ["layers/2/gru"]
    assert "relu" in network.node("layers/1/lstm").layer.reason


def test_the_metadata_alone_names_the_folder():
    made = read_checkpoint(UNPACKED / "new_distributed/.metadata")
    assert made.format == "torch-distributed"


def test_a_missing_file_of_a_distributed_checkpoint_is_named(tmp_path):
    shutil.copytree(UNPACKED / "new_distributed", tmp_path / "d")
    (tmp_path / "d/__0_0.distcp").unlink()
    with pytest.raises(CheckpointError, match=r"__0_0\.distcp"):
        read_checkpoint(tmp_path / "d")


def arrays(units=3):
    rng = np.random.default_rng(1)
    return {
        "lstm.weight_ih_l0": rng.normal(size=(4 * units, 2)).astype("f4"),
        "lstm.weight_hh_l0": rng.normal(size=(4 * units, units)).astype("f4"),
    }


def folder_of(tmp_path, *names):
    for name in names:
        save_safetensors(tmp_path / name, arrays())
    (tmp_path / "config.json").write_text('{"model_type": "lstm"}')
    return tmp_path


def test_a_folder_is_its_weights(tmp_path):
    checkpoint = read_checkpoint(folder_of(tmp_path, "model.safetensors", "other.safetensors"))
    assert checkpoint.network.recurrent
    assert "'model.safetensors'" in checkpoint.notes[0]
    assert checkpoint.path == tmp_path / "model.safetensors"


def test_a_folder_of_shards(tmp_path):
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    for name, (tensor, values) in zip(names, arrays().items(), strict=True):
        save_safetensors(tmp_path / name, {tensor: values})
    weights = dict(zip(arrays(), names, strict=True))
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weights}))
    assert read_checkpoint(tmp_path).network.recurrent
    index.unlink()
    assert len(read_checkpoint(tmp_path).files) == 2


def test_a_folder_of_several_models_is_refused(tmp_path):
    folder_of(tmp_path, "a.safetensors", "b.safetensors")
    with pytest.raises(CheckpointError, match=r"a\.safetensors, b\.safetensors"):
        read_checkpoint(tmp_path)


def tar_of(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def weights(tmp_path):
    return save_safetensors(tmp_path / "w", arrays()).read_bytes()


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tars_however_compressed(tmp_path, mode):
    path = tar_of(tmp_path / "m", {"a/notes.txt": b"x" * 20, "a/w": weights(tmp_path)}, mode)
    assert looks_like_tar(path)
    checkpoint = read_checkpoint(path)
    assert checkpoint.network.recurrent
    assert checkpoint.files == (path,)
    assert "'a/w'" in checkpoint.notes[0]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m", "w"]  # nothing was unpacked here


def test_several_models_in_an_archive_are_named(tmp_path):
    data = weights(tmp_path)
    path = tar_of(tmp_path / "m.tar", {"a.safetensors": data, "b.safetensors": data}, "w")
    with pytest.raises(CheckpointError, match=r"a\.safetensors, b\.safetensors"):
        read_checkpoint(path)


def test_what_training_keeps_beside_is_passed_over(tmp_path):
    data = weights(tmp_path)
    path = tar_of(tmp_path / "m.tar", {"w": data, "optimizer.bin": data}, "w")
    assert "'w'" in read_checkpoint(path).notes[0]


def test_an_archive_of_other_things_names_them(tmp_path):
    path = tar_of(tmp_path / "m.tar.gz", {"saved_model/saved_model.pb": b"x", "variables": b"y"})
    with pytest.raises(CheckpointError, match=r"saved_model\.pb") as error:
        read_checkpoint(path)
    assert "unpack it" in error.value.hint


def test_a_bomb_is_refused_before_it_unpacks(tmp_path):
    path = tar_of(tmp_path / "m.tar.gz", {"w": b"\x80\x04" + bytes(2**22)})
    before = set_limits(max_bytes=2**20)
    try:
        with pytest.raises(CheckpointError, match="unpacks to more than it may"):
            read_checkpoint(path)
    finally:
        put_limits_back(before)


def test_links_in_tars_are_passed_over(tmp_path):
    path = tmp_path / "m.tar"
    with tarfile.open(path, "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            info = tarfile.TarInfo(f"link{kind.decode()}")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    with pytest.raises(CheckpointError, match="no file that is read"):
        read_checkpoint(path)


def test_a_zip_in_which_a_member_is_compressed(tmp_path):
    path = tmp_path / "m.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("policy.safetensors", weights(tmp_path))
        archive.writestr("data", "{}")
    assert read_checkpoint(path).network.recurrent


def test_a_member_without_a_name_is_no_fault(tmp_path):
    path = tmp_path / "m.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("~", b"")
        archive.writestr("w.safetensors", weights(tmp_path))
    path.write_bytes(path.read_bytes().replace(b"~", b"\0"))
    assert "" in zipfile.ZipFile(path).namelist()
    assert read_checkpoint(path).network.recurrent


def test_numbers_in_a_list_are_no_array(tmp_path):
    """Numpy keeps a list behind the dtype of objects alone."""
    data = pickle.dumps(np.array([{"a": 1}], dtype=object))
    path = tmp_path / "w.pkl"
    assert b"O8" in data
    path.write_bytes(data.replace(b"O8", b"f8"))
    with pytest.raises(CheckpointError, match="damaged"):
        read_checkpoint(path)


def test_a_dict_of_arrays_in_an_npy(tmp_path):
    path = tmp_path / "w.npy"
    np.save(path, arrays(), allow_pickle=True)
    checkpoint = read_checkpoint(path)
    assert checkpoint.format == "npy-objects"
    assert checkpoint.network.recurrent


def test_code_that_calls_twice_is_one_module():
    end = "False, 1, 0., False, False, True)\n"
    code = "    w = [CONSTANTS.c0, CONSTANTS.c1]\n"
    for listed in ("w", "w", "[CONSTANTS.c2, CONSTANTS.c3]"):
        code += f"    a, _0 = torch.gru(x, h, {listed}, {end}"
    found = find_frozen(code)
    assert found.names == {
        0: "gru.weight_ih_l0", 1: "gru.weight_hh_l0",
        2: "gru_1.weight_ih_l0", 3: "gru_1.weight_hh_l0",
    }  # fmt: skip
    assert found.modules["gru"].settings["bidirectional"] is False


def test_a_count_that_does_not_fit_names_nothing():
    call = "torch.lstm(x, h, [CONSTANTS.c0], True, 2, 0., False, False, True)"
    assert find_frozen(call).names == {}


@pytest.mark.parametrize(
    "name",
    ["new_model.tar.gz", "new_baselines.zip", "new_net.pt2", "new_frozen.pt", "rtneural.json"],
)
def test_damage_never_ends_in_a_traceback(tmp_path, name):
    whole = (UNPACKED / name).read_bytes()
    path = tmp_path / name
    step = max(1, len(whole) // 12)
    for data in damaged_copies(whole, seed=4, step=step, most=len(whole), flips=25):
        path.write_bytes(data)
        try:
            read_checkpoint(path)
        except RnnscopeError:
            continue
