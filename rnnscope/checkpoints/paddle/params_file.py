"""PaddlePaddle's ``.pdparams``: a pickled state dict of numpy arrays, interpreted as data.

Its recurrent modules have the names, the layout and the gates of PyTorch's; what a layer of several
cells holds stands there twice, under the layer's names and under those of its cells.

References
----------
PaddlePaddle 3.3: python/paddle/framework/io.py (``StructuredToParameterName@@``) and
python/paddle/nn/layer/rnn.py (the equations of LSTMCell, GRUCell and SimpleRNNCell).
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from rnnscope.checkpoints.interface import Checkpoint, Reader
from rnnscope.checkpoints.torch.network import read_state_dict
from rnnscope.checkpoints.torch.older_files import is_plain_pickle, read_plain_pickle
from rnnscope.checkpoints.torch.pickled_values import PickledArray
from rnnscope.checkpoints.torch.stored_tensors import load_array
from rnnscope.checkpoints.translated.words import reworded, told_as
from rnnscope.errors import CheckpointError
from rnnscope.files.arrays.loadable_arrays import LoadableArray, reading_by_name
from rnnscope.model.cell import Array
from rnnscope.model.network import Network
from rnnscope.model.recurrent_layer import RecurrentLayer

MARK = "StructuredToParameterName@@"
"""A key that Paddle adds to every state dict: the parameters that structured names stand for."""

PIECE_BYTES = 2**20
"""What is looked at together."""

CELLS = ("cell", "cell_fw", "cell_bw")

PROJECTION = re.compile(r"(.*\.)?weight_ho(_l\d+(?:_reverse)?)?")
"""Paddle's projection (unit, num_proj), which PyTorch has the other way round, as weight_hr."""

WORDS = (("torch nn.RNN", "paddle nn.SimpleRNN"), ("an nn.RNN", "an nn.SimpleRNN"),
         ("torch", "paddle"))  # fmt: skip
"""What PyTorch's reader says, and what it is here."""


def sniff(path: Path) -> bool:
    """Whether a file is a pickle that names Paddle's own key. Never raises."""
    try:
        if not path.is_file() or not is_plain_pickle(path):
            return False
        with path.open("rb", buffering=0) as file:
            return _holds(file, MARK.encode())
    except (OSError, ValueError):
        return False


def _holds(file: BinaryIO, mark: bytes) -> bool:
    """Whether a word stands in a file; read piece by piece, since pages of a map would stay."""
    piece = file.read(PIECE_BYTES)
    while len(piece) >= len(mark):
        if mark in piece:
            return True
        more = file.read(PIECE_BYTES)
        piece = piece[-len(mark) + 1 :] + more if more else b""
    return False


def read_pdparams(path: Path) -> Checkpoint:
    """Read the recurrent modules of a state dict of Paddle.

    Raises
    ------
    CheckpointError
        The file is damaged, or its pickle names what no state dict has a use for.
    UnsupportedCellError
        It holds no recurrent module.
    """
    value = read_plain_pickle(path).value
    if not isinstance(value, dict) or not isinstance(value.get(MARK), dict):
        raise CheckpointError(
            "The file is no state dict of PaddlePaddle.",
            where=path,
            expected=f"a dict of arrays and of '{MARK}'",
            found=type(value).__name__,
            hint="save it with paddle.save(layer.state_dict(), path)",
        )
    arrays = [
        LoadableArray(name, array.shape, partial(load_array, array, f"{path}: {name}"))
        for name, array in value.items()
        if isinstance(array, PickledArray)
    ]
    twice = _second_names(value[MARK], [array.name for array in arrays])
    once = [_as_torch_has_it(array) for array in arrays if array.name not in twice]
    found = read_state_dict(once, path)
    notes = [reworded(note, WORDS) for note in found.notes]
    if twice:
        notes.append(
            f"{len(twice)} arrays stand in the file twice, under the names of cells too; they are "
            "read once."
        )
    return Checkpoint(
        path=path,
        format=READER.name,
        framework="PaddlePaddle",
        files=(path,),
        network=_in_own_words(found.network),
        left_out=tuple(found.left_out),
        notes=tuple(notes),
        read_left_out=reading_by_name(arrays),
    )


def _second_names(parameters: dict[Any, Any], names: list[str]) -> set[str]:
    """Names of cells' arrays that a layer of the same parameters has under its own."""
    by_parameter: dict[Any, list[str]] = {}
    for name in names:
        parameter = parameters.get(name)
        if isinstance(parameter, str):
            by_parameter.setdefault(parameter, []).append(name)
    return {
        name
        for several in by_parameter.values()
        for name in several
        if len(several) > 1 and set(name.split(".")) & set(CELLS)
    }


def _as_torch_has_it(array: LoadableArray) -> LoadableArray:
    """A projection turned round, under PyTorch's name; others as they are."""
    found = PROJECTION.fullmatch(array.name)
    if found is None or len(array.shape) != 2:
        return array

    def turned() -> Array:
        return np.ascontiguousarray(array.load().T)

    name = f"{found[1] or ''}weight_hr{found[2] or ''}"
    return LoadableArray(name, array.shape[::-1], turned)


def _in_own_words(network: Network) -> Network:
    nodes = []
    for node in network.nodes:
        layer = node.layer
        if isinstance(layer, RecurrentLayer):
            layer = replace(layer, cell=told_as(layer.cell, WORDS))
        nodes.append(replace(node, layer=layer))
    return replace(network, nodes=tuple(nodes))


READER = Reader(
    name="paddle-params",
    title="PaddlePaddle state dict (.pdparams)",
    reads="nn.LSTM, nn.GRU, nn.SimpleRNN and their cells by name and shape; stacks, both "
    "directions; pickles are interpreted, never executed",
    does_not_read="what feeds what between modules (guessed from widths), the activation of "
    "nn.SimpleRNN, optimizer states (.pdopt)",
    sniff=sniff,
    read=read_pdparams,
)
