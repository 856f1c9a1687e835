"""From the nodes of an ONNX graph to a `Network`: which layers feed each other, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from rnnscope.checkpoints.onnx.graph.axes import Axis, Flow, NoFit, Role
from rnnscope.checkpoints.onnx.graph.constants import OnnxConstants
from rnnscope.checkpoints.onnx.graph.element_types import rounds
from rnnscope.checkpoints.onnx.graph.nodes import OnnxGraph, OnnxNode
from rnnscope.checkpoints.onnx.graph.tensors import UnreadTypeError
from rnnscope.checkpoints.onnx.network.cells import NotBuilt
from rnnscope.checkpoints.onnx.network.recurrent import RECURRENT, RecurrentNodes
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.layers import BidirectionalMerge, Merge, Reshape, Unsupported
from rnnscope.model.layers.elementwise import LastStep
from rnnscope.model.network import Network, Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.signal import Layer

LOOPS = ("Loop", "Scan")


@dataclass(frozen=True, eq=False)
class BuiltNode:
    """A recurrent node of the graph, and what it became in the network.

    Attributes
    ----------
    node : OnnxNode
    name : str
    layers : tuple of str
        The network's node of each direction.
    ends : tuple of str
        The network's node that picks the last output of each direction.
    """

    node: OnnxNode
    name: str
    layers: tuple[str, ...]
    ends: tuple[str, ...]


class OnnxWiring:
    """Follows a graph and collects the network's nodes.

    Attributes
    ----------
    constants : OnnxConstants
    flows : dict of str to Flow
        What each value of the graph is, by key; those that are no signals are not there.
    nodes : dict of str to Node
        The network's nodes so far, by name.
    built : list of BuiltNode
        The recurrent nodes that can be computed, in order.
    not_built : dict of str to str
        Recurrent nodes that cannot be computed, and why.
    """

    def __init__(
        self, graph: OnnxGraph, constants: OnnxConstants, operators: Mapping[str, Operator]
    ) -> None:
        self.constants = constants
        self.flows: dict[str, Flow] = {}
        self.not_built: dict[str, str] = {}
        self._graph = graph
        self._operators = operators
        self._recurrent = RecurrentNodes(graph, constants)
        self.nodes: dict[str, Node] = {}
        self.built: list[BuiltNode] = []
        self._taken = set(graph.inputs)
        for name, value in graph.inputs.items():
            self.flows[name] = Flow(name, _input_axes(value))

    def follow(self) -> None:
        """Walk the graph from its inputs to its outputs."""
        for node in self._graph.nodes:
            self._follow(node)

    def network(self) -> Network:
        """The recurrent layers, what they read, and the joins of their directions."""
        network = Network(tuple(self._graph.inputs), tuple(self.nodes.values()))
        return network.in_order().around_recurrent(also=self.not_built)

    def add(self, node: OnnxNode, layer: Layer, *flows: Flow, suffix: str = "") -> str:
        """Add a plain layer; its name in the network."""
        name = self.unique(node.name + suffix)
        self.nodes[name] = Node(name, layer, tuple(flow.node for flow in flows))
        return name

    def flow(self, key: str) -> Flow:
        """What a value is to a layer that computes with it.

        Raises
        ------
        NoFit
            It is no signal, or two directions that are still apart.
        """
        flow = self.flows.get(key)
        if flow is None:
            raise NoFit(f"reads '{key}', which is no signal of the network")
        if flow.lost:
            raise NoFit(f"reads '{flow.node}', which is not computed")
        if flow.parts:
            raise NoFit("computes with two directions on an axis of their own")
        return flow

    def _follow(self, node: OnnxNode) -> None:
        read = [self.flows[key] for key in node.inputs if key in self.flows]
        read += [self._inner_input(key) for key in node.inputs if key in self._graph.inner_inputs]
        if node.op in RECURRENT:
            self._add_recurrent(node)
        elif node.op == "Shape" or not read:
            return
        elif node.op in self._operators:
            try:
                self._operators[node.op](self, node)
            except NoFit as reason:
                self._lose(node, read, str(reason))
            except UnreadTypeError as error:  # it may be no recurrent layer's business
                self._lose(node, read, error.reason)
        else:
            self._lose(node, read, "is not computed by rnnscope")

    def _lose(self, node: OnnxNode, read: Sequence[Flow], reason: str) -> None:
        """Leave what a node makes uncomputed; one stand-in serves for all that follows it."""
        sources = list({flow.node: flow for flow in read}.values())
        if len(sources) == 1 and sources[0].lost:
            made = sources[0]
        else:
            name = self.unique(node.name)
            stand_in = Unsupported(node.op, name, reason)
            self.nodes[name] = Node(name, stand_in, tuple(flow.node for flow in sources))
            made = Flow(name, lost=True)
        self.flows.update(dict.fromkeys(filter(None, node.outputs), made))

    def _inner_input(self, key: str) -> Flow:
        """An input of a loop's body: another value in every turn."""
        if key not in self.flows:
            owner = self._graph.inner_inputs[key]
            name = self.unique(f"{owner}/input")
            loop = Unsupported("Loop", name, "repeats its body, which rnnscope does not")
            self.nodes[name] = Node(name, loop, ())
            self.flows.update(
                (other, Flow(name, lost=True))
                for other, body in self._graph.inner_inputs.items()
                if body == owner
            )
        return self.flows[key]

    def _add_recurrent(self, node: OnnxNode) -> None:
        name = self.unique(node.name)
        source = self.flows.get(node.input(0))
        try:
            layers = self._recurrent.layers(node, name)
            reads = self._input_of(node, source)
        except (NotBuilt, UnreadTypeError) as error:
            reason = error.reason if isinstance(error, UnreadTypeError) else str(error)
            self.not_built[name] = reason
            stand_in = Unsupported(node.op, name, reason)
            self.nodes[name] = Node(name, stand_in, (source.node,) if source else ())
            lost = Flow(name, lost=True)
            self.flows.update(dict.fromkeys(filter(None, node.outputs), lost))
            return
        for own, layer in layers.items():
            self.nodes[own] = Node(own, layer, (reads,))
            self._taken.add(own)
        self._add_outputs(node, name, layers)

    def _input_of(self, node: OnnxNode, source: Flow | None) -> str:
        """The network's node that feeds a recurrent one; its axes are known from now on."""
        if source is None:
            return node.input(0)
        if source.lost or source.axes is None:
            return source.node
        try:
            single = _bind_input(node, source, source.axes)
        except NoFit as reason:
            name = self.unique(f"{node.name}/X")
            stand_in = Unsupported(node.op, name, f"has an input that {reason}")
            self.nodes[name] = Node(name, stand_in, (source.node,))
            return name
        # One feature, which the graph made of (batch, time) by a new last axis.
        return self.add(node, Reshape((-1, 1)), source, suffix="/X") if single else source.node

    def _add_outputs(self, node: OnnxNode, name: str, layers: dict[str, RecurrentLayer]) -> None:
        batch, time, feature = Axis("batch"), Axis("time"), Axis("feature")
        names = tuple(layers)
        ends = tuple(
            self.add(
                node,
                LastStep(layer.backward.value, masked=layer.padding.value != "none"),
                Flow(own),
                suffix=f"{own[len(name) :]}/Y_h",
            )
            for own, layer in layers.items()
        )
        self.built.append(BuiltNode(node, name, names, ends))
        both = len(names) == 2
        direction = Axis("direction" if both else "unit", len(names))
        steps = names[0]
        end = ends[0]
        if both:
            self.nodes[name] = Node(name, BidirectionalMerge("concat"), names)
            steps = name
            end = self.add(node, Merge("Concatenate"), *map(Flow, ends), suffix="/Y_h")
        parts = names if both else ()
        axes = (time, direction, batch, feature)
        end_axes = (direction, batch, feature)
        if node.integer("layout"):
            axes, end_axes = (batch, time, direction, feature), (batch, direction, feature)
        made = (Flow(steps, axes, parts), Flow(end, end_axes, ends if both else ()))
        for number, flow in enumerate(made):
            if node.output(number):
                self.flows[node.output(number)] = flow
        if node.output(2):
            final = Unsupported(
                node.op, f"{name}/Y_c", "hands on its final c, which is not computed"
            )
            lost = self.add(node, final, *map(Flow, names), suffix="/Y_c")
            self.flows[node.output(2)] = Flow(lost, lost=True)

    def maker(self, key: str) -> OnnxNode:
        """The node of the graph that makes a value."""
        return self._graph.producers[key]

    def rounds(self, node: OnnxNode) -> bool:
        """Whether a node rounds to 16 bits what has more."""
        return rounds(self._graph, node)

    def unique(self, name: str) -> str:
        """A name that no node or input of the network has."""
        found, number = name, 2
        while found in self._taken:
            found, number = f"{name}_{number}", number + 1
        self._taken.add(found)
        return found


