"""What stands in front of the first layer, where a loop starts, and what stands behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

v1 = tf.compat.v1
nest = tf.nest


class Front(NamedTuple):
    """One kind of computation between the model's input and the first layer.

    Attributes
    ----------
    apply : callable
        ``apply(x, lengths, training)`` gives x and lengths; x is (sequence, timestep, feature).
    input : str
        What the placeholder holds: float, double, int or ids.
    turned : bool
        Whether it turns time round, so that the layer reads backward.
    """

    apply: Callable[..., Any]
    input: str = "float"
    turned: bool = False


def _only_x(change):
    return lambda x, lengths: (change(x), lengths)


def _batch_norm(x, lengths, training=False):
    return v1.layers.batch_normalization(x, training=training), lengths


def _batch_norm_switched(x, lengths):
    return _batch_norm(x, lengths, v1.placeholder_with_default(False, [], "is_training"))


def _dropout(x):
    keep = v1.placeholder_with_default(1.0, [], "front_keep_prob")
    return tf.nn.dropout(x, rate=tf.cast(1 - keep, x.dtype))


def _conv2d(x):
    image = v1.layers.conv2d(x[..., None], 2, (3, 2), padding="same", activation=tf.nn.relu)
    shape = tf.shape(image)
    return tf.reshape(image, [shape[0], shape[1], image.shape[2].value * 2])


def _reverse_sequence(x, lengths):
    if lengths is None:
        lengths = tf.fill([tf.shape(x)[0]], tf.shape(x)[1])
        return tf.reverse_sequence(x, lengths, seq_axis=1, batch_axis=0), None
    return tf.reverse_sequence(x, lengths, seq_axis=1, batch_axis=0), lengths


def _stride(x, lengths):
    return x[:, ::2], None if lengths is None else (lengths + 1) // 2


def _stacked_steps(x, lengths):
    shape = tf.shape(x)
    two = tf.reshape(x, [shape[0], shape[1] // 2, x.shape[-1].value * 2])
    return two, None if lengths is None else (lengths + 1) // 2


def _lookup(ids, lengths):
    table = v1.get_variable("embedding", [7, 3], dtype=tf.float32)
    return tf.nn.embedding_lookup(table, ids), lengths


def _clipped_relu(x):
    return tf.minimum(v1.layers.dense(x, 4, activation=tf.nn.relu), 1.5)


def _flat_dense(x):
    shape = tf.shape(x)
    flat = v1.layers.dense(tf.reshape(x, [-1, x.shape[-1].value]), 3, activation=tf.tanh)
    return tf.reshape(flat, [shape[0], shape[1], 3])


FRONTS = {
    "none": Front(lambda x, lengths: (x, lengths)),
    "identity": Front(_only_x(tf.identity)),
    "scale": Front(_only_x(lambda x: 0.5 * x)),
    "shift": Front(_only_x(lambda x: x - 0.7)),
    "affine_constant": Front(_only_x(lambda x: (x - 0.1) / 1.3)),
    "batch_norm": Front(_batch_norm),
    "batch_norm_switched": Front(_batch_norm_switched),
    "dropout_switched": Front(_only_x(_dropout)),
    "dense_relu": Front(_only_x(lambda x: v1.layers.dense(x, 4, activation=tf.nn.relu))),
    "dense_flat": Front(_only_x(_flat_dense)),
    "clipped_relu": Front(_only_x(_clipped_relu)),
    "conv1d": Front(_only_x(lambda x: v1.layers.conv1d(x, 3, 3, padding="same"))),
    "conv1d_pool": Front(
        _only_x(
            lambda x: v1.layers.max_pooling1d(
                v1.layers.conv1d(x, 3, 2, padding="same", activation=tf.nn.relu),
                2,
                1,
                padding="same",
            )
        )
    ),
    "conv2d": Front(_only_x(_conv2d)),
    "reverse": Front(_only_x(lambda x: tf.reverse(x, [1])), turned=True),
    "reverse_slice": Front(_only_x(lambda x: x[:, ::-1]), turned=True),
    "reverse_features": Front(_only_x(lambda x: tf.reverse(x, [2]))),
    "reverse_sequence": Front(_reverse_sequence, turned=True),
    "concat_views": Front(_only_x(lambda x: tf.concat([x, 2 * x - 1], 2))),
    "concat_reversed": Front(_only_x(lambda x: tf.concat([x, tf.reverse(x, [1])], 2))),
    "slice_features": Front(_only_x(lambda x: x[:, :, 1:])),
    "slice_steps": Front(
        lambda x, lengths: (x[:, 1:], None if lengths is None else tf.maximum(lengths - 1, 1))
    ),
    "gather_features": Front(_only_x(lambda x: tf.gather(x, [1, 0, 1], axis=2))),
    "embedding": Front(_lookup, input="ids"),
    "one_hot": Front(_only_x(lambda ids: tf.one_hot(ids, 5)), input="ids"),
    "cast_int": Front(_only_x(lambda x: tf.cast(x, tf.float32)), input="int"),
    "cast_double": Front(_only_x(lambda x: tf.cast(x, tf.float32)), input="double"),
    "l2_normalize": Front(_only_x(lambda x: tf.nn.l2_normalize(x, axis=2))),
    "mean_removed": Front(_only_x(lambda x: x - tf.reduce_mean(x, 1, keepdims=True))),
    "softmax": Front(_only_x(tf.nn.softmax)),
    "log_power": Front(_only_x(lambda x: tf.math.log(1e-3 + x * x))),
    "stride": Front(_stride),
    "stacked_steps": Front(_stacked_steps),
    "delta": Front(_only_x(lambda x: x - tf.pad(x, [[0, 0], [1, 0], [0, 0]])[:, :-1])),
    "attention_over_features": Front(
        _only_x(lambda x: x * tf.nn.softmax(v1.layers.dense(x, x.shape[-1].value, use_bias=False)))
    ),
}


def first_state(kind, cell, x, state_names, place):
    """The state that a loop starts from, or None where the loop makes it by itself.

    Parameters
    ----------
    kind : str
        Of `STARTS`.
    cell : RNNCell
    x : tensor
        (sequence, timestep, feature)
    state_names : list of str
        Names of the flat state, for placeholders.
    place : dict
        Takes the placeholders that are made, by name of their array.
    """
    if kind == "implicit":
        return None
    batch = tf.shape(x)[0]
    zero = cell.zero_state(batch, x.dtype)
    if kind == "zeros":
        return zero
    flat, made = nest.flatten(zero), []
    for at, part in enumerate(flat):
        shape = part.shape.as_list()
        width = shape[-1]
        if part.dtype != x.dtype or len(shape) != 2 or width is None:
            raise ValueError("no state of one axis")
        if kind == "constant":
            row = [0.3 - 0.2 * unit for unit in range(width)]
            piece = tf.tile(tf.constant([row], x.dtype), [batch, 1])
        elif kind == "ones":
            piece = tf.ones([batch, width], x.dtype)
        elif kind == "filled":
            piece = tf.fill([batch, width], tf.constant(0.25, x.dtype))
        elif kind == "variable":
            row = v1.get_variable(f"first_state_{at}", [1, width], dtype=x.dtype)
            piece = tf.tile(row, [batch, 1])
        elif kind == "variable_tanh":
            row = v1.get_variable(f"first_state_{at}", [width], dtype=x.dtype)
            piece = tf.tanh(row) * tf.ones([batch, 1], x.dtype)
        elif kind == "dense_of_mean":
            piece = v1.layers.dense(tf.reduce_mean(x, 1), width, name=f"first_state_{at}")
        elif kind == "first_step":
            piece = v1.layers.dense(x[:, 0], width, tf.tanh, name=f"first_state_{at}")
        elif kind == "placeholder":
            if state_names[at] not in ("c", "m"):
                raise ValueError("a state without a name")
            piece = v1.placeholder(x.dtype, [None, width], "initial_" + state_names[at])
            place["initial_" + state_names[at]] = piece
        else:
            raise KeyError(kind)
        made.append(piece)
    return nest.pack_sequence_as(zero, made)


STARTS = (
    "implicit", "zeros", "constant", "ones", "filled", "variable", "variable_tanh", "dense_of_mean",
    "first_step", "placeholder", "final_of_other",
)  # fmt: skip


def _last(outputs, x):
    return outputs[:, -1]


BEHIND = {
    "none": lambda outputs, x: outputs,
    "dense": lambda outputs, x: v1.layers.dense(outputs, 2),
    "dense_softmax": lambda outputs, x: tf.nn.softmax(v1.layers.dense(outputs, 3)),
    "tanh": lambda outputs, x: tf.tanh(outputs),
    "plus_x": lambda outputs, x: outputs + x[:, :, :1],
    "reverse": lambda outputs, x: tf.reverse(outputs, [1]),
    "last": _last,
    "mean": lambda outputs, x: tf.reduce_mean(outputs, 1),
    "scaled": lambda outputs, x: 0.5 * outputs,
    "attention": lambda outputs, x: tf.reduce_sum(
        outputs * tf.nn.softmax(v1.layers.dense(outputs, 1), axis=1), 1
    ),
    "max": lambda outputs, x: tf.reduce_max(outputs, 1),
    "batch_norm": lambda outputs, x: v1.layers.batch_normalization(outputs),
}
