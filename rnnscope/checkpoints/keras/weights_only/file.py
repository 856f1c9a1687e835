"""Keras files of weights alone: ``save_weights`` to ``.h5`` and to ``.weights.h5``.

They hold no configuration. Cells come from the shapes of their weights, options from the
defaults of the Keras that wrote the file as far as it tells, and the wiring is guessed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rnnscope.checkpoints.interface import Checkpoint, Reader
from rnnscope.checkpoints.keras.dialect import Dialect
from rnnscope.checkpoints.keras.found_model import keras_checkpoint, leave_out_optimizer
from rnnscope.checkpoints.keras.layer_steps import Findings
from rnnscope.checkpoints.keras.weights_only.h5 import read_loose_h5
from rnnscope.checkpoints.keras.weights_only.layers import LooseLayer
from rnnscope.checkpoints.keras.weights_only.network import LooseNetwork
from rnnscope.checkpoints.keras.weights_only.v3 import names_layers, read_loose_v3
from rnnscope.errors import RnnscopeError
from rnnscope.files.hdf5.safe_hdf5 import (
    attribute_text,
    attribute_texts,
    child_group,
    child_names,
    has_signature,
    open_h5,
)

if TYPE_CHECKING:
    import h5py

KERAS_1 = Dialect("", told="Keras 1, or a Keras 2 that did not state its version")
LATE_KERAS_2 = Dialect("2.13", told="Keras 2.12 or later, or an early Keras 3")
KERAS_3 = Dialect("3.4", told="Keras 3")


def _sniff(path: Path) -> bool:
    if not path.is_file() or not has_signature(path):
        return False
    try:
        with open_h5(path) as file:
            return "model_config" not in file.attrs and (_is_listed(file) or _is_v3(file))
    # HDF5 that does not open is told by the reader of full models, whatever it held.
    except (RnnscopeError, OSError, RuntimeError, ValueError, KeyError, TypeError):
        return False


def _is_listed(file: h5py.File) -> bool:
    return attribute_texts(file, "layer_names") is not None


def _is_v3(file: h5py.File) -> bool:
    """Keras gives every object a group ``vars``, the model itself too."""
    return child_group(file, "vars") is not None and len(child_names(file)) > 1


def _read(path: Path) -> Checkpoint:
    findings = Findings()
    with open_h5(path) as file:
        layers, dialect = _layers(file)
        network = LooseNetwork(dialect, findings).read(layers, str(path))
        leave_out_optimizer(file, findings, "optimizer", "optimizer_weights")
    findings.note(
        "The file holds weights alone: each layer is taken to read the one before it where their "
        "widths fit, and options are defaults; flags replace them."
    )
    return keras_checkpoint(path, READER.name, dialect, network, findings)


def _layers(file: h5py.File) -> tuple[list[LooseLayer], Dialect]:
    if _is_listed(file):
        version = attribute_text(file, "keras_version")
        return read_loose_h5(file), Dialect(version) if version else KERAS_1
    return read_loose_v3(file), KERAS_3 if names_layers(file) else LATE_KERAS_2


READER = Reader(
    name="keras-weights",
    title="Keras weights in HDF5 (.h5, .weights.h5)",
    reads="LSTM, GRU, SimpleRNN, their cuDNN forms, stacks and Bidirectional, by names and shapes, "
    "of Keras 1, 2, 3 and tf.keras; options are defaults or flags, the wiring is guessed",
    does_not_read="other layers, which are named; sharded weights",
    sniff=_sniff,
    read=_read,
)
