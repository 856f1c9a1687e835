"""Make tests/data/frozen_masked: a masked LSTM of tf_keras, frozen by TensorFlow 2.21 both ways.

Keras computes the cell once outside its loop, for a start of zeros of its outputs' shape.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras as keras
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

HERE = Path(__file__).parent / "frozen_masked"
L = keras.layers

model = keras.Sequential([keras.Input((7, 5)), L.Masking(), L.LSTM(5, return_sequences=True)])
rng = np.random.default_rng(3)
for weight in model.weights:
    weight.assign(rng.normal(scale=0.5, size=weight.shape))
x = np.random.default_rng(0).normal(size=(3, 7, 5)).astype(np.float32)
x[1, 5:] = x[0, 2] = 0
np.savez(HERE / "truth.npz", x=x, y=np.asarray(model(x)))
entry = tf.TensorSpec((None, 7, 5), tf.float32)
function = tf.function(model).get_concrete_function(entry)
for name, lowered in (("lowered", True), ("functions", False)):
    frozen = convert_variables_to_constants_v2(function, lower_control_flow=lowered)
    (HERE / f"{name}.pb").write_bytes(frozen.graph.as_graph_def().SerializeToString())
