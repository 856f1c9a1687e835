"""Cells from arrays whose names a layout knows: blocks put side by side, in one gate order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

import numpy as np

from rnnscope.checkpoints.module_layouts.interface import ModuleLayout, Part
from rnnscope.checkpoints.torch.module_names import MisfitError
from rnnscope.deferred_dataclass import dataclass
from rnnscope.files.arrays.loadable_arrays import LoadableArray
from rnnscope.model.cell import (
    GATE_ORDER,
    IN_BIAS,
    NO_CLIP,
    Array,
    CellSpec,
    LSTMOptions,
    LSTMWeights,
    Option,
    Origin,
    only_choice,
)
from rnnscope.model.cells.gru import GRU_GATE_ORDER, GRUOptions, GRUWeights
from rnnscope.model.cells.simple_rnn import SimpleRNNOptions, SimpleRNNWeights

KINDS = {frozenset("ifgo"): "lstm", frozenset("rzn"): "gru", frozenset("n"): "simple_rnn"}
"""Gates of a cell to its kind."""

ORDERS = {"lstm": GATE_ORDER, "gru": GRU_GATE_ORDER, "simple_rnn": ("n",)}


@dataclass
class FoundParts:
    """The arrays of one module, each with what its name says.

    Attributes
    ----------
    layout : ModuleLayout
    parts : list of (Part, LoadableArray)
    """

    layout: ModuleLayout
    parts: list[tuple[Part, LoadableArray]] = field(default_factory=list)

    def kernels(self, *sides: str) -> list[tuple[Part, LoadableArray]]:
        """The kernels that are applied to one of these."""
        return [one for one in self.parts if one[0].role == "kernel" and one[0].side in sides]

    @property
    def looks_whole(self) -> bool:
        """Whether there is a weight for x and one for m, or what may be for both."""
        joined = self.kernels("xm")
        if joined:
            return not self.kernels("x", "m") and self._many(joined)
        x, m = self.kernels("x"), self.kernels("m")
        if not (x and m):
            return False
        whole = all(not part.gate for part, _ in (*x, *m))
        return (whole and len(x) == len(m) == 1) or (self._many(x) and self._many(m))

    def _many(self, kernels: Sequence[tuple[Part, LoadableArray]]) -> bool:
        """Enough gates to be those of a cell; Flax' smallest has two."""
        gates = {part.gate for part, _ in kernels}
        if gates == {""}:
            return True
        return len(gates) >= (3 if self.layout.guess else 2) and "" not in gates


def read_parts(found: FoundParts) -> CellSpec:
    """The cell that a module's arrays make.

    Raises
    ------
    MisfitError
        They are not those of a cell that is computed; it names the one that is not.
    CheckpointError
        The file is damaged.
    """
    return _Assembly(found).cell()


