"""An LSTM cell's weights as the loop in numpy wants them."""

from __future__ import annotations

from dataclasses import field
from functools import cached_property
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array, CellSpec, LSTMOptions, LSTMWeights


@dataclass
class FoldedLSTM:
    """A cell's weights as the loop wants them.

    Attributes
    ----------
    spec : CellSpec
    halves : bool
        Whether sigmoid gates are computed as tanh, with weights of i, f and o halved.
    """

    spec: CellSpec
    halves: bool = field(init=False)

    def __post_init__(self) -> None:
        options = self.spec.options
        self.halves = options.recurrent_activation.value == "sigmoid"

    @staticmethod
    def takes(spec: CellSpec) -> bool:
        """Whether this engine computes all that a cell asks for."""
        weights, options = spec.weights, spec.options
        if type(weights) is not LSTMWeights or type(options) is not LSTMOptions:
            return False
        # What only ONNX cells have is left to the reference.
        return options.gate_clip.value is None and not options.coupled.value

    @cached_property
    def _scale(self) -> Array:
        units = self.spec.num_units
        scale = np.ones(4 * units, self.spec.dtype)
        if self.halves:
            scale[: 2 * units] = scale[3 * units :] = 0.5
        return scale

    @cached_property
    def kernel(self) -> Array:
        return np.ascontiguousarray(self.spec.weights.kernel * self._scale)

    @cached_property
    def recurrent(self) -> Array:
        return np.ascontiguousarray(self.spec.weights.recurrent_kernel * self._scale)

    @cached_property
    def bias(self) -> Array:
        result: Array = self.spec.weights.bias * self._scale
        return result

    @cached_property
    def forget_bias(self) -> Any:
        half = 0.5 if self.halves else 1.0
        return self.spec.dtype.type(self.spec.options.forget_bias.value * half)

    @cached_property
    def peepholes(self) -> dict[str, Array]:
        weights = self.spec.weights
        half = self.spec.dtype.type(0.5 if self.halves else 1.0)
        given = {"i": weights.peephole_i, "f": weights.peephole_f, "o": weights.peephole_o}
        return {gate: half * value for gate, value in given.items() if value is not None}
