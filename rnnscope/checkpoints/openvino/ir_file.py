"""OpenVINO's ``.xml`` files, whose constants lie in a ``.bin`` beside them."""

from __future__ import annotations

import re
from pathlib import Path

from rnnscope.checkpoints.interface import Checkpoint, Reader

_NET = re.compile(
    rb"\s*(<\?xml[^>]*\?>)?\s*(<!DOCTYPE[^>[]*(\[[^]]*\])?\s*>)?\s*(<!--.*?-->\s*)*"
    rb"<net\s[^>]*\bversion=",
    re.DOTALL,
)


def sniff(path: Path) -> bool:
    """Whether a file is XML whose outermost element is a ``net`` with a version. Never raises."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError:
        return False
    return _NET.match(head.removeprefix(b"\xef\xbb\xbf")) is not None


def read_openvino(path: Path) -> Checkpoint:
    """Read the recurrent layers of an OpenVINO model, as data.

    Parameters
    ----------
    path : Path
        The ``.xml`` file.

    Raises
    ------
    CheckpointError
        A file is damaged, or the ``.bin`` is missing; it names the constant that was wanted.
    UnsupportedCellError
        There is no recurrent layer; it names what there is.
    """
    from rnnscope.checkpoints.openvino.translate import translate
    from rnnscope.checkpoints.translated.reading import read_translation

    return read_translation(path, READER.name, translate)


READER = Reader(
    name="openvino",
    title="OpenVINO model (.xml with its .bin)",
    reads="LSTMSequence, GRUSequence and RNNSequence with every attribute, single cells, "
    "TensorIterator and Loop over every step; weights of 16 bits and compressed ones; all that "
    "stands in front and between, held to the graph",
    does_not_read="the first operation set's peepholes, AUGRU, loops that end by a condition, "
    "weights of less than a byte",
    sniff=sniff,
    read=read_openvino,
)
