r"""What a file is, by its first bytes, and what to do with it: for files that no reader takes.

A kind is a line of `FILE_KINDS`; the first that fits names the file. Content decides; a suffix only
where two formats begin alike.

References
----------
The magic numbers are those of the formats' own sources: FlatBuffers' file identifiers (TFL3, ORTM,
ET12) at byte 4; mxnet src/ndarray/ndarray.cc (kMXAPINDArrayListMagic 0x112); cntk
Source/ComputationNetworkLib/ComputationNetwork.h (BCN in two bytes a letter); dynet/io.cc
(``#Parameter#``); deeplearning4j ModelSerializer.java (configuration.json, coefficients.bin);
paddle/fluid/framework/lod_tensor.cc (SerializeToStream); kaldi-io (``\0B``); fastText
(793712314); Git LFS' specification of pointers.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import NamedTuple

from rnnscope.errors import RnnscopeError
from rnnscope.files.archives.first_bytes import BZIP2, GZIP, HDF5, XZ, ZIP, is_tar
from rnnscope.files.containers.msgpack_arrays import begins_as_map
from rnnscope.files.containers.npy import read_npy_header
from rnnscope.files.hdf5.safe_hdf5 import attribute_text, child_names, open_h5

HEAD_BYTES = 4096
MAX_LISTED = 4
NAME_LENGTH = 30


class FileKind(NamedTuple):
    """One kind of file: what it is called, how it is told, and what to do."""

    title: str
    fits: Callable[[bytes, Path], bool]
    advice: str


class NamedFile(NamedTuple):
    """What a file turned out to be.

    Attributes
    ----------
    title : str
        ``"a TensorFlow Lite model"``.
    advice : str
        What to do.
    detail : str
        What is inside, or how it begins.
    is_input : bool
        It is an array: a likely input of a run.
    """

    title: str
    advice: str
    detail: str = ""
    is_input: bool = False


def at(offset: int, *marks: bytes) -> Callable[[bytes, Path], bool]:
    """Whether one of some marks stands at a place."""
    return lambda head, _: any(head[offset : offset + len(mark)] == mark for mark in marks)


def begins(*marks: bytes) -> Callable[[bytes, Path], bool]:
    """Whether a file begins with one of some marks."""
    return at(0, *marks)


def _text_with(pattern: str) -> Callable[[bytes, Path], bool]:
    compiled = re.compile(pattern.encode(), re.DOTALL | re.IGNORECASE)
    return lambda head, _: is_text(head) and compiled.search(head) is not None


def is_text(head: bytes) -> bool:
    """Whether bytes are text in UTF-8; a character may be cut at the end."""
    if not head or re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]", head):
        return False
    text = head.decode("utf-8", errors="ignore")
    return len(text.encode()) >= len(head) - 3


def _zip_names(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return []


def _zip_with(*lasts: str) -> Callable[[bytes, Path], bool]:
    def fits(head: bytes, path: Path) -> bool:
        return head.startswith(ZIP) and {*lasts} <= {
            name.rpartition("/")[2] for name in _zip_names(path)
        }

    return fits


def _mlmodel(head: bytes, path: Path) -> bool:
    """A protocol message whose field 1 is a small version and field 2 a description."""
    return (
        len(head) > 4
        and head[0] == 0x08
        and head[1] < 16
        and (head[2] == 0x12 or path.suffix == ".mlmodel")
    )


def _paddle_tensors(head: bytes, _: Path) -> bool:
    return len(head) > 20 and head[:16] == bytes(16) and 0 < head[16] < 64 and head[20] == 0x08


def _pickle(head: bytes, _: Path) -> bool:
    return head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")


TRACE = "rnnscope-trace"
FOR_TRACES = "look at it: {show(TRACE)}; compute it again: {rerun(TRACE)}"
RELOAD = "load it with the library that wrote it, and save the weights as an .npz"
TO_ONNX = "export the model to ONNX, or give the checkpoint that it was converted from"
DOWNLOAD = "download it again: this is not the file itself"
EQX = "their names stand in code: save the leaves by name with safetensors or an .npz"
AS_INPUT = "name the saved model first, and the array second"

FILE_KINDS: tuple[FileKind, ...] = (
    FileKind("a TensorFlow Lite model", at(4, b"TFL3"), TO_ONNX),
    FileKind("an ONNX Runtime model (.ort)", at(4, b"ORTM"), "give the .onnx that it was made of"),
    FileKind("an ExecuTorch program", at(4, b"ET12"), "give the .pt or .pt2 that it was made of"),
    FileKind("a model of GGUF", begins(b"GGUF"), "convert it again, without quantisation"),
    FileKind("a model of llama.cpp before GGUF", begins(b"lmgg", b"tjgg", b"fmgg"),
             "convert it to GGUF"),
    FileKind("leaves of Equinox behind a line of JSON",
             lambda head, _: re.match(rb"\{[^\n]*\}\n\x93NUMPY", head) is not None, EQX),
    FileKind("a model of an RKNN device", begins(b"RKNN"), TO_ONNX),
    FileKind("a TensorRT engine", begins(b"ptrt", b"ftrt"), TO_ONNX),
    FileKind("MXNet parameters", begins(b"\x12\x01" + bytes(6)),
             "load them with mxnet.nd.load, and save them with numpy.savez"),
    FileKind("a fastText model", begins(b"\xba\x16\x4f\x2f"), "it has no recurrent layer"),
    FileKind("a model of CNTK 1", begins(b"B\0C\0N\0"), "export it to ONNX with CNTK"),
    FileKind("a model of CNTK 2",
             lambda head, _: b"CompositeFunction" in head or b"PrimitiveFunction" in head,
             "export it with model.save(name, format=ModelFormat.ONNX)"),
    FileKind("a model of Kaldi", begins(b"\0B<", b"<TransitionModel>", b"<Nnet"),
             "convert its LSTM layers by hand: nnet3-copy --binary=false shows them"),
    FileKind("a model of Torch 7 (Lua)", begins(b"\x04\0\0\0", b"4\n1\n3\nV "),
             "load it with torchfile, and save the weights with numpy.savez"),
    FileKind("DyNet parameters", begins(b"#Parameter#", b"#LookupParameter#"),
             "load them with dynet, and save the arrays with numpy.savez"),
    FileKind("a model of DL4J", _zip_with("configuration.json", "coefficients.bin"),
             "save its parameter table as arrays of numpy; see 'rnnscope help checkpoints'"),
    FileKind("a rnnscope page or report", _text_with(r"^\s*<!doctype html>.*rnnscope"),
             "name the saved model, or the trace that it was made of"),
    FileKind("a web page", _text_with(r"^\s*<(!doctype html|html)|<title>"), DOWNLOAD),
    FileKind("a Git LFS pointer", begins(b"version https://git-lfs.github.com"),
             "fetch the file itself: git lfs pull"),
    FileKind("an HTTP error in XML", _text_with(r"^\s*(<\?xml[^>]*>)?\s*<Error>"), DOWNLOAD),
    FileKind("an OpenVINO model (.xml)", _text_with(r"<net\b[^>]*\bversion="), TO_ONNX),
    FileKind("a TensorFlow.js model", _text_with(r'"(weightsManifest|modelTopology)"'),
             "give the Keras model or SavedModel that it was converted from"),
    FileKind("an MXNet symbol", _text_with(r'"(arg_nodes|mxnet_version|node_row_ptr)"'),
             "it has no weights: they are in the .params file"),
    FileKind("a Keras configuration", _text_with(r'"class_name"\s*:'),
             "it has no weights: give the file that was saved with model.save"),
    FileKind("a configuration of Hugging Face",
             _text_with(r'"(model_type|architectures|transformers_version)"\s*:'),
             "it has no weights: give its folder, or model.safetensors"),
    FileKind("a Neural Amp Modeler file", _text_with(r'"architecture"\s*:\s*"(LSTM|WaveNet)"'),
             "its weights are one list: export the model to ONNX"),
    FileKind("a TensorFlow graph in text form", _text_with(r"^\s*(node|saved_model_schema)"),
             "save it in binary form (as_text=False)"),
    FileKind("a model of ncnn", begins(b"7767517\n"), TO_ONNX),
    FileKind("a PNG picture", begins(b"\x89PNG"), "name a saved model"),
    FileKind("a JPEG picture", begins(b"\xff\xd8\xff"), "name a saved model"),
    FileKind("a picture", begins(b"GIF8", b"BM", b"II*\0", b"MM\0*"), "name a saved model"),
    FileKind("a PDF document", begins(b"%PDF"), "name a saved model"),
    FileKind("sound", begins(b"RIFF", b"fLaC", b"OggS", b"ID3", b"\xff\xfb"),
             "name a saved model; sound is no input either: give its features as an .npy"),
    FileKind("a program", begins(b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe", b"#!"),
             "name a saved model"),
    FileKind("a table of Parquet", begins(b"PAR1"), "save its arrays with numpy.save"),
    FileKind("a table of Arrow", begins(b"ARROW1"), "save its arrays with numpy.save"),
    FileKind("a database of SQLite", begins(b"SQLite format 3"), "name a saved model"),
    FileKind("MATLAB's arrays", begins(b"MATLAB 5.0"),
             "load them with scipy.io.loadmat, and save them with numpy.savez"),
    FileKind("a file that joblib compressed", begins(b"x\x9c", b"x\x01", b"x\xda"), RELOAD),
    FileKind("compressed with zstd", begins(b"\x28\xb5\x2f\xfd"), "unpack it first"),
    FileKind("a 7z archive", begins(b"7z\xbc\xaf\x27\x1c"), "unpack it, and name the model"),
    FileKind("a RAR archive", begins(b"Rar!"), "unpack it, and name the model"),
    FileKind("a zip", begins(ZIP), "unpack it, and name the file that holds the weights"),
    FileKind("a tar", lambda head, _: is_tar(head), "unpack it, and name the model in it"),
    FileKind("a gzip file", begins(GZIP), "unpack it, and name the model in it"),
    FileKind("a compressed file", begins(BZIP2, XZ), "unpack it, and name the model in it"),
    FileKind("a pickle", _pickle, RELOAD),
    FileKind("tensors of PaddlePaddle (.pdiparams)", _paddle_tensors,
             "save the state dict with paddle.save(layer.state_dict(), 'm.pdparams')"),
    FileKind("a Core ML model", _mlmodel, TO_ONNX),
    FileKind("msgpack", lambda head, _: begins_as_map(head), RELOAD),
    FileKind("JSON", _text_with(r"^\s*[\[{]"), "name a saved model"),
    FileKind("XML", _text_with(r"^\s*<"), "name a saved model"),
)  # fmt: skip
"""In the order in which they are asked: marks that are long before those that are short."""

TABLE = re.compile(r"^[-+\d.eE,;\s]+$")


def name_file(path: Path) -> NamedFile | None:
    """What a file is; None if nothing about it is known. Never raises.

    Parameters
    ----------
    path : Path
        A file that is there, and not empty.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return None
    array = _array(head, path)
    if array is not None:
        return array
    if head.startswith(HDF5):
        return _hdf5(path)
    for kind in FILE_KINDS:
        if kind.fits(head, path):
            return NamedFile(kind.title, kind.advice, _inside(head, path))
    if is_text(head):
        first = head.decode("utf-8", errors="replace").strip().splitlines()
        return NamedFile("a text file", "name a saved model", f"it begins {_cut(first[0])!r}"
                         if first else "")  # fmt: skip
    return None


