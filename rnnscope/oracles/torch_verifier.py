"""The cross-check by PyTorch: a layer computed once more, by nn.LSTM, nn.GRU or nn.RNN.

Only the valid steps are handed over, in the order of processing, as a packed sequence. The modules
return m of every step and the last c; c of every step comes of a second run, step by step, in which
the module hands its state to itself. torch is imported when a verifier is made, and nowhere else.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnnscope.errors import spell
from rnnscope.model.cell import Array
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.oracles.differences import Largest
from rnnscope.oracles.layer_verifier import LayerRun, LayerVerifier, Packed
from rnnscope.oracles.torch_layers import (
    MODULES,
    beyond_torch,
    check_device,
    module_of,
    run_module,
)


class TorchVerifier(LayerVerifier):
    """Computes layers again with PyTorch.

    Parameters
    ----------
    device : str
        ``"cpu"``, ``"cuda"`` or ``"mps"``.
    """

    framework = "torch"
    expected = "an LSTM, GRU or RNN as torch has them"

    def __init__(self, device: str = "cpu") -> None:
        super().__init__()
        check_device(self._module, device, spell("verify", f"torch:{device}"))
        self._device = device
        if device != "cpu":
            self.name = f"{self.name} on {device}"

    def beyond(self, layer: RecurrentLayer) -> str:
        """Why torch cannot verify a layer; empty if it can."""
        lacks = beyond_torch(layer.cell)
        if lacks:
            module = MODULES.get(layer.cell.kind)
            return f"torch's nn.{module} has no {lacks}" if module else f"a {lacks}"
        if layer.cell.dtype == np.float64 and self._device == "mps":
            return "float64, which mps does not compute in"
        return ""

    def differences(self, run: LayerRun) -> dict[str, Largest]:
        """By state: how far it is off from the module's."""
        packed = Packed.of(run)
        layer = replace(run.layer, backward=replace(run.layer.backward, value=False))
        kernel = f"torch.nn.{MODULES[layer.cell.kind]}"
        some = packed.lengths > 0
        if not some.any():
            return {}
        module = module_of(self._module, [layer], self._device)
        start = {name: value[some] for name, value in run.initial.items()}
        x = packed.x[some]
        (whole,) = run_module(self._module, module, x, packed.lengths[some], [start], self._device)
        every = {"m": whole["outputs"]}
        if "c" in start:
            every["c"] = self._every_c(module, x, start)
        # A packed sequence knows no length 0: such sequences are left out, and put back as zeros.
        steps = {name: _put_back(values, some) for name, values in every.items()}
        final = {name: _put_back(whole[f"final_{name}"], some) for name in start}
        return packed.differences(kernel, run.states, steps, final)

    def _every_c(self, module: object, x: Array, start: dict[str, Array]) -> Array:
        """Of every step c; past a sequence's length it is of no use, and of no harm."""
        state, found = dict(start), []
        for t in range(x.shape[1]):
            (one,) = run_module(self._module, module, x[:, t : t + 1], None, [state], self._device)
            state = {name: one[f"final_{name}"] for name in state}
            found.append(state["c"])
        return np.stack(found, axis=1)


def _put_back(values: Array, some: Array) -> Array:
    whole = np.zeros((len(some), *values.shape[1:]), values.dtype)
    whole[some] = values
    return whole
