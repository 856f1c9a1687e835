"""PyTorch's nn.LSTM, nn.GRU and nn.RNN, with packed sequences where there are lengths."""

from __future__ import annotations

import warnings
from typing import ClassVar

import numpy as np

from rnnscope.conforming.case import Answer, Case
from rnnscope.conforming.engines.interface import NotOffered
from rnnscope.oracles.importing import import_framework
from rnnscope.oracles.torch_layers import (
    MODULES,
    beyond_torch,
    check_device,
    module_of,
    run_module,
)


class TorchEngine:
    """torch on one device."""

    gives: ClassVar[str] = "m of every step, c of the last step only"

    def __init__(self, device: str = "cpu") -> None:
        self._torch = import_framework("torch", "engine torch", "take another engine")
        check_device(self._torch, device, f"engine torch:{device}")
        self._device = device
        self.version = f"PyTorch {self._torch.__version__}" + (
            "" if device == "cpu" else f" on {device}"
        )

    def run(self, case: Case) -> Answer:
        """The module over the whole sequences."""
        lacks = beyond_torch(case.layers[0].cell)
        if lacks:
            raise NotOffered(f"nn.{MODULES[case.layers[0].cell.kind]} has no {lacks}")
        if len(case.layers) == 1 and case.layers[0].backward.value:
            raise NotOffered("torch has no backward direction alone")
        if case.lengths is not None and not case.lengths.all():
            raise NotOffered("a packed sequence has no length 0")
        if case.dtype == np.float64 and self._device == "mps":
            raise NotOffered("mps has no float64")
        batch_first = case.layout == "sequence first"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # which of its kernels torch chooses
            module = module_of(
                self._torch,
                case.layers,
                self._device,
                batch_first=batch_first,
                biased=case.biased,
            )
            return run_module(self._torch, module, case.x, case.lengths, case.initial, self._device)

    def close(self) -> None:
        """Nothing runs beside this process."""