def _array(head: bytes, path: Path) -> NamedFile | None:
    """Arrays of numbers, which are inputs."""
    if head.startswith(b"\x93NUMPY") and _has_more_arrays(path):
        return NamedFile("arrays one after the other, as Equinox' tree_serialise_leaves", EQX)
    if head.startswith(b"\x93NUMPY"):
        return NamedFile("an array (.npy)", AS_INPUT, is_input=True)
    if head.startswith(ZIP):
        names = _zip_names(path)
        if names and all(name.endswith(".npy") for name in names):
            return NamedFile("arrays (.npz)", AS_INPUT, _listed(names), is_input=True)
    if is_text(head):
        lines = head.decode("utf-8", errors="ignore").strip().splitlines()
        rows = lines[1:-1] or lines[:1]
        if rows and all(TABLE.match(line) and re.search(r"\d", line) for line in rows):
            return NamedFile("a table of numbers in text", AS_INPUT, is_input=True)
    return None


def _has_more_arrays(path: Path) -> bool:
    """Whether another header stands behind the first array of an ``.npy``."""
    try:
        with path.open("rb") as file:
            shape, _, dtype = read_npy_header(file)
            file.seek(file.tell() + prod(shape) * dtype.itemsize)
            return file.read(6) == b"\x93NUMPY"
    except (OSError, ValueError, EOFError, OverflowError):
        return False