Operator = Callable[[OnnxWiring, OnnxNode], None]


def _bind_input(node: OnnxNode, source: Flow, axes: Sequence[Axis]) -> bool:
    """Say what the axes of a recurrent node's input are; whether its only feature is inserted."""
    if source.parts or len(axes) != 3:
        raise NoFit(f"has {len(axes)} axes, or two directions on an axis of their own")
    order: tuple[Role, ...] = ("batch", "time") if node.integer("layout") else ("time", "batch")
    for axis, role in zip(axes[:2], order, strict=True):
        axis.bind(role)
    if axes[2].is_unit:
        return True
    axes[2].bind("feature")
    return False


def _input_axes(value: object) -> tuple[Axis, ...] | None:
    tensor = value.type.tensor_type  # type: ignore[attr-defined]
    if not tensor.HasField("shape"):
        return None
    return tuple(
        # A size of 1 may be a batch of one, and says nothing of what the axis is.
        Axis(size=dim.dim_value if dim.dim_value > 0 else None)
        for dim in tensor.shape.dim
    )


def keep_axes(wiring: OnnxWiring, node: OnnxNode, source: Flow, layer: Layer) -> None:
    """Add a layer whose result has the axes of what it reads."""
    name = wiring.add(node, layer, source)
    wiring.flows[node.output(0)] = replace(source, node=name)
