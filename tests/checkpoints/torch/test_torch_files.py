"""PyTorch's files, old and new, give PyTorch's own states; what is damaged is named."""

from __future__ import annotations

import json
import pickle
import shutil
import struct
import zipfile

import numpy as np
import pytest
from checkpoint_truth import DATA, assert_like_truth

from rnnscope.checkpoints import read_checkpoint
from rnnscope.checkpoints.torch.torch_file import sniff
from rnnscope.errors import CheckpointError, RnnscopeError, UnsupportedCellError

TORCH = DATA / "torch"
TAGGER = {"encoder": "encoder/l1", "top": "top/l0"}


@pytest.mark.parametrize("kind", ["", "_legacy", "_training", "_script"])
def test_a_tagger_in_every_container(kind):
    path = TORCH / f"tagger{kind}.pt"
    assert_like_truth(path, TORCH / "tagger_truth.npz", TAGGER)


@pytest.mark.parametrize(
    ("name", "last"),
    [("proj", "l1"), ("nobias", "l0"), ("gru", "l1"), ("rnn", "l0"), ("bfloat16", "l0")],
)
def test_modules_alone(name, last):
    assert_like_truth(TORCH / f"{name}.pt", TORCH / f"{name}_truth.npz", {"rnn": f"rnn/{last}"})


def test_names_wiring_and_origins():
    checkpoint = read_checkpoint(TORCH / "tagger.pt")
    nodes = {node.name: (node.reads, node.wiring) for node in checkpoint.network.nodes}
    assert nodes == {
        "embedding": (("input",), "guess"),
        "encoder/l0/forward": (("embedding",), "guess"),
        "encoder/l0/backward": (("embedding",), "guess"),
        "encoder/l0": (("encoder/l0/forward", "encoder/l0/backward"), "config"),
        "encoder/l1/forward": (("encoder/l0",), "config"),
        "encoder/l1/backward": (("encoder/l0",), "config"),
        "encoder/l1": (("encoder/l1/forward", "encoder/l1/backward"), "config"),
        "top/l0": (("encoder/l1",), "guess"),
    }
    layer = checkpoint.network.node("encoder/l0/backward").recurrent
    assert layer.backward.value
    assert layer.reversal == "within length"
    assert layer.cell.options.activation.origin == "class default"
    assert layer.cell.variables[0] == "encoder.weight_ih_l0_reverse"
    assert [entry.name for entry in checkpoint.left_out] == ["head.weight", "head.bias"]
    assert any("'top' reads 'encoder/l1' is a guess" in note for note in checkpoint.notes)


def test_the_dict_around_a_state_dict_is_named():
    notes = read_checkpoint(TORCH / "tagger_training.pt").notes
    assert "The state dict was found under 'model'." in notes


def test_an_rnn_says_that_its_nonlinearity_is_not_stored():
    (note,) = read_checkpoint(TORCH / "rnn.pt").notes
    assert "whose nonlinearity is not stored" in note


def test_a_module_without_recurrent_modules_says_what_it_holds():
    with pytest.raises(UnsupportedCellError, match="weight"):
        read_checkpoint(TORCH / "whole_module.pt")


@pytest.mark.parametrize("name", ["tagger.pt", "tagger_legacy.pt", "tagger_script.pt"])
def test_truncated_anywhere(tmp_path, name):
    whole = (TORCH / name).read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 97)):
        cut = tmp_path / "cut.pt"
        cut.write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            read_checkpoint(cut)


@pytest.mark.parametrize("name", ["tagger.pt", "tagger_legacy.pt"])
def test_flipped_bytes_never_end_in_a_traceback(tmp_path, name):
    whole = bytearray((TORCH / name).read_bytes())
    rng = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 3):
            damaged[place] = rng.integers(0, 256)
        path = tmp_path / "damaged.pt"
        path.write_bytes(damaged)
        try:
            read_checkpoint(path)
        except RnnscopeError as error:
            assert error.what


