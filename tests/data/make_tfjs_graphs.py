"""Make tests/data/tfjs_graphs: SavedModels of Keras through TensorFlow.js' converter.

TensorFlow 2.21 with tf_keras and tensorflowjs 4.22 (installed without its dependencies, which are
not used). truth.npz holds what Keras returns as the state after every prefix.
"""

import os
import sys
import tempfile
import types
from importlib.util import find_spec
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""


class Absent(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Absent(name)


for module in ("tensorflow_hub", "tensorflow_decision_forests", "jax", "jax.experimental",
               "jax.experimental.jax2tf", "flax", "importlib_resources"):  # fmt: skip
    if find_spec(module.partition(".")[0]) is None:
        sys.modules[module] = Absent(module)

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
import tf_keras as keras  # noqa: E402
from tensorflowjs.converters import tf_saved_model_conversion_v2 as conversion  # noqa: E402

HERE = Path(__file__).parent / "tfjs_graphs"
L = keras.layers
CASES = {
    "stack": ([L.LSTM(6, return_sequences=True), L.LSTM(4, return_sequences=True), L.Dense(2)], {}),
    "both_ways": ([L.Bidirectional(L.LSTM(4, return_sequences=True)),
                   L.GRU(3, return_sequences=True)], {"quantization_dtype_map": {"uint16": "*"}}),
    "masked": ([L.Masking(), L.LSTM(5, return_sequences=True)], {}),
}  # fmt: skip


def states(layer, x, mask):
    steps, back = x.shape[1], layer.go_backwards
    kept = layer.return_sequences, layer.return_state
    layer.return_sequences, layer.return_state = False, True
    made = []
    for t in range(1, steps + 1):
        part = x[:, steps - t :] if back else x[:, :t]
        given = {} if mask is None else {"mask": tf.constant(mask[:, :t])}
        made.append([np.asarray(one) for one in layer(tf.constant(part), **given)[1:]])
    layer.return_sequences, layer.return_state = kept
    found = [np.stack(parts, axis=1) for parts in zip(*made, strict=True)]
    return [one[:, ::-1] if back else one for one in found]


for name, (layers, options) in CASES.items():
    model = keras.Sequential([keras.Input((7, 5)), *layers])
    rng = np.random.default_rng(3)
    for weight in model.weights:
        value = rng.normal(scale=0.5, size=weight.shape).astype(np.float32)
        if options:  # numbers that 16 bits hold
            value = np.clip(np.rint(value * 4096) / 4096, -2, 2)
        weight.assign(value)
    x = np.random.default_rng(0).normal(size=(3, 7, 5)).astype(np.float32)
    if name == "masked":
        x[1, 5:] = x[0, 2] = 0
    with tempfile.TemporaryDirectory() as folder:
        model.save(folder, save_format="tf")
        conversion.convert_tf_saved_model(folder, str(HERE / name), **options)
    truth, value, mask = {"x": x}, x, None
    for number, layer in enumerate(layers):
        if isinstance(layer, L.Masking):
            mask = (x != 0).any(axis=-1)
        both = isinstance(layer, L.Bidirectional)
        cells = [layer.forward_layer, layer.backward_layer] if both else [layer]
        for way, cell in zip(("", "_back"), cells, strict=False):
            if isinstance(cell, (L.LSTM, L.GRU)):
                for kind, one in zip("mc", states(cell, value, mask), strict=False):
                    truth[f"layer{number}{way}_{kind}"] = one
        value = np.asarray(layer(tf.constant(value)))
    np.savez(HERE / name / "truth.npz", **truth)
