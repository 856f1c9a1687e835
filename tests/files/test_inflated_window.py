"""Deflated bytes read anywhere: the same as when they are unpacked, and refused where damaged."""

from __future__ import annotations

import zipfile
import zlib

import numpy as np
import pytest

from rnnscope.files.archives.inflated_window import BLOCK_BYTES, KEPT_BLOCKS, DeflatedBytes
from rnnscope.files.archives.zip_window import place_of

SIZE = 3 * BLOCK_BYTES + 12_345
CONTENT = np.random.default_rng(5).bytes(SIZE // 2) + bytes(SIZE - SIZE // 2)


def nothing():
    """A clock that never strikes."""


@pytest.fixture
def member(tmp_path):
    """The file, and what `DeflatedBytes` is told of it."""
    path = tmp_path / "m.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("before", b"x" * 99)
        archive.writestr("content", CONTENT)
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("content")
    with path.open("rb") as file:
        start = place_of(file, info)
    return [path, start, info.compress_size, info.file_size, info.CRC, nothing]


def test_every_part_is_what_unpacking_gives(member):
    rng = np.random.default_rng(1)
    with DeflatedBytes(*member).open() as file:
        assert file.read() == CONTENT
        for _ in range(40):
            at, count = int(rng.integers(SIZE)), int(rng.choice([1, 8, 5000, BLOCK_BYTES + 7]))
            file.seek(at)
            assert file.read(count) == CONTENT[at : at + count]
        file.seek(-5, 2)
        assert (file.read(9), file.read(9)) == (CONTENT[-5:], b"")


def test_two_windows_do_not_disturb_each_other(member):
    deflated = DeflatedBytes(*member)
    with deflated.open() as one, deflated.open() as other:
        assert one.read(10) == CONTENT[:10]
        other.seek(SIZE - 10)
        assert other.read(10) == CONTENT[-10:]
        assert one.read(10) == CONTENT[10:20]


def test_few_blocks_are_kept(member):
    with DeflatedBytes(*member).open() as file:
        file.read()
        assert len(file._kept) <= KEPT_BLOCKS


@pytest.mark.parametrize(
    ("place", "change"),
    [(2, -1000), (3, 1), (3, -1), (4, 1)],
    ids=["cut off", "fewer bytes", "more bytes", "checksum"],
)
def test_other_bytes_than_declared_are_refused(member, place, change):
    member[place] += change
    with pytest.raises((zlib.error, EOFError)):
        DeflatedBytes(*member)


def test_time_ends_the_first_pass(member):
    def over():
        raise TimeoutError

    member[5] = over
    with pytest.raises(TimeoutError):
        DeflatedBytes(*member)
