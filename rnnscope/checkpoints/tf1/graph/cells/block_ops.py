"""Finding fused LSTM ops: one step (LSTMBlockCell) or a whole sequence (BlockLSTM, BlockLSTMV2).

Their attributes hold what other cells write as constants. Graphs may be saved without the
attributes that hold their default, which is the default of the OP (tensorflow/core/ops/
rnn_ops.cc), not of the class: LSTMBlockCell of TensorFlow 0.12 and 1.0 clips c at 3.0 unasked.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rnnscope.checkpoints.tf1.graph.cells.appearance import FoundCell, Setting
from rnnscope.checkpoints.tf1.graph.nodes.expressions import forward
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphNode, GraphTensor
from rnnscope.checkpoints.tf1.graph.nodes.linear import Reading, floats
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError
from rnnscope.model.cell import LSTMOptions, LSTMWeights, Option, reorder_gates


@dataclass(frozen=True)
class FusedOp:
    """A fused op: its gate order, its attributes' defaults, and whether it takes a sequence.

    Attributes
    ----------
    gate_order : tuple of str
    forget_bias, cell_clip : float
        Defaults of the attributes; an op without the attribute has 0. A clip of zero or less
        means none.
    sequence : bool
        True if its first input is seq_len_max, and x a whole time-major sequence.
    """

    gate_order: tuple[str, ...]
    forget_bias: float
    cell_clip: float
    sequence: bool


OPS = {
    "LSTMBlockCell": FusedOp(("i", "g", "f", "o"), 1.0, 3.0, sequence=False),
    "BlockLSTM": FusedOp(("i", "g", "f", "o"), 1.0, 3.0, sequence=True),
    "BlockLSTMV2": FusedOp(("i", "f", "g", "o"), 0.0, 0.0, sequence=True),
}


def find(reading: Reading) -> Iterator[FoundCell]:
    """Every fused LSTM op whose kernel is a stored weight."""
    for node in reading.view:
        if node.op in OPS:
            _require_inputs(node, 9 if OPS[node.op].sequence else 8)
        if node.op in OPS and reading.weights.variables(_kernel(node)):
            yield _read(reading, node, OPS[node.op])


def _require_inputs(node: GraphNode, count: int) -> None:
    if len(node.inputs) != count:
        raise CheckpointError(
            "A node of the graph has another number of inputs than its operator takes.",
            where=f"node '{node.name}' ({node.op})",
            expected=f"{count} inputs",
            found=len(node.inputs),
            hint="the file is damaged; copy it again or save the model again",
        )


def _kernel(node: GraphNode) -> GraphTensor:
    return node.inputs[4 if OPS[node.op].sequence else 3]


def _read(reading: Reading, node: GraphNode, op: FusedOp) -> FoundCell:
    x, c_prev, m_prev, kernel, w_i, w_f, w_o, bias = node.inputs[1 if op.sequence else 0 :]
    clip = node.number("cell_clip", op.cell_clip)
    peepholes = {"i": w_i, "f": w_f, "o": w_o} if node.flag("use_peephole") else {}
    detail = f"what the op {node.op} computes"
    options = LSTMOptions(
        forget_bias=Setting(
            node.number("forget_bias", op.forget_bias), f"{node.name} (attribute forget_bias)"
        ).option(),
        activation=Option("tanh", "graph", detail),
        recurrent_activation=Option("sigmoid", "graph", detail),
        output_activation=Option("tanh", "graph", detail),
        cell_clip=Setting(
            clip if clip > 0 else None, f"{node.name} (attribute cell_clip)"
        ).option(),
        proj_clip=Setting(None).option(),
    )
    m = GraphTensor(node.name, 6)
    mask, outputs = _masked(reading, m) if op.sequence else (None, None)
    return FoundCell(
        name=node.name,
        kind="lstm",
        weights=(kernel, bias, *peepholes.values()),
        gate_order=op.gate_order,
        x=x,
        before={"c": c_prev, "m": m_prev},
        after={"c": GraphTensor(node.name, 1), "m": m},
        make=lambda: (_weights(reading, kernel, bias, peepholes, op.gate_order), options),
        op=node.op,
        mask=mask,
        outputs=outputs,
    )


def _masked(reading: Reading, m: GraphTensor) -> tuple[GraphTensor | None, GraphTensor | None]:
    """What LSTMBlockFusedCell multiplies its outputs with: one before the length, zero after."""
    for consumer in forward(reading.view, m):
        if consumer.op != "Mul":
            continue
        other = next((part for part in consumer.inputs if not reading.same(part, m)), None)
        source = None if other is None else reading.node(other)
        if source is not None and source.op in ("Tile", "ExpandDims", "BroadcastTo"):
            return other, GraphTensor(consumer.name)
    return None, None


def _weights(
    reading: Reading,
    kernel: GraphTensor,
    bias: GraphTensor,
    peepholes: dict[str, GraphTensor],
    order: tuple[str, ...],
) -> LSTMWeights:
    whole = floats(reading.weights.read(kernel))
    if whole.ndim != 2 or whole.shape[1] % 4:
        raise CheckpointError(
            "A kernel's shape does not fit the LSTM that the graph describes.",
            where=reading.names(kernel)[0],
            expected="(input + output, 4 * num_units)",
            found=whole.shape,
            hint="Check that the .meta file belongs to this checkpoint.",
        )
    whole = reorder_gates(whole, order)
    rows = whole.shape[0] - whole.shape[1] // 4
    return LSTMWeights(
        kernel=np.ascontiguousarray(whole[:rows]),
        recurrent_kernel=np.ascontiguousarray(whole[rows:]),
        bias=reorder_gates(floats(reading.weights.read(bias)).reshape(-1), order),
        **{
            f"peephole_{gate}": floats(reading.weights.read(tensor)).reshape(-1)
            for gate, tensor in peepholes.items()
        },
    )
