"""STEPWISE: recurrent operators that runtimes define beside ONNX's own, by name."""

from __future__ import annotations

from rnnscope.checkpoints.onnx.stepwise.dynamic_quantised import dynamic_quantised_cells
from rnnscope.checkpoints.onnx.stepwise.interface import MakeCells
from rnnscope.checkpoints.onnx.stepwise.lite_cells import lite_cells

STEPWISE: dict[str, MakeCells] = {
    "com.microsoft.DynamicQuantizeLSTM": dynamic_quantised_cells,
    "tflite.SequenceLSTM": lite_cells,
}
"""By operator. All have the inputs and outputs of ONNX's LSTM in the same places, and more."""
