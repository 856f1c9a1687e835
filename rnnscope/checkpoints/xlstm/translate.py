"""From a state dict of xLSTM to an ONNX model in memory."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from rnnscope.checkpoints.interface import LeftOut
from rnnscope.checkpoints.safetensors import read_arrays
from rnnscope.checkpoints.torch.pickled_values import PickledArray
from rnnscope.checkpoints.torch.saved_objects import walk_saved
from rnnscope.checkpoints.torch.stored_tensors import load_array
from rnnscope.checkpoints.torch.zip_archive import read_zip
from rnnscope.checkpoints.translated.messages import OnnxModel
from rnnscope.checkpoints.translated.reading import SourceOperator, Translation
from rnnscope.checkpoints.xlstm.slstm import BEHIND, KERNEL, SLSTMLayer
from rnnscope.files.arrays.loadable_arrays import LoadableArray
from rnnscope.files.containers.safetensors import looks_like_safetensors
from rnnscope.model.cell import Array

OWN_PARTS = ("slstm_cell.", "fgate.", "igate.", "zgate.", "ogate.", "conv1d.", "group_norm.")
"""What the names of a layer's arrays begin with."""


def translate(path: Path) -> Translation:
    """Write the sLSTM layers of a file in ONNX's operators.

    Raises
    ------
    CheckpointError
        The file is damaged.
    UnsupportedCellError
        A layer is none that is computed.
    """
    arrays = {array.name: array for array in _arrays(path)}
    model = OnnxModel()
    sources, taken, behind = {}, set[str](), []
    for name in [name for name in arrays if name.endswith(KERNEL)]:
        prefix = name.removesuffix(KERNEL)
        own = {
            key.removeprefix(prefix): key
            for key in arrays
            if key.startswith(tuple(prefix + part for part in OWN_PARTS))
        }
        layer = SLSTMLayer.of(
            prefix.rstrip(".") or "slstm",
            {role: _widened(arrays[key].load()) for role, key in own.items()},
            path,
        )
        sources[layer.write(model.graph)] = SourceOperator("xlstm sLSTMLayer")
        taken.update(own.values())
        behind += [own[role] for role in BEHIND if role in own]
    left_out = [
        LeftOut(name, "not recurrent", tuple(array.shape))
        for name, array in arrays.items()
        if name not in taken or name in behind
    ]
    return Translation(
        model=model.proto,
        path=path,
        framework="xLSTM",
        title="xLSTM",
        sources=sources,
        notes=(
            "What stands between layers is not stored: each sLSTM layer reads its own input.",
            "The input gate is made by 'fgate' and the forget gate by 'igate', as xLSTM does it.",
        ),
        left_out=tuple(left_out),
        by_name=True,
    )


def _arrays(path: Path) -> list[LoadableArray]:
    if looks_like_safetensors(path):
        return read_arrays(path)[0]
    opened = read_zip(path)
    found = []
    for tensor in walk_saved(opened.value).tensors:
        where = f"{path}: {tensor.name}"
        if isinstance(tensor.value, PickledArray):
            load = partial(load_array, tensor.value, where)
        else:
            load = partial(opened.load, tensor.value, where)
        found.append(LoadableArray(tensor.name, tensor.value.shape, load))
    return found


def _widened(array: Array) -> Array:
    """16-bit floats are computed with in 32 bits."""
    return array.astype(np.float32) if array.dtype.itemsize < 4 else array
