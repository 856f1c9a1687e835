"""Models of audio effects in JSON: RTNeural's lists of layers, and GuitarML's state dicts.

References
----------
RTNeural/python/model_utils.py (``save_model_json``: Keras' own arrays of each layer in the order of
``get_weights``) and RTNeural/model_loader.h (which layers there are; activations of LSTM and GRU
are not read). Automated-GuitarAmpModelling/CoreAudioML/networks.py (``SimpleRNN.save_model``:
``model_data`` beside the ``state_dict`` of a module with ``rec`` and ``lin``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.checkpoints.interface import Checkpoint, LeftOut, Reader
from rnnscope.checkpoints.keras.weights_only.cells import keras_cell
from rnnscope.checkpoints.torch.network import read_state_dict
from rnnscope.checkpoints.weights_only.layers import INPUT, named_layer
from rnnscope.errors import CheckpointError, UnsupportedCellError
from rnnscope.files.arrays.loadable_arrays import LoadableArray, reading_by_name
from rnnscope.files.containers.json_arrays import MAX_BYTES
from rnnscope.model.activations import ACTIVATIONS
from rnnscope.model.cell import Array
from rnnscope.model.layers import Dense, Unsupported
from rnnscope.model.network import Network, Node

HEAD = 4096
RTNEURAL_NOTE = (
    "Layers feed each other in the order of the file. Activations of recurrent layers are tanh and "
    "sigmoid, as RTNeural computes them."
)
RECURRENT = {"lstm": "LSTM", "gru": "GRU"}
DENSE = ("dense", "time-distributed-dense")


def sniff(path: Path) -> bool:
    """Whether a file is JSON that speaks of RTNeural's layers or a state dict. Never raises."""
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            return False
        with path.open("rb") as file:
            head = file.read(HEAD)
            file.seek(max(0, path.stat().st_size - HEAD))
            ends = head + file.read(HEAD)
    except OSError:
        return False
    if not head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return False
    return b'"state_dict"' in ends or (b'"in_shape"' in ends and b'"layers"' in ends)


def _held(path: Path) -> dict[str, Any]:
    try:
        held = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, "a whole JSON object", str(error)[:200]) from error
    if not isinstance(held, dict):
        raise _damaged(path, "a JSON object", type(held).__name__)
    return held


def read_audio_json(path: Path) -> Checkpoint:
    """Read the recurrent layers of a model in JSON.

    Raises
    ------
    CheckpointError
        The file is damaged.
    UnsupportedCellError
        It holds no recurrent layer that is computed.
    """
    held = _held(path)
    if isinstance(held.get("state_dict"), dict):
        return _read_state_dict(path, held)
    return _read_layers(path, held)


def _read_state_dict(path: Path, held: Mapping[str, Any]) -> Checkpoint:
    arrays = []
    for name, values in held["state_dict"].items():
        array = _array(values, f"{path}: {name}")
        arrays.append(LoadableArray(str(name), array.shape, lambda array=array: array))  # type: ignore[misc]
    found = read_state_dict(arrays, path)
    notes = list(found.notes)
    data = held.get("model_data")
    if isinstance(data, dict):
        said = {"LSTM": "lstm", "GRU": "gru", "RNN": "simple_rnn"}.get(str(data.get("unit_type")))
        kinds = {node.recurrent.cell.kind for node in found.network.recurrent if node.recurrent}
        if said is not None and kinds != {said}:
            raise _damaged(path, f"the tensors of {data['unit_type']}", ", ".join(sorted(kinds)))
        if data.get("skip"):
            notes.append("The model adds its input to what the layer behind gives (skip).")
    return Checkpoint(
        path=path,
        format=READER.name,
        framework="PyTorch in JSON",
        files=(path,),
        network=found.network,
        left_out=tuple(found.left_out),
        notes=tuple(notes),
        read_left_out=reading_by_name(arrays),
    )


