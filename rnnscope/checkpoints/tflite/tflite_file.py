"""TensorFlow Lite models: fused recurrent operators, and loops of plain ones."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from rnnscope.checkpoints.interface import Checkpoint, Reader
from rnnscope.checkpoints.onnx.graph.nodes import OnnxGraph
from rnnscope.checkpoints.onnx.stored_model import StoredModel
from rnnscope.checkpoints.tflite.lite_model import LiteModel
from rnnscope.checkpoints.tflite.model_file import read_lite_model, sniff_tflite
from rnnscope.checkpoints.tflite.translation.site import DOMAIN
from rnnscope.checkpoints.tflite.translation.whole_model import translated
from rnnscope.checkpoints.translated.messages import NotTranslated
from rnnscope.errors import UnsupportedCellError
from rnnscope.model.network import Node

TITLES = {
    "Loop": "TensorFlow Lite WHILE", "unrolled cell": "TensorFlow Lite unrolled cell",
    "RNN": "TensorFlow Lite RNN",
}  # fmt: skip
"""What operators are called in a TensorFlow Lite file."""


def read_tflite(path: Path) -> Checkpoint:
    """Read the recurrent layers of a TensorFlow Lite model, as data.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Checkpoint

    Raises
    ------
    CheckpointError
        The file is damaged.
    UnsupportedCellError
        There is no recurrent operator and no loop; it names what there is.
    """
    model = read_lite_model(path)
    try:
        stored = _stored(path)
    except NotTranslated as reason:
        raise UnsupportedCellError(
            "The TensorFlow Lite model cannot be followed.", where=path, found=str(reason)
        ) from reason
    network = stored.wiring.network()
    if not network.nodes:
        raise _nothing_recurrent(path, stored.graph)
    axes = stored.axes(network)
    return Checkpoint(
        path=path,
        format=READER.name,
        framework=_framework(model),
        files=(path,),
        network=network,
        notes=(*stored.notes(axes), *_notes(model)),
        input_axes=axes,
        later_results=partial(_later_results, path.absolute()),
    )


def _stored(path: Path) -> StoredModel:
    return StoredModel.of(translated(read_lite_model(path)), path, TITLES)


def _later_results(path: Path) -> tuple[Node, ...]:
    """See `Checkpoint.later_results`; the file is read again, so that no run keeps all of it."""
    return _stored(path).later_results()


def _framework(model: LiteModel) -> str:
    words = model.description.strip()
    return f"TensorFlow Lite ({words})" if words else "TensorFlow Lite"


def _notes(model: LiteModel) -> list[str]:
    graph = model.graphs[0]
    notes = []
    for place in graph.inputs:
        tensor = graph.tensors[place]
        if tensor.is_quantised:
            notes.append(
                f"The model takes '{tensor.name}' as whole numbers (scale {tensor.scale[0]:g}, "
                f"zero {tensor.zero[0]}): give the floats that they stand for."
            )
    if any(tensor.is_variable for one in model.graphs for tensor in one.tensors):
        notes.append(
            "The interpreter keeps the states from one call to the next; a run starts as after "
            "its reset_all_variables."
        )
    return notes


def _nothing_recurrent(path: Path, graph: OnnxGraph) -> UnsupportedCellError:
    ops = {node.op.removeprefix(f"{DOMAIN}.") for node in graph.nodes}
    recurrent_like = sorted(op for op in ops if any(
        word in op for word in ("LSTM", "RNN", "GRU", "WHILE", "Loop", "SVDF")))  # fmt: skip
    return UnsupportedCellError(
        "The TensorFlow Lite model holds no recurrent layer that is read.",
        where=path,
        expected="UNIDIRECTIONAL_SEQUENCE_LSTM, BIDIRECTIONAL_SEQUENCE_LSTM, WHILE, or a cell "
        "written out step by step",
        found=", ".join((recurrent_like or sorted(ops))[:12]) or "no operators",
    )


READER = Reader(
    name="tflite",
    title="TensorFlow Lite model (.tflite)",
    reads="UNIDIRECTIONAL_SEQUENCE_LSTM and BIDIRECTIONAL_SEQUENCE_LSTM of floats, with 8-bit "
    "weights (hybrid) and of whole numbers; WHILE and cells written out step by step, evaluated op "
    "by op; all that stands in front and between, held to the graph",
    does_not_read="LSTM and RNN of single steps, SVDF, custom operators, whole-number operators "
    "but the LSTM in front of a layer, delegates' own formats",
    sniff=sniff_tflite,
    read=read_tflite,
)
