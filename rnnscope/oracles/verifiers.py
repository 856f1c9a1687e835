"""VERIFIERS: engines of others that compute a layer again, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from rnnscope.model.verification import Verifier


def _tensorflow() -> Verifier:
    from rnnscope.oracles.tensorflow_verifier import TensorFlowVerifier

    return TensorFlowVerifier()


def _onnxruntime() -> Verifier:
    from rnnscope.oracles.onnxruntime_verifier import OnnxRuntimeVerifier

    return OnnxRuntimeVerifier()


def _torch(device: str = "cpu") -> Verifier:
    from rnnscope.oracles.torch_verifier import TorchVerifier

    return TorchVerifier(device)


VERIFIERS: dict[str, Callable[[], Verifier]] = {
    "tensorflow": _tensorflow,
    "onnxruntime": _onnxruntime,
    "torch": _torch,
    "torch:cuda": partial(_torch, "cuda"),
    "torch:mps": partial(_torch, "mps"),
}


def make_verifier(name: str) -> Verifier:
    """The verifier of that name.

    Raises
    ------
    EngineError
        What it needs is not installed, or there is no such device.
    """
    return VERIFIERS[name]()
