"""Input files that are damaged, missing, something else, or made to do harm."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from rnnscope.errors import InputError
from rnnscope.files.containers import npz
from rnnscope.inputs import open_input

X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def fails(spec: str | Path) -> InputError:
    with pytest.raises(InputError) as caught, open_input(spec) as source:
        source.read()
    return caught.value


def test_a_missing_file_names_its_neighbour(tmp_path: Path) -> None:
    """The nearest name of the folder is offered."""
    np.save(tmp_path / "inputs.npy", X)
    error = fails(tmp_path / "input.npy")
    assert error.what == "The input file cannot be opened."
    assert error.where == str(tmp_path / "input.npy")
    assert error.found == "No such file or directory"
    assert error.hint == "did you mean inputs.npy?"


def test_files_that_are_no_input(tmp_path: Path) -> None:
    """A folder, an empty file, a picture, prose, a foreign zip."""
    (tmp_path / "empty.npy").touch()
    (tmp_path / "picture.npy").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    (tmp_path / "prose.csv").write_text("The 1st line,\nand the second.\n")
    (tmp_path / "header.csv").write_text("a,b1\n")
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    cases = {
        ".": ("The input file cannot be opened.", "Is a directory"),
        "empty.npy": ("The input file is empty.", "0 bytes"),
        "picture.npy": ("The input file is of no known format.", "PNG"),
        "prose.csv": ("The text file is not a table of numbers.", "and the second."),
        "header.csv": ("The text file is not a table of numbers.", "a header line and no rows"),
        "model.keras": ("The zip archive holds no NumPy arrays.", "config.json"),
    }
    for name, (what, found) in cases.items():
        error = fails(tmp_path / name)
        assert error.what == what
        assert found in (error.found or ""), name
        assert error.where == str(tmp_path / name)


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    """In .npy and .npz."""
    objects = np.array([{"a": 1}, None], dtype=object)
    np.save(tmp_path / "x.npy", objects)
    np.savez(tmp_path / "x.npz", x=objects)
    assert "which only pickle could load" in (fails(tmp_path / "x.npy").found or "")
    assert "an object array" in (fails(tmp_path / "x.npz").found or "")


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("form", ["npy", "npz"])
def test_truncated_files_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, in_place: bool
) -> None:
    """Before anything beyond the end is read."""
    limit = 0 if in_place else 2**60
    monkeypatch.setattr("rnnscope.files.arrays.stored_array.LOAD_BELOW_BYTES", limit)
    path = tmp_path / f"x.{form}"
    (np.save if form == "npy" else np.savez)(path, X)
    path.write_bytes(path.read_bytes()[:-50])
    assert fails(path).what == f"The .{form} file cannot be read."


def test_a_flipped_byte_in_an_archive_is_found(tmp_path: Path) -> None:
    """By the member's CRC-32."""
    path = tmp_path / "x.npz"
    np.savez(path, x=X)
    data = bytearray(path.read_bytes())
    at = data.index(X[1].tobytes())
    data[at] ^= 1
    path.write_bytes(data)
    assert "CRC-32" in (fails(path).found or "")


def test_a_member_that_declares_more_than_it_has_is_refused(tmp_path: Path) -> None:
    """The header's shape is held against the member's size before memory is taken."""
    path = tmp_path / "x.npz"
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000, 1000), }\n"
    bomb = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(64)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", bomb)
    assert "the array takes 4000000000" in (fails(path).found or "")


def test_a_zip_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A member that shrinks more than deflate can, or is larger than the cap."""
    path = tmp_path / "x.npz"
    np.savez_compressed(path, x=np.zeros((10, 100, 100), np.float32))
    monkeypatch.setattr(npz, "LOAD_AT_MOST_BYTES", 100_000)
    assert "a compressed member of" in (fails(path).found or "")


@pytest.mark.parametrize("kind", ["soft link", "external link", "external storage", "virtual"])
def test_hdf5_that_leads_elsewhere_is_refused(tmp_path: Path, kind: str) -> None:
    """Only values in the file itself are read."""
    path = tmp_path / "x.h5"
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = X
    with h5py.File(path, "w") as file:
        file["real"] = X
        if kind == "soft link":
            file["x"] = h5py.SoftLink("/real")
        elif kind == "external link":
            file["x"] = h5py.ExternalLink("other.h5", "/x")
        elif kind == "external storage":
            file.create_dataset("x", X.shape, "f4", external=[(str(tmp_path / "raw"), 0, X.nbytes)])
        else:
            layout = h5py.VirtualLayout(X.shape, "f4")
            layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", X.shape)
            file.create_virtual_dataset("x", layout)
    error = fails(f"{path}::/x")
    assert (error.where or "").endswith("/x")
    assert (error.found or "").removeprefix("an ").removeprefix("a ") in (
        kind,
        "virtual dataset or external storage",
    )


def test_hdf5_that_declares_more_than_it_stores_is_refused(tmp_path: Path) -> None:
    """Chunks that were never written would read as zeros, in any number."""
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (10**6, 10**3, 10**3), "f4", chunks=(1, 10, 10))
    assert fails(f"{path}::x").found == "4000000000000 bytes declared, 0 stored"


def test_a_truncated_hdf5_file_is_refused(tmp_path: Path) -> None:
    """Cut anywhere, the error is ours."""
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["x"] = X
    path.write_bytes(path.read_bytes()[:-40])
    assert "truncated" in (fails(f"{path}::x").found or "")
