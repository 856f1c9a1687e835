"""TensorFlow 2's object-based checkpoints: ``tf.train.Checkpoint``, ``save_weights``.

The bundle is that of TensorFlow 1; beside the variables it holds the graph of the objects that
owned them, and nothing of how they compute.
"""

from __future__ import annotations

from pathlib import Path

from rnnscope.checkpoints.interface import Checkpoint, LeftOut, Reader
from rnnscope.checkpoints.tf1.graph_model import GraphModel, reason_left_out
from rnnscope.checkpoints.tf2.layers import ObjectLayers
from rnnscope.checkpoints.tf2.names import read_full_names
from rnnscope.checkpoints.tf2.trackable import GRAPH_KEY, ObjectGraph
from rnnscope.checkpoints.weights_only.layers import separate_inputs
from rnnscope.errors import CheckpointError, spell
from rnnscope.files.tensorflow import locate
from rnnscope.files.tensorflow.bundle import TensorBundle, index_path
from rnnscope.files.tensorflow.table import iter_table
from rnnscope.model.network import Network


def _assumed() -> str:
    known = ", ".join(
        spell(name) for name in ("activation", "recurrent_activation", "go_backwards")
    )
    return (
        "The checkpoint holds weights and the objects that own them, and nothing of how they "
        "compute: activations, directions, masks and the order of layers are defaults and guesses. "
        f"State what you know: {known}, …"
    )


def read_object_checkpoint(path: Path) -> Checkpoint:
    """Read an object-based checkpoint.

    Parameters
    ----------
    path : Path
        A prefix, its ``.index`` file, or a folder with a ``checkpoint`` file.

    Raises
    ------
    CheckpointError
        If a file is missing or damaged; it names the file and the variable.
    """
    located = locate.locate(path)
    graph = ObjectGraph.read(TensorBundle.open(located.prefix))
    model = read_objects(graph)
    return Checkpoint(
        path=located.prefix,
        format=READER.name,
        framework="TensorFlow 2 (Keras 3)" if graph.is_keras_3 else "TensorFlow",
        files=graph.bundle.files,
        network=model.network,
        left_out=model.left_out,
        notes=tuple(note for note in (located.note, *model.notes) if note),
        hard_sigmoid=hard_sigmoid(graph),
        read_variable=graph.bundle.read,
    )


def hard_sigmoid(graph: ObjectGraph) -> str:
    """Which function of that name the framework means that wrote the objects."""
    return "hard_sigmoid_keras3" if graph.is_keras_3 else "hard_sigmoid"


def read_objects(graph: ObjectGraph) -> GraphModel:
    """The layers of an object graph: by its structure, and where that ends, by names.

    Objects that no attribute leads to are missing in it, such as the cells of a stack of Keras 3;
    their variables are there still, as those that an optimizer trains or in a list of all.
    """
    layers = ObjectLayers(graph)
    network = layers.read()
    names = {node.name for node in network.nodes}
    more = read_full_names(graph, frozenset(layers.used))
    fresh = tuple(node for node in more.network.nodes if node.name not in names)
    if any(node.recurrent for node in fresh):
        whole = network if network.recurrent else Network((), ())
        inputs = dict.fromkeys((*whole.inputs, *more.network.inputs))
        network = separate_inputs((*whole.nodes, *fresh), inputs)
    used = {key for node in network.recurrent if node.recurrent
            for key in node.recurrent.cell.variables}  # fmt: skip
    explained = {entry.name: entry for entry in layers.left_out}
    left_out = tuple(
        explained.get(key) or LeftOut(key, _reason(graph, key, variable.shape), variable.shape)
        for key, variable in graph.bundle.variables.items()
        if key not in used and key != GRAPH_KEY
    )
    return GraphModel(network, left_out, (_assumed(),) if network.recurrent else ())


def _reason(graph: ObjectGraph, key: str, shape: tuple[int, ...]) -> str:
    """Why a variable is no part of a layer; by what owns it rather than by its path."""
    owners = [found for found in graph.objects
              if found.variable is not None and found.variable.key == key]  # fmt: skip
    if any(found.number in graph.slots for found in owners):
        return "optimizer slot"
    path = min((graph.paths.get(found.number, key) for found in owners), key=len, default=key)
    if "/optimizer/" in f"/{path}/" or ".OPTIMIZER_SLOT" in key:
        return "optimizer slot"
    if path.startswith("save_counter"):
        return "training step"
    name = owners[0].variable.full_name if owners and owners[0].variable else path
    return reason_left_out(name or path, shape)


def sniff(path: Path) -> bool:
    """Whether a user who names `path` means a bundle with an object graph; never raises."""
    try:
        if not locate.sniff(path):
            return False
        index = index_path(locate.locate(path).prefix)
        key = GRAPH_KEY.encode()
        return any(name == key for name, _ in iter_table(index))
    except (OSError, ValueError, CheckpointError):
        return False


READER = Reader(
    name="tf2-checkpoint",
    title="TensorFlow 2 object-based checkpoint (tf.train.Checkpoint, save_weights)",
    reads="weights through the object graph, layers by their attributes; options by flag",
    does_not_read="options and wiring, which it does not hold: they are guessed and said to be",
    sniff=sniff,
    read=read_object_checkpoint,
)
