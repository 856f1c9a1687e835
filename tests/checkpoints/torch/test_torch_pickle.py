"""Pickles are interpreted: what is no tensor is refused by name, and nothing is executed."""

from __future__ import annotations

import io
import os
import pickle
import zipfile

import numpy as np
import pytest
from checkpoint_truth import DATA

from rnnscope.checkpoints import read_checkpoint
from rnnscope.checkpoints.torch.pickle_data import read_pickle
from rnnscope.checkpoints.torch.pickled_values import Name, Record
from rnnscope.checkpoints.torch.stored_tensors import load_array
from rnnscope.errors import CheckpointError, UnsupportedCellError


class Touch:
    """Pickles as a call of os.system."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def torch_zip(path, data):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/version", "3")
    return path


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_os_system_is_refused_and_not_executed(tmp_path, protocol):
    touched = tmp_path / "touched"
    data = pickle.dumps({"weight_ih_l0": Touch(touched)}, protocol)
    with pytest.raises(CheckpointError, match=r"'(posix|nt)\.system', which is refused"):
        read_checkpoint(torch_zip(tmp_path / "evil.pt", data))
    assert not touched.exists()


MAGIC = 0x1950A86A20F9469CFC6C
"""What files of before torch 1.6 begin with."""


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_old_files_are_no_way_around(tmp_path, protocol):
    touched = tmp_path / "touched"
    evil = tmp_path / "evil.pt"
    parts = (MAGIC, 1001, Touch(touched))
    evil.write_bytes(b"".join(pickle.dumps(part, protocol) for part in parts))
    with pytest.raises(CheckpointError, match="system', which is refused"):
        read_checkpoint(evil)
    assert not touched.exists()


def test_scripts_are_no_way_around(tmp_path):
    touched = tmp_path / "touched"
    path = torch_zip(tmp_path / "evil.pt", pickle.dumps(Touch(touched), 2))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/constants.pkl", b"")
    with pytest.raises(CheckpointError, match="system', which is refused"):
        read_checkpoint(path)
    assert not touched.exists()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"cbuiltins\neval\n.", r"'builtins\.eval'"),
        (b"\x80\x04\x8c\x08builtins\x8c\x04exec\x93.", r"'builtins\.exec'"),
        (b"ctorch\nload\n.", r"'torch\.load'"),
        (b"(cos\nsystem\nX\x02\x00\x00\x00lso.", "refused"),
        (b"\x82\x01.", "the opcode EXT1"),
        (b"(iposix\nsystem\n.", r"'posix\.system'"),
        (b"c__builtin__\neval\n.", r"'builtins\.eval'"),
        (b"csubprocess\nPopen\n.", "refused"),
        (b"\x80\x05\x98.", "the opcode READONLY_BUFFER"),
        (b"\x80\x05\x97.", "the opcode NEXT_BUFFER"),
    ],
)
def test_what_is_refused_is_named(data, said):
    with pytest.raises(CheckpointError, match=said):
        read_pickle(io.BytesIO(data), "a file")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b".",
        b"}",
        b"(((",
        b"h\x05.",
        b"]K\x01s.",
        b"}K\x01a.",
        b"ccollections\nOrderedDict\nK\x01R.",
        b"K\x01K\x02R.",
        b"ctorch\nFloatStorage\n)R.",
        b"}](u.",
        b"](]tb.",
        b"(X\x07\x00\x00\x00storageQ.",
        b"X\xff\xff\xff\x7fab.",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
    ],
)
def test_damaged_pickles(data):
    with pytest.raises(CheckpointError):
        read_pickle(io.BytesIO(data), "a file")


def storage(kind=b"FloatStorage", count=b"K\x04"):
    return (
        b"(X\x07\x00\x00\x00storagectorch\n" + kind + b"\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
        + count + b"tQ"
    )  # fmt: skip


def tensor(offset=b"K\x00", shape=b"K\x02\x85", strides=b"K\x01\x85", **parts):
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage(**parts) + offset + shape + strides
        + b"\x89ccollections\nOrderedDict\n)RtR."
    )  # fmt: skip


def test_a_tensor_as_torch_writes_it():
    found = read_pickle(io.BytesIO(tensor()), "a file")
    assert (found.storage.kind, found.storage.count, found.shape) == ("FloatStorage", 4, (2,))


@pytest.mark.parametrize(
    "data",
    [
        tensor(shape=b"K\x05\x85"),
        tensor(offset=b"K\x03"),
        tensor(offset=b"J\xff\xff\xff\xff"),
        tensor(strides=b"J\xff\xff\xff\xff\x85"),
        tensor(strides=b"K\x01K\x01\x86"),
        tensor(shape=b"X\x01\x00\x00\x00a\x85"),
        tensor(count=b"N"),
        tensor(count=b"J\xff\xff\xff\xff"),
        tensor(kind=b"StrangeStorage"),
    ],
)
def test_tensors_that_reach_beyond_their_storage(data):
    with pytest.raises(CheckpointError):
        read_pickle(io.BytesIO(data), "a file")


def test_unknown_names_become_records():
    value = {"a": Own(3), "b": Own}
    found = read_pickle(io.BytesIO(pickle.dumps(value, 4)), "a file")
    assert isinstance(found["a"], Record)
    assert (found["a"].name, found["a"].attributes) == (Name(__name__, "Own"), {"number": 3})
    assert found["b"] == Name(__name__, "Own")


class Own:
    """Of somebody's own; making it is noticed."""

    made = 0

    def __init__(self, number):
        Own.made += 1
        self.number = number

    def __setstate__(self, state):
        raise AssertionError("it was executed")


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_of_numpy(protocol):
    arrays = {
        "f4": np.arange(6, dtype="f4").reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big": np.arange(3, dtype=">i4"),
        "half": np.arange(3, dtype="f2"),
        "none": np.zeros((0, 3)),
        "scalar": np.float64(2.5),
        "flag": np.bool_(True),
    }
    found = read_pickle(io.BytesIO(pickle.dumps(arrays, protocol)), "a file")
    for name, array in arrays.items():
        read = load_array(found[name], "a file")
        np.testing.assert_array_equal(read, array)
        assert read.shape == np.shape(array)


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([None]), np.zeros(2, [("a", "f4")])])
def test_arrays_of_anything_else_are_records_of_no_values(array):
    found = read_pickle(io.BytesIO(pickle.dumps(array, 4)), "a file")
    with pytest.raises(CheckpointError, match="dtype"):
        load_array(found, "a file")


