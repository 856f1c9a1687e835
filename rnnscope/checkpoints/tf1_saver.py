"""TensorFlow 1 Saver checkpoints (V2): the table of variables and, beside it, the graph."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from rnnscope.checkpoints import locate
from rnnscope.checkpoints.interface import Checkpoint, LeftOut, Reader
from rnnscope.checkpoints.tensor_bundle import TensorBundle
from rnnscope.errors import CheckpointError

OPTIMIZER_SLOT = re.compile(
    r"/(Adam|Adam_1|Adamax|Adamax_1|RMSProp|RMSProp_1|Momentum|Adagrad|Adadelta|Adadelta_1|Ftrl|"
    r"Ftrl_1|AdagradDA|gradient_accumulator|gradient_squared_accumulator|LazyAdam|Nadam)(_\d+)?$"
    r"|(^|/)beta[12]_power(_\d+)?$"
)
MOVING_AVERAGE = re.compile(r"/(ExponentialMovingAverage|EMA|moving_average|biased|local_step)$")
STEP = re.compile(r"(^|/)(global_step|epoch|step)$")


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
    from rnnscope.checkpoints.protos import parse
    from rnnscope.checkpoints.tf1_graph.lstm_cells import find_cells, find_suspects
    from rnnscope.checkpoints.tf1_graph.network import build_network
    from rnnscope.checkpoints.tf1_graph.view import GraphView
    from rnnscope.checkpoints.tf1_graph.weights import GraphWeights

    located = locate.locate(path)
    bundle = TensorBundle.open(located.prefix)
    if located.meta is None:
        raise CheckpointError(
            "The checkpoint has no .meta file, and weights alone do not say how the cell computes.",
            where=f"{located.prefix}.meta",
            expected="the graph that tf.train.Saver writes beside the checkpoint",
            found="no such file",
            hint="Copy the .meta file of this model next to the checkpoint.",
        )
    meta = parse("MetaGraphDef", located.meta.read_bytes(), located.meta)
    view = GraphView(meta.graph_def)
    weights = GraphWeights(view, set(bundle.variables), bundle.read)
    cells = [
        cell
        for cell in find_cells(view, weights)
        if all(name in bundle.variables for name in weights.variables(cell.kernel))
    ]
    known = {name for cell in cells for name in weights.variables(cell.kernel)}
    suspects = find_suspects(view, weights, known)
    found = build_network(view, weights, cells)
    left_out = tuple(
        LeftOut(name, _reason(name, variable, found.embeddings, suspects), variable.shape)
        for name, variable in bundle.variables.items()
        if name not in found.used
    )
    version = meta.meta_info_def.tensorflow_version
    return Checkpoint(
        path=located.prefix,
        format=READER.name,
        framework=f"TensorFlow {version}" if version else "TensorFlow",
        files=(*bundle.files, located.meta),
        network=found.network,
        left_out=left_out,
        notes=tuple(note for note in (located.note, *found.notes) if note),
    )


def _reason(
    name: str, variable: Any, embeddings: frozenset[str], suspects: dict[str, str]
) -> str:
    if name in suspects:
        return suspects[name]
    if OPTIMIZER_SLOT.search(name):
        return "optimizer slot"
    if MOVING_AVERAGE.search(name):
        return "moving average"
    if STEP.search(name):
        return "training step"
    if name in embeddings or "embedding" in name.lower():
        return "embedding"
    return "dense layer" if len(variable.shape) == 2 else "not recurrent"


READER = Reader(
    name="tf1-saver",
    title="TensorFlow 1 Saver checkpoint (V2)",
    reads="variables, and from the .meta graph: cells, options, wiring, use of sequence_length",
    does_not_read="checkpoints without a .meta file",
    sniff=locate.sniff,
    read=read_saver,
)
