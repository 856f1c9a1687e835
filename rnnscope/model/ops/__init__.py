"""OPS: pure operations on arrays, for evaluating what a file computes.

One file a family. Names are this package's own; each family of checkpoints keeps a table from its
framework's names and attributes to these (``checkpoints/tf1/graph/evaluation/values/operations``,
``checkpoints/onnx/operations``). Nothing here reads, writes, calls out, or allocates beyond a
limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnnscope.model.ops.interface import (
    MISFITS,
    EvaluationError,
    MissingInputError,
    Operation,
    RandomNumbersError,
    check_size,
)

if TYPE_CHECKING:
    from rnnscope.model.ops.table import OPS

__all__ = [
    "MISFITS", "OPS", "EvaluationError", "MissingInputError", "Operation", "RandomNumbersError",
    "check_size",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """`OPS`, loaded when it is asked for: most files hold no computation to be evaluated."""
    if name != "OPS":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rnnscope.model.ops.table import OPS

    globals()[name] = OPS
    return OPS
