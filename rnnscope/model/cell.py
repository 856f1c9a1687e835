"""What a recurrent cell is to rnnscope: weights in one gate order, options with their origin.

Words
-----
c
    Cell state, width ``num_units``.
m
    Output state, width ``num_proj`` where there is a projection, else ``num_units``. TensorFlow
    and Keras call it ``h``.
i, f, g, o
    Input gate, forget gate, candidate, output gate. TensorFlow calls the candidate ``j``.
kernel, recurrent_kernel
    The weights applied to the input x and to the previous output state m.

Readers translate every stored layout into these, once, through `reorder_gates`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from rnnscope.deferred_dataclass import dataclass

GATE_ORDER = ("i", "f", "g", "o")
"""The order of the gate blocks in every array that the core handles."""

Array = NDArray[Any]
T = TypeVar("T")

Origin = Literal["graph", "config", "flag", "class default", "guess"]
"""Where an option's value comes from.

``graph``: a constant or op of the stored TensorFlow or ONNX graph. ``config``: a stored layer
configuration (Keras). ``flag``: the user. ``class default``: the default of the cell class that
the names tell. ``guess``: nothing stored says it.
"""


@dataclass(frozen=True)
class Option(Generic[T]):
    """One option of a cell or layer: its value, and where that value comes from."""

    value: T
    origin: Origin
    detail: str = ""
    """The node, variable or key it was read from, for people who want to look."""
    only_choice: bool = False
    """True where the class of cell knows no other value, so that nothing is assumed."""

    def as_text(self) -> Option[str]:
        """The same with the words of its value."""
        return Option(str(self.value), self.origin, self.detail, self.only_choice)


def only_choice(value: T, detail: str) -> Option[T]:
    """An option about which a class of cell leaves no choice; `detail` says why, for people."""
    return Option(value, "class default", detail, only_choice=True)


IN_BIAS: Option[float] = only_choice(0.0, "inside the bias")
"""The forget bias of a class that keeps it in its bias."""

NO_CLIP: Option[float | None] = only_choice(None, "the class has none")
NOT_COUPLED: Option[bool] = only_choice(False, "the class has none")
"""What cells without these options have; ONNX operators alone state the second."""


def reorder_gates(
    array: Array,
    source_order: Sequence[str],
    axis: int = -1,
    *,
    order: Sequence[str] = GATE_ORDER,
) -> Array:
    """Reorder equal gate blocks along an axis into the order that a cell computes with.

    Parameters
    ----------
    array : ndarray
        Its size along `axis` is a multiple of ``len(source_order)``.
    source_order : sequence of str
        The gates as stored, for example ``("i", "g", "f", "o")`` for TensorFlow 1.
    axis : int
        The axis along which the blocks lie.
    order : sequence of str
        The order wanted: `GATE_ORDER`, or that of another cell. Gates of it that are not stored
        (a coupled cell's ``i``) are left out.

    Returns
    -------
    ndarray
        A new array of the same shape and dtype.
    """
    blocks = dict(zip(source_order, np.split(array, len(source_order), axis=axis), strict=True))
    return np.concatenate([blocks[gate] for gate in order if gate in blocks], axis=axis)


class WeightSizes:
    """The sizes that any cell's weights have, as their kernel tells them.

    Attributes
    ----------
    kernel : ndarray (input, blocks·num_units)
    projection : ndarray (num_units, num_proj) or None
    blocks : int
        How many blocks of units the kernel has: one a gate.
    """

    kernel: Array
    projection: Array | None = None
    blocks: ClassVar[int] = 1

    @property
    def input_size(self) -> int:
        return int(self.kernel.shape[0])

    @property
    def num_units(self) -> int:
        return int(self.kernel.shape[1]) // self.blocks

    @property
    def output_size(self) -> int:
        """Width of m and of the layer's outputs."""
        return self.num_units if self.projection is None else int(self.projection.shape[1])

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.kernel.dtype


@dataclass(frozen=True, eq=False)
class LSTMWeights(WeightSizes):
    """The weights of one LSTM cell, all of one dtype (float32 or float64).

    Attributes
    ----------
    kernel : ndarray (input, 4·num_units)
        Applied to x. Column blocks in `GATE_ORDER`.
    recurrent_kernel : ndarray (output, 4·num_units)
        Applied to the previous m.
    bias : ndarray (4·num_units,)
        Without the forget bias that a cell adds at run time (`LSTMOptions.forget_bias`).
    peephole_i, peephole_f, peephole_o : ndarray (num_units,) or None
        Diagonal weights on c: i and f see the previous c, o sees the new, clipped c.
    projection : ndarray (num_units, num_proj) or None
    added_bias : ndarray (4·num_units,) or None
        The part of `bias` that the file keeps as a second bias, that of the previous m (torch
        ``bias_hh``, ONNX ``Rb``, cuDNN). No step uses it: it tells what a reader that forgets one
        of both would compute.
    """

    kernel: Array
    recurrent_kernel: Array
    bias: Array
    peephole_i: Array | None = None
    peephole_f: Array | None = None
    peephole_o: Array | None = None
    projection: Array | None = None
    added_bias: Array | None = None

    blocks: ClassVar[int] = len(GATE_ORDER)


@dataclass(frozen=True)
class LSTMOptions:
    """What turns weights into a computation, by the equations of `rnnscope.model.cells.lstm`.

    Attributes
    ----------
    forget_bias : Option[float]
        Added to the forget gate at run time. 0 where the bias holds it already (Keras, torch).
    activation, recurrent_activation : Option[str]
        Names in `rnnscope.model.activations.ACTIVATIONS`: for the candidate; for the gates i, f, o.
    output_activation : Option[str]
        Applied to c on its way to m. The same as `activation` in TensorFlow, Keras and torch.
    cell_clip, proj_clip : Option[float | None]
        Bounds of c and of the projected m; None for no clipping.
    gate_clip : Option[float | None]
        Bound of what the gates' activations are applied to (ONNX ``clip``); None for no clipping.
    coupled : Option[bool]
        True where the forget gate is 1 - i, its own weights unused (ONNX ``input_forget``).
    """

    forget_bias: Option[float]
    activation: Option[str]
    recurrent_activation: Option[str]
    output_activation: Option[str]
    cell_clip: Option[float | None]
    proj_clip: Option[float | None]
    gate_clip: Option[float | None] = NO_CLIP
    coupled: Option[bool] = NOT_COUPLED

    def items(self) -> Iterator[tuple[str, Option[Any]]]:
        """The options by name, in the order of the class.

        `gate_clip` and `coupled` are left out where they do nothing: only ONNX has them.
        """
        for field in fields(self):
            option = getattr(self, field.name)
            if field.name not in ("gate_clip", "coupled") or option.value:
                yield field.name, option


@dataclass(frozen=True, eq=False)
class CellSpec:
    """A cell as read from a file: its kind, its weights and its options.

    Attributes
    ----------
    kind : str
        A key of `rnnscope.model.cells.CELLS`, for example ``"lstm"``.
    source_class : str
        The class that made it, as far as the file tells: ``"BasicLSTMCell"``, ``"keras LSTM"``.
    weights, options : LSTMWeights and LSTMOptions, or those of another cell
        Each cell of CELLS has its own; all weights have ``input_size``, ``num_units``,
        ``output_size`` and ``dtype``, all options have ``items()``.
    variables : tuple of str
        The stored variables that the weights were read from, as the file names them.
    stored_gate_order : str
        The gate order in the file, for example ``"i g f o"``.
    from_keras : bool
        True where a layer of Keras made it, in a file of Keras or in a graph.
    """

    kind: str
    source_class: str
    weights: Any
    options: Any
    variables: tuple[str, ...]
    stored_gate_order: str
    from_keras: bool = False

    @property
    def input_size(self) -> int:
        return int(self.weights.input_size)

    @property
    def num_units(self) -> int:
        return int(self.weights.num_units)

    @property
    def output_size(self) -> int:
        return int(self.weights.output_size)

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = np.dtype(self.weights.dtype)
        return dtype

    def in_double(self) -> CellSpec:
        """The cell with weights in float64; that of a stored graph keeps its own."""
        return self.in_dtype(np.dtype(np.float64))

    def in_dtype(self, dtype: np.dtype[Any]) -> CellSpec:
        """The cell with weights of a dtype; that of a stored graph keeps its own."""
        if self.kind == "graph":
            return self
        arrays = {
            item.name: value.astype(dtype)
            for item in fields(self.weights)
            if isinstance(value := getattr(self.weights, item.name), np.ndarray)
        }
        weights: Any = self.weights
        return replace(self, weights=replace(weights, **arrays))

    @property
    def num_proj(self) -> int | None:
        """Width of the projected m; None for a cell without a projection."""
        projection = getattr(self.weights, "projection", None)
        return None if projection is None else int(projection.shape[1])

    @property
    def peepholes(self) -> bool:
        """Whether any gate sees c."""
        return any(getattr(self.weights, f"peephole_{gate}", None) is not None for gate in "ifo")
