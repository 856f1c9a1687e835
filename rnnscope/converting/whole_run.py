"""A written model as a whole beside its source: both from the model's input, layer after layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from rnnscope.converting.chains import input_width
from rnnscope.converting.interface import Level, Written
from rnnscope.engines.numpy_engine import run_layer
from rnnscope.errors import CheckpointError
from rnnscope.model.cell import Array
from rnnscope.model.initial_state import StoredState
from rnnscope.model.layers import BidirectionalMerge, Embedding, Masking
from rnnscope.model.network import Network, Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.signal import Signal

LIMITS = {"float32": 1e-5, "float64": 1e-12}
"""By dtype, what two orders of the same sums may differ in, as a part of the largest value."""

SEQUENCES, TIMESTEPS = 3, 12
LENGTHS = (12, 7, 1)
SEED = 18

States = dict[str, Mapping[str, Array]]


def require_same_run(path: Path, written: Written, network: Network) -> float:
    """Run source and target over the same random input, and compare every state.

    Parameters
    ----------
    path : Path
        For messages.
    written : Written
    network : Network
        As it was read back.

    Returns
    -------
    float
        The largest difference at valid steps.

    Raises
    ------
    CheckpointError
        A state differs by more than rounding; it names the layer.
    """
    levels = [step for step in written.steps if isinstance(step, Level)]
    dtype = levels[0].cell.dtype
    largest = 0.0
    masks: list[Array | None] = [None]
    if any(level.takes_lengths for level in levels):
        masks.append(np.arange(TIMESTEPS) < np.array(LENGTHS)[:, None])
    for mask in masks:
        x = _random_input(written.steps, dtype, mask)
        source = _run_steps(written.steps, Signal(x, mask))
        made = _run_network(network, Signal(x, mask), written.names.values())
        by_source = {name: made.get(other, {}) for name, other in written.names.items()}
        largest = max(largest, _largest(path, source, by_source, mask, dtype.name))
        if written.read_states is not None:
            lengths = None if mask is None else np.array(LENGTHS)
            returned: States = {**written.read_states(path, x, lengths)}
            largest = max(largest, _largest(path, source, returned, mask, dtype.name))
    return largest


def _random_input(
    steps: tuple[Level | Node, ...], dtype: np.dtype[np.float64], mask: Array | None
) -> Array:
    """Values that the first step takes; past the lengths what a Masking layer leaves out."""
    rng = np.random.default_rng(SEED)
    first = steps[0]
    layers = [step.layer for step in steps if isinstance(step, Node)]
    if isinstance(first, Node) and isinstance(first.layer, Embedding):
        ids = rng.integers(1, len(first.layer.table), (SEQUENCES, TIMESTEPS))
        return ids if mask is None else np.where(mask, ids, 0)
    x = rng.normal(size=(SEQUENCES, TIMESTEPS, input_width(steps))).astype(dtype)
    if mask is not None:
        values = [layer.mask_value for layer in layers if isinstance(layer, Masking)]
        x[~mask] = values[0] if values else 0
    return x


def _run_steps(steps: Iterable[Level | Node], signal: Signal) -> States:
    states: States = {}
    mask = signal.mask  # that of the lengths, which a table of ids does not pass on
    made: dict[str, Signal] = {}
    for step in steps:
        read = step.reads if isinstance(step, Level) else (*step.reads, "")[0]
        came = made.get(read, signal)  # what is not among the steps is the input
        if isinstance(step, Node):
            assert not isinstance(step.layer, RecurrentLayer)
            made[step.name] = Signal(step.layer(came).values, mask)
            continue
        outputs = []
        for node, layer in zip(step.nodes, step.layers, strict=True):
            ran = run_layer(layer, came.values, came.mask, stored_start(layer))
            states[node.name] = ran.states
            outputs.append(Signal(ran.outputs, came.mask))
        merge = BidirectionalMerge(step.merge or "concat")
        made[step.name] = merge(*outputs) if len(outputs) == 2 else outputs[0]
    return states


def _run_network(network: Network, signal: Signal, names: Iterable[str]) -> States:
    signals = dict.fromkeys(network.inputs, signal)
    states: States = {}
    for node in network.in_order(names).nodes:
        reads = [signals[name] for name in node.reads]
        if isinstance(node.layer, RecurrentLayer):
            values = np.asarray(reads[0].values, node.layer.cell.dtype)
            made = run_layer(node.layer, values, reads[0].mask, stored_start(node.layer))
            states[node.name] = made.states
            signals[node.name] = Signal(made.outputs, reads[0].mask)
        else:
            signals[node.name] = Signal(node.layer(*reads).values, signal.mask)
    return states


def stored_start(layer: RecurrentLayer) -> dict[str, Array]:
    """The states before the first step that a file holds, (1, width), by name."""
    parts = layer.initial_state.value.parts
    return {
        name: np.atleast_2d(part.rows(slice(0, 1)))
        for name, part in parts.items()
        if isinstance(part, StoredState)
    }


def _largest(path: Path, source: States, made: States, mask: Array | None, dtype: str) -> float:
    largest = 0.0
    valid = np.ones((SEQUENCES, TIMESTEPS), bool) if mask is None else mask
    for name, states in source.items():
        for state, values in states.items():
            other = made.get(name, {}).get(state)
            if other is None or other.shape != values.shape:
                raise not_the_same(
                    path,
                    f"{state} of '{name}', {values.shape}",
                    "none" if other is None else f"{other.shape}",
                )
            gap = np.abs(values.astype(np.float64) - other.astype(np.float64))[valid]
            scale = max(1.0, float(np.abs(values[valid]).max(initial=0.0)))
            found = float(gap.max(initial=0.0))
            if not found <= LIMITS[dtype] * scale:
                raise not_the_same(
                    path,
                    f"{state} of '{name}', within {LIMITS[dtype]:g}",
                    f"a difference of {found:.3g} where the model is run as a whole",
                )
            largest = max(largest, found)
    return largest


def not_the_same(path: Path, expected: str, found: str) -> CheckpointError:
    """What is raised where a file does not read back as what was written."""
    return CheckpointError(
        "What was written does not read back as the source; nothing was kept.",
        where=path.name,
        expected=expected,
        found=found,
        hint="this is a fault of rnnscope: please report it with the checkpoint",
    )
