"""TensorFlow.js models, of either kind."""

from __future__ import annotations

from pathlib import Path

from rnnscope.checkpoints.interface import Checkpoint, Reader
from rnnscope.checkpoints.tfjs.layers_model import read_layers_model
from rnnscope.checkpoints.tfjs.model_json import JsonModel, is_json_model
from rnnscope.errors import UnsupportedCellError


def read_tfjs(path: Path) -> Checkpoint:
    """Read a model.json and the weights beside it, as data.

    Parameters
    ----------
    path : Path
        The JSON file, or a folder with a ``model.json``.

    Raises
    ------
    CheckpointError
        A file is damaged or missing; it names the file or the array.
    """
    model = JsonModel.read(path)
    if "node" in model.topology:
        raise UnsupportedCellError(
            "Graph models of TensorFlow.js are not read.",
            where=model.path,
            expected="a layers model (tensorflowjs_converter --output_format=tfjs_layers_model)",
            found=model.said("format") or "a graph",
            hint="name the SavedModel or Keras file that it was converted from",
        )
    return read_layers_model(model, READER.name)


READER = Reader(
    name="tfjs",
    title="TensorFlow.js model (model.json with its shards)",
    reads="layers models: what keras-h5 reads, with weights of floats, 16 bits, or whole numbers "
    "that stand for floats",
    does_not_read="graph models; custom layers, which are named",
    sniff=is_json_model,
    read=read_tfjs,
)
