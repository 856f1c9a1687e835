"""One step of an LSTM in TensorFlow's own operations, with every option that a layer can have."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from rnnscope.errors import EngineError, spell
from rnnscope.model.cell import Array, CellSpec
from rnnscope.oracles.importing import import_framework


def stepper(tf: Any, cell: CellSpec, name: str) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    """``step(x, c, m) -> (c, m)``, after LSTMCell.call of TensorFlow's rnn_cell_impl.py.

    The clip of the gates and the coupled forget gate are the ONNX operator's.
    """
    weights, options = cell.weights, cell.options
    kernel = tf.constant(np.concatenate([weights.kernel, weights.recurrent_kernel]))
    act = activation(tf, options.activation.value, name)
    out_act = activation(tf, options.output_activation.value, name)
    rec_act = activation(tf, options.recurrent_activation.value, name)
    forget_bias = tf.constant(options.forget_bias.value, kernel.dtype)

    def peep(z: Any, diagonal: Array | None, c: Any) -> Any:
        return z if diagonal is None else z + tf.constant(diagonal) * c

    def clip(value: Any, bound: float | None) -> Any:
        return value if bound is None else tf.clip_by_value(value, -bound, bound)

    def gate(z: Any) -> Any:
        return rec_act(clip(z, options.gate_clip.value))

    def step(x: Any, c_prev: Any, m_prev: Any) -> tuple[Any, Any]:
        z = tf.nn.bias_add(tf.matmul(tf.concat([x, m_prev], 1), kernel), weights.bias)
        z_i, z_f, z_g, z_o = tf.split(z, 4, axis=1)
        i = gate(peep(z_i, weights.peephole_i, c_prev))
        f = gate(peep(z_f + forget_bias, weights.peephole_f, c_prev))
        f = 1 - i if options.coupled.value else f
        g = act(clip(z_g, options.gate_clip.value))
        c = clip(f * c_prev + i * g, options.cell_clip.value)
        m = gate(peep(z_o, weights.peephole_o, c)) * out_act(c)
        if weights.projection is not None:
            m = clip(tf.matmul(m, weights.projection), options.proj_clip.value)
        return c, m

    return step


def activation(tf: Any, name: str, layer: str) -> Callable[[Any], Any]:
    """TensorFlow's own function for a name in ACTIVATIONS."""
    known: dict[str, Callable[[Any], Any]] = {
        "tanh": tf.tanh,
        "sigmoid": tf.sigmoid,
        # Keras 1 and 2, whose backends spelled it out in these ops.
        "hard_sigmoid": lambda z: tf.clip_by_value(0.2 * z + 0.5, 0.0, 1.0),
        "hard_sigmoid_keras3": lambda z: tf.nn.relu6(z + 3.0) / 6.0,
        "relu": tf.nn.relu,
        "relu6": tf.nn.relu6,
        "linear": tf.identity,
        "elu": tf.nn.elu,
        "selu": tf.nn.selu,
        "softplus": tf.nn.softplus,
        "softsign": tf.nn.softsign,
        "softmax": tf.nn.softmax,
        "swish": tf.nn.silu,
        "gelu": lambda z: tf.nn.gelu(z, approximate=False),
        "gelu_tanh": lambda z: tf.nn.gelu(z, approximate=True),
        "mish": lambda z: z * tf.tanh(tf.nn.softplus(z)),
        "exponential": tf.exp,
    }
    if name not in known:
        raise EngineError(
            f"The TensorFlow cross-check does not know the activation '{name}'.",
            where=f"layer '{layer}'",
            expected="one of " + ", ".join(known),
            found=name,
            hint=f"leave out {spell('verify')}",
        )
    return known[name]


def keras_activation(tf: Any, name: str, layer: str) -> Any:
    """Keras' own activation of that name; Keras 3 has no other name for two of ours."""
    own = {
        "hard_sigmoid_keras3": "hard_sigmoid",
        "swish": "silu",
    }
    if name in ("hard_sigmoid", "gelu_tanh"):
        return activation(tf, name, layer)
    return own.get(name, name)


def import_keras() -> Any:
    """Keras on TensorFlow, whatever backend the environment would choose."""
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    keras = import_framework("keras", spell("verify", "tensorflow"), f"leave out {spell('verify')}")
    backend = keras.config.backend()
    if backend != "tensorflow":
        raise EngineError(
            "Keras is set to another backend than TensorFlow.",
            where=spell("verify", "tensorflow"),
            expected="tensorflow",
            found=backend,
            hint="set KERAS_BACKEND=tensorflow in the environment",
        )
    return keras
