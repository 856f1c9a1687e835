"""Full-model HDF5 files of Keras 1 and 2, tf.keras, tf_keras and Keras 3's legacy format.

Layout (`keras.engine.saving` of Keras 2.2.4, `legacy_h5_format.py` of Keras 3): the model as JSON
in the root attribute ``model_config``; per layer a group ``model_weights/<layer>`` whose attribute
``weight_names`` lists its variables in order, those of the layers inside it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rnnscope.checkpoints.interface import Checkpoint, Reader
from rnnscope.checkpoints.keras.config import read_network
from rnnscope.checkpoints.keras.dialect import Dialect
from rnnscope.checkpoints.keras.found_model import keras_checkpoint, leave_out_optimizer
from rnnscope.checkpoints.keras.layer_steps import Findings
from rnnscope.checkpoints.keras.listed_weights import ListedWeights
from rnnscope.checkpoints.keras.weights import (
    LayerKey,
    LayerWeights,
    NoWeights,
    StoredVariable,
    WithoutVariables,
    hdf5_variable,
)
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError, RnnscopeError
from rnnscope.files.hdf5.safe_hdf5 import (
    attribute_text,
    attribute_texts,
    child,
    child_group,
    child_names,
    has_signature,
    open_h5,
)
from rnnscope.files.messages.json_config import parse_config

if TYPE_CHECKING:
    import h5py


@dataclass(frozen=True, eq=False)
class ModelGroup(WithoutVariables):
    """The weights of the whole model: one group a layer."""

    group: h5py.Group

    @property
    def where(self) -> str:
        return f"{self.group.file.filename}: {self.group.name}"

    def layers(self, keys: Sequence[LayerKey]) -> tuple[LayerWeights, ...]:
        return tuple(self._layer(key.name) for key in keys)

    def _layer(self, name: str) -> LayerWeights:
        group = child_group(self.group, name)
        if group is None:
            return NoWeights()
        return LayerGroup(attribute_texts(group, "weight_names") or (), group)


@dataclass(frozen=True, eq=False)
class LayerGroup(ListedWeights):
    """The weights of one layer: some of the variables listed in its group.

    Attributes
    ----------
    names : tuple of str
        Paths below the group: ``"bi/forward_lstm/lstm_cell/kernel:0"``.
    group : h5py.Group
    """

    group: h5py.Group

    @property
    def where(self) -> str:
        return f"{self.group.file.filename}: {self.group.name}"

    def variable(self, name: str) -> StoredVariable:
        import h5py

        dataset = child(self.group, name)
        if not isinstance(dataset, h5py.Dataset):
            raise CheckpointError(
                "A weight that the file lists is not in it.",
                where=self.where,
                expected=f"a dataset '{name}'",
                found="nothing" if dataset is None else "a group",
                hint="The file is damaged; copy it again or save the model again.",
            )
        return hdf5_variable(dataset, name)

    def of(self, names: tuple[str, ...]) -> LayerGroup:
        """Those of some of the names."""
        return replace(self, names=names)


def _sniff(path: Path) -> bool:
    if not path.is_file() or not has_signature(path):
        return False
    try:
        with open_h5(path) as file:
            return "model_config" in file.attrs
    except (RnnscopeError, OSError, RuntimeError, ValueError, KeyError, TypeError):
        # HDF5 that does not open is damaged, whatever it held; reading it says so plainly.
        return True


def _read(path: Path) -> Checkpoint:
    findings = Findings()
    with open_h5(path) as file:
        text = attribute_text(file, "model_config")
        root = child_group(file, "model_weights")
        if text is None or root is None:
            raise CheckpointError(
                "The HDF5 file is no full Keras model.",
                where=path,
                expected="the attribute model_config and the group model_weights",
                found=", ".join(child_names(file)[:10]) or "nothing",
                hint="A file with weights alone does not hold the model; save it with model.save.",
            )
        version = attribute_text(file, "keras_version") or attribute_text(root, "keras_version")
        dialect = Dialect(version or "")
        model = parse_config(text, f"{path.name}: model_config")
        network, input_shapes = read_network(model, ModelGroup(root), dialect, findings)
        leave_out_optimizer(file, findings, "optimizer_weights")
    return keras_checkpoint(
        path, READER.name, dialect, network, findings,
        keras_version=dialect.number, input_shapes=input_shapes,
    )  # fmt: skip


READER = Reader(
    name="keras-h5",
    title="Keras full model in HDF5 (.h5, .hdf5)",
    reads="LSTM, GRU, SimpleRNN, their cuDNN forms, RNN of cells and Bidirectional in Sequential, "
    "Functional and nested models of Keras 1, 2, 3 and tf.keras, with their options and wiring",
    does_not_read="ConvLSTM, Lambda and custom layers, which are named, not computed",
    sniff=_sniff,
    read=_read,
)
