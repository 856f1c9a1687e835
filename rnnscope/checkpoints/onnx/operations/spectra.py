"""ONNX's Fourier transforms and windows."""

from __future__ import annotations

from typing import Any

from rnnscope.checkpoints.onnx.graph.nodes import OnnxNode
from rnnscope.checkpoints.onnx.operations.interface import Evaluate, dtype_of, given, scalar
from rnnscope.model.ops import OPS


def _dft(node: OnnxNode, inputs: list[Any]) -> Any:
    length, axis = given(inputs, 1), given(inputs, 2)
    along = node.integer("axis", 1) if node.opset < 20 else -2 if axis is None else scalar(axis)
    along = along if along >= 0 else along + inputs[0].ndim
    return OPS["fourier"](
        inputs[0], None if length is None else int(scalar(length)), axis=int(along),
        one_sided=bool(node.integer("onesided")), inverse=bool(node.integer("inverse")),
    )  # fmt: skip


def _stft(node: OnnxNode, inputs: list[Any]) -> Any:
    window, length = given(inputs, 2), given(inputs, 3)
    size = len(window) if length is None else int(scalar(length))
    return OPS["short_time_fourier"](
        inputs[0], int(scalar(inputs[1])), window, size,
        one_sided=bool(node.integer("onesided", 1)),
    )  # fmt: skip


def _window(*coefficients: float) -> Evaluate:
    def evaluate(node: OnnxNode, inputs: list[Any]) -> Any:
        return OPS["window"](
            int(scalar(inputs[0])), coefficients=coefficients,
            periodic=bool(node.integer("periodic", 1)),
            dtype=dtype_of(node.integer("output_datatype", 1)),
        )  # fmt: skip

    return evaluate


SPECTRA: dict[str, Evaluate] = {
    "BlackmanWindow": _window(0.42, 0.5, 0.08),
    "DFT": _dft,
    "HammingWindow": _window(25 / 46, 21 / 46),
    "HannWindow": _window(0.5, 0.5),
    "STFT": _stft,
}
"""By operator."""
