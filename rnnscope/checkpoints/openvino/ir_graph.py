"""The layers of an OpenVINO IR and the edges between their ports.

References
----------
OpenVINO documentation, "OpenVINO IR format" and "Operation sets"; versions 10 and 11 of the IR.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import Any

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError
from rnnscope.files.messages.xml_tree import Element

Dims = tuple[int, ...]
"""Sizes of a port's axes; -1 is open."""


@dataclass(frozen=True)
class Port:
    """An input or output of a layer.

    Attributes
    ----------
    number : int
        As edges name it.
    precision : str
        ``"FP32"``.
    dims : tuple of int
    names : tuple of str
        Names of the tensor in the model that was converted.
    """

    number: int
    precision: str
    dims: Dims
    names: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class IrLayer:
    """A layer of the IR.

    Attributes
    ----------
    id : int
    name, type, version : str
        ``"LSTMSequence"`` and ``"opset5"``.
    data : dict of str to str
        Its attributes.
    inputs, outputs : tuple of Port
    element : Element
        The whole of it: loops keep their bodies there.
    """

    id: int
    name: str
    type: str
    version: str
    data: dict[str, str]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    element: Element = field(repr=False)

    def integer(self, key: str, default: int = 0) -> int:
        try:
            return int(self.data.get(key, default))
        except ValueError:
            raise damaged(self.name, f"{key}={self.data[key]!r}", "a whole number") from None

    def ints(self, key: str) -> list[int]:
        """Whole numbers with commas in between; none where the attribute is not there."""
        try:
            return [int(part) for part in self.data.get(key, "").split(",") if part.strip()]
        except ValueError:
            raise damaged(self.name, f"{key}={self.data[key]!r}", "whole numbers") from None

    def floats(self, key: str) -> list[float]:
        try:
            return [float(part) for part in self.data.get(key, "").split(",") if part.strip()]
        except ValueError:
            raise damaged(self.name, f"{key}={self.data[key]!r}", "numbers") from None

    def texts(self, key: str) -> list[str]:
        parts = (part.strip() for part in self.data.get(key, "").split(","))
        return [part for part in parts if part]

    def true(self, key: str, default: bool = False) -> bool:
        return self.data.get(key, str(default)).lower() in ("true", "1")


@dataclass(frozen=True, eq=False)
class IrGraph:
    """Layers in an order in which every layer follows those it reads.

    Attributes
    ----------
    layers : tuple of IrLayer
    sources : dict of (int, int) to (int, int)
        By layer and input port: the layer and output port that it reads.
    """

    layers: tuple[IrLayer, ...]
    sources: dict[tuple[int, int], tuple[int, int]]

    def reads(self, layer: IrLayer) -> Iterator[tuple[int, int] | None]:
        """Layer and output port of each input of a layer, in the order of its ports."""
        return (self.sources.get((layer.id, port.number)) for port in layer.inputs)


def read_graph(element: Element, where: object) -> IrGraph:
    """The graph of a ``net`` or ``body`` element.

    Raises
    ------
    CheckpointError
        A layer has no number, two have the same, or they run in a circle.
    """
    layers = {}
    for one in element.first("layers").all("layer"):
        layer = _layer(one, where)
        if layer.id in layers:
            raise damaged(where, f"two layers with the id {layer.id}", "an id for each layer")
        layers[layer.id] = layer
    sources = {}
    for edge in element.first("edges").all("edge"):
        ends = [
            number(edge.attributes, key, where)
            for key in ("to-layer", "to-port", "from-layer", "from-port")
        ]
        if ends[0] not in layers or ends[2] not in layers:
            raise damaged(where, f"an edge {dict(edge.attributes)}", "layers at both of its ends")
        sources[ends[0], ends[1]] = ends[2], ends[3]
    graph = IrGraph(tuple(layers.values()), sources)
    return IrGraph(tuple(_in_order(graph, layers, where)), sources)


def _layer(element: Element, where: object) -> IrLayer:
    attributes = element.attributes
    return IrLayer(
        id=number(attributes, "id", where),
        name=attributes.get("name", "") or f"layer {attributes.get('id')}",
        type=attributes.get("type", ""),
        version=attributes.get("version", ""),
        data=dict(element.first("data").attributes),
        inputs=tuple(_ports(element.first("input"), where)),
        outputs=tuple(_ports(element.first("output"), where)),
        element=element,
    )


def _ports(element: Element, where: object) -> Iterator[Port]:
    for port in element.all("port"):
        names = port.attributes.get("names", "")
        yield Port(
            number(port.attributes, "id", where),
            port.attributes.get("precision", ""),
            tuple(_dims(port)),
            tuple(name for name in names.split(",") if name),
        )


def _dims(port: Element) -> Iterator[int]:
    for dim in port.all("dim"):
        text = dim.text.strip()
        yield int(text) if text.lstrip("-").isdigit() and len(text) < 20 else -1


def _in_order(graph: IrGraph, layers: dict[int, IrLayer], where: object) -> Iterator[IrLayer]:
    """Every layer after those that it reads, without recursion."""
    done: set[int] = set()
    for first in layers:
        pending = [first]
        opened: set[int] = set()
        while pending:
            own = pending[-1]
            missing = [
                source[0] for source in graph.reads(layers[own])
                if source is not None and source[0] not in done
            ]  # fmt: skip
            if own in done or not missing:
                pending.pop()
                if own not in done:
                    done.add(own)
                    yield layers[own]
                continue
            if own in opened:
                raise damaged(where, f"layer '{layers[own].name}' needs itself", "no circles")
            opened.add(own)
            pending.extend(missing)


def number(attributes: dict[str, str], key: str, where: object) -> int:
    """An attribute that must be a whole number."""
    try:
        return int(attributes[key])
    except (KeyError, ValueError):
        raise damaged(where, f"{key}={attributes.get(key)!r}", "a whole number") from None


def damaged(where: object, found: Any, expected: str) -> CheckpointError:
    """What is said of an IR that contradicts itself."""
    return CheckpointError(
        "The OpenVINO model is damaged.",
        where=where,
        expected=expected,
        found=found,
        hint="copy it again from its source, or convert the model again",
    )
