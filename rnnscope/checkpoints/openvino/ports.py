"""How a TensorIterator or Loop hands values to its body and takes them from it.

References
----------
OpenVINO documentation, TensorIterator-1 and Loop-5: ``port_map`` and ``back_edges``. A value with
an ``axis`` is handed over in parts of that axis; ``start`` and ``stride`` say from which end.
"""

from __future__ import annotations

from rnnscope.checkpoints.openvino.ir_graph import IrGraph, IrLayer, number, read_graph
from rnnscope.checkpoints.translated.messages import NotTranslated
from rnnscope.deferred_dataclass import dataclass
from rnnscope.files.messages.xml_tree import Element

TO_CONDITION = "execution_condition"
ITERATION = "current_iteration"


@dataclass(frozen=True)
class Handed:
    """An entry of a port map.

    Attributes
    ----------
    place : int
        Which input, or output, of the loop it is; -1 for none.
    inner : int
        The id of the body's Parameter or Result.
    axis : int or None
        The axis that is cut into single steps; None for a value that is handed over whole.
    backward : bool
        Whether the last step comes first.
    purpose : str
        ``"current_iteration"``, ``"execution_condition"`` or empty.
    """

    place: int
    inner: int
    axis: int | None
    backward: bool
    purpose: str


@dataclass(frozen=True, eq=False)
class LoopBody:
    """The body of a loop and its wiring.

    Attributes
    ----------
    graph : IrGraph
    inputs, outputs : tuple of Handed
    back : dict of int to int
        By the id of a Parameter: the Result that it takes in the next turn.
    """

    graph: IrGraph
    inputs: tuple[Handed, ...]
    outputs: tuple[Handed, ...]
    back: dict[int, int]

    def layer(self, own: int) -> IrLayer:
        """A layer of the body."""
        found = next((one for one in self.graph.layers if one.id == own), None)
        if found is None:
            raise NotTranslated(f"hands a value to layer {own}, which its body does not have")
        return found

    def made_by(self, result: int) -> tuple[int, int] | None:
        """Layer and port that a Result of the body reads."""
        layer = self.layer(result)
        return next(iter(self.graph.reads(layer)), None)


def read_body(layer: IrLayer) -> LoopBody:
    """The body of a TensorIterator or Loop.

    Raises
    ------
    NotTranslated
        It takes parts of several steps, or of less than the whole time.
    """
    element = layer.element
    ports = {
        "input": [port.number for port in layer.inputs],
        "output": [port.number for port in layer.outputs],
    }
    handed = {
        kind: tuple(
            _handed(one, ports[kind], layer.name) for one in element.first("port_map").all(kind)
        )
        for kind in ("input", "output")
    }
    back = {
        number(edge.attributes, "to-layer", layer.name):
        number(edge.attributes, "from-layer", layer.name)
        for edge in element.first("back_edges").all("edge")
    }  # fmt: skip
    graph = read_graph(element.first("body"), layer.name)
    return LoopBody(graph, handed["input"], handed["output"], back)


def step_axis(one: Handed) -> int:
    """The axis of a value that is handed over step by step."""
    assert one.axis is not None
    return one.axis


def _handed(element: Element, ports: list[int], where: str) -> Handed:
    attributes = element.attributes
    outer = number(attributes, "external_port_id", where)
    axis = number(attributes, "axis", where) if "axis" in attributes else None
    backward = False
    if axis is not None:
        start, end, stride, part = (
            int(attributes.get(key, default))
            for key, default in (("start", "0"), ("end", "-1"), ("stride", "1"), ("part_size", "1"))
        )
        if (part, start, end, stride) not in ((1, 0, -1, 1), (1, -1, 0, -1)):
            raise NotTranslated(
                f"cuts axis {axis} into parts of {part} from {start} to {end} by {stride}, not "
                "into all of its steps"
            )
        backward = stride < 0
    return Handed(
        ports.index(outer) if outer in ports else -1,
        number(attributes, "internal_layer_id", where),
        axis,
        backward,
        attributes.get("purpose", ""),
    )
