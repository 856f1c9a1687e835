"""PaddlePaddle's inference models: ``.json`` or ``.pdmodel`` with their ``.pdiparams``."""

from __future__ import annotations

import re
from pathlib import Path

from rnnscope.checkpoints.interface import Checkpoint, Reader
from rnnscope.checkpoints.paddle.program import OLD_START

_BASE = re.compile(rb'\s*\{\s*"base_code"\s*:\s*\{[^}]*"magic"\s*:\s*"pir"')


def sniff(path: Path) -> bool:
    """Whether a file begins as a program that Paddle saves. Never raises."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(512)
            return _BASE.match(head) is not None or OLD_START.match(head) is not None
    except OSError:
        return False


def read_paddle_program(path: Path) -> Checkpoint:
    """Read the recurrent layers of a program, as data.

    Raises
    ------
    CheckpointError
        A file is damaged, or the ``.pdiparams`` is missing.
    UnsupportedCellError
        There is no recurrent layer; it names what there is.
    """
    from rnnscope.checkpoints.paddle.translate import translate
    from rnnscope.checkpoints.translated.reading import read_translation

    return read_translation(path, READER.name, translate)


READER = Reader(
    name="paddle-program",
    title="PaddlePaddle inference model (.json or .pdmodel, .pdiparams)",
    reads="LSTM, GRU and RNN layers of any depth, both directions, lengths that are an input; what "
    "stands in front and between, held to the program",
    does_not_read="loops of cells, programs without their parameters",
    sniff=sniff,
    read=read_paddle_program,
)
