"""A file that no reader takes is named by its first bytes, in a sentence, with what to do."""

from __future__ import annotations

import io
import struct
import tarfile
import textwrap
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from checkpoint_truth import DATA

import rnnscope
from rnnscope.checkpoints import read_checkpoint
from rnnscope.errors import CheckpointError, RnnscopeError
from rnnscope.files.archives.file_kinds import FILE_KINDS, FOLDERS
from rnnscope.files.archives.naming import NamedFile, name_file, name_folder
from rnnscope.report.errors.error_text import render_error

MOST_LINES, COLUMNS = 8, 80


def zipped(*names):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return data.getvalue()


def tarred():
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        info = tarfile.TarInfo("saved_model/saved_model.pb")
        info.size = 1
        archive.addfile(info, io.BytesIO(b"x"))
    return data.getvalue()


def array():
    data = io.BytesIO()
    np.save(data, np.zeros((2, 3, 5), "f4"))
    return data.getvalue()


FILES = {
    "TensorFlow Lite": b"\x1c\0\0\0TFL3" + bytes(60),
    "ONNX Runtime": b"\x1c\0\0\0ORTM" + bytes(60),
    "MXNet parameters": struct.pack("<QQ", 0x112, 0) + bytes(40),
    "MXNet symbol": b'{"nodes": [], "arg_nodes": [0], "heads": []}',
    "PaddlePaddle": bytes(16) + b"\x05\0\0\0\x08\x05\x10\x02\x10\x03" + bytes(40),
    "DyNet": b"#Parameter# /lstm/W {10,5} 200 ZERO_GRAD\n0.1 0.2\n",
    "DL4J": zipped("configuration.json", "coefficients.bin"),
    "CNTK 1": "BCN".encode("utf-16-le") + bytes(20),
    "CNTK 2": b"\x12\x20uid\x1a\x11CompositeFunction" + bytes(20),
    "Kaldi": b"\0B<TransitionModel> " + bytes(9),
    "Torch 7": b"\x04\0\0\0\x01\0\0\0" + bytes(30),
    "fastText": struct.pack("<ii", 793712314, 12),
    "Core ML": bytes([8, 4, 0x12, 9]) + b"\x0a\x07lstm_in" + bytes(30),
    "OpenVINO": b'<?xml version="1.0"?>\n<net name="m" version="11">\n<layers/></net>\n',
    "TensorFlow.js": b'{"format": "layers-model", "modelTopology": {}, "weightsManifest": []}',
    "Keras configuration": b'{"class_name": "Sequential", "config": {}}',
    "configuration of Hugging Face": b'{"model_type": "lstm", "hidden_size": 6}',
    "text form": b'node {\n  name: "x"\n}\n',
    "web page": b"<!DOCTYPE html>\n<html><title>Sign in</title></html>",
    "Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
    "PNG picture": b"\x89PNG\r\n\x1a\n" + bytes(30),
    "PDF": b"%PDF-1.7\n" + bytes(30),
    "sound": b"RIFF\x24\0\0\0WAVEfmt ",
    "program": b"\x7fELF\x02\x01\x01" + bytes(30),
    "array (.npy)": array(),
    "arrays one after the other": array() + array(),
    "leaves of Equinox": b'{"units": 6}\n' + array(),
    "table of numbers": b"a,b\n1.5,2\n3,4e-1\n5,6\n",
    "text file": b"Notes on how the model was trained.\n",
    "a zip": zipped("readme.txt", "notes/one.txt"),
    "MATLAB": b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + bytes(100),
    "Parquet": b"PAR1" + bytes(30),
    "SQLite": b"SQLite format 3\0" + bytes(30),
    "zstd": b"\x28\xb5\x2f\xfd" + bytes(30),
    "JSON": b"[1, 2, 3, {}]",
}  # fmt: skip


def folded(error):
    """The lines that a terminal of 80 columns shows."""
    return [part for line in render_error(error).splitlines()
            for part in textwrap.wrap(line, COLUMNS) or [""]]  # fmt: skip


@pytest.mark.parametrize("title", FILES)
def test_a_file_is_named(tmp_path, title):
    path = tmp_path / "file"
    path.write_bytes(FILES[title])
    named = name_file(path)
    assert title in named.title
    assert named.advice


