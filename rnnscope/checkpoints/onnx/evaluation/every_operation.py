"""EVERY_OPERATION: ONNX's own operators, and those that runtimes define beside them."""

from __future__ import annotations

from rnnscope.checkpoints.onnx.operations import OPERATIONS, Evaluate
from rnnscope.checkpoints.onnx.stepwise import STEPWISE
from rnnscope.checkpoints.onnx.stepwise.interface import evaluated
from rnnscope.checkpoints.onnx.stepwise.lite_numbers import LITE_NUMBERS

EVERY_OPERATION: dict[str, Evaluate] = {
    **OPERATIONS,
    **LITE_NUMBERS,
    **{name: evaluated(make) for name, make in STEPWISE.items()},
}
"""By operator."""
