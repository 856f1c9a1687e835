"""Models of Keras: its own files, SavedModels, checkpoints, and layers of TensorFlow.js."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from model_files.interface import UNITS, WIDTH, Write, Written


def _model(layers: int, rows: int) -> Any:
    """A stack of LSTMs; with the table beside it."""
    import keras

    x = keras.Input((None, UNITS), name="x")
    outputs = x
    for number in range(layers):
        lstm = keras.layers.LSTM(UNITS, return_sequences=True, name=f"lstm_{number}")
        outputs = lstm(outputs)
    if not rows:
        return keras.Model(x, outputs)
    ids = keras.Input((None,), dtype="int32", name="ids")
    table = keras.layers.Embedding(rows, WIDTH, name="table")
    return keras.Model([x, ids], [outputs, table(ids)])


def h5(path: Path, layers: int, rows: int) -> Written:
    """A whole model in HDF5."""
    path = path.with_suffix(".h5")
    _model(layers, rows).save(path)
    return Written(path, layer="*lstm*")


def keras_zip(path: Path, layers: int, rows: int) -> Written:
    """A whole model in Keras 3's zip."""
    path = path.with_suffix(".keras")
    _model(layers, rows).save(path)
    return Written(path, layer="*lstm*")


def compressed(path: Path, layers: int, rows: int) -> Written:
    """The same, packed again with compression."""
    stored = keras_zip(path.with_name(f"{path.name}-stored"), layers, rows).path
    path = path.with_suffix(".keras")
    with (
        zipfile.ZipFile(stored) as old,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new,
    ):
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))
    stored.unlink()
    return Written(path, layer="*lstm*")


def weights(path: Path, layers: int, rows: int) -> Written:
    """The weights of a model alone, as Keras 3 writes them."""
    path = path.with_suffix(".weights.h5")
    _model(layers, rows).save_weights(path)
    return Written(path, layer="*lstm*")


def old_weights(path: Path, layers: int, rows: int) -> Written:
    """The weights of a model alone, as Keras 2 wrote them."""
    import h5py
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    path = path.with_suffix(".h5")
    with h5py.File(path, "w") as file:
        save_weights_to_hdf5_group(file, _model(layers, rows))
    return Written(path, layer="*lstm*")


def saved_model(path: Path, layers: int, rows: int) -> Written:
    """The functions of a model, as ``export`` writes them."""
    _model(layers, rows).export(path, verbose=False)
    return Written(path, layer="*lstm*")


def object_checkpoint(path: Path, layers: int, rows: int) -> Written:
    """``tf.train.Checkpoint`` of a model."""
    import tensorflow as tf

    tf.train.Checkpoint(model=_model(layers, rows)).write(str(path))
    return Written(path, layer="*lstm*")


def tfjs_layers(path: Path, layers: int, rows: int) -> Written:
    """A layers model of TensorFlow.js, as its converter writes one: shards of 4 MiB."""
    import numpy as np

    path.mkdir()
    model = _model(layers, rows)
    stored = [(one.path, np.asarray(one)) for one in model.weights]
    data = b"".join(array.tobytes() for _, array in stored)
    names = []
    for number, start in enumerate(range(0, len(data), 4 << 20)):
        names.append(f"group1-shard{number}.bin")
        (path / names[-1]).write_bytes(data[start : start + (4 << 20)])
    entries = [{"name": name, "shape": list(array.shape), "dtype": "float32"}
               for name, array in stored]  # fmt: skip
    topology = {"keras_version": "3.0.0", "backend": "tensorflow",
                "model_config": json.loads(model.to_json())}  # fmt: skip
    whole = {"format": "layers-model", "modelTopology": topology,
             "weightsManifest": [{"paths": names, "weights": entries}]}  # fmt: skip
    (path / "model.json").write_text(json.dumps(whole))
    return Written(path / "model.json", layer="*lstm*")


WRITERS: dict[str, Write] = {
    "Keras .h5": h5, ".keras": keras_zip, ".keras, compressed": compressed,
    "Keras .weights.h5": weights, "Keras 2 weights .h5": old_weights, "SavedModel": saved_model,
    "TensorFlow 2 checkpoint": object_checkpoint, "TensorFlow.js layers": tfjs_layers,
}  # fmt: skip
