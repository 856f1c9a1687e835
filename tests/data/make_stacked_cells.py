"""Make tests/data/stacked_cells with TensorFlow 2.12: cells of several classes in one RNN.

Python 3.10, CPU.

A SavedModel numbers its cells, whatever their classes are called. truth.npz holds the input x, what
the layer returned (outputs), and what each cell left.
"""

import tarfile
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

HERE = Path(__file__).parent / "stacked_cells"
layers = tf.keras.layers

entry = tf.keras.Input((None, 4))
cells = [layers.LSTMCell(5), layers.GRUCell(3), layers.LSTMCell(2), layers.SimpleRNNCell(2)]
made = layers.RNN(cells, return_sequences=True, return_state=True)(entry)
model = tf.keras.Model(entry, made)
rng = np.random.RandomState(3)
for weight in model.weights:
    weight.assign(rng.normal(scale=0.5, size=weight.shape))
x = rng.normal(size=(3, 6, 4)).astype(np.float32)
outputs, (m0, c0), m1, (m2, c2), m3 = model(x)
truth = {"m0": m0, "c0": c0, "m1": m1, "m2": m2, "c2": c2, "m3": m3, "outputs": outputs}
np.savez_compressed(
    HERE / "truth.npz", x=x, **{name: np.asarray(one) for name, one in truth.items()}
)
with tempfile.TemporaryDirectory() as folder:
    model.save(f"{folder}/saved_model", save_format="tf")
    with tarfile.open(HERE / "saved_model.tar.xz", "w:xz") as archive:
        archive.add(f"{folder}/saved_model", "saved_model")
