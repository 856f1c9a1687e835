"""Layers models of TensorFlow.js: a Keras configuration, and its weights by name.

References
----------
tfjs-layers/src/models.ts (loadLayersModel): a converted model has its configuration below
``model_config``, one that TensorFlow.js saved has it at the top. layers/recurrent.ts and
activations.ts beside it: what its layers compute.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from rnnscope.checkpoints.interface import Checkpoint, LeftOut
from rnnscope.checkpoints.keras.config import read_network
from rnnscope.checkpoints.keras.dialect import Dialect, number_of
from rnnscope.checkpoints.keras.layer_steps import Findings
from rnnscope.checkpoints.keras.listed_weights import ListedWeights
from rnnscope.checkpoints.keras.weights import StoredVariable
from rnnscope.checkpoints.tfjs.model_json import JsonModel
from rnnscope.deferred_dataclass import dataclass
from rnnscope.files.containers.weight_shards import ShardedArray
from rnnscope.files.messages.json_config import ConfigView
from rnnscope.model.cell import Array

OWN_VERSION = "tfjs-layers"
LIKE = "2.1.6"
"""The Keras whose defaults and masks TensorFlow.js has: hard_sigmoid by a slope of 0.2, no
reset_after, the states of a stack of cells from the last."""


@dataclass(frozen=True, eq=False)
class ShardWeights(ListedWeights):
    """The weights of one layer or of the model; implements `LayerWeights`.

    Attributes
    ----------
    names : tuple of str
        Paths: ``"bidirectional/forward_lstm/kernel"``.
    arrays : dict of str to ShardedArray
    source : str
        The file, for messages.
    """

    arrays: dict[str, ShardedArray]
    source: str

    @property
    def where(self) -> str:
        return self.source

    def variable(self, name: str) -> StoredVariable:
        stored = self.arrays[name]
        return StoredVariable(name, stored.shape, stored.load)

    def of(self, names: tuple[str, ...]) -> ShardWeights:
        """Those of some of the names."""
        return replace(self, names=names)


def read_layers_model(model: JsonModel, reader: str) -> Checkpoint:
    """The layers of a model, as data."""
    findings = Findings()
    topology = model.topology
    config = topology.view("model_config") if "model_config" in topology else topology
    config = ConfigView(_without_repeats(config.data), config.where)
    dialect = _dialect(topology, config)
    names = tuple(model.arrays)
    weights = ShardWeights(names, model.arrays, str(model.path))
    network, input_shapes = read_network(config, weights, dialect, findings)
    used = {name for node in network.recurrent if node.recurrent
            for name in node.recurrent.cell.variables}  # fmt: skip
    known = used | {entry.name for entry in findings.left_out}
    for name in names:
        if name not in known and name.split("/", 1)[0].lower() in _OPTIMIZERS:
            findings.left_out.append(LeftOut(name, "optimizer slot", model.arrays[name].shape))

    def read(name: str) -> Array:
        return np.asarray(model.arrays[name].load())

    return Checkpoint(
        path=model.path,
        format=reader,
        framework=dialect.framework,
        files=model.files,
        network=network,
        left_out=tuple(findings.left_out),
        notes=(*findings.notes, *_notes(dialect, model)),
        hard_sigmoid=dialect.hard_sigmoid,
        keras_version=() if dialect.told else dialect.number,
        input_shapes=input_shapes,
    )


def _without_repeats(entry: Any) -> Any:
    """A configuration in which an RNN does not say again what its cell says.

    TensorFlow.js writes the keys of the cell beside the cell.
    """
    if isinstance(entry, list):
        return [_without_repeats(one) for one in entry]
    if not isinstance(entry, dict):
        return entry
    made = {key: _without_repeats(value) for key, value in entry.items()}
    config = made.get("config")
    cell = (
        config.get("cell") if made.get("class_name") == "RNN" and isinstance(config, dict) else None
    )
    inside = cell.get("config") if isinstance(cell, dict) else None
    if isinstance(config, dict) and isinstance(inside, dict):
        made["config"] = {
            key: value for key, value in config.items()
            if key in _OF_EVERY_LAYER or key not in inside or inside[key] != value
        }  # fmt: skip
    return made


_OF_EVERY_LAYER = ("name", "trainable", "dtype", "cell")
_OPTIMIZERS = ("adam", "adagrad", "adadelta", "adamax", "momentum", "rmsprop", "sgd", "training")


def _dialect(topology: ConfigView, config: ConfigView) -> Dialect:
    """Whose defaults hold: those of the Keras that a model was converted from, else of TF.js."""
    stated = number_of(topology.raw("keras_version") or config.raw("keras_version"))
    if not stated or stated.startswith(OWN_VERSION):
        told = f"TensorFlow.js ({stated})" if stated else "TensorFlow.js"
        return Dialect(LIKE, told)
    return Dialect(stated)


def _notes(dialect: Dialect, model: JsonModel) -> list[str]:
    notes = []
    if any(one.scale is not None for one in model.arrays.values()):
        notes.append(
            "Weights are stored as whole numbers and were turned into floats as TensorFlow.js does."
        )
    if not dialect.told and dialect.number >= (3,):
        notes.append(
            "The model was made by Keras 3, whose hard_sigmoid is clip(z/6 + 0.5); TensorFlow.js "
            "computes clip(0.2 z + 0.5) where the configuration says hard_sigmoid."
        )
    return notes
