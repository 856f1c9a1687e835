"""ONNX models: LSTM, GRU and RNN nodes with all that the graph says of them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from rnnscope.checkpoints.interface import Checkpoint, Reader
from rnnscope.checkpoints.onnx.graph.proto import parse_model, sniff_onnx
from rnnscope.checkpoints.onnx.stored_model import StoredModel
from rnnscope.model.network import Network, Node


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
    stored = StoredModel.of(parse_model(path), path)
    network = stored.network("ONNX")
    axes = stored.axes(network)
    return Checkpoint(
        path=path,
        format=READER.name,
        framework=_framework(stored.model),
        files=(path, *stored.store.files),
        network=network,
        notes=(*stored.notes(axes), *_clip_notes(network)),
        input_axes=axes,
        later_results=partial(_later_results, path.absolute()),
    )


def _clip_notes(network: Network) -> tuple[str, ...]:
    """Where ONNX Runtime and the text of the operator LSTM differ, and which of them is read."""
    clipped = [
        f"'{node.name}' ({bound:g})"
        for node in network.recurrent
        if node.recurrent
        and node.recurrent.cell.kind == "lstm"
        and (bound := node.recurrent.cell.options.gate_clip.value)
    ]
    words = (
        f"clip of {', '.join(clipped)}: as in ONNX Runtime, what enters the gates' activations is "
        "clipped; by the text of ONNX the c that enters h would be clipped as well."
    )
    return (words,) if clipped else ()


def _later_results(path: Path) -> tuple[Node, ...]:
    """See `Checkpoint.later_results`; the file is read again, so that no run keeps all of it."""
    return StoredModel.of(parse_model(path), path).later_results()


def _framework(model: object) -> str:
    name: str = model.producer_name or "unknown producer"  # type: ignore[attr-defined]
    version: str = model.producer_version  # type: ignore[attr-defined]
    opsets = {
        entry.domain: entry.version
        for entry in model.opset_import  # type: ignore[attr-defined]
    }
    opset = opsets.get("", opsets.get("ai.onnx", "?"))
    return f"ONNX opset {opset} ({' '.join(filter(None, (name, version)))})"


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
