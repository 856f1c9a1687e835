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

import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from rnnscope.files.archives.first_bytes import BZIP2, GZIP, XZ, ZIP, is_tar
from rnnscope.files.containers.msgpack_arrays import begins_as_map


class FileKind(NamedTuple):
    """One kind of file: what it is called, how it is told, and what to do."""

    title: str
    fits: Callable[[bytes, Path], bool]
    advice: str


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


def zip_names(path: Path) -> list[str]:
    """The names in a zip; none where it cannot be read as one."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return []


def _zip_with(*lasts: str) -> Callable[[bytes, Path], bool]:
    def fits(head: bytes, path: Path) -> bool:
        return head.startswith(ZIP) and {*lasts} <= {
            name.rpartition("/")[2] for name in zip_names(path)
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
