"""From a translated graph to a `Checkpoint` in the words of the format that it came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rnnscope.checkpoints.interface import Checkpoint, LeftOut
from rnnscope.checkpoints.onnx.stored_model import StoredModel
from rnnscope.checkpoints.translated.words import told_as
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.evidence import BY_NAME, Evidence
from rnnscope.model.network import Network, Node
from rnnscope.model.recurrent_layer import RecurrentLayer


@dataclass(frozen=True)
class SourceOperator:
    """What a recurrent node was called before it was translated.

    Attributes
    ----------
    title : str
        ``"OpenVINO LSTMSequence"``.
    gates : str
        The gate order in the file: ``"f i g o"``.
    outputs : str
        The final states it returns, as the format names them: ``"(Ho, Co)"``.
    """

    title: str
    gates: str = ""
    outputs: str = ""


@dataclass(frozen=True, eq=False)
class Translation:
    """A file's graph as an ONNX model.

    Attributes
    ----------
    model : ModelProto
    path : Path
        The file whose folder holds what the model keeps beside it.
    framework : str
        Who wrote the file, as far as it tells.
    title : str
        The format's name in sentences: ``"OpenVINO"``.
    sources : mapping of str to SourceOperator
        By the name of a recurrent node or loop.
    notes : tuple of str
    left_out : tuple of LeftOut
    files : tuple of Path
        What was read to make it; the file itself is the first.
    by_name : bool
        Whether the file holds no graph: the names of its arrays alone tell the layers.
    """

    model: Any
    path: Path
    framework: str
    title: str
    sources: Mapping[str, SourceOperator]
    notes: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    files: tuple[Path, ...] = ()
    by_name: bool = False


def read_translation(
    path: Path,
    reader: str,
    translate: Callable[[Path], Translation],
    *,
    asked: Path | None = None,
) -> Checkpoint:
    """Read the recurrent layers of a file.

    Parameters
    ----------
    path : Path
    reader : str
        The name of the reader.
    translate : callable
        ``translate(path) -> Translation``; called again for later results, so that no run keeps
        the graph.
    asked : Path, optional
        What the user named, where the file lies within it.

    Raises
    ------
    CheckpointError
        A tensor of a recurrent layer is damaged.
    UnsupportedCellError
        There is no recurrent layer.
    """
    translation = translate(path)
    stored = StoredModel.of(translation.model, translation.path)
    network = stored.network(translation.title, translation.notes)
    axes = stored.axes(network)

    def later_results() -> tuple[Node, ...]:
        again = translate(path)
        return StoredModel.of(again.model, again.path).later_results()

    return Checkpoint(
        path=asked or path,
        format=reader,
        framework=translation.framework,
        files=(*(translation.files or (translation.path,)), *stored.store.files),
        network=_in_own_words(network, stored, translation),
        left_out=translation.left_out,
        notes=(*translation.notes, *stored.notes(axes)),
        input_axes=axes,
        later_results=later_results,
    )


def _in_own_words(network: Network, stored: StoredModel, translation: Translation) -> Network:
    """The network with its cells named as the file names them."""
    operators = {name: one.node.name for one in stored.wiring.built for name in one.layers}
    operators |= {name: cell.recurrence.name for name, cell in stored.settled.graph_cells.items()}
    nodes = []
    for node in network.nodes:
        layer = node.layer
        if isinstance(layer, RecurrentLayer):
            own = operators.get(node.name, node.name)
            source = translation.sources.get(own, SourceOperator(translation.title))
            layer = _told(layer, source, translation.title)
            if translation.by_name:
                layer = replace(layer, evidence=BY_NAME)
        nodes.append(replace(node, layer=layer))
    return replace(network, nodes=tuple(nodes))


def _told(layer: RecurrentLayer, source: SourceOperator, title: str) -> RecurrentLayer:
    cell = told_as(layer.cell, (("ONNX", title),))
    gates = source.gates if cell.stored_gate_order else ""
    named = replace(cell, source_class=source.title, stored_gate_order=gates)
    state_format = layer.state_format
    if source.outputs:
        state_format = replace(state_format, value=f"outputs {source.outputs}")
    return replace(
        layer, cell=named, evidence=_evidence(layer.evidence, title), state_format=state_format
    )


def _evidence(evidence: Evidence, title: str) -> Evidence:
    """Proved by the operators as they were translated: by their definitions, which it says."""
    if evidence.kind != "proved":
        return evidence
    meaning = f"{title}'s operators taken as it defines them"
    detail = f"{evidence.detail}; {meaning}" if evidence.detail else meaning
    return replace(evidence, detail=detail)
