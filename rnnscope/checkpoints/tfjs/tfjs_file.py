"""TensorFlow.js models, of either kind."""

from __future__ import annotations

from pathlib import Path

from rnnscope.checkpoints.interface import Checkpoint, Reader
from rnnscope.checkpoints.tfjs.graph_model import read_graph_model
from rnnscope.checkpoints.tfjs.layers_model import read_layers_model
from rnnscope.checkpoints.tfjs.model_json import JsonModel, is_json_model


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
        return read_graph_model(model, READER.name)
    return read_layers_model(model, READER.name)


READER = Reader(
    name="tfjs",
    title="TensorFlow.js model (model.json with its shards)",
    reads="layers models: what keras-h5 reads, with weights of floats, 16 bits, or whole numbers "
    "that stand for floats; graph models: what tf1-frozen reads",
    does_not_read="custom layers, which are named",
    sniff=is_json_model,
    read=read_tfjs,
)
