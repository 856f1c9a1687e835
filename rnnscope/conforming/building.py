"""Builds a case of its description: what `corpus` says in a line becomes weights and arrays."""

from __future__ import annotations

from dataclasses import field
from typing import Any, Literal

import numpy as np

from rnnscope.conforming.case import Case, Layout
from rnnscope.conforming.drawing import Draw
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import CellSpec, LSTMOptions, LSTMWeights, Option
from rnnscope.model.cells import CELLS
from rnnscope.model.cells.gru import GRUOptions, GRUWeights
from rnnscope.model.cells.simple_rnn import SimpleRNNOptions, SimpleRNNWeights
from rnnscope.model.initial_state import ZERO_STATE
from rnnscope.model.lengths_source import LENGTHS_UNUSED
from rnnscope.model.recurrent_layer import RecurrentLayer

Direction = Literal["forward", "reverse", "bidirectional"]
LARGEST_X, LARGEST_BIAS, LARGEST_STATE = 1.5, 0.5, 0.8
DETAIL = "the case"


@dataclass(frozen=True)
class Description:
    """What is special about a case.

    Attributes
    ----------
    name : str
    lengths : tuple of int or None
        One for each sequence.
    initial : bool
        Whether states before the first step are given.
    options : dict
        Of the cell, beside the defaults.
    """

    name: str
    units: int = 3
    features: int = 4
    sequences: int = 3
    steps: int = 5
    dtype: str = "float32"
    direction: Direction = "forward"
    lengths: tuple[int, ...] | None = None
    initial: bool = False
    layout: Layout = "sequence first"
    biased: bool = True
    peepholes: bool = False
    projection: int | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def cell(self) -> str:
        return self.name.partition("/")[0]


def build(described: Description, seed: int) -> Case:
    """The case that is described, its numbers drawn from the seed."""
    draw = Draw(seed, described.name, np.dtype(described.dtype))
    backward = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
    layers = tuple(
        _layer(_CELLS[described.cell](described, draw), backward=turned)
        for turned in backward[described.direction]
    )
    x = draw(LARGEST_X, described.sequences, described.steps, described.features)
    initial = None
    if described.initial:
        initial = tuple(
            {
                name: draw(LARGEST_STATE, described.sequences, width)
                for name, width in CELLS[layer.cell.kind].widths(layer.cell).items()
            }
            for layer in layers
        )
    lengths = None if described.lengths is None else np.array(described.lengths, np.int64)
    return Case(described.name, layers, x, lengths, initial, described.layout, described.biased)


def _kernels(described: Description, draw: Draw, gates: int) -> tuple[Any, Any, Any]:
    """Kernel, recurrent kernel and bias, about as large as those of trained cells."""
    units = described.units
    most = 1 / np.sqrt(units) if units > 1 else 0.9
    bias = LARGEST_BIAS if described.biased else 0.0
    return (
        draw(min(0.9, 1.2 / np.sqrt(described.features)), described.features, gates * units),
        draw(most, described.projection or units, gates * units),
        draw(bias, gates * units),
    )


def _options(described: Description, **defaults: Any) -> dict[str, Option[Any]]:
    unknown = described.options.keys() - defaults.keys()
    assert not unknown, unknown
    return {
        name: Option(value, "config", DETAIL)
        for name, value in {**defaults, **described.options}.items()
    }


def _lstm(described: Description, draw: Draw) -> CellSpec:
    kernel, recurrent, bias = _kernels(described, draw, 4)
    units, projection = described.units, described.projection
    peepholes = {
        f"peephole_{gate}": draw(0.7, units) if described.peepholes else None for gate in "ifo"
    }
    projected = draw(1 / np.sqrt(units), units, projection) if projection else None
    weights = LSTMWeights(kernel, recurrent, bias, **peepholes, projection=projected)
    options = LSTMOptions(
        **_options(
            described,
            forget_bias=0.0,
            activation="tanh",
            recurrent_activation="sigmoid",
            output_activation="tanh",
            cell_clip=None,
            proj_clip=None,
            gate_clip=None,
            coupled=False,
        )
    )
    return CellSpec("lstm", DETAIL, weights, options, (), "i f g o")


def _gru(described: Description, draw: Draw) -> CellSpec:
    kernel, recurrent, bias = _kernels(described, draw, 3)
    options = GRUOptions(
        **_options(
            described,
            activation="tanh",
            recurrent_activation="sigmoid",
            reset_after=False,
            gate_clip=None,
        )
    )
    # Only where r multiplies it is the second bias one of its own.
    second = None
    if options.reset_after.value and described.biased:
        second = draw(LARGEST_BIAS, 3 * described.units)
    return CellSpec("gru", DETAIL, GRUWeights(kernel, recurrent, bias, second), options, (), "rzn")


def _rnn(described: Description, draw: Draw) -> CellSpec:
    options = SimpleRNNOptions(**_options(described, activation="tanh", gate_clip=None))
    weights = SimpleRNNWeights(*_kernels(described, draw, 1))
    return CellSpec("simple_rnn", DETAIL, weights, options, (), "")


_CELLS = {"lstm": _lstm, "gru": _gru, "rnn": _rnn}


def _layer(cell: CellSpec, *, backward: bool) -> RecurrentLayer:
    return RecurrentLayer(
        cell=cell,
        backward=Option(backward, "config", DETAIL),
        padding=Option("zeros", "config", DETAIL),
        lengths=Option(LENGTHS_UNUSED, "config", DETAIL),
        initial_state=Option(ZERO_STATE, "config", DETAIL),
        state_format=Option("", "config", DETAIL),
        reversal="within length",
    )
