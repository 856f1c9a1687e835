"""HDF5 files that point outside themselves, lie about sizes or are damaged."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from rnnscope.errors import CheckpointError, InputError
from rnnscope.files.hdf5 import safe_hdf5
from rnnscope.files.hdf5.safe_hdf5 import (
    attribute_text,
    attribute_texts,
    child,
    child_group,
    has_signature,
    load_array,
    open_h5,
    walk_datasets,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.h5"


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<f2", "<i8", "?"])
@pytest.mark.parametrize("how", [{}, {"chunks": (2, 2)}, {"compression": "gzip"}])
def test_loads_numbers_of_every_layout(path: Path, dtype: str, how: dict[str, Any]) -> None:
    """Contiguous, chunked and compressed; native byte order comes out."""
    values = np.arange(12).reshape(3, 4).astype(dtype)
    with h5py.File(path, "w") as file:
        file.create_dataset("a/b", data=values, **how)
    with open_h5(path) as file:
        loaded = load_array(child(file, "a/b"))
    np.testing.assert_array_equal(loaded, values)
    assert loaded.dtype.isnative


def test_bfloat16_as_keras_marks_it(path: Path) -> None:
    """1.5 is 0x3FC0 in bfloat16."""
    raw = np.array([0x3FC0, 0xC000], "<u2").view("V2")
    with h5py.File(path, "w") as file:
        file.create_dataset("w", data=raw).attrs["dtype"] = "bfloat16"
    with open_h5(path) as file:
        assert load_array(file["w"]).tolist() == [1.5, -2.0]


def test_from_memory(path: Path) -> None:
    """A member of a zip is read from its bytes."""
    with h5py.File(path, "w") as file:
        file["w"] = np.ones(3)
    with open_h5(io.BytesIO(path.read_bytes()), name="inner.h5") as file:
        assert load_array(file["w"]).tolist() == [1, 1, 1]


def test_missing_and_misplaced_paths_are_none(path: Path) -> None:
    """A path that is not there is no damage; the caller says what it means."""
    with h5py.File(path, "w") as file:
        file["a/w"] = np.ones(3)
    with open_h5(path) as file:
        assert child(file, "a/b/c") is None
        assert child(file, "a/w/deeper") is None
        assert child_group(file, "a/w") is None
        assert child(file, "a//w/") is not None


@pytest.mark.parametrize(
    ("link", "said"),
    [
        (h5py.SoftLink("/secret"), "a soft link"),
        (h5py.ExternalLink("/etc/passwd.h5", "/x"), "an external link"),
    ],
)
def test_links_are_refused(path: Path, link: object, said: str) -> None:
    """On the way to a dataset as well as at its end."""
    with h5py.File(path, "w") as file:
        file["secret/w"] = np.ones(2)
        file["door"] = link
    with open_h5(path) as file:
        for target in ("door", "door/w"):
            with pytest.raises(CheckpointError, match="does not follow") as raised:
                child(file, target)
            assert raised.value.found == said
            assert raised.value.where == "/door"
        with pytest.raises(CheckpointError):
            list(walk_datasets(file))


def test_external_storage_is_refused(path: Path, tmp_path: Path) -> None:
    """Values in another file."""
    (tmp_path / "raw.bin").write_bytes(np.ones(4).tobytes())
    with h5py.File(path, "w") as file:
        file.create_dataset("w", (4,), "f8", external=[(str(tmp_path / "raw.bin"), 0, 32)])
    with open_h5(path) as file, pytest.raises(CheckpointError, match="outside the file") as raised:
        load_array(file["w"])
    assert raised.value.found == "external storage"


def test_virtual_datasets_are_refused(path: Path, tmp_path: Path) -> None:
    """Values put together from other datasets."""
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["w"] = np.ones(4)
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "w", (4,))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("w", layout)
    with open_h5(path) as file, pytest.raises(CheckpointError, match="outside the file") as raised:
        load_array(file["w"])
    assert raised.value.found == "a virtual dataset"


@pytest.mark.parametrize(
    "how", [{"chunks": (1024,)}, {"chunks": (1024,), "compression": "gzip"}, {}]
)
def test_sizes_that_nothing_stands_behind_are_refused(path: Path, how: dict[str, Any]) -> None:
    """A terabyte declared, nothing stored: refused before anything is allocated."""
    with h5py.File(path, "w") as file:
        file.create_dataset("bomb", (2**37,), "f8", **how)
    with open_h5(path) as file, pytest.raises(CheckpointError, match="more values") as raised:
        load_array(file["bomb"])
    assert "1099511627776 bytes" in str(raised.value)


def test_the_cap_holds_for_honest_files_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is stored, no array above the cap."""
    monkeypatch.setattr(safe_hdf5, "MAX_ARRAY", 64)
    with h5py.File(path, "w") as file:
        file["w"] = np.ones(9)
    with open_h5(path) as file, pytest.raises(CheckpointError, match="more values"):
        load_array(file["w"])


@pytest.mark.parametrize("value", ["text", np.array([1 + 2j]), h5py.Empty("f4")])
def test_what_holds_no_numbers_is_refused(path: Path, value: object) -> None:
    """Text, complex numbers, a null dataspace."""
    with h5py.File(path, "w") as file:
        file["w"] = value
    with open_h5(path) as file, pytest.raises(CheckpointError, match="/w"):
        load_array(file["w"])


def test_groups_that_contain_themselves_end(path: Path) -> None:
    """Hard links can form a circle."""
    with h5py.File(path, "w") as file:
        file["a/w"] = np.ones(1)
        file["a/again"] = file["a"]
    with open_h5(path) as file, pytest.raises(CheckpointError, match="more groups"):
        list(walk_datasets(file))


@pytest.mark.parametrize("cut", [0, 1, 8, 100, 1000, -1])
def test_truncated_files_are_named(path: Path, cut: int) -> None:
    """Never an error of h5py's own; an error class of the caller's choice."""
    with h5py.File(path, "w") as file:
        file["w"] = np.ones(1000)
    path.write_bytes(path.read_bytes()[:cut])
    for error in (CheckpointError, InputError):
        with pytest.raises(error) as raised, open_h5(path, error=error) as file:
            load_array(child(file, "w"), error)
        assert raised.value.where == str(path)
    assert has_signature(path) == (cut not in (0, 1))


def test_a_missing_file_is_named(path: Path) -> None:
    """And so is a folder."""
    for target in (path, path.parent):
        with pytest.raises(CheckpointError, match="no such file"), open_h5(target):
            pass
    assert not has_signature(path)


def test_texts_as_any_keras_wrote_them(path: Path) -> None:
    """Bytes, strings, lists of either, and lists in pieces."""
    with h5py.File(path, "w") as file:
        file.attrs["bytes"] = np.bytes_(b"abc")
        file.attrs["str"] = "abc"
        file.attrs["names"] = [b"a", b"bc"]
        file.attrs["strings"] = ["a", "bc"]
        file.attrs["long0"], file.attrs["long1"] = [b"a"], [b"bc"]
        file.attrs["number"] = 3
        file.attrs["none"] = np.array([])
    with open_h5(path) as file:
        assert attribute_text(file, "bytes") == attribute_text(file, "str") == "abc"
        for name in ("names", "strings", "long"):
            assert attribute_texts(file, name) == ("a", "bc")
        assert attribute_text(file, "missing") is None
        assert attribute_texts(file, "missing") is None
        assert attribute_texts(file, "none") == ()
        with pytest.raises(CheckpointError, match="not text"):
            attribute_text(file, "number")