def _read_layers(path: Path, held: Mapping[str, Any]) -> Checkpoint:
    layers, nodes, left_out = held.get("layers"), list[Node](), list[LeftOut]()
    if not isinstance(layers, list) or not all(isinstance(layer, dict) for layer in layers):
        raise _damaged(path, "a list of layers", type(layers).__name__)
    last = INPUT
    for number, layer in enumerate(layers):
        kind = str(layer.get("type", "")).lower()
        name = f"layers/{number}/{kind or 'unknown'}"
        node = _node(name, kind, layer, last, path)
        nodes.append(node)
        last = name
    recurrent = [place for place, node in enumerate(nodes) if node.recurrent]
    if not recurrent:
        raise UnsupportedCellError(
            "No layer of the model is recurrent.",
            where=path,
            expected="layers of the type lstm or gru",
            found=", ".join(node.name for node in nodes) or "no layers",
        )
    for node in nodes[recurrent[-1] + 1 :]:
        left_out.append(LeftOut(node.name, "behind the last recurrent layer"))
    return Checkpoint(
        path=path,
        format=READER.name,
        framework="RTNeural",
        files=(path,),
        network=Network((INPUT,), tuple(nodes[: recurrent[-1] + 1])),
        left_out=tuple(left_out),
        notes=(RTNEURAL_NOTE,),
    )


def _node(name: str, kind: str, layer: Mapping[str, Any], reads: str, path: Path) -> Node:
    weights = layer.get("weights")
    arrays = [
        _array(one, f"{path}: {name}")
        for one in (weights if isinstance(weights, list) and weights != [] else [])
    ]
    activation = str(layer.get("activation") or "")
    if kind in RECURRENT:
        return _recurrent(name, kind, arrays, activation, reads, path)
    if kind in DENSE and 1 <= len(arrays) <= 2 and arrays[0].ndim == 2:
        function = activation or "linear"
        if function in ACTIVATIONS:
            bias = arrays[1].reshape(-1) if len(arrays) == 2 else None
            return Node(name, Dense(arrays[0], bias, function), (reads,), "config")
    words = (
        f"with the activation '{activation}' is not computed" if activation else "is not computed"
    )
    return Node(name, Unsupported(kind or "unknown", name, words), (reads,), "config")


def _recurrent(
    name: str, kind: str, arrays: list[Array], activation: str, reads: str, path: Path
) -> Node:
    if activation not in ("", "tanh"):
        reason = f"with the activation '{activation}' is computed with tanh by RTNeural"
        return Node(name, Unsupported(kind, name, reason, recurrent=True), (reads,), "config")
    if len(arrays) != 3:
        raise _damaged(
            f"{path}: {name}", "kernel, recurrent kernel and bias", f"{len(arrays)} arrays"
        )
    kernel, recurrent, bias = arrays
    variables = tuple(f"{name}/{role}" for role in ("kernel", "recurrent_kernel", "bias"))
    made = keras_cell(kernel, recurrent, bias, variables)
    if made.cell is None or made.cell.kind != kind:
        raise _damaged(f"{path}: {name}", f"the weights of a {kind}", made.reason or "others")
    return Node(name, named_layer(made.cell, None, "layers read forward"), (reads,), "config")


def _array(values: Any, where: str) -> Array:
    """Numbers in lists, in the one precision that audio models are run with."""
    try:
        made = np.array(values, dtype=np.float32)
    except (ValueError, TypeError, OverflowError) as error:
        raise _damaged(where, "lists of numbers, all of one length", str(error)[:100]) from error
    return made


def _damaged(where: object, expected: str, found: str) -> CheckpointError:
    return CheckpointError(
        "The model in JSON is damaged.",
        where=where,
        expected=expected,
        found=found,
        hint="export it again with the program that wrote it",
    )


READER = Reader(
    name="audio-json",
    title="RTNeural or GuitarML model in JSON",
    reads="lstm and gru layers of RTNeural with the dense ones in front of them; the state dict of "
    "GuitarML's and its like, as safetensors",
    does_not_read="conv1d, batchnorm and prelu in front, which are named; activations that "
    "RTNeural does not compute",
    sniff=sniff,
    read=read_audio_json,
)
