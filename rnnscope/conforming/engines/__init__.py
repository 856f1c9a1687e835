"""ENGINES: what the corpus can be run with, by name."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from rnnscope.conforming.engines.interface import Engine
from rnnscope.deferred_dataclass import dataclass

HERE = "rnnscope.conforming.engines"


@dataclass(frozen=True)
class EngineEntry:
    """A line of ENGINES.

    Attributes
    ----------
    title : str
        What it runs.
    module, maker : str
        Where the class is; it is imported when its engine is asked for.
    device : str
        What the class is made with; empty for nothing.
    """

    title: str
    module: str
    maker: str
    device: str = ""


ENGINES: dict[str, EngineEntry] = {
    "torch": EngineEntry("nn.LSTM, nn.GRU, nn.RNN on the CPU", "torch_engine", "TorchEngine"),
    "torch:cuda": EngineEntry("the same on a GPU", "torch_engine", "TorchEngine", "cuda"),
    "torch:mps": EngineEntry("the same on Apple's GPU", "torch_engine", "TorchEngine", "mps"),
    "onnxruntime": EngineEntry(
        "its operators LSTM, GRU, RNN on the CPU", "onnx_engines", "OnnxRuntimeEngine"
    ),
    "onnx-reference": EngineEntry(
        "onnx.reference.ReferenceEvaluator", "onnx_engines", "OnnxReferenceEngine"
    ),
    "tensorflow": EngineEntry("BlockLSTM, GRUBlockCell", "tensorflow_engine", "TensorFlowEngine"),
    "keras": EngineEntry("LSTM, GRU, SimpleRNN on TensorFlow", "keras_engine", "KerasEngine"),
    "rnnscope": EngineEntry("its compiled steps", "rnnscope_engine", "RnnscopeEngine"),
}


def make_engine(name: str) -> Engine:
    """The engine of that name.

    Raises
    ------
    EngineError
        What it needs is not installed, or there is no such device.
    """
    entry = ENGINES[name]
    maker: Callable[..., Engine] = getattr(import_module(f"{HERE}.{entry.module}"), entry.maker)
    return maker(entry.device) if entry.device else maker()
