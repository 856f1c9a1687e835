"""What TensorFlow computes a layer with: BlockLSTM, Keras' LSTM, or its elementary ops.

TensorFlow is handed in, never imported here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.oracles.tensorflow_steps import import_keras, keras_activation, stepper

STEPWISE = "TensorFlow ops"
"""The kernel's name where every step is spelled out in elementary ops."""


@dataclass(frozen=True, eq=False)
class Result:
    """What a kernel computed, in input time order, as arrays.

    Attributes
    ----------
    kernel : str
        Which one, and why not the better one.
    steps : dict of str to ndarray (sequence, timestep, width)
        ``c`` and ``m``, carried where steps do not count, and ``outputs``; Keras' LSTM returns
        the outputs alone. In the order of `rnnscope.model.states.LayerStates`.
    final : dict of str to ndarray (sequence, width)
    """

    kernel: str
    steps: dict[str, Array]
    final: dict[str, Array]


@dataclass(frozen=True, eq=False)
class Task:
    """One layer over some sequences, to be computed by whichever kernel can.

    Attributes
    ----------
    tf : module
        TensorFlow.
    name : str
        The layer's name, for messages.
    layer : RecurrentLayer
    x : ndarray (sequence, timestep, input)
    mask : ndarray of bool (sequence, timestep) or None
        None also where the layer uses no lengths.
    initial : dict of str to ndarray (sequence, width)
        c and m before the first step.
    """

    tf: Any
    name: str
    layer: RecurrentLayer
    x: Array
    mask: Array | None
    initial: dict[str, Array]

    def compute(self) -> Result:
        """Run the framework's own kernel if it can express the layer, else single ops."""
        from_keras = self.layer.cell.from_keras
        why_not = _beyond_keras(self.layer) if from_keras else self._beyond_block()
        if why_not:
            return self._stepwise(f"{STEPWISE} ({why_not})")
        return self._keras() if from_keras else self._block()

    def compute_single_steps(self, states: Mapping[str, Array]) -> Result:
        """Every step that counts as a run of its own, from the state stored before it.

        Parameters
        ----------
        states : mapping of str to ndarray (sequence, timestep, width)
            c and m in input time order, carried where steps do not count.
        """
        counts = self._counts()
        stored = {name: np.asarray(self.turn(states[name])) for name in ("c", "m")}
        before = {
            name: np.concatenate([self.initial[name][:, None], values[:, :-1]], axis=1)[counts]
            for name, values in stored.items()
        }
        x = np.asarray(self.turn(self.x))[counts][:, None]
        layer = replace(self.layer, backward=replace(self.layer.backward, value=False))
        single = Task(self.tf, self.name, layer, x, None, before).compute()
        reached = {name: np.zeros_like(values) for name, values in stored.items()}
        for name, values in reached.items():
            # A kernel that keeps no c of every step has it as the final state of its only step.
            values[counts] = single.final[name]
        return self._completed(single.kernel, reached)

    def _counts(self) -> Array:
        """True at the steps that count, in processing order (sequence, timestep)."""
        if self.mask is None:
            return np.ones(self.x.shape[:2], bool)
        return np.asarray(self.turn(self.mask))

    def _completed(self, kernel: str, turned: Mapping[str, Array]) -> Result:
        """What follows from c and m where steps count: carried and final states, outputs.

        Parameters
        ----------
        kernel : str
        turned : mapping of str to ndarray (sequence, timestep, width)
            c and m in processing order; anything where steps do not count.
        """
        counts = self._counts()
        last = np.maximum.accumulate(np.where(counts, np.arange(counts.shape[1]), -1), axis=1)
        carried = {
            name: np.where(
                last[..., None] < 0,
                self.initial[name][:, None],
                np.take_along_axis(values, np.maximum(last, 0)[..., None], axis=1),
            )
            for name, values in turned.items()
        }
        shown = counts if self.layer.padding.value == "zeros" else last >= 0
        outputs = np.where(shown[..., None], carried["m"], 0)
        if self.layer.outputs_in_input_order:
            outputs = np.asarray(self.turn(outputs))
        steps = {name: np.asarray(self.turn(values)) for name, values in carried.items()}
        final = {name: values[:, -1] for name, values in carried.items()}
        return Result(kernel, {**steps, "outputs": outputs}, final)

    def turn(self, values: Any) -> Any:
        """Input order to processing order, and back."""
        tf, layer = self.tf, self.layer
        if not layer.backward.value:
            return values
        if layer.reversal == "whole" or self.mask is None:
            return tf.reverse(values, axis=[1])
        steps = np.arange(1, self.mask.shape[1] + 1)
        lengths = np.where(self.mask, steps, 0).max(axis=1)
        return tf.reverse_sequence(values, lengths, seq_axis=1, batch_axis=0)

    def _beyond_block(self) -> str:
        """Why BlockLSTM cannot express a layer; empty if it can."""
        weights, options = self.layer.cell.weights, self.layer.cell.options
        clip = options.cell_clip.value
        if weights.projection is not None:
            return "BlockLSTM has no projection"
        if _onnx_only(self.layer):
            return f"BlockLSTM has no {_onnx_only(self.layer)}"
        if weights.dtype != np.float32:
            return f"BlockLSTM does not compute in {weights.dtype}"
        if (options.activation.value, options.output_activation.value) != ("tanh", "tanh"):
            return "BlockLSTM knows tanh alone"
        if options.recurrent_activation.value != "sigmoid":
            return "the gates of BlockLSTM know sigmoid alone"
        if clip is not None and clip <= 0:
            return "BlockLSTM takes a cell_clip of 0 for none"
        if self.mask is not None:
            counts = self._counts()
            if np.any(counts[:, 1:] & ~counts[:, :-1]):
                return "BlockLSTM takes no masked step before a valid one"
        return ""

    def _block(self) -> Result:
        """The fused op of TensorFlow 1.

        It knows no lengths of single sequences, but c and m of the steps that count come first,
        and none of these depends on what follows it.
        """
        tf, weights, options = self.tf, self.layer.cell.weights, self.layer.cell.options
        none = np.zeros(weights.num_units, weights.dtype)
        peepholes = [weights.peephole_i, weights.peephole_f, weights.peephole_o]
        kernel = np.concatenate([weights.kernel, weights.recurrent_kernel])
        out = tf.raw_ops.BlockLSTM(
            seq_len_max=self.x.shape[1],
            x=tf.transpose(self.turn(self.x), [1, 0, 2]),
            cs_prev=self.initial["c"],
            h_prev=self.initial["m"],
            w=_icfo(kernel),
            b=_icfo(weights.bias),
            **{
                f"wc{gate}": none if diagonal is None else diagonal
                for gate, diagonal in zip("ifo", peepholes, strict=True)
            },
            forget_bias=options.forget_bias.value,
            cell_clip=-1.0 if options.cell_clip.value is None else options.cell_clip.value,
            use_peephole=any(diagonal is not None for diagonal in peepholes),
        )
        turned = {"c": out.cs.numpy(), "m": out.h.numpy()}
        return self._completed(
            "BlockLSTM", {name: values.transpose(1, 0, 2) for name, values in turned.items()}
        )

    def _keras(self) -> Result:
        keras = import_keras()
        cell, layer = self.layer.cell, self.layer
        weights, options = cell.weights, cell.options
        lstm = keras.layers.LSTM(
            cell.num_units,
            activation=keras_activation(self.tf, options.activation.value, self.name),
            recurrent_activation=keras_activation(
                self.tf, options.recurrent_activation.value, self.name
            ),
            return_sequences=True,
            return_state=True,
            go_backwards=layer.backward.value,
            zero_output_for_mask=layer.padding.value == "zeros",
            dtype=cell.dtype.name,
        )
        lstm.build(self.x.shape)
        bias = weights.bias.copy()
        # Keras stores the forget bias in the bias; a flag may have added to it.
        bias[cell.num_units : 2 * cell.num_units] += options.forget_bias.value
        lstm.set_weights([weights.kernel, weights.recurrent_kernel, bias])
        outputs, m, c = lstm(
            self.tf.constant(self.x),
            mask=None if self.mask is None else self.tf.constant(self.mask),
            initial_state=[self.tf.constant(self.initial[name]) for name in ("m", "c")],
        )
        if layer.backward.value and layer.outputs_in_input_order:
            outputs = self.tf.reverse(outputs, axis=[1])  # as Bidirectional does
        return Result(
            "keras.layers.LSTM", {"outputs": outputs.numpy()}, {"c": c.numpy(), "m": m.numpy()}
        )

    def _stepwise(self, kernel: str) -> Result:
        tf = self.tf
        step = stepper(tf, self.layer.cell, self.name)
        x, counts = self.turn(tf.constant(self.x)), self._counts()
        c, m = tf.constant(self.initial["c"]), tf.constant(self.initial["m"])
        every: dict[str, list[Any]] = {"c": [], "m": []}
        for t in range(self.x.shape[1]):
            new_c, new_m = step(x[:, t], c, m)
            c, m = (tf.where(counts[:, t, None], new, old) for new, old in ((new_c, c), (new_m, m)))
            every["c"].append(c)
            every["m"].append(m)
        return self._completed(
            kernel, {name: tf.stack(kept, 1).numpy() for name, kept in every.items()}
        )


