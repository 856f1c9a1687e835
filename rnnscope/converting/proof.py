"""What was written, read again with rnnscope's own reader, and its states held to the source's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from rnnscope.checkpoints import read_checkpoint
from rnnscope.converting.interface import Plan, Written
from rnnscope.converting.result import ConvertedLayer
from rnnscope.converting.whole_run import (
    LENGTHS,
    LIMITS,
    SEED,
    SEQUENCES,
    TIMESTEPS,
    not_the_same,
    require_same_run,
    stored_start,
)
from rnnscope.deferred_dataclass import dataclass
from rnnscope.engines.numpy_engine import run_layer
from rnnscope.model.cell import Array, Option
from rnnscope.model.network import Network
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.running.overrides import override_options


@dataclass(frozen=True)
class Proved:
    """What the comparison found.

    Attributes
    ----------
    layers : tuple of ConvertedLayer
    words : str
        What was compared.
    """

    layers: tuple[ConvertedLayer, ...]
    words: str

    @property
    def largest_difference(self) -> float:
        return max(layer.largest_difference for layer in self.layers)


def prove(path: Path, written: Written, plan: Plan) -> Proved:
    """Read a file that was just written, and compare every recurrent layer with its source.

    Each layer is run on the same random input on its own, over whole sequences and over shorter
    ones, so that a fault of one cannot hide behind another; a model that is written whole is then
    checked for its wiring, too.

    Parameters
    ----------
    path : Path
    written : Written
    plan : Plan

    Raises
    ------
    CheckpointError
        A layer is missing, has other kernels, or computes other states: the file must not be kept.
    """
    options = {} if written.layout is None else {"layout": written.layout}
    checkpoint = read_checkpoint(path / written.read_from, **options)
    network = override_options(checkpoint.network, written.given, insist=True)
    layers = tuple(_compared(plan, network, written, path))
    words = (
        f"read back by the reader {checkpoint.format}; every layer over {SEQUENCES} random "
        f"sequences of {TIMESTEPS} steps, whole and cut to {', '.join(map(str, LENGTHS))}"
    )
    if written.steps:
        gap = require_same_run(path, written, network)
        words += f"; and the model as a whole, from its input, within {gap:.2g}"
    if written.read_states is not None:
        words += "; the states that the graph returns, evaluated op by op"
    return Proved(layers, words)


def _compared(
    plan: Plan, network: Network, written: Written, path: Path
) -> Iterator[ConvertedLayer]:
    rng = np.random.default_rng(SEED)
    for node in plan.nodes:
        source = node.recurrent
        name = written.names[node.name]
        target = network.by_name.get(name)
        assert source is not None
        if target is None or target.recurrent is None:
            raise not_the_same(path, f"a layer '{name}'", ", ".join(network.by_name))
        made = target.recurrent
        equal = _same_kernels(source, made)
        if not equal:
            raise not_the_same(path, f"the kernels of '{node.name}'", "other ones")
        x = rng.normal(size=(SEQUENCES, TIMESTEPS, source.cell.input_size))
        difference, scale = _difference(source, made, x.astype(source.cell.dtype))
        limit = LIMITS[source.cell.dtype.name]
        if not difference <= limit * max(1.0, scale):
            raise not_the_same(
                path,
                f"the states of '{node.name}', within {limit:g}",
                f"a difference of {difference:.3g}",
            )
        cell = made.cell
        yield ConvertedLayer(
            node.name, name, cell.kind, cell.input_size, cell.num_units, cell.output_size,
            cell.dtype.name, equal, difference,
        )  # fmt: skip


def _same_kernels(source: RecurrentLayer, made: RecurrentLayer) -> bool:
    one, other = source.cell.weights, made.cell.weights
    return source.cell.kind == made.cell.kind and all(
        np.array_equal(getattr(one, name), getattr(other, name))
        and getattr(one, name).dtype == getattr(other, name).dtype
        for name in ("kernel", "recurrent_kernel")
    )


def _difference(source: RecurrentLayer, made: RecurrentLayer, x: Array) -> tuple[float, float]:
    """The largest difference of all states at valid steps, and the largest state."""
    largest = scale = 0.0
    masks: list[Array | None] = [None]
    if source.padding.value != "none":
        masks.append(np.arange(TIMESTEPS) < np.array(LENGTHS)[:, None])
    for mask in masks:
        pair = [
            run_layer(_taking(layer, mask), x, mask, stored_start(layer))
            for layer in (source, made)
        ]
        valid = np.ones(x.shape[:2], bool) if mask is None else mask
        if pair[0].states.keys() != pair[1].states.keys():
            return float("inf"), scale
        for state, values in pair[0].states.items():
            other = pair[1].states[state]
            if values.shape != other.shape:
                return float("inf"), scale
            gap = np.abs(values.astype(np.float64) - other.astype(np.float64))[valid]
            largest = max(largest, float(gap.max(initial=0.0)))
            scale = max(scale, float(np.abs(values[valid]).max(initial=0.0)))
            if not np.isfinite(gap).all():
                return float("nan"), scale
    return largest, scale


def _taking(layer: RecurrentLayer, mask: Array | None) -> RecurrentLayer:
    """The layer with a padding rule that takes the mask, so that both sides see the same steps."""
    if mask is None or layer.padding.value != "none":
        return layer
    rule = replace(layer.padding, value="zeros")
    return replace(layer, padding=Option(rule.value, rule.origin))