def test_a_storage_shorter_than_its_tensor(tmp_path):
    short = tmp_path / "short.pt"
    with zipfile.ZipFile(TORCH / "nobias.pt") as source, zipfile.ZipFile(short, "w") as target:
        for info in source.infolist():
            data = source.read(info)
            cut = info.filename.endswith("/data/0")
            target.writestr(info.filename, data[:-4] if cut else data)
    with pytest.raises(CheckpointError, match="truncated or damaged"):
        read_checkpoint(short)


def test_sniffing_looks_at_content(tmp_path):
    renamed = tmp_path / "model.h5"
    shutil.copy(TORCH / "nobias.pt", renamed)
    assert sniff(renamed)
    assert not sniff(tmp_path)
    assert not sniff(TORCH / "proj_truth.npz")
    assert not sniff(tmp_path / "missing")


# .safetensors


def safetensors(path, tensors, header=None, length=None):
    """A file as the library writes it, or with a header of one's own."""
    entries, data = {}, b""
    for name, (dtype, array) in tensors.items():
        raw = array.tobytes()
        entries[name] = {
            "dtype": dtype,
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    text = json.dumps(entries if header is None else header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def lstm_tensors(dtype="<f4", name="F32"):
    rng = np.random.default_rng(1)
    shapes = {"weight_ih_l0": (8, 3), "weight_hh_l0": (8, 2)}
    return {key: (name, rng.normal(size=shape).astype(dtype)) for key, shape in shapes.items()}


def test_safetensors_float16_is_widened(tmp_path):
    path = safetensors(tmp_path / "a.safetensors", lstm_tensors("<f2", "F16"))
    cell = read_checkpoint(path).network.recurrent[0].recurrent.cell
    assert cell.dtype == np.float32
    stored = lstm_tensors("<f2", "F16")["weight_ih_l0"][1]
    np.testing.assert_array_equal(cell.weights.kernel, stored.T.astype(np.float32))


def entry(**changes):
    plain = {"dtype": "F32", "shape": [8, 3], "data_offsets": [0, 96]}
    return {"weight_ih_l0": {**plain, **changes}}


@pytest.mark.parametrize(
    "header",
    [
        entry(shape=[8, 10**12]),
        entry(data_offsets=[0, 10**15]),
        entry(data_offsets=[96, 0]),
        entry(data_offsets=[-4, 92]),
        entry(shape=[8, True]),
        entry(shape=[8, 3.0]),
        entry(shape="83"),
        entry(dtype="F64"),
        {"weight_ih_l0": 3},
        {"weight_ih_l0": {}},
        [1, 2],
    ],
)
def test_safetensors_headers_that_lie(tmp_path, header):
    path = safetensors(tmp_path / "a.safetensors", lstm_tensors(), header)
    with pytest.raises(CheckpointError):
        read_checkpoint(path)


def test_safetensors_truncated_anywhere(tmp_path):
    whole = safetensors(tmp_path / "a.safetensors", lstm_tensors()).read_bytes()
    for length in range(len(whole)):
        cut = tmp_path / "cut.safetensors"
        cut.write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            read_checkpoint(cut)


def test_a_file_without_recurrent_modules_says_what_it_holds(tmp_path):
    dense = {"fc.weight": ("F32", np.zeros((2, 3), "<f4"))}
    with pytest.raises(UnsupportedCellError, match=r"fc\.weight"):
        read_checkpoint(safetensors(tmp_path / "a.safetensors", dense))


def test_shapes_that_fit_no_class(tmp_path):
    tensors = {
        "weight_ih_l0": ("F32", np.zeros((10, 3), "<f4")),
        "weight_hh_l0": ("F32", np.zeros((10, 2), "<f4")),
    }
    with pytest.raises(UnsupportedCellError, match=r"weight_hh_l0.*5 gates"):
        read_checkpoint(safetensors(tmp_path / "a.safetensors", tensors))


def test_a_stack_with_a_layer_missing(tmp_path):
    tensors = {key.replace("l0", "l2"): value for key, value in lstm_tensors().items()}
    path = safetensors(tmp_path / "a.safetensors", {**lstm_tensors(), **tensors})
    with pytest.raises(UnsupportedCellError, match="not complete"):
        read_checkpoint(path)


# Sets of shards


def shards(folder, count=3):
    """One LSTM, a tensor or two a file, and the index."""
    folder.mkdir(exist_ok=True)
    biases = {f"bias_{end}_l0": ("F32", np.arange(8, dtype="<f4") / 9) for end in ("ih", "hh")}
    tensors = {f"lstm.{key}": value for key, value in {**lstm_tensors(), **biases}.items()}
    whole = safetensors(folder.parent / "whole.safetensors", tensors)
    names = [f"model-{n:05}-of-{count:05}.safetensors" for n in range(1, count + 1)]
    cuts = {name: {k: tensors[k] for k in list(tensors)[n::count]} for n, name in enumerate(names)}
    for name, part in cuts.items():
        safetensors(folder / name, part)
    index = folder / "model.safetensors.index.json"
    weight_map = {key: name for name, part in cuts.items() for key in part}
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return whole, index, [folder / name for name in names]


def kernel(path):
    return read_checkpoint(path).network.recurrent[0].recurrent.cell.weights.kernel


@pytest.mark.parametrize("indexed", [True, False])
def test_a_set_of_shards_is_read_whole(tmp_path, indexed):
    whole, index, files = shards(tmp_path / "set")
    if not indexed:
        index.unlink()
    for named in ([index] if indexed else []) + files:
        checkpoint = read_checkpoint(named)
        np.testing.assert_array_equal(kernel(named), kernel(whole))
        assert checkpoint.files == (*files, *([index] if indexed else []))
        assert any("cut into 3 files" in note for note in checkpoint.notes)


def test_missing_shards_are_named(tmp_path):
    _, index, files = shards(tmp_path / "set")
    files[1].unlink()
    for named in (index, files[0]):
        with pytest.raises(CheckpointError, match="without model-00002-of-00003"):
            read_checkpoint(named)


def test_a_shard_of_another_set(tmp_path):
    _, index, files = shards(tmp_path / "set")
    safetensors(files[2], {"fc.weight": ("F32", np.zeros((2, 3), "<f4"))})
    with pytest.raises(CheckpointError, match="lack tensors"):
        read_checkpoint(index)


def test_a_tensor_in_two_shards(tmp_path):
    _, index, files = shards(tmp_path / "set")
    twice = {"lstm.weight_ih_l0": ("F32", np.zeros((8, 3), "<f4"))}
    safetensors(files[2], {**twice, "lstm.bias_hh_l0": ("F32", np.zeros(8, "<f4"))})
    index.unlink()
    with pytest.raises(CheckpointError, match=r"twice lstm\.weight_ih_l0"):
        read_checkpoint(files[0])


@pytest.mark.parametrize("extra", ["lstm.w_ci", "fc.bias"])
def test_shards_have_the_same_dict_around_their_tensors(tmp_path, extra):
    arrays = {
        f"lstm.{role}_l0": np.ones(shape, "f4")
        for role, shape in {"weight_ih": (8, 3), "weight_hh": (8, 2)}.items()
    }
    files = [tmp_path / f"model-{number:05}-of-00002.pt" for number in (1, 2)]
    for file, part in zip(files, (arrays, {extra: np.ones(2, "f4")}), strict=True):
        file.write_bytes(pickle.dumps({"state_dict": part, "step": np.ones(1)}, 4))
    if extra.startswith("lstm"):
        with pytest.raises(UnsupportedCellError, match=r"lstm\.w_ci"):
            read_checkpoint(files[0])
    else:
        checkpoint = read_checkpoint(files[1])
        assert [entry.name for entry in checkpoint.left_out] == ["step", "fc.bias", "step"]


@pytest.mark.parametrize("name", ["../whole.safetensors", "/etc/passwd.safetensors"])
def test_an_index_stays_in_its_folder(tmp_path, name):
    _, index, _ = shards(tmp_path / "set")
    index.write_text(json.dumps({"weight_map": {"lstm.weight_ih_l0": name}}))
    with pytest.raises(CheckpointError, match="outside its folder"):
        read_checkpoint(index)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"weight_map": 3}', '{"weight_map": {}}'])
def test_what_is_no_index(tmp_path, text):
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(text)
    with pytest.raises(CheckpointError):
        read_checkpoint(path)
