"""Core ML models: ``.mlmodel`` files and ``.mlpackage`` folders."""

from __future__ import annotations

from pathlib import Path

from rnnscope.checkpoints.coreml.packages import model_in, names_a_model
from rnnscope.checkpoints.interface import Checkpoint, Reader
from rnnscope.files.messages.proto_fields import BYTES, VARINT, outer_fields

VERSIONS = range(1, 100)
"""Versions of the specification; coremltools 9 writes up to 10."""

DESCRIPTION, UPDATABLE = 2, 10

TYPE_FIELDS = range(200, 3001)
"""What kind of model a Model is stands in a field of these numbers."""


def sniff(path: Path) -> bool:
    """Whether it is a Model message, or a folder whose manifest names one. Never raises."""
    try:
        if path.is_dir():
            return names_a_model(path)
        if not path.is_file():
            return False
        size = path.stat().st_size
        with path.open("rb") as file:
            versioned = described = typed = False
            for field in outer_fields(file, size):
                if (field.number, field.kind) == (1, VARINT):
                    versioned = field.value in VERSIONS
                elif (field.number, field.kind) == (DESCRIPTION, BYTES):
                    described = True
                elif field.kind == BYTES and field.number in TYPE_FIELDS:
                    typed = True
                elif (field.number, field.kind) != (UPDATABLE, VARINT):
                    return False
            return versioned and described and typed
    except (OSError, ValueError):
        return False


def read_coreml(path: Path) -> Checkpoint:
    """Read the recurrent layers of a Core ML model, as data.

    Parameters
    ----------
    path : Path
        A ``.mlmodel`` file, or a ``.mlpackage`` folder.

    Raises
    ------
    CheckpointError
        A file is damaged; it names what was read.
    UnsupportedCellError
        There is no recurrent layer; it names what there is.
    """
    # Imported here: this reader is asked about every file first.
    from rnnscope.checkpoints.coreml.translate import translate
    from rnnscope.checkpoints.translated.reading import read_translation

    return read_translation(model_in(path), READER.name, translate, asked=path)


READER = Reader(
    name="coreml",
    title="Core ML model (.mlmodel, .mlpackage)",
    reads="uniDirectionalLSTM, biDirectionalLSTM, gru and simpleRecurrent of neural networks; "
    "lstm, gru and rnn of ML programs; peepholes, limits of c and of the gates, coupled gates; "
    "weights of 16 bits and linearly quantised ones; what stands in front and between, held to the "
    "graph; kraken's models: their recurrent layers alone",
    does_not_read="while loops (PyTorch's GRU becomes one), weights behind lookup tables of less "
    "than a byte in programs, pipelines of several recurrent models, compiled models (.mlmodelc)",
    sniff=sniff,
    read=read_coreml,
)
