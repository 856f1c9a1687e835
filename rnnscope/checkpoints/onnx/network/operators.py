"""OPERATORS: the ONNX operators between recurrent nodes that rnnscope follows or computes."""

from __future__ import annotations

from dataclasses import replace

from rnnscope.checkpoints.onnx.graph.axes import (
    Axes,
    Axis,
    Flow,
    NoFit,
    axes_of,
    place,
    reshape,
    squeeze,
    transpose,
    unsqueeze,
)
from rnnscope.checkpoints.onnx.graph.nodes import OnnxNode
from rnnscope.checkpoints.onnx.graph.tensors import HALF_FLOATS
from rnnscope.checkpoints.onnx.network.plain_layers import COMPUTED, embedding
from rnnscope.checkpoints.onnx.network.wiring import OnnxWiring, Operator


def _alias(wiring: OnnxWiring, node: OnnxNode) -> None:
    """Hand on what is read: Identity, Dropout (which does nothing at inference)."""
    wiring.flows[node.output(0)] = _signal(wiring, node)


def _cast(wiring: OnnxWiring, node: OnnxNode) -> None:
    """Hand on what is read, unless it is rounded to 16 bits on the way."""
    if wiring.rounds(node):
        raise NoFit(f"rounds to {HALF_FLOATS[node.integer('to')]}")
    _alias(wiring, node)


def _signal(wiring: OnnxWiring, node: OnnxNode) -> Flow:
    """The first input, two directions allowed."""
    flow = wiring.flows.get(node.input(0))
    if flow is None:
        raise NoFit("does not read a signal first")
    return flow


def _moved(wiring: OnnxWiring, node: OnnxNode, flow: Flow, axes: Axes) -> None:
    wiring.flows[node.output(0)] = replace(flow, axes=axes)


def _transpose(wiring: OnnxWiring, node: OnnxNode) -> None:
    flow = _signal(wiring, node)
    _moved(wiring, node, flow, transpose(axes_of(flow), node.ints("perm")))


def _squeeze(wiring: OnnxWiring, node: OnnxNode) -> None:
    flow = _signal(wiring, node)
    _moved(wiring, node, flow, squeeze(axes_of(flow), wiring.constants.ints(node, "axes", 1)))


def _unsqueeze(wiring: OnnxWiring, node: OnnxNode) -> None:
    flow = _signal(wiring, node)
    places = wiring.constants.ints(node, "axes", 1)
    if places is None:
        raise NoFit("inserts axes that are not constant")
    _moved(wiring, node, flow, unsqueeze(axes_of(flow), places))


def _reshape(wiring: OnnxWiring, node: OnnxNode) -> None:
    flow = _signal(wiring, node)
    target = wiring.constants.ints(node, "shape", 1)
    if target is None:
        raise NoFit("reshapes to what is not constant")
    axes, merged = reshape(axes_of(flow), target)
    _moved(wiring, node, replace(flow, parts=() if merged else flow.parts), axes)


def _parts(wiring: OnnxWiring, node: OnnxNode, axis: int) -> tuple[tuple[Flow, ...], int]:
    """The two directions, and where their axis lies."""
    flow = _signal(wiring, node)
    axes = axes_of(flow)
    number = place(axis, len(axes))
    if not flow.parts or axes[number].root().role != "direction":
        raise NoFit("takes parts of an axis other than that of directions")
    kept = tuple(Axis("unit", 1) if other == number else axis for other, axis in enumerate(axes))
    return tuple(Flow(part, kept) for part in flow.parts), number


def _split(wiring: OnnxWiring, node: OnnxNode) -> None:
    parts, _ = _parts(wiring, node, node.integer("axis"))
    if len(node.outputs) != len(parts):
        raise NoFit("does not split its two directions")
    wiring.flows.update(zip(node.outputs, parts, strict=True))


def _slice(wiring: OnnxWiring, node: OnnxNode) -> None:
    starts, ends, axes = (
        wiring.constants.ints(node, name, number)
        for number, name in ((1, "starts"), (2, "ends"), (3, "axes"))
    )
    if starts is None or ends is None or len(starts) != 1:
        raise NoFit("slices at places that are not constant, or several axes")
    parts, _ = _parts(wiring, node, (axes or (0,))[0])
    taken = parts[starts[0] : ends[0]]
    if len(taken) != 1:
        raise NoFit("does not take one of its two directions")
    wiring.flows[node.output(0)] = taken[0]


def _gather(wiring: OnnxWiring, node: OnnxNode) -> None:
    if node.input(0) not in wiring.flows:
        embedding(wiring, node)
        return
    index = wiring.constants.array(node.input(1))
    if index is None or index.size != 1:
        raise NoFit("picks what is not constant")
    parts, number = _parts(wiring, node, node.integer("axis"))
    at = int(index.ravel()[0])
    if not -len(parts) <= at < len(parts):
        raise NoFit(f"picks direction {at} of {len(parts)}")
    flow = parts[at]
    axes = axes_of(flow)
    axes = axes if index.ndim else axes[:number] + axes[number + 1 :]
    wiring.flows[node.output(0)] = replace(flow, axes=axes)


OPERATORS: dict[str, Operator] = {
    **dict.fromkeys(("Identity", "Dropout"), _alias),
    "Cast": _cast,
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Reshape": _reshape,
    "Split": _split,
    "Slice": _slice,
    "Gather": _gather,
    **COMPUTED,
}
"""By operator: what puts it into the network, raising `NoFit` with a reason where it cannot."""
