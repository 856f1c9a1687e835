"""SavedModel folders: ``saved_model.pb`` with graphs, and a bundle of variables beside it.

TensorFlow 1 wrote a graph of the whole model; TensorFlow 2 writes functions and the graph of the
Python objects that own the variables; tf.keras adds its own configuration.

References
----------
tensorflow/core/protobuf/{saved_model,meta_graph,saved_object_graph}.proto.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnscope.checkpoints.interface import Checkpoint, LeftOut, Reader
from rnnscope.checkpoints.tf1.graph_model import (
    GraphModel,
    read_again,
    read_graph_model,
    tensorflow_version,
)
from rnnscope.checkpoints.tf2.trackable import GRAPH_KEY, ObjectGraph
from rnnscope.errors import CheckpointError
from rnnscope.files.tensorflow.bundle import TensorBundle
from rnnscope.files.tensorflow.protos import parse_graph_file

if TYPE_CHECKING:
    from rnnscope.checkpoints.tf2.names import FullNames

FILE, VARIABLES, SERVE = "saved_model.pb", "variables/variables", "serve"

_HEAD = b"\x08\x01\x12"
"""Schema version 1, then the first MetaGraphDef."""


def read_saved_model(path: Path) -> Checkpoint:
    """Read a SavedModel of TensorFlow 1 or 2.

    Parameters
    ----------
    path : Path
        The folder, its ``saved_model.pb``, or a folder of versions: the newest is read.

    Raises
    ------
    CheckpointError
        If a file is missing or damaged; it names the file and the variable.
    """
    folder, note = _find(path)
    file = path if path.is_file() else folder / FILE
    saved = parse_graph_file("SavedModel", file)
    if not saved.meta_graphs:
        raise CheckpointError(
            "A SavedModel holds no graph.",
            where=file,
            expected="at least one MetaGraphDef",
            found="none",
            hint="copy the folder again from where it was written",
        )
    meta, choice = _choose(saved.meta_graphs)
    prefix = folder / VARIABLES
    bundle = TensorBundle.open(prefix)
    files = [file, *bundle.files]
    model, framework, hard_sigmoid = _read(folder, meta, bundle, files)
    return Checkpoint(
        path=folder,
        format=READER.name,
        framework=framework,
        files=tuple(files),
        network=model.network,
        left_out=model.left_out,
        notes=tuple(text for text in (note, choice, *model.notes) if text),
        hard_sigmoid=hard_sigmoid,
        read_variable=bundle.read,
        later_results=read_again(model, lambda: _model_again(folder)),
    )


def _model_again(folder: Path) -> GraphModel:
    file = folder / FILE
    meta, _ = _choose(parse_graph_file("SavedModel", file).meta_graphs)
    return _read(folder, meta, TensorBundle.open(folder / VARIABLES), [])[0]


def _read(
    folder: Path, meta: Any, bundle: TensorBundle, files: list[Path]
) -> tuple[GraphModel, str, str]:
    """The model, who wrote it, and which hard_sigmoid that means."""
    framework = tensorflow_version(meta)
    if GRAPH_KEY not in bundle.variables:
        return read_graph_model(meta.graph_def, bundle), framework, "hard_sigmoid"

    from rnnscope.checkpoints.keras.metadata import METADATA, read_keras_model
    from rnnscope.checkpoints.tf2.functions import read_functions
    from rnnscope.checkpoints.tf2.names import FullNames
    from rnnscope.checkpoints.tf2.object_checkpoint import hard_sigmoid, read_objects

    graph = ObjectGraph.read(bundle)
    if (folder / METADATA).is_file():
        files.insert(1, folder / METADATA)
    keras = read_keras_model(folder, meta, graph)
    if keras is not None:
        model, dialect = keras
        return model, f"{framework}, {dialect.framework}", dialect.hard_sigmoid
    meaning = "hard_sigmoid_keras3" if _is_keras_3(meta, graph) else hard_sigmoid(graph)
    names = FullNames(graph)
    model = read_functions(meta, names)
    if model.network.recurrent:
        return _by_key(model, names), framework, meaning
    return read_objects(graph), framework, meaning


def _is_keras_3(meta: Any, graph: ObjectGraph) -> bool:
    """Whether `model.export` of Keras 3 wrote it, which tracks lists of variables alone."""
    root = graph.objects[0].children
    return graph.is_keras_3 or ("_all_variables" in root and SERVE in meta.signature_def)


def _by_key(model: GraphModel, names: FullNames) -> GraphModel:
    """What is left out, as the file names it, a cell that no function was seen to use as such."""
    from rnnscope.checkpoints.tf2.names import read_full_names

    unread = frozenset(names.stored[entry.name].key for entry in model.left_out)
    others = frozenset(stored.key for stored in names.stored.values()) - unread
    missed = read_full_names(names.graph, others).network.recurrent
    reasons = {
        key: f"'{node.name}' looks like a {node.recurrent.cell.source_class}, but what the "
        "functions compute with it is not understood"
        for node in missed
        if node.recurrent
        for key in node.recurrent.cell.variables
    }
    left_out = []
    for entry in model.left_out:
        key = names.stored[entry.name].key
        left_out.append(LeftOut(key, reasons.get(key, entry.reason), entry.shape))
    return replace(model, left_out=tuple(left_out))


def _choose(graphs: Any) -> tuple[Any, str]:
    """The MetaGraph for serving, else the first; in words where that was a choice."""
    tags = [", ".join(graph.meta_info_def.tags) or "no tag" for graph in graphs]
    place = next((n for n, graph in enumerate(graphs) if SERVE in graph.meta_info_def.tags), 0)
    if len(graphs) == 1 and SERVE in graphs[0].meta_info_def.tags:
        return graphs[0], ""
    others = f" of {len(graphs)} ({'; '.join(tags)})" if len(graphs) > 1 else ""
    return graphs[place], f"The graph tagged '{tags[place]}' was read{others}."


def _find(path: Path) -> tuple[Path, str]:
    if path.is_file():
        return path.parent, ""
    if (path / FILE).is_file():
        return path, ""
    versions = _versions(path)
    if not versions:
        raise CheckpointError(
            "There is no SavedModel here.", where=path, expected=FILE, found="no such file"
        )
    return versions[-1], f"Version {versions[-1].name} was read, the newest of {len(versions)}."


def _versions(path: Path) -> list[Path]:
    """The versions in a folder that a server takes, in the order of their numbers."""
    found = [file.parent for file in path.glob(f"*/{FILE}") if file.parent.name.isdecimal()]
    return sorted(found, key=lambda folder: int(folder.name))


def sniff(path: Path) -> bool:
    """Whether a path is a SavedModel's folder or file, by the first bytes; never raises."""
    try:
        if path.is_dir():
            file = path / FILE
            if not file.is_file():
                versions = _versions(path)
                if not versions:
                    return False
                file = versions[-1] / FILE
        else:
            file = path
        with file.open("rb") as stream:
            return stream.read(len(_HEAD)) == _HEAD
    except OSError:
        return False


READER = Reader(
    name="saved-model",
    title="TensorFlow SavedModel (folder with saved_model.pb)",
    reads="TensorFlow 1: the graph tagged serve; TensorFlow 2: Keras' configuration where stored, "
    "else the functions of the signature, else the object graph",
    does_not_read="functions that call Python; several signatures at once",
    sniff=sniff,
    read=read_saved_model,
)
