"""ONNX models: LSTM, GRU and RNN nodes with all that the graph says of them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from rnnscope.checkpoints.interface import Checkpoint, Reader
from rnnscope.checkpoints.onnx.graph import OnnxGraph
from rnnscope.checkpoints.onnx.proto import parse_model, sniff_onnx
from rnnscope.checkpoints.onnx.recurrent import RECURRENT
from rnnscope.checkpoints.onnx.tensors import BFLOAT16, FLOAT16
from rnnscope.checkpoints.onnx.whole_graph import WholeGraph
from rnnscope.checkpoints.onnx.wiring import LOOPS
from rnnscope.errors import UnsupportedCellError


def read_onnx(path: Path) -> Checkpoint:
    """Read the recurrent nodes of an ONNX model, as data.

    Parameters
    ----------
    path : Path
        The model; external data is read from its folder alone.

    Returns
    -------
    Checkpoint

    Raises
    ------
    CheckpointError
        The file or a tensor of a recurrent node is damaged; it names the tensor.
    UnsupportedCellError
        There is no recurrent node; it names what there is.
    """
    found = WholeGraph.read(path, partial(parse_model, path))
    if not found.network.nodes:
        raise _nothing_recurrent(path, found.graph)
    return found.checkpoint(
        reader=READER.name, framework=_framework(found.model), notes=tuple(_notes(found.graph))
    )


def _framework(model: object) -> str:
    name: str = model.producer_name or "unknown producer"  # type: ignore[attr-defined]
    version: str = model.producer_version  # type: ignore[attr-defined]
    opsets = {
        entry.domain: entry.version
        for entry in model.opset_import  # type: ignore[attr-defined]
    }
    opset = opsets.get("", opsets.get("ai.onnx", "?"))
    return f"ONNX opset {opset} ({' '.join(filter(None, (name, version)))})"


def _notes(graph: OnnxGraph) -> list[str]:
    notes = []
    if any(node.op.endswith("DynamicQuantizeLSTM") for node in graph.nodes):
        notes.append(
            "DynamicQuantizeLSTM is computed as ONNX Runtime does with one thread, all sequences "
            "together; each of several threads quantises m of its own part of them."
        )
    narrow = {
        key for node in graph.nodes if node.op in RECURRENT for key in node.inputs[1:4]
        if key in graph.initializers and graph.initializers[key].data_type in (FLOAT16, BFLOAT16)
    }  # fmt: skip
    if narrow:
        notes.append(
            "The weights are stored in 16 bits; they are widened, and computed with in float32."
        )
    return notes


def _nothing_recurrent(path: Path, graph: OnnxGraph) -> UnsupportedCellError:
    words = (*RECURRENT, *LOOPS)
    recurrent_like = sorted(
        {node.op for node in graph.nodes if any(word in node.op for word in words)}
    )
    found = recurrent_like or sorted({node.op for node in graph.nodes})
    return UnsupportedCellError(
        "The ONNX model holds no LSTM, GRU or RNN node.",
        where=path,
        expected="a node of one of these operators",
        found=", ".join(found[:12]) or "no nodes",
        hint="an operator of another domain, or a loop that is not computed, is not read"
        if recurrent_like
        else None,
    )


READER = Reader(
    name="onnx",
    title="ONNX model (.onnx)",
    reads="LSTM, GRU, RNN and DynamicQuantizeLSTM nodes with every attribute and input, in "
    "subgraphs and functions too; Loop, Scan and cells written out step by step, evaluated op by "
    "op; weights in initializers, constants and external data; all that stands in front and "
    "between, held to the graph",
    does_not_read="other quantised recurrent operators, randomness, final c handed to anything but "
    "an initial state",
    sniff=sniff_onnx,
    read=read_onnx,
)
