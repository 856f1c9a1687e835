"""OPS: pure operations on arrays, for evaluating what a file computes.

One file a family. Names are this package's own; each family of checkpoints keeps a table from its
framework's names and attributes to these (``checkpoints/tf1/graph/operations``,
``checkpoints/onnx/…``). Nothing here reads, writes, calls out, or allocates beyond a limit.
"""

from __future__ import annotations

from rnnscope.model.ops.elementwise import ELEMENTWISE
from rnnscope.model.ops.interface import EvaluationError, Operation, check_size
from rnnscope.model.ops.linear import LINEAR
from rnnscope.model.ops.reductions import REDUCTIONS
from rnnscope.model.ops.shapes import SHAPES

__all__ = ["OPS", "EvaluationError", "Operation", "check_size"]

OPS: dict[str, Operation] = {**ELEMENTWISE, **SHAPES, **REDUCTIONS, **LINEAR}