class _Assembly:
    def __init__(self, found: FoundParts) -> None:
        self._found, self._layout = found, found.layout
        self._loaded = _loaded([array for _, array in found.parts])
        self._units, self._linear = self._sizes()

    def _sizes(self) -> tuple[int, bool | None]:
        """Units, and whether the rows of kernels are gates where names do not say it."""
        joined = self._found.kernels("xm")
        if joined:
            part, array = joined[0]
            rows, columns = _two_axes(array)
            if part.gate:
                return (rows if part.linear is not False else columns), part.linear
            gates = next(iter(self._layout.orders))
            return columns // gates, part.linear
        part, array = self._found.kernels("m")[0]
        rows, columns = _two_axes(array)
        if part.gate or rows == columns:
            if rows != columns:
                raise _misfit(array, "is not square")
            return rows, part.linear if part.linear is not None else self._told_by_x(rows)
        linear = rows > columns if part.linear is None else part.linear
        return (columns if linear else rows), linear

    def _told_by_x(self, units: int) -> bool:
        _, array = self._found.kernels("x")[0]
        rows, columns = _two_axes(array)
        if rows == columns:
            raise MisfitError(
                f"has '{array.name}', which is square, so that its rows may be units or features",
                array.name,
                "a shape that tells, or a Linear layer's 'weight'",
                f"shape {array.shape}",
                "save the weights with the names of torch.nn.LSTM",
            )
        return rows == units

    def cell(self) -> CellSpec:
        if self._units < 1:
            raise _misfit(self._found.parts[0][1], "is of no cell")
        blocks = self._blocks()
        gates = frozenset(blocks["m"])
        kind = KINDS.get(gates)
        layout, names = self._layout, [array.name for _, array in self._found.parts]
        if kind is None or kind not in layout.classes:
            raise MisfitError(
                f"has the gates {' '.join(sorted(gates))}, which are those of no cell that is "
                f"computed of {layout.title}",
                names[0],
                " or ".join(layout.classes.values()),
                ", ".join(names[:6]),
            )
        if frozenset(blocks["x"]) != gates:
            lacking = " ".join(sorted(gates ^ frozenset(blocks["x"])))
            raise MisfitError(f"has weights of '{lacking}' for one of x and m only", names[0])
        weights, options = {"lstm": self._lstm, "gru": self._gru, "simple_rnn": self._rnn}[kind](
            blocks, layout.classes[kind]
        )
        joint = all(not part.gate for part, _ in self._found.kernels("m", "xm"))
        order = self._order(len(ORDERS[kind])) if joint else ()
        return CellSpec(
            kind=kind,
            source_class=layout.classes[kind],
            weights=weights,
            options=options,
            variables=tuple(names),
            stored_gate_order=" ".join(order) or "one array a gate",
        )

    def _order(self, gates: int) -> tuple[str, ...]:
        return self._layout.orders.get(gates, ())

    def _blocks(self) -> dict[str, dict[str, Array]]:
        """By what they are applied to and gate: kernels (rows, units), and biases (units,)."""
        made: dict[str, dict[str, Array]] = {
            "x": {}, "m": {}, "bias x": {}, "bias m": {}, "bias any": {}
        }  # fmt: skip
        for part, array in self._found.parts:
            values = self._loaded[array.name]
            if part.role == "bias":
                self._add(made[f"bias {part.side}"], part, array, values)
                continue
            if values.ndim != 2:
                raise _misfit(array, "is no matrix")
            rows_are_gates = self._linear if part.linear is None else part.linear
            turned = values.T if rows_are_gates else values
            if part.side != "xm":
                self._add(made[part.side], part, array, turned)
                continue
            split = len(turned) - self._units
            if split < 1:
                raise _misfit(array, "leaves no rows for x")
            self._add(made["x"], part, array, turned[:split])
            self._add(made["m"], part, array, turned[split:])
        widths = {len(block) for block in made["x"].values()}
        if len(widths) > 1 or any(len(block) != self._units for block in made["m"].values()):
            raise _misfit(self._found.parts[0][1], "does not fit the others")
        return made

    def _add(self, into: dict[str, Array], part: Part, array: LoadableArray, block: Array) -> None:
        gates: tuple[str, ...] = (part.gate,)
        if not part.gate:
            count = block.shape[-1] // self._units
            gates = self._order(count)
        if not gates or block.shape[-1] != len(gates) * self._units:
            raise _misfit(array, f"does not fit {self._units} units")
        for gate, one in zip(gates, np.split(block, len(gates), axis=-1), strict=True):
            if gate in into:
                raise MisfitError(f"has '{array.name}', a second array for the gate {gate}")
            into[gate] = -one if gate in self._layout.negated else one

    def _joined(self, blocks: Mapping[str, Array], order: Sequence[str]) -> Array:
        some = next(iter(blocks.values())) if blocks else np.zeros(self._units)
        zero = np.zeros(some.shape, self._dtype)
        return np.concatenate([blocks.get(gate, zero) for gate in order], axis=-1)

    @property
    def _dtype(self) -> np.dtype[Any]:
        return next(iter(self._loaded.values())).dtype

    def _option(self, value: Any, name: str) -> Option[Any]:
        """An option that the class fixes, or that somebody's own class most likely has."""
        if self._layout.guess:
            return Option(
                value, "guess", "what an LSTM has" if name != "RNN" else "torch's default"
            )
        return Option(value, "class default", f"default of {name}")

    def _lstm(self, blocks: dict[str, dict[str, Array]], name: str) -> tuple[Any, Any]:
        kernel, recurrent = (self._joined(blocks[side], GATE_ORDER) for side in "xm")
        parts = [self._joined(blocks[f"bias {side}"], GATE_ORDER) for side in ("any", "x", "m")]
        both = bool(blocks["bias m"]) and bool(blocks["bias x"])
        weights = LSTMWeights(
            kernel=kernel,
            recurrent_kernel=recurrent,
            bias=parts[0] + parts[1] + parts[2],
            added_bias=parts[2] if both else None,
        )
        forget = self._layout.forget_bias
        origin: Origin = "class default"
        return weights, LSTMOptions(
            forget_bias=Option(forget, origin, f"{name} adds it") if forget else IN_BIAS,
            activation=self._option("tanh", name),
            recurrent_activation=self._option("sigmoid", name),
            output_activation=self._option("tanh", name),
            cell_clip=NO_CLIP,
            proj_clip=NO_CLIP,
        )

    def _gru(self, blocks: dict[str, dict[str, Array]], name: str) -> tuple[Any, Any]:
        kernel, recurrent = (self._joined(blocks[side], GRU_GATE_ORDER) for side in "xm")
        x, m, both = (
            self._joined(blocks[f"bias {side}"], GRU_GATE_ORDER) for side in ("x", "m", "any")
        )
        weights = GRUWeights(kernel, recurrent, x + both, m if blocks["bias m"] else None)
        return weights, GRUOptions(
            activation=self._option("tanh", name),
            recurrent_activation=self._option("sigmoid", name),
            reset_after=only_choice(self._layout.reset_after, name)
            if not self._layout.guess
            else Option(True, "guess", "as torch.nn.GRU"),
        )

    def _rnn(self, blocks: dict[str, dict[str, Array]], name: str) -> tuple[Any, Any]:
        bias = sum(self._joined(blocks[f"bias {side}"], ("n",)) for side in ("x", "m", "any"))
        weights = SimpleRNNWeights(
            self._joined(blocks["x"], ("n",)), self._joined(blocks["m"], ("n",)), np.asarray(bias)
        )
        return weights, SimpleRNNOptions(self._option(self._layout.nonlinearity, name))


def _loaded(arrays: Sequence[LoadableArray]) -> dict[str, Array]:
    """All arrays in one dtype of floats."""
    values = {array.name: array.load() for array in arrays}
    for array in arrays:
        if values[array.name].dtype.kind != "f":
            raise MisfitError(
                f"has '{array.name}' of {values[array.name].dtype} values",
                array.name,
                "floats; it may be quantised",
            )
    wide = np.result_type(np.float32, *(one.dtype for one in values.values()))
    return {name: one.astype(wide, copy=False) for name, one in values.items()}


def _two_axes(array: LoadableArray) -> tuple[int, int]:
    if len(array.shape) != 2:
        raise _misfit(array, "is no matrix")
    return array.shape[0], array.shape[1]


def _misfit(array: LoadableArray, what: str) -> MisfitError:
    return MisfitError(
        f"has '{array.name}' of shape {array.shape}, which {what}",
        array.name,
        "arrays that fit each other",
        f"shape {array.shape}",
        "it is a cell of somebody's own, or the file is damaged",
    )
