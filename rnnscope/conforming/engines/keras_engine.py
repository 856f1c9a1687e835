"""Keras 3's layers LSTM, GRU and SimpleRNN on TensorFlow, with a mask where there are lengths."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from rnnscope.conforming.case import Answer, Case
from rnnscope.conforming.engines.interface import NotOffered
from rnnscope.model.cell import Array, CellSpec, reorder_gates
from rnnscope.model.cells.gru import GRU_GATE_ORDER
from rnnscope.oracles.importing import import_framework

ACTIVATIONS = {
    "tanh": "tanh", "sigmoid": "sigmoid", "relu": "relu", "softsign": "softsign", "elu": "elu",
    "softplus": "softplus", "linear": "linear", "hard_sigmoid_keras3": "hard_sigmoid",
}  # fmt: skip
"""Keras' own name of an activation without constants."""

CLASSES = {"lstm": "LSTM", "gru": "GRU", "simple_rnn": "SimpleRNN"}
WORDS = {
    "cell_clip": "clip of c", "proj_clip": "clip of the projection",
    "gate_clip": "clip of what enters activations", "coupled": "coupled forget gate",
}  # fmt: skip


class KerasEngine:
    """Keras on TensorFlow."""

    gives: ClassVar[str] = "m of every step, c of the last step only"

    def __init__(self) -> None:
        import os

        os.environ.setdefault("KERAS_BACKEND", "tensorflow")
        self._keras = import_framework("keras", "engine keras", "take another engine")
        self.version = f"Keras {self._keras.__version__} on {self._keras.config.backend()}"

    def run(self, case: Case) -> Answer:
        """A layer, within Bidirectional where there are two directions."""
        lacks = _beyond(case)
        if lacks:
            raise NotOffered(lacks)
        layer, backward = self._layer(case), case.layers[0].backward.value
        state = None
        if case.initial is not None:
            state = [start[name] for start in case.initial for name in ("m", "c") if name in start]
        outputs, *finals = layer(case.x, mask=case.mask, initial_state=state)
        outputs, finals = np.asarray(outputs), [np.asarray(value) for value in finals]
        # Alone, a backward layer leaves its outputs in the order of processing.
        outputs = outputs[:, ::-1] if backward else outputs
        directions, names = len(case.layers), ("m", "c")[: len(case.states)]
        return tuple(
            {
                "outputs": np.split(outputs, directions, axis=-1)[number],
                **{
                    f"final_{name}": finals[number * len(names) + at]
                    for at, name in enumerate(names)
                },
            }
            for number in range(directions)
        )

    def _layer(self, case: Case) -> Any:
        cell = case.layers[0].cell
        names = {"activation": cell.options.activation.value}
        if cell.kind != "simple_rnn":
            names["recurrent_activation"] = cell.options.recurrent_activation.value
        more: dict[str, Any] = {name: ACTIVATIONS[value] for name, value in names.items()}
        if cell.kind == "gru":
            more["reset_after"] = cell.options.reset_after.value
        layer = getattr(self._keras.layers, CLASSES[cell.kind])(
            cell.num_units,
            return_sequences=True,
            return_state=True,
            use_bias=case.biased,
            go_backwards=case.layers[0].backward.value,
            zero_output_for_mask=True,
            dtype=cell.dtype.name,
            **more,
        )
        if len(case.layers) == 2:
            layer = self._keras.layers.Bidirectional(layer, dtype=cell.dtype.name)
        layer.build(case.x.shape)
        layer.set_weights(
            [array for one in case.layers for array in _weights(one.cell, biased=case.biased)]
        )
        return layer

    def close(self) -> None:
        """Nothing runs beside this process."""


def _beyond(case: Case) -> str:
    """What Keras cannot say; empty if it can."""
    cell = case.layers[0].cell
    if case.layout != "sequence first":
        return "Keras 3 has no layout with time first"
    if cell.peepholes or cell.num_proj is not None:
        return "Keras' LSTM has no projection and no peepholes"
    for name, words in WORDS.items():
        if case.option(name):
            return f"Keras has no {words}"
    named = ("activation", "recurrent_activation", "output_activation")
    values = [case.option(name) for name in named if case.option(name) is not None]
    unknown = [value for value in values if value not in ACTIVATIONS]
    if unknown:
        return f"Keras has no activation {unknown[0]} by name"
    if cell.kind == "lstm" and case.option("activation") != case.option("output_activation"):
        return "Keras' LSTM has one activation for the candidate and for c"
    return ""


def _weights(cell: CellSpec, *, biased: bool) -> list[Array]:
    weights = cell.weights
    arrays = [weights.kernel, weights.recurrent_kernel]
    if cell.kind == "gru":
        arrays = [_zrn(array) for array in arrays]
    if not biased:
        return arrays
    bias = weights.bias
    if cell.kind == "lstm" and cell.options.forget_bias.value:
        bias = bias.copy()
        bias[cell.num_units : 2 * cell.num_units] += bias.dtype.type(cell.options.forget_bias.value)
    if cell.kind == "gru":
        bias = _zrn(bias)
        if cell.options.reset_after.value:
            bias = np.stack([bias, _zrn(weights.recurrent_bias)])
    return [*arrays, bias]


def _zrn(array: Array) -> Array:
    return reorder_gates(array, GRU_GATE_ORDER, order=("z", "r", "n"))
