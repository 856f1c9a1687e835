"""What an entry of the operators' table gets: the graph that is written, and what it reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path

import numpy as np

from rnnscope.checkpoints.onnx.graph.tensors import STORED
from rnnscope.checkpoints.openvino.ir_graph import IrGraph, IrLayer, damaged
from rnnscope.checkpoints.translated.messages import GraphUnderConstruction, NotTranslated
from rnnscope.checkpoints.translated.reading import SourceOperator
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError

ELEMENT_TYPES = {
    "f32": 1, "f64": 11, "f16": 10, "bf16": 16, "u8": 2, "i8": 3, "u16": 4, "i16": 5, "i32": 6,
    "i64": 7, "boolean": 9, "u32": 12, "u64": 13,
}  # fmt: skip
"""OpenVINO's element types as ONNX's. Those of less than a byte are not read."""

MAX_CONSTANT_INTS = 4096
"""Axes, sizes and the like are few."""


@dataclass(eq=False)
class IrScope:
    """A graph of the IR on its way into an ONNX graph.

    Attributes
    ----------
    graph : IrGraph
    made : GraphUnderConstruction
    constants : Path
        The ``.bin`` file.
    operators : mapping of str to Operator
        By type of layer.
    values : dict of (int, int) to str
        The key of each output port that was written.
    sources : dict of str to SourceOperator
        See `Translation`; shared with bodies.
    notes : list of str
        Shared with bodies.
    in_body : bool
        Whether it is the body of a loop.
    """

    graph: IrGraph
    made: GraphUnderConstruction
    constants: Path
    operators: Mapping[str, Operator]
    values: dict[tuple[int, int], str] = field(default_factory=dict)
    sources: dict[str, SourceOperator] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    in_body: bool = False

    def __post_init__(self) -> None:
        self.by_id = {layer.id: layer for layer in self.graph.layers}

    def body(self, graph: IrGraph) -> IrScope:
        """The scope of a loop's body."""
        return IrScope(
            graph, self.made.body(), self.constants, self.operators, {}, self.sources,
            self.notes, in_body=True,
        )  # fmt: skip

    def maker(self, layer: IrLayer, place: int) -> IrLayer | None:
        """The layer that makes an input of another one."""
        if place >= len(layer.inputs):
            return None
        source = self.graph.sources.get((layer.id, layer.inputs[place].number))
        return None if source is None else self.by_id[source[0]]

    def ints(self, layer: IrLayer, place: int) -> list[int]:
        """Whole numbers that an input states.

        Raises
        ------
        NotTranslated
            It is not constant.
        """
        maker = self.maker(layer, place)
        while maker is not None and maker.type == "Convert":
            maker = self.maker(maker, 0)
        if maker is None or maker.type != "Const":
            raise NotTranslated(f"takes its input {place} from what is no constant")
        return [int(value) for value in self.constant(maker)]

    def constant(self, layer: IrLayer) -> Sequence[int]:
        """The values of a small Const layer of whole numbers."""
        kind, _, offset, size = self.stored(layer)
        dtype = np.dtype(STORED[kind][0])
        if dtype.kind not in "iub" or size > MAX_CONSTANT_INTS * dtype.itemsize:
            raise NotTranslated(f"takes whole numbers from '{layer.name}', which holds others")
        try:
            with self.constants.open("rb") as file:
                file.seek(offset)
                raw = file.read(size)
        except OSError as error:
            raise CheckpointError(
                "The constants of an OpenVINO model cannot be read.",
                where=self.constants,
                expected="the .bin file beside the .xml file",
                found=error.strerror,
                hint="put both files of the model into one folder, under the names they had",
            ) from error
        if len(raw) != size:
            raise damaged(
                self.constants, f"{len(raw)} bytes from {offset} on", f"the {size} of {layer.name}"
            )
        values: list[int] = np.frombuffer(raw, dtype).tolist()
        return values

    def stored(self, layer: IrLayer) -> tuple[int, list[int], int, int]:
        """Data type, shape, offset and bytes of a Const layer.

        Raises
        ------
        NotTranslated
            Its values are of a type that is not read.
        """
        named = layer.data.get("element_type", "")
        if named not in ELEMENT_TYPES:
            raise NotTranslated(f"holds values of type {named or 'unknown'}")
        offset, size = layer.integer("offset", -1), layer.integer("size", -1)
        if offset < 0 or size < 0:
            raise damaged(layer.name, f"offset {offset}, size {size}", "a place in the .bin file")
        return ELEMENT_TYPES[named], layer.ints("shape"), offset, size


Operator = Callable[[IrScope, IrLayer, list[str]], Sequence[str]]
"""``operator(scope, layer, inputs) -> keys``: writes a layer, whose inputs go by these keys (empty
where one is left out), and returns the keys of its outputs. It raises `NotTranslated`."""
