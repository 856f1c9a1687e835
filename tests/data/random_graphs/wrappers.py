"""The wrappers that are drawn: TensorFlow 1.15's own, and wrappers written here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

rnn = tf.contrib.rnn
core = tf.nn.rnn_cell
nest = tf.nest
as_written = tf.autograph.experimental.do_not_convert


class Own(core.RNNCell):
    """A wrapper that changes x, the output or the state of its cell by functions.

    Each function takes ``(x, output, state, state before)``, as far as it is known then.
    """

    def __init__(self, cell, before=None, output=None, state=None, around=None):
        super().__init__()
        self.cell, self.before, self.change_output = cell, before, output
        self.change_state, self.around = state, around

    @property
    def state_size(self):
        return self.cell.state_size

    @property
    def output_size(self):
        return self.cell.output_size

    def zero_state(self, batch_size, dtype):
        return self.cell.zero_state(batch_size, dtype)

    @as_written
    def call(self, x, state):
        """One step of the cell, with a change."""
        entering = nest.map_structure(self.around, state) if self.around else state
        output, new = self.cell(self.before(x) if self.before else x, entering)
        changed = self.change_output(x, output, new) if self.change_output else output
        if self.change_state:
            new = nest.map_structure(self.change_state, new, state)
        return changed, new


class DenseOutput(Own):
    """The output goes through a dense layer of its own width."""

    @as_written
    def call(self, x, state):
        """One step."""
        output, new = self.cell(x, state)
        return tf.compat.v1.layers.dense(output, output.shape[-1].value, activation=tf.tanh), new


def _keep(spec):
    """A keep probability: the placeholder that trainings have, or a number."""
    if spec.get("placeholder"):
        return tf.compat.v1.placeholder_with_default(1.0, [], "keep_prob")
    return 1.0


RESIDUALS = {
    "sum": lambda x, y: x + y,
    "minus": lambda x, y: y - x,
    "half": lambda x, y: 0.5 * x + y,
    "product": lambda x, y: x * y,
    "tanh": lambda x, y: tf.tanh(x + y),
    "slice": lambda x, y: y + x[:, :1],
}


class WrapperKind(NamedTuple):
    """One kind of wrapper.

    Attributes
    ----------
    build : callable
        ``build(cell, spec, features)``
    draw : callable
        ``draw(random)`` gives what else the description says.
    states : sequence of str
        States that it adds behind the cell's own.
    square : bool
        Whether the input must be as wide as the output.
    plain : bool
        Whether a refusal is not as good as the right numbers.
    """

    build: Callable[..., Any]
    draw: Callable[[Any], dict] = lambda random: {}
    states: Sequence[str] = ()
    square: bool = False
    plain: bool = False


def _placeholder(random):
    return {"placeholder": random.random() < 0.6}


WRAPPERS = {
    "Residual": WrapperKind(
        lambda cell, spec, f: core.ResidualWrapper(cell), square=True, plain=True
    ),
    "Residual_fn": WrapperKind(
        lambda cell, spec, f: core.ResidualWrapper(cell, residual_fn=RESIDUALS[spec["fn"]]),
        lambda random: {"fn": random.choice(sorted(RESIDUALS))},
        square=True,
    ),
    "Highway": WrapperKind(
        lambda cell, spec, f: rnn.HighwayWrapper(cell, **spec["options"]),
        lambda random: {
            "options": random.choice(
                [{}, {"couple_carry_transform_gates": False}, {"carry_bias_init": 0.5}]
            )
        },
        square=True,
    ),
    "InputProjection": WrapperKind(
        lambda cell, spec, f: rnn.InputProjectionWrapper(
            cell, spec["width"], activation=tf.nn.relu if spec["relu"] else None
        ),
        lambda random: {"width": random.randint(2, 4), "relu": random.random() < 0.4},
    ),
    "OutputProjection": WrapperKind(
        lambda cell, spec, f: rnn.OutputProjectionWrapper(
            cell, spec["width"], activation=tf.tanh if spec["tanh"] else None
        ),
        lambda random: {"width": random.randint(2, 4), "tanh": random.random() < 0.4},
        plain=True,
    ),
    "Embedding": WrapperKind(
        lambda cell, spec, f: rnn.EmbeddingWrapper(cell, embedding_classes=7, embedding_size=3),
        plain=True,
    ),
    "Dropout": WrapperKind(
        lambda cell, spec, f: core.DropoutWrapper(cell, output_keep_prob=_keep(spec)),
        _placeholder,
        plain=True,
    ),
    "Dropout_input": WrapperKind(
        lambda cell, spec, f: core.DropoutWrapper(cell, input_keep_prob=_keep(spec)),
        _placeholder,
        plain=True,
    ),
    "Dropout_state": WrapperKind(
        lambda cell, spec, f: core.DropoutWrapper(cell, state_keep_prob=_keep(spec)), _placeholder
    ),
    "Dropout_variational": WrapperKind(
        lambda cell, spec, f: core.DropoutWrapper(
            cell,
            output_keep_prob=_keep(spec),
            state_keep_prob=_keep(spec),
            variational_recurrent=True,
            dtype=tf.as_dtype(spec["dtype"]),
        ),
        lambda random: {"placeholder": True},
    ),
    "Device": WrapperKind(lambda cell, spec, f: core.DeviceWrapper(cell, "/cpu:0"), plain=True),
    "Attention": WrapperKind(
        lambda cell, spec, f: rnn.AttentionCellWrapper(
            cell, spec["length"], state_is_tuple=True, input_size=f if spec["input_size"] else None
        ),
        lambda random: {"length": random.randint(1, 3), "input_size": random.random() < 0.5},
        states=["attention", "attention_past"],
    ),
    "own_squash": WrapperKind(lambda c, s, f: Own(c, output=lambda x, y, new: tf.tanh(2 * y))),
    "own_output_plus_c": WrapperKind(
        lambda c, s, f: Own(
            c,
            output=lambda x, y, new: (
                y + 0.1 * tf.reduce_sum(nest.flatten(new)[0], -1, keepdims=True)
            ),
        )
    ),
    "own_output_reversed": WrapperKind(
        lambda c, s, f: Own(c, output=lambda x, y, new: tf.reverse(y, [1]))
    ),
    "own_output_dense": WrapperKind(lambda c, s, f: DenseOutput(c)),
    "own_state_scaled": WrapperKind(lambda c, s, f: Own(c, state=lambda new, old: 0.9 * new)),
    "own_state_clipped": WrapperKind(
        lambda c, s, f: Own(c, state=lambda new, old: tf.clip_by_value(new, -0.17, 0.17))
    ),
    "own_state_mixed": WrapperKind(
        lambda c, s, f: Own(c, state=lambda new, old: 0.8 * new + 0.2 * old)
    ),
    "own_state_before": WrapperKind(lambda c, s, f: Own(c, around=lambda state: 0.8 * state)),
    "own_x_scaled": WrapperKind(lambda c, s, f: Own(c, before=lambda x: 2 * x)),
    "own_x_shifted": WrapperKind(lambda c, s, f: Own(c, before=lambda x: x + 0.5)),
    "own_x_squared": WrapperKind(lambda c, s, f: Own(c, before=lambda x: tf.concat([x, x * x], 1))),
    "own_x_reversed": WrapperKind(lambda c, s, f: Own(c, before=lambda x: tf.reverse(x, [1]))),
    "own_x_slice": WrapperKind(lambda c, s, f: Own(c, before=lambda x: x[:, 1:])),
    "own_identity": WrapperKind(
        lambda c, s, f: Own(c, before=tf.identity, output=lambda x, y, new: tf.identity(y)),
        plain=True,
    ),
}
