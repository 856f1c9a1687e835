"""Makes `keras/stack_states…`: what Keras 2.1.6, before TensorFlow's, does with states of a stack.

Run it with Keras 2.1.6 on TensorFlow 1.15 (Python 3.7):

    python make_standalone_keras.py
"""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
from keras import layers

HERE = Path(__file__).parent / "keras"
RNG = np.random.default_rng(216)
X = RNG.normal(size=(3, 5, 4)).astype(np.float32)


def stack(name, **options):
    cells = [layers.LSTMCell(3), layers.LSTMCell(3)]
    return layers.RNN(cells, return_sequences=True, name=name, **options)


def main() -> None:
    """The states of a stack go to a layer, and in another order to another stack."""
    x = keras.Input((5, 4), name="x")
    y, *states = stack("rec", return_state=True)(x)
    behind = layers.LSTM(3, return_sequences=True, name="behind")(x, initial_state=states[:2])
    crossed = stack("crossed")(x, initial_state=[*states[2:], *states[:2]])
    model = keras.models.Model(x, [y, behind, crossed])
    model.set_weights([RNG.normal(0, 0.6, w.shape).astype(w.dtype) for w in model.get_weights()])
    model.save(str(HERE / "stack_states.h5"), include_optimizer=False)
    made = dict(zip(("rec", "behind", "crossed"), model.predict(X)))  # noqa: B905 - Python 3.7
    np.savez(str(HERE / "stack_states_truth.npz"), x=X, **made)


main()
