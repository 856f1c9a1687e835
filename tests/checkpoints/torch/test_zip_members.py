"""The members of a PyTorch archive: opened once, checked, large ones mapped."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from rnnscope.checkpoints.torch import zip_members
from rnnscope.checkpoints.torch.zip_members import ZipMembers
from rnnscope.errors import CheckpointError

BYTES = np.arange(4096, dtype="<f4").tobytes()


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as made:
        for number in range(3):
            made.writestr(f"data/{number}", BYTES)
        made.writestr("small", b"1")
        made.writestr("packed", BYTES, zipfile.ZIP_DEFLATED)
    return path


@pytest.mark.parametrize("mapped_from", [1, 10**9], ids=["mapped", "read"])
@pytest.mark.parametrize("name", ["data/0", "data/2", "packed"])
def test_a_storage_is_what_was_written(archive, monkeypatch, mapped_from, name):
    monkeypatch.setattr(zip_members, "MAPPED_BYTES", mapped_from)
    found = ZipMembers(archive).storage(name, len(BYTES), is_shared=False)
    assert isinstance(found, memoryview)
    assert bytes(found) == BYTES


@pytest.mark.parametrize("mapped_from", [1, 10**9], ids=["mapped", "read"])
def test_a_changed_byte_is_found(archive, monkeypatch, mapped_from):
    monkeypatch.setattr(zip_members, "MAPPED_BYTES", mapped_from)
    content = bytearray(archive.read_bytes())
    content[content.index(BYTES[400:600]) + 7] ^= 1
    archive.write_bytes(content)
    members = ZipMembers(archive)
    with pytest.raises(CheckpointError, match="damaged"):
        members.storage("data/0", len(BYTES), is_shared=False)
    assert bytes(members.storage("data/1", len(BYTES), is_shared=False)) == BYTES


def test_the_archive_is_opened_once_and_a_shared_storage_read_once(archive, monkeypatch):
    opened, read = [], []
    init, read_member = zipfile.ZipFile.__init__, zip_members.read_in_pieces
    monkeypatch.setattr(
        zipfile.ZipFile, "__init__", lambda self, *given: opened.append(1) or init(self, *given)
    )
    monkeypatch.setattr(
        zip_members, "read_in_pieces", lambda *given: read.append(1) or read_member(*given)
    )
    members = ZipMembers(archive)
    for _ in range(5):
        members.storage("data/0", len(BYTES), is_shared=True)
    assert (len(opened), len(read)) == (1, 1)


@pytest.mark.parametrize("name", ["none", "twice"])
def test_a_member_that_is_not_there_once_is_refused(archive, name):
    with zipfile.ZipFile(archive, "a") as more:
        more.writestr("twice", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            more.writestr("twice", b"2")
    with pytest.raises(CheckpointError, match="damaged") as caught:
        ZipMembers(archive).read(name, 100)
    assert caught.value.found == ("0" if name == "none" else "2")


def test_a_member_that_says_it_is_larger_than_it_may_be_is_refused(archive):
    with pytest.raises(CheckpointError, match="damaged"):
        ZipMembers(archive).read("data/0", 100)
