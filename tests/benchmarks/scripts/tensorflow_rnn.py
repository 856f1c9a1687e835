"""c and m of every step with TensorFlow, to HDF5: an RNN of a cell that returns its state.

That is what users are told to write.

python tensorflow_rnn.py FOLDER INPUT OUTPUT BATCH THREADS
"""

import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["KERAS_BACKEND"] = "tensorflow"

import h5py
import keras
import numpy as np
import tensorflow as tf

folder, given, output = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
batch, threads = int(sys.argv[4]), int(sys.argv[5])
tf.config.threading.set_intra_op_parallelism_threads(threads)


class Telling(keras.layers.LSTMCell):
    """An LSTMCell whose output is [c, m]."""

    def call(self, inputs, states, training=None):
        """One step."""
        _, new = super().call(inputs, states, training=training)
        m, c = new
        return keras.ops.concatenate([c, m], axis=-1), new


x = np.load(given, mmap_mode="r")
model = keras.models.load_model(folder / "model.h5", compile=False)
units = model.layers[-1].units
layer = keras.layers.RNN(Telling(units), return_sequences=True)
layer.build((None, *x.shape[1:]))
layer.set_weights(model.layers[-1].get_weights())
compiled = tf.function(layer)
with h5py.File(output, "w") as file:
    size = (*x.shape[:2], units)
    kept = {name: file.create_dataset(name, size, np.float32) for name in ("c", "m")}
    for start in range(0, len(x), batch):
        both = compiled(tf.constant(x[start : start + batch])).numpy()
        kept["c"][start : start + batch] = both[..., :units]
        kept["m"][start : start + batch] = both[..., units:]
