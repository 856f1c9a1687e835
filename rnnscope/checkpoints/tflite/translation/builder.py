"""The graph in ONNX's operators that a TensorFlow Lite model becomes."""

from __future__ import annotations

from rnnscope.checkpoints.onnx.graph.proto import TABLE
from rnnscope.checkpoints.translated.messages import GraphUnderConstruction


class LiteGraphUnderConstruction(GraphUnderConstruction):
    """One graph: the model's own, or the body of a loop, whose names are its own.

    Attributes
    ----------
    reversed : dict of str to (str, int)
        Values that are another one turned round, and along which axis.
    """

    def __init__(self) -> None:
        super().__init__(TABLE.message_class("GraphProto")(), {})
        self.reversed: dict[str, tuple[str, int]] = {}
