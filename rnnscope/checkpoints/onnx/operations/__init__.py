"""OPERATIONS: ONNX's operators, by name, as calls of OPS.

An entry takes the node, for its attributes and the operator set it is of, and the values of its
inputs. Control flow, constants and what is bound are the evaluation's own.

References
----------
https://onnx.ai/onnx/operators/: inputs, attributes, defaults and versions of each operator.
"""

from __future__ import annotations

from rnnscope.checkpoints.onnx.operations.elementwise import ELEMENTWISE
from rnnscope.checkpoints.onnx.operations.interface import Evaluate
from rnnscope.checkpoints.onnx.operations.linear import LINEAR
from rnnscope.checkpoints.onnx.operations.recurrent import RECURRENT
from rnnscope.checkpoints.onnx.operations.reductions import REDUCTIONS
from rnnscope.checkpoints.onnx.operations.sequences import SEQUENCES
from rnnscope.checkpoints.onnx.operations.shapes import SHAPES
from rnnscope.checkpoints.onnx.operations.spectra import SPECTRA

__all__ = ["OPERATIONS", "Evaluate"]

OPERATIONS: dict[str, Evaluate] = {
    **ELEMENTWISE,
    **SHAPES,
    **REDUCTIONS,
    **LINEAR,
    **SPECTRA,
    **SEQUENCES,
    **RECURRENT,
}
