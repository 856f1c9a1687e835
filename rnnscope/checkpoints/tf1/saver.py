"""TensorFlow 1 Saver checkpoints (V2): the table of variables and, beside it, the graph."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rnnscope.checkpoints.interface import Checkpoint, Reader
from rnnscope.checkpoints.tf1.graph_model import (
    PLAIN_REASONS,
    GraphModel,
    Variables,
    read_again,
    read_graph_model,
    tensorflow_version,
)
from rnnscope.errors import CheckpointError
from rnnscope.files.tensorflow import locate
from rnnscope.files.tensorflow.bundle import TensorBundle


def read_saver(path: Path) -> Checkpoint:
    """Read a checkpoint that TensorFlow 1's ``tf.train.Saver`` wrote.

    Parameters
    ----------
    path : Path
        A prefix, its ``.index`` or ``.meta`` file, or a folder with a ``checkpoint`` file.

    Returns
    -------
    Checkpoint

    Raises
    ------
    CheckpointError
        Naming the file and, where there is one, the variable.
    UnsupportedCellError
        If no recurrent cell was understood; it names the variables that look like one.
    """
    located = locate.locate(path)
    bundle = TensorBundle.open(located.prefix)
    return read_with_meta(READER.name, located, bundle)


def read_with_meta(reader: str, located: locate.Located, stored: Variables) -> Checkpoint:
    """The checkpoint of variables that were opened: by the graph beside them, else by names."""
    if located.meta is None:
        from rnnscope.checkpoints.tf1.names import read_named_model

        model, framework, files = read_named_model(stored), "TensorFlow", stored.files
        later = None
    else:
        meta = located.meta
        model, framework, hidden = read_meta(meta, stored)
        later = read_again(model, lambda: read_meta(meta, stored)[0])
        model = _or_by_names(model, stored) if hidden else model
        files = (*stored.files, located.meta)
    return Checkpoint(
        path=located.prefix,
        format=reader,
        framework=framework,
        files=files,
        network=model.network,
        left_out=model.left_out,
        notes=tuple(note for note in (located.note, *model.notes) if note),
        read_variable=stored.read,
        later_results=later,
    )


def _or_by_names(model: GraphModel, stored: Variables) -> GraphModel:
    """The layers by names where the graph shows none: cuDNN's own op hides its weights.

    A kernel that the graph does use, in a way that is not understood, is not guessed at.
    """
    from rnnscope.checkpoints.tf1.names import read_named_model

    if model.network.recurrent:
        return model
    named = read_named_model(stored)
    plain = {entry.name for entry in model.left_out if entry.reason in PLAIN_REASONS}
    used = {name for node in named.network.recurrent if node.recurrent
            for name in node.recurrent.cell.variables}  # fmt: skip
    if not used or not used <= plain:
        return model
    note = (
        "The graph beside the variables shows no cell that computes with them (a cuDNN op hides "
        "it), so that the layers were read from names and shapes, and options are defaults."
    )
    return replace(named, notes=(note, *named.notes[1:]))


def read_meta(path: Path, stored: Variables) -> tuple[GraphModel, str, bool]:
    """The layers of a ``.meta`` file's graph, who wrote it, and whether an op hides weights."""
    from rnnscope.files.tensorflow.protos import parse_graph_file

    meta = parse_graph_file("MetaGraphDef", path)
    if not meta.graph_def.node:
        raise CheckpointError(
            "The .meta file holds no graph.",
            where=path,
            expected="the graph that tf.train.Saver writes beside the variables",
            found=f"{path.stat().st_size} bytes, no nodes",
            hint="copy it again; without a .meta file the names of the variables would have to do",
        )
    hidden = any(node.op.startswith("Cudnn") for node in meta.graph_def.node)
    return read_graph_model(meta.graph_def, stored), tensorflow_version(meta), hidden


READER = Reader(
    name="tf1-saver",
    title="TensorFlow 1 Saver checkpoint (V2)",
    reads="variables, and from the .meta graph: cells, options, wiring, sequence_length, "
    "also where it is counted from ids or rows; without a .meta: cells by the names of every era, "
    "options by flag",
    does_not_read="without a .meta: options and wiring, which are then guessed and said to be",
    sniff=locate.sniff,
    read=read_saver,
)
