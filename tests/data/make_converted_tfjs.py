"""What TensorFlow.js computes with models that ``rnnscope convert`` wrote; run where node is.

    npm install @tensorflow/tfjs@4.22.0
    NODE_PATH=node_modules PYTHONPATH=tests python tests/data/make_converted_tfjs.py

``converted/plain_layers.keras`` is a model of every plain layer, ``ids_layers.keras`` one of ids
with a mask, both made by Keras. ``tfjs_truth.npz`` keeps by case the SHA-256 of what was written,
inputs, outputs and final states of every layer, and of some the output of the whole model. Made in
float32 by the backend of the CPU.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from converting.sources import gru_before_reset, source

import rnnscope

ROOT = Path(__file__).resolve().parents[2]
PLAIN = ROOT / "tests/data/converted/plain_layers.keras"
IDS = ROOT / "tests/data/converted/ids_layers.keras"
TRUTH = ROOT / "tests/data/converted/tfjs_truth.npz"
WHOLE = ("plain", "masked", "ids", "hard_sigmoid")
"""Cases whose whole model is run."""


def cases(folder: Path) -> dict[str, Path]:
    """The checkpoints, by case."""
    return {
        "stack": source("keras 2 stack"),
        "hard_sigmoid": source("keras 2 hard_sigmoid"),
        "masked": source("keras 2"),
        "backward": source("keras backward"),
        "ids": IDS,
        "rnn": source("torch relu"),
        "gru": gru_before_reset(folder / "gru.h5"),
        "plain": PLAIN,
    }


def digest(folder: Path) -> str:
    """Of both files of a model."""
    data = b"".join(
        (folder / name).read_bytes() for name in sorted(p.name for p in folder.iterdir())
    )
    return hashlib.sha256(data).hexdigest()


def whole_input(case: str, width: int | None) -> np.ndarray:
    """An input of the whole model; of the masked one zeros stand past the lengths."""
    rng = np.random.default_rng(3)
    if case == "ids":
        ids = rng.integers(1, 9, (3, 7))
        ids[1, 5:] = ids[2, 1:] = 0
        return ids
    x = rng.normal(size=(3, 7, width)).astype(np.float32)
    if case == "masked":
        x[1, 5:] = x[2, 1:] = 0
    return x


def make_sources() -> None:
    """A model of every plain layer that TensorFlow.js has, and one of ids."""
    import keras

    layers = keras.layers
    model = keras.Sequential([
        keras.Input((None, 5), name="x"),
        layers.Rescaling(0.5, 0.25),
        layers.Dense(6, activation="elu", name="first"),
        layers.LSTM(4, return_sequences=True, name="lstm"),
        layers.BatchNormalization(name="batch"),
        layers.Dropout(0.5),
        layers.GRU(4, return_sequences=True, reset_after=False, name="gru"),
        layers.LayerNormalization(name="norm"),
        layers.TimeDistributed(layers.Dense(3, activation="softsign")),
        layers.Bidirectional(layers.SimpleRNN(3, return_sequences=True), merge_mode="mul"),
        layers.Activation("softplus"),
        layers.Bidirectional(layers.LSTM(2, return_sequences=True), merge_mode="ave"),
        layers.Bidirectional(
            layers.GRU(2, return_sequences=True, reset_after=False), merge_mode="sum", name="top"
        ),
    ])  # fmt: skip
    _save_far_from_start(model, PLAIN)
    model = keras.Sequential([
        keras.Input((None,), dtype="int32", name="ids"),
        layers.Embedding(9, 5, mask_zero=True),
        layers.Bidirectional(layers.LSTM(4, return_sequences=True)),
        layers.Dense(4, activation="relu"),
        layers.GRU(3, return_sequences=True, reset_after=False),
    ])  # fmt: skip
    _save_far_from_start(model, IDS)


def _save_far_from_start(model: Any, path: Path) -> None:
    rng = np.random.default_rng(11)
    for layer in model.layers:
        values = [rng.normal(scale=0.6, size=tuple(one.shape)) for one in layer.weights]
        layer.set_weights([
            np.abs(value) + 0.5 if "variance" in weight.name else value
            for weight, value in zip(layer.weights, values, strict=True)
        ])  # fmt: skip
    model.save(path)


def main() -> None:
    if not IDS.exists():
        make_sources()
    kept: dict[str, np.ndarray] = {}
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for case, checkpoint in cases(Path(folder)).items():
            out = Path(folder) / case
            done = rnnscope.convert(checkpoint, "tfjs", out)
            kept[f"{case}:sha256"] = np.array(digest(out))
            inputs = {
                layer.written_as: rng.normal(size=(3, 6, layer.input_size)).astype(np.float32)
                for layer in done.layers
            }
            shape = json.loads((out / "model.json").read_text())["modelTopology"]["config"]
            width = shape["layers"][0]["config"]["batch_input_shape"][-1]
            x = whole_input(case, width) if case in WHOLE else None
            job = {
                "model": str(out),
                "x": None if x is None else x.tolist(),
                "layers": {name: one.tolist() for name, one in inputs.items()},
            }
            ran = subprocess.run(
                ["node", str(ROOT / "tests/data/run_tfjs.js")],
                input=json.dumps(job), stdout=subprocess.PIPE, text=True, check=True,
            )  # fmt: skip
            told = json.loads(ran.stdout)
            for name, arrays in told["layers"].items():
                kept[f"{case}:{name}:x"] = inputs[name]
                for key, array in zip(("outputs", "m", "c"), arrays, strict=False):
                    kept[f"{case}:{name}:{key}"] = np.asarray(array, np.float32)
            if x is not None:
                kept[f"{case}:x"], kept[f"{case}:outputs"] = (
                    x,
                    np.asarray(told["outputs"], np.float32),
                )
            kept["version"] = np.array(told["version"])
    np.savez_compressed(TRUTH, **kept)


if __name__ == "__main__":
    main()