def _hdf5(path: Path) -> NamedFile:
    """An HDF5 file: a trace, arrays, or something else."""
    names, schema = list[str](), None
    try:
        with open_h5(path) as file:
            names, schema = child_names(file), attribute_text(file, "schema")
    except RnnscopeError:
        return NamedFile("an HDF5 file that is damaged", DOWNLOAD)
    if schema == TRACE:
        return NamedFile("a trace, not a saved model", FOR_TRACES)
    advice = "name a saved model; 'rnnscope help checkpoints' lists what is read"
    return NamedFile("an HDF5 file without a model that is known", advice, _listed(names))


def _inside(head: bytes, path: Path) -> str:
    """What a container holds, or how a text file is laid out."""
    if head.startswith(ZIP):
        return _listed(_zip_names(path))
    if head.lstrip()[:1] == b"{" and is_text(head):
        try:
            keys = list(json.loads(path.read_bytes())) if path.stat().st_size < 2**20 else []
        except (OSError, ValueError, RecursionError):
            return ""
        return f"keys {_listed(map(str, keys))}" if keys else ""
    return ""


def _listed(names: object) -> str:
    found = [str(name) for name in names]  # type: ignore[attr-defined]
    more = f" and {len(found) - MAX_LISTED} more" if len(found) > MAX_LISTED else ""
    return ", ".join(map(_cut, found[:MAX_LISTED])) + more


