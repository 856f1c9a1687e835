"""OPS: pure operations on arrays, for evaluating what a file computes.

One file a family. Names are this package's own; each family of checkpoints keeps a table from its
framework's names and attributes to these (``checkpoints/tf1/graph/operations``,
``checkpoints/onnx/operations``). Nothing here reads, writes, calls out, or allocates beyond a
limit.
"""

from __future__ import annotations

from rnnscope.model.ops.activations import ACTIVATIONS
from rnnscope.model.ops.elementwise import ELEMENTWISE
from rnnscope.model.ops.indexing import INDEXING
from rnnscope.model.ops.interface import (
    EvaluationError,
    Operation,
    RandomNumbersError,
    check_size,
)
from rnnscope.model.ops.linear import LINEAR
from rnnscope.model.ops.normalisation import NORMALISATION
from rnnscope.model.ops.quantised import QUANTISED
from rnnscope.model.ops.reductions import REDUCTIONS
from rnnscope.model.ops.shapes import SHAPES
from rnnscope.model.ops.spectra import SPECTRA

__all__ = ["OPS", "EvaluationError", "Operation", "RandomNumbersError", "check_size"]

OPS: dict[str, Operation] = {
    **ELEMENTWISE,
    **ACTIVATIONS,
    **SHAPES,
    **INDEXING,
    **REDUCTIONS,
    **LINEAR,
    **NORMALISATION,
    **QUANTISED,
    **SPECTRA,
}
