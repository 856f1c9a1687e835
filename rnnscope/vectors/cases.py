"""What a folder of vectors holds, in memory: cases, and what is said of them all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.vectors.result import LeftOut, NotSeparated


@dataclass(frozen=True, eq=False)
class ExpectedLayer:
    """What one layer gives over one input.

    Attributes
    ----------
    steps : mapping of str to ndarray (sequence, timestep, width)
        Gates, states and ``outputs``, in the order in which a step computes them.
    final : mapping of str to ndarray (sequence, width)
        States after the last valid step.
    """

    steps: Mapping[str, Array]
    final: Mapping[str, Array]


@dataclass(frozen=True, eq=False)
class VectorCase:
    """One input, and what has to come out.

    Attributes
    ----------
    name : str
    layer : str
        Empty for all layers together.
    x : ndarray (sequence, timestep, feature)
    lengths : ndarray of int (sequence,)
    initial : mapping of str to ndarray (sequence, width)
        Empty where all layers start as the model does.
    layers : mapping of str to ExpectedLayer
        One for a layer alone.
    outputs : ndarray
        Of the whole; for a layer alone its own.
    tolerance : float
    """

    name: str
    layer: str
    x: Array
    lengths: Array
    initial: Mapping[str, Array]
    layers: Mapping[str, ExpectedLayer]
    outputs: Array
    tolerance: float

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.outputs.dtype

    def arrays(self) -> Iterator[tuple[str, str, Array]]:
        """Every expected array: layer, name (``c``, ``final/c``, …), values; in computing order.

        Of all layers together the last is ``outputs`` of no layer.
        """
        for layer, expected in self.layers.items():
            for name, array in expected.steps.items():
                yield layer, name, array
            for name, array in expected.final.items():
                yield layer, f"final/{name}", array
        if not self.layer:
            yield "", "outputs", self.outputs


@dataclass(frozen=True, eq=False)
class LayerNotes:
    """What an implementation has to know of a layer.

    Attributes
    ----------
    name, part : str
        As the file calls it, and as arrays and C do.
    kind : str
        ``lstm``, ``gru`` or ``simple_rnn``.
    inputs, units, outputs : int
    gates : tuple of str
        In the order of the weights' blocks.
    options : mapping of str to object
        Every option of the layer and its cell, by name.
    weights : mapping of str to ndarray
        In the order of `gates`; empty where they were not asked for.
    """

    name: str
    part: str
    kind: str
    inputs: int
    units: int
    outputs: int
    gates: tuple[str, ...]
    options: Mapping[str, Any]
    weights: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class VectorSet:
    """Everything that a folder of vectors holds.

    Attributes
    ----------
    model : str
        The checkpoint's own name, without its folder.
    sha256 : str
        Of its files.
    options : mapping of str to object
        Options of the run that were given, as a recipe's JSON has them.
    seed : int
    tolerance : float
        In units of the largest value of each expected array.
    layers : tuple of LayerNotes
    cases : tuple of VectorCase
    readings : int
    not_separated : tuple of NotSeparated
    left_out : tuple of LeftOut
    """

    model: str
    sha256: str
    options: Mapping[str, Any]
    seed: int
    tolerance: float
    layers: tuple[LayerNotes, ...]
    cases: tuple[VectorCase, ...]
    readings: int
    not_separated: tuple[NotSeparated, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def parts(self) -> dict[str, str]:
        """By layer of the model, what arrays and C call it."""
        return {layer.name: layer.part for layer in self.layers}


def limit_of(expected: Array, tolerance: float) -> float:
    """How far a value of an array may be from what is expected, absolute."""
    largest = float(np.abs(expected).max(initial=0.0))
    return tolerance * (largest or 1.0)
