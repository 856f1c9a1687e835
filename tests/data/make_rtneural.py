"""A model as RTNeural's ``save_model_json`` writes one, with what Keras computes of it.

    python make_rtneural.py OUT

Run with Keras 3.15 on TensorFlow 2.21 (CPU). The layout is that of RTNeural/python/model_utils.py:
the type, the activation, the shape and ``get_weights()`` of each layer.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import keras
import numpy as np

OUT = Path(sys.argv[1])
keras.utils.set_random_seed(11)
X = np.random.default_rng(1).normal(size=(3, 7, 2)).astype("f4")
MODEL = keras.Sequential([
    keras.layers.Input((None, 2)),
    keras.layers.TimeDistributed(keras.layers.Dense(4, activation="tanh")),
    keras.layers.LSTM(6, return_sequences=True),
    keras.layers.GRU(5, return_sequences=True),
    keras.layers.Dense(1),
])  # fmt: skip
KINDS = {
    "TimeDistributed": "time-distributed-dense",
    "LSTM": "lstm",
    "GRU": "gru",
    "Dense": "dense",
}
LAYERS, SEEN, Y = [], {"x": X}, X
for layer in MODEL.layers:
    layer.set_weights([np.random.default_rng(len(one)).normal(size=one.shape) * 0.5
                       for one in layer.get_weights()])  # fmt: skip
    inner = getattr(layer, "layer", layer)
    kind = KINDS[type(layer).__name__]
    LAYERS.append({
        "type": kind,
        "activation": "tanh" if kind == "time-distributed-dense" else "",
        "shape": [None, None, int(layer.compute_output_shape((None, None, Y.shape[-1]))[-1])],
        "weights": [one.tolist() for one in inner.get_weights()],
    })  # fmt: skip
    Y = np.asarray(layer(Y))
    SEEN[kind] = Y
(OUT / "rtneural.json").write_text(json.dumps({"in_shape": [None, None, 2], "layers": LAYERS}))
np.savez_compressed(OUT / "rtneural_truth.npz", **SEEN)
