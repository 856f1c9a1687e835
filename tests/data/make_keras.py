"""Makes `keras/`: small models that old versions of Keras alone can write, with true states.

Run it once with TensorFlow 2.12 (Python 3.10) and once with TensorFlow 2.4 (Python 3.8); each makes
the files of its own version:

    python make_keras.py
"""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

HERE = Path(__file__).parent / "keras"
RNG = np.random.default_rng(31)
X = RNG.normal(size=(3, 5, 4)).astype(np.float32)
MASK = np.array([[1, 1, 1, 1, 0], [1, 0, 0, 0, 0], [0, 1, 1, 0, 1]], bool)
STATES = RNG.normal(size=(4, 3, 3)).astype(np.float32)
K = tf.keras.layers


def write(name: str, model: tf.keras.Model, *, checkpoint: bool = False) -> None:
    """The model with random weights, its weights alone, and what it returns."""
    model.set_weights([RNG.normal(0, 0.6, w.shape).astype(w.dtype) for w in model.get_weights()])
    model.save(HERE / f"{name}.h5", include_optimizer=False)
    if checkpoint:
        tf.train.Checkpoint(model=model).write(str(HERE / name))
    made = model.predict(X)
    made = made if isinstance(made, list) else [made]
    layers = [layer.name for layer in model.layers if layer.name in ("rec", "behind", "bi")]
    np.savez(HERE / f"{name}_truth.npz", x=X, **dict(zip(layers, made)))  # noqa: B905 - Python 3.8


def constants() -> tf.keras.Model:
    """A mask and a state as constants; the layer behind is given the mask by Keras."""
    x = tf.keras.Input((5, 4), name="x")
    states = [tf.constant(state) for state in STATES[:2]]
    y = K.LSTM(3, return_sequences=True, name="rec")(
        x, mask=tf.constant(MASK), initial_state=states
    )
    return tf.keras.Model(x, [y, K.GRU(3, return_sequences=True, name="behind")(y)])


def constants_both_ways() -> tf.keras.Model:
    """Four constant states of two directions, merged by their product."""
    x = tf.keras.Input((5, 4), name="x")
    both = K.Bidirectional(K.LSTM(3, return_sequences=True), merge_mode="mul", name="bi")
    states = [tf.constant(state) for state in STATES]
    return tf.keras.Model(x, both(x, initial_state=states, mask=tf.constant(MASK)))


def unequal_directions() -> tf.keras.Model:
    """A backward layer with another activation and no bias, merged by the mean."""
    x = tf.keras.Input((5, 4), name="x")
    back = K.LSTM(3, return_sequences=True, go_backwards=True, activation="relu", use_bias=False)
    both = K.Bidirectional(K.LSTM(3, return_sequences=True), merge_mode="ave", backward_layer=back,
                           name="bi")  # fmt: skip
    return tf.keras.Model(x, both(x))


def peephole() -> tf.keras.Model:
    """tf.keras.experimental.PeepholeLSTMCell, which has hard_sigmoid gates by default."""
    x = tf.keras.Input((5, 4), name="x")
    cell = tf.keras.experimental.PeepholeLSTMCell(3)
    return tf.keras.Model(x, K.RNN(cell, return_sequences=True, name="rec")(x))


class MinimalRNNCell(K.Layer):
    """The custom cell of Keras' own documentation: no bias, no activation."""

    def __init__(self, units: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, input_shape: tuple[int, ...]) -> None:
        self.kernel = self.add_weight("kernel", (input_shape[-1], self.units))
        self.recurrent_kernel = self.add_weight("recurrent_kernel", (self.units, self.units))
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, states: tuple[tf.Tensor, ...]) -> tuple[object, ...]:
        output = inputs @ self.kernel + states[0] @ self.recurrent_kernel
        return output, [output]

    def get_config(self) -> dict[str, object]:
        return {**super().get_config(), "units": self.units}


def custom() -> tf.keras.Model:
    """A cell that has the arrays of a SimpleRNN without a bias."""
    x = tf.keras.Input((5, 4), name="x")
    return tf.keras.Model(x, K.RNN(MinimalRNNCell(3), return_sequences=True, name="rec")(x))


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    if tf.__version__.startswith("2.4."):
        write("peephole", peephole(), checkpoint=True)
    else:
        write("constants", constants())
        write("constants_both_ways", constants_both_ways())
        write("unequal_directions", unequal_directions())
        model = custom()
        write("custom_cell", model, checkpoint=True)
        model.save_weights(HERE / "custom_cell.weights.h5")
        model.save_weights(HERE / "custom_cell_old.h5")
