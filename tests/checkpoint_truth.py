"""Runs every node of a file's network, and finds what a framework's module returned."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rnnscope.checkpoints import read_checkpoint
from rnnscope.engines.numpy_engine import run_layer
from rnnscope.model.network import RecurrentLayer, Signal

DATA = Path(__file__).parent / "data"


def run_network(network, x, lengths=None, initial=None):
    """What every node returns for one input; `initial` by name of the node."""
    mask = None if lengths is None else np.arange(x.shape[1]) < np.asarray(lengths)[:, None]
    signals = {name: Signal(x, mask) for name in network.inputs}
    for node in network.nodes:
        reads = [signals[name] for name in node.inputs]
        if isinstance(node.layer, RecurrentLayer):
            values = np.asarray(reads[0].values, node.layer.cell.dtype)
            start = {**node.layer.initial_values, **(initial or {}).get(node.name, {})}
            states = run_layer(node.layer, values, reads[0].mask, start)
            signals[node.name] = Signal(states.outputs, reads[0].mask)
        else:
            signals[node.name] = node.layer(*reads)
    return {name: signal.values for name, signal in signals.items()}


def assert_like_truth(path, truth_path, nodes):
    """The nodes return what the modules of the truth did, by name of the module."""
    with np.load(truth_path) as truth:
        made = run_network(read_checkpoint(path).network, truth["x"])
        for module, node in nodes.items():
            np.testing.assert_allclose(made[node], truth[f"y:{module}"], atol=2e-6)