def nested(levels):
    """A tuple of two of a tuple of two …, by its memo: an exponential number of parts."""
    return b"".join(b")q\x00" if n == 0 else b"h\x00h\x00\x86q\x00" for n in range(levels))


@pytest.mark.parametrize(
    "data",
    [
        b"}" + nested(64) + b"K\x01s.",  # as a key, whose hash would take for ever
        nested(64) + b".",  # as a value, walked
        b"]" + b"]a" * 0 + b"".join(b"](" for _ in range(5000)) + b"e" * 5000 + b".",
        b"}\x8a\xff" + b"\x7f" * 255 + b"K\x01s.",  # a key of so many digits
    ],
    ids=["key", "value", "deep", "digits"],
)
def test_what_would_take_for_ever_ends(tmp_path, data):
    with pytest.raises((CheckpointError, UnsupportedCellError)):
        read_checkpoint(torch_zip(tmp_path / "bomb.pt", data))


def test_calls_cannot_copy_without_end(tmp_path):
    text = b"X" + (10**6).to_bytes(4, "little") + b"a" * 10**6 + b"q\x00"
    copy = b"c_codecs\nencode\nh\x00\x85R0"
    with pytest.raises(CheckpointError, match="copy more"):
        read_checkpoint(torch_zip(tmp_path / "bomb.pt", text + copy * 1000 + b"."))


def test_tensors_of_plain_pickles_hold_their_bytes(tmp_path):
    whole = (DATA / "torch_kinds" / "pickle_tensors.pkl").read_bytes()
    for length in range(2, len(whole), 37):
        cut = tmp_path / "cut.pkl"
        cut.write_bytes(whole[:length] + b".")
        with pytest.raises((CheckpointError, UnsupportedCellError)):
            read_checkpoint(cut)


def test_python_s_own_unpickler_is_not_used(monkeypatch):
    monkeypatch.setattr(pickle, "Unpickler", None)
    monkeypatch.setattr(pickle, "loads", None)
    read_pickle(io.BytesIO(tensor()), "a file")