def _cut(text: str) -> str:
    """A name that leaves room for others in a line."""
    return text if len(text) <= NAME_LENGTH else f"{text[: NAME_LENGTH - 1]}…"


FOLDERS: tuple[tuple[str, str, str], ...] = (
    ("Manifest.json", "a Core ML package (.mlpackage)", TO_ONNX),
    ("coremldata.bin", "a compiled Core ML model (.mlmodelc)", TO_ONNX),
    ("_METADATA", "an Orbax checkpoint",
     "install the extra: pip install 'rnnscope[orbax]'"),
    ("_CHECKPOINT_METADATA", "an Orbax checkpoint", "name the item's folder inside it"),
    ("zarr.json", "a zarr store, not a saved model", f"is it a trace? Then {FOR_TRACES}"),
    ("MLmodel", "a model of MLflow", "name the folder or file in its folder 'data'"),
    ("model.json", "a folder of TensorFlow.js", "name the model it was converted from"),
    ("config.json", "a folder with a configuration and no weights that are known",
     "name the file that holds the weights"),
    ("saved_model.pbtxt", "a SavedModel in text form", "save it in binary form"),
    (".git", "a repository", "name a saved model in it"),
)  # fmt: skip
"""Files by which folders are told: the name, what the folder is, what to do."""


def name_folder(path: Path) -> NamedFile:
    """What a folder is, by the names in it. Never raises."""
    try:
        names = sorted(other.name for other in path.iterdir())
    except OSError:
        names = []
    for mark, title, advice in FOLDERS:
        if mark in names:
            return NamedFile(title, advice, _listed(names))
    if not names:
        return NamedFile("an empty folder", "name a saved model")
    return NamedFile("a folder without a checkpoint", "name a file or folder in it", _listed(names))
