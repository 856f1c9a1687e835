"""What the judge's loop is told of a model: weights as a file stores them, and options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Made = Mapping[str, str]
"""What is confused: a word for each id, for example ``{"gate-order": "i o f g"}``."""

ACTIVATIONS = {
    "tanh": np.tanh,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "hard_sigmoid": lambda z: np.minimum(1, np.maximum(0, 0.2 * z + 0.5)),
    "hard_sigmoid_keras3": lambda z: np.minimum(1, np.maximum(0, z / 6 + 0.5)),
    "relu": lambda z: np.maximum(z, 0),
    "linear": lambda z: z,
    "softsign": lambda z: z / (1 + np.abs(z)),
    "softmax": lambda z: np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True),
}


@dataclass(frozen=True, eq=False)
class Cell:
    """A cell as its file stores it, but for transposition: kernels are (rows, blocks of columns).

    Attributes
    ----------
    order : str
        The gates of the stored blocks: ``"ifgo"`` (PyTorch, Keras), ``"igfo"`` (TensorFlow 1),
        ``"iofg"`` (ONNX), or ``"rzn"``, ``"zrn"`` of a GRU.
    stored : str
        Who stores it, which says how the bytes of its kernels lie: torch and onnx store them the
        other way round.
    """

    order: str
    stored: str
    kernel: Array
    recurrent: Array
    bias: Array
    recurrent_bias: Array | None = None
    peepholes: Mapping[str, Array] | None = None
    projection: Array | None = None
    forget_bias: float = 0.0
    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    output_activation: str = "tanh"
    cell_clip: float | None = None
    proj_clip: float | None = None
    gate_clip: float | None = None
    reset_after: bool = True
    backward: bool = False
    in_input_order: bool = True

    @property
    def gru(self) -> bool:
        return "r" in self.order

    @property
    def units(self) -> int:
        return self.kernel.shape[1] // len(self.order)

    @property
    def width(self) -> int:
        return self.units if self.projection is None else self.projection.shape[1]


@dataclass(frozen=True, eq=False)
class Model:
    """Levels of one cell, or of a forward and a backward one; what stands before and behind.

    Attributes
    ----------
    padding : str
        What the outputs past a sequence's length are: ``"zeros"`` or ``"hold"``.
    masking : bool
        Steps of zeros alone are masked, by a layer of the file.
    dense : tuple of ndarray, ndarray, str, optional
        Kernel, bias and activation of a layer behind the last level.
    others : mapping of str to Model
        What else the files hold: moving averages, other steps of the training.
    """

    levels: tuple[tuple[Cell, ...], ...]
    padding: str = "zeros"
    masking: bool = False
    embedding: Array | None = None
    dense: tuple[Array, Array, str] | None = None
    others: Mapping[str, Model] = field(default_factory=dict)


def rounded(array: Array, kind: str) -> Array:
    """The array rounded to float16 or bfloat16, in float64."""
    if kind == "float16":
        return np.asarray(array, np.float16).astype(np.float64)
    bits = np.asarray(array, np.float32).view(np.uint32)
    # To the nearest, ties to even.
    bits = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    return (bits & np.uint32(0xFFFF0000)).view(np.float32).astype(np.float64)
