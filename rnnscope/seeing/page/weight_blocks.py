"""Two checkpoints' weights, gate by gate: how much each block differs, and a picture of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rnnscope.comparing.weights import weights_of
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array, CellSpec
from rnnscope.model.cells import CELLS
from rnnscope.seeing.heatmap import bin_edges
from rnnscope.seeing.page.contents import (
    BlockedWeight,
    GateBlock,
    LayerWeights,
    SeriesFacts,
    WeightBlocks,
    WeightDifference,
)
from rnnscope.seeing.page.series import Shelf

if TYPE_CHECKING:
    from rnnscope.checkpoints.interface import Checkpoint
    from rnnscope.comparing.result import DiffResult, LayerDiff

MOST_CELLS = 48_000
"""Of a picture of one weight: larger ones are binned, with the least and the greatest kept."""

MOST_ROWS = 160
MOST_PICTURES = 8


class _Pair(NamedTuple):
    """One weight of both checkpoints, of the same shape."""

    layer: str
    name: str
    a: Array
    b: Array
    gates: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class WeightComparison:
    """Two checkpoints, and what `rnnscope.comparing.weights.diff_weights` found of them."""

    a: Checkpoint
    b: Checkpoint
    result: DiffResult

    def difference(self) -> WeightDifference:
        """How much each gate's part of each weight differs."""
        layers = (_layer_weights(self.a, self.b, layer) for layer in self.result.layers)
        return WeightDifference(self.result, tuple(layers))

    def pictures(self, shelf: Shelf) -> tuple[WeightBlocks, ...]:
        """Embed A - B of the weights that differ most."""
        pairs = [pair for layer in self.result.layers for pair in _pairs(self.a, self.b, layer)]
        pairs = [pair for pair in pairs if pair.a.size]
        pairs.sort(key=lambda pair: -_relative(pair.a, pair.b))
        return tuple(_picture(pair, shelf) for pair in pairs[:MOST_PICTURES])


def _layer_weights(a: Checkpoint, b: Checkpoint, layer: LayerDiff) -> LayerWeights:
    pairs = {pair.name: pair for pair in _pairs(a, b, layer)}
    weights = [
        BlockedWeight(array.name, array.shape_a, tuple(_blocks(pairs[array.name])))
        if array.name in pairs
        else BlockedWeight(array.name, array.shape_a, ())
        for array in layer.arrays
    ]
    return LayerWeights(layer.a, layer.b, tuple(weights))


def _pairs(a: Checkpoint, b: Checkpoint, layer: LayerDiff) -> Iterator[_Pair]:
    cell = _cell(a, layer.a)
    one, other = weights_of(cell), weights_of(_cell(b, layer.b))
    for name, array in one.items():
        if name in other and array.shape == other[name].shape and array.ndim in (1, 2):
            gates = CELLS[cell.kind].gates if _is_blocked(name, array, cell) else ("",)
            yield _Pair(layer.a, name, array, other[name], gates)


def _is_blocked(name: str, array: Array, cell: CellSpec) -> bool:
    """Whether the last axis of a weight is that of all gates, one after the other."""
    return array.shape[-1] == len(CELLS[cell.kind].gates) * cell.num_units and (
        "kernel" in name or name.startswith("bias")
    )


def _cell(checkpoint: Checkpoint, name: str) -> CellSpec:
    layer = next(
        node.recurrent for node in checkpoint.network.recurrent if node.name == name
    )  # fmt: skip
    assert layer is not None, "only recurrent nodes are compared"
    return layer.cell


def _blocks(pair: _Pair) -> Iterator[GateBlock]:
    sides = (np.split(side, len(pair.gates), axis=-1) for side in (pair.a, pair.b))
    for gate, a, b in zip(pair.gates, *sides, strict=True):
        apart = np.abs(a.astype(np.float64) - b)
        norm = float(np.linalg.norm(a.astype(np.float64)))
        relative = float(np.linalg.norm(apart)) / norm if norm else None
        yield GateBlock(gate, float(apart.max(initial=0)), relative)


def _relative(a: Array, b: Array) -> float:
    norm = float(np.linalg.norm(a.astype(np.float64)))
    apart = float(np.linalg.norm(a.astype(np.float64) - b))
    return apart / norm if norm else apart


def _picture(pair: _Pair, shelf: Shelf) -> WeightBlocks:
    difference = np.atleast_2d(pair.a.astype(np.float64) - pair.b)
    rows, columns = difference.shape
    each = columns // len(pair.gates)
    row_edges = bin_edges(rows, MOST_ROWS)
    per_gate = max(1, MOST_CELLS // (len(pair.gates) * (len(row_edges) - 1)))
    gate_edges = bin_edges(each, per_gate)
    column_edges = np.concatenate(
        [gate_edges[:-1] + each * place for place in range(len(pair.gates))]
    )  # fmt: skip
    low, high = (
        reduce.reduceat(reduce.reduceat(difference, row_edges[:-1], axis=0), column_edges, axis=1)
        for reduce in (np.minimum, np.maximum)
    )
    facts = _facts(pair, low.shape, difference.shape)
    binned = low.shape != difference.shape
    values = np.stack([low, high] if binned else [low])[None]
    series = shelf.put_values(facts, values)
    return WeightBlocks(f"{pair.layer}: {pair.name}", series, pair.gates, each, rows)


def _facts(pair: _Pair, shape: Sequence[int], whole: Sequence[int]) -> SeriesFacts:
    words = f"All {whole[0]} x {whole[1]} values."
    if tuple(shape) != tuple(whole):
        words = (
            f"{whole[0]} x {whole[1]} values in {shape[0]} x {shape[1]} cells, the least and the "
            "greatest of each."
        )
    return SeriesFacts(
        id="", layer=pair.layer, array=pair.name, label=pair.name, units=shape[0],
        steps=shape[1], unit_names=None, step_names=None, sequences=(0,), sequence_count=1,
        bins=shape[1],
        held="float32", held_words=words, valid=(((0, shape[1]),),),
    )  # fmt: skip
