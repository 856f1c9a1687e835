"""Pickles are interpreted: what is no tensor is refused by name, and nothing is executed."""

from __future__ import annotations

import io
import os
import pickle
import zipfile

import pytest

from rnnscope.checkpoints import read_checkpoint
from rnnscope.checkpoints.torch.pickle_data import read_pickle
from rnnscope.errors import CheckpointError


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


def test_scripts_may_name_their_own_classes_only(tmp_path):
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
        (b"c__torch__.Model\nNet\n.", r"'__torch__\.Model\.Net'"),
        (b"ctorch\nload\n.", r"'torch\.load'"),
        (b"(cos\nsystem\nX\x02\x00\x00\x00lso.", "refused"),
        (b"\x82\x01.", "the opcode EXT1"),
        (b"(iposix\nsystem\n.", "the opcode INST"),
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
        tensor(kind=b"UntypedStorage"),
    ],
)
def test_tensors_that_reach_beyond_their_storage(data):
    with pytest.raises(CheckpointError):
        read_pickle(io.BytesIO(data), "a file")


def test_python_s_own_unpickler_is_not_used(monkeypatch):
    monkeypatch.setattr(pickle, "Unpickler", None)
    monkeypatch.setattr(pickle, "loads", None)
    read_pickle(io.BytesIO(tensor()), "a file")