MAY_BE_READ = ("TensorFlow Lite", "PaddlePaddle", "Core ML", "OpenVINO", "TensorFlow.js")
"""What a reader may take: it is named where a reader finds that it cannot."""


@pytest.mark.parametrize("title", [title for title in FILES if title not in MAY_BE_READ])
def test_the_message_is_short(tmp_path, title):
    path = tmp_path / "file"
    path.write_bytes(FILES[title])
    with pytest.raises(CheckpointError) as error:
        read_checkpoint(path)
    assert title in error.value.what
    assert error.value.what.startswith("No reader takes this file: it is ")
    assert error.value.hint
    error.value.where = "file"
    assert len(folded(error.value)) <= MOST_LINES


def test_bytes_that_say_nothing_are_shown(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(range(200, 250)))
    with pytest.raises(CheckpointError, match="No reader knows this file") as error:
        read_checkpoint(path)
    assert r"\xc8\xc9" in error.value.found
    error.value.where = "file"
    assert len(folded(error.value)) <= MOST_LINES


def test_an_archive_says_what_is_inside(tmp_path):
    path = tmp_path / "m.tar.gz"
    path.write_bytes(tarred())
    with pytest.raises(CheckpointError) as error:
        read_checkpoint(path)
    assert "saved_model/saved_model.pb" in error.value.found
    error.value.where = "m.tar.gz"
    assert len(folded(error.value)) <= MOST_LINES


def test_hdf5_says_what_it_holds(tmp_path):
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file["images/train"] = np.zeros(3)
    with pytest.raises(CheckpointError, match="HDF5 file without a model") as error:
        read_checkpoint(path)
    assert error.value.found == "images"


def test_a_trace_is_no_model(tmp_path):
    path = tmp_path / "trace.h5"
    with h5py.File(path, "w") as file:
        file.attrs["schema"] = "rnnscope-trace"
    with pytest.raises(CheckpointError, match="a trace, not a saved model") as error:
        read_checkpoint(path)
    assert "rnnscope.show(TRACE)" in error.value.hint


@pytest.mark.parametrize(("mark", "title", "advice"), FOLDERS)
def test_a_folder_is_named(tmp_path, mark, title, advice):
    (tmp_path / mark).write_text("{}")
    assert name_folder(tmp_path) == NamedFile(title, advice, mark)


def test_an_empty_folder(tmp_path):
    with pytest.raises(CheckpointError, match="it is an empty folder"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.csv"])
def test_swapped_arguments_are_told(tmp_path, name):
    path, model = tmp_path / name, DATA / "torch/tagger.pt"
    values = np.zeros((7, 5), "f4")
    if name.endswith("npy"):
        np.save(path, values)
    elif name.endswith("npz"):
        np.savez(path, x=values)
    else:
        np.savetxt(path, values, delimiter=",")
    with pytest.raises(RnnscopeError) as error:
        rnnscope.run(path, str(model))
    assert error.value.hint == f"did you mean the other order: {model} {path}?"
    assert len(folded(error.value)) <= MOST_LINES


def test_arguments_that_are_not_swapped_are_not_told_so(tmp_path):
    one, other = tmp_path / "a.npy", tmp_path / "b.npy"
    for path in (one, other):
        np.save(path, np.zeros((7, 5), "f4"))
    with pytest.raises(RnnscopeError) as error:
        rnnscope.run(one, str(other))
    assert "other order" not in str(error.value)


def test_a_run_without_an_input_is_not_told_to_be_swapped_with_the_folder(tmp_path, monkeypatch):
    """Vectors and random numbers have no input: its empty name is the folder at hand."""
    from rnnscope.checkpoints import is_checkpoint

    for item in Path("sample_data/lstm_float64").iterdir():
        if item.name.startswith(("model", "checkpoint")):
            (tmp_path / item.name).write_bytes(item.read_bytes())
    np.savez(tmp_path / "x.npz", x=np.zeros((7, 5), "f4"))
    monkeypatch.chdir(tmp_path)
    assert is_checkpoint(Path())
    with pytest.raises(RnnscopeError) as error:
        rnnscope.write_vectors("x.npz", "v")
    assert "other order" not in str(error.value.hint)


def test_every_kind_has_advice_that_fits_a_line():
    for kind in FILE_KINDS:
        assert len(kind.advice) <= COLUMNS, kind.title
        assert not kind.advice.endswith(".")
