"""What the nodes of the network hand over in a trial: computed as a run computes them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rnnscope.checkpoints.onnx.evaluation.trial import ModelInputs, Trial
from rnnscope.errors import RnnscopeError
from rnnscope.model.cell import Array
from rnnscope.model.network import Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.signal import Signal
from rnnscope.model.states import LayerStates


class NetworkValues:
    """Signals by node, for the random inputs of a trial.

    Parameters
    ----------
    nodes : mapping of str to Node
        May grow while this is used.
    inputs : ModelInputs
    trial : Trial
    """

    def __init__(self, nodes: Mapping[str, Node], inputs: ModelInputs, trial: Trial) -> None:
        self._nodes = nodes
        self._inputs = inputs
        self._trial = trial
        self._known: dict[str, Signal | None] = {}

    def keep(self, name: str, states: LayerStates, mask: Array | None) -> None:
        """Take what a recurrent layer returned."""
        self._known[name] = Signal(states.outputs, mask)

    def value(self, name: str) -> Signal | None:
        """What a node or input hands over; None where it is not computed."""
        if name not in self._known:
            with np.errstate(all="ignore"):
                self._known[name] = self._computed(name)
        return self._known[name]

    def _computed(self, name: str) -> Signal | None:
        node = self._nodes.get(name)
        if node is None:
            return self._input(name)
        if isinstance(node.layer, RecurrentLayer) or not node.layer.computed:
            return None
        reads = [self.value(read) for read in node.reads]
        known = [signal for signal in reads if signal is not None]
        if len(known) < len(reads) or not reads:
            return None
        try:
            return node.layer(*known)
        except (RnnscopeError, ValueError, IndexError, TypeError):
            return None

    def _input(self, name: str) -> Signal | None:
        """An input of the model with its axes as rnnscope has them: (sequence, timestep, …)."""
        if name not in self._trial.bound:
            return None
        roles = list(self._inputs.roles.get(name, ()))
        array = self._trial.bound[name]
        # What else lies on axes of its own is evaluated, op by op.
        if len(roles) != array.ndim or not {*roles} <= {"batch", "time", "feature"}:
            return None
        order = [roles.index(role) for role in ("batch", "time", "feature") if role in roles]
        values = np.transpose(array, order)
        if "batch" not in roles:  # the model takes one sequence, without an axis for several
            values = values[None]
        return Signal(values, self._mask(values) if "time" in roles else None)

    def _mask(self, values: Array) -> Array | None:
        for name in sorted(self._inputs.lengths):
            lengths = np.ravel(self._trial.bound[name])
            if len(lengths) == len(values):
                mask: Array = np.arange(values.shape[1]) < lengths[:, None]
                return mask
        return None
