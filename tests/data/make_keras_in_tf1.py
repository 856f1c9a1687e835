"""Make tests/data/keras_in_tf1 with TensorFlow 1.15.5 (Python 3.7): tf.keras layers and a Saver.

tf.keras calls a cell once before its loop, for the shapes of what it returns; a Saver's graph keeps
that step. truth.npz holds the input x, and what each layer returned and left.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf

HERE = Path(__file__).parent / "keras_in_tf1"
LENGTHS = np.array([6, 4, 2])

layers = tf.keras.layers
rng = np.random.RandomState(5)
given = rng.normal(size=(3, 6, 4)).astype(np.float32)
given[np.arange(6) >= LENGTHS[:, None]] = 0
with tf.Session() as session:
    x = tf.placeholder(tf.float32, (None, None, 4), "x")
    masked = layers.Masking()(x)
    gru, final_gru = layers.GRU(3, return_sequences=True, return_state=True)(masked)
    cells = [layers.LSTMCell(5), layers.GRUCell(2)]
    both = layers.RNN(cells, return_sequences=True, return_state=True)(x)
    made = {"gru": gru, "final_gru": final_gru, "stack": both[0], "final_lstm_m": both[1][0],
            "final_lstm_c": both[1][1], "final_stack": both[2]}  # fmt: skip
    session.run(tf.global_variables_initializer())
    for variable in tf.global_variables():
        variable.load(rng.normal(scale=0.5, size=variable.shape).astype("float32"), session)
    tf.train.Saver().save(session, str(HERE / "model.ckpt"), strip_default_attrs=True)
    np.savez_compressed(str(HERE / "truth.npz"), x=given, **session.run(made, {x: given}))
(HERE / "checkpoint").unlink()