def _icfo(array: Array) -> Array:
    """Column blocks i, f, g, o into BlockLSTM's order: i, g ("c", the candidate), f, o."""
    i, f, g, o = np.split(array, 4, axis=-1)
    return np.concatenate([i, g, f, o], axis=-1)


def _beyond_keras(layer: RecurrentLayer) -> str:
    """Why keras.layers.LSTM cannot express a layer; empty if it can."""
    weights, options = layer.cell.weights, layer.cell.options
    peepholes = (weights.peephole_i, weights.peephole_f, weights.peephole_o)
    if weights.projection is not None or any(diagonal is not None for diagonal in peepholes):
        return "Keras' LSTM has no projection and no peepholes"
    if options.cell_clip.value is not None:
        return "Keras' LSTM has no clip"
    if _onnx_only(layer):
        return f"Keras' LSTM has no {_onnx_only(layer)}"
    if options.activation.value != options.output_activation.value:
        return "Keras' LSTM has one activation for the candidate and for c"
    if layer.backward.value and layer.reversal != "whole":
        return "Keras' LSTM turns the whole time axis"
    return ""


def _onnx_only(layer: RecurrentLayer) -> str:
    """The option of a layer that neither TensorFlow nor Keras has; empty without one."""
    options = layer.cell.options
    if options.coupled.value:
        return "coupled forget gate"
    return "" if options.gate_clip.value is None else "clip of the gates"
