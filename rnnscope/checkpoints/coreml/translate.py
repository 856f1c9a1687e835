"""From a Core ML model to an ONNX model in memory: a program, or a neural network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rnnscope.checkpoints.coreml.kraken import is_kraken, write_kraken
from rnnscope.checkpoints.coreml.network.translate import write_network
from rnnscope.checkpoints.coreml.program.translate import write_program
from rnnscope.checkpoints.coreml.proto import parse_model
from rnnscope.checkpoints.translated.messages import OnnxModel
from rnnscope.checkpoints.translated.reading import SourceOperator, Translation
from rnnscope.errors import UnsupportedCellError

NETWORKS = ("neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor")
PIPELINES = ("pipeline", "pipelineClassifier", "pipelineRegressor")


def translate(path: Path) -> Translation:
    """Write the graph of a model in ONNX's operators.

    Raises
    ------
    CheckpointError
        The file is damaged.
    UnsupportedCellError
        It is a model of another kind, or a pipeline of several recurrent ones.
    """
    whole = parse_model(path)
    model, notes = _only_recurrent(whole, path)
    kind = model.WhichOneof("Type")
    sources: dict[str, SourceOperator]
    if kind == "mlProgram":
        function = model.description.defaultFunctionName
        written, program = write_program(model.mlProgram, path, function)
        sources, more = program.sources, program.notes
    elif kind in NETWORKS:
        if is_kraken(model):
            written, network = write_kraken(model, getattr(model, kind))
        else:
            written, network = write_network(model, getattr(model, kind), path)
        sources, more = network.sources, network.notes
    else:
        raise UnsupportedCellError(
            "The Core ML model is neither a program nor a neural network.",
            where=path,
            expected="an ML program or a neural network",
            found=kind or "another kind of model",
        )
    return _translation(written, path, whole, sources, (*notes, *dict.fromkeys(more)))


def _translation(
    written: OnnxModel,
    path: Path,
    whole: Any,
    sources: dict[str, SourceOperator],
    notes: tuple[str, ...],
) -> Translation:
    tool = whole.description.metadata.userDefined.get("com.github.apple.coremltools.version", "")
    by = f", coremltools {tool[:20]}" if tool else ""
    return Translation(
        model=written.proto,
        path=path,
        framework=f"Core ML specification {whole.specificationVersion}{by}",
        title="Core ML",
        sources=sources,
        notes=notes,
    )


def _only_recurrent(model: Any, path: Path) -> tuple[Any, tuple[str, ...]]:
    """The only model of a pipeline that has recurrent layers; itself if it is none."""
    kind = model.WhichOneof("Type")
    if kind not in PIPELINES:
        return model, ()
    held = getattr(model, kind)
    parts = held.models if kind == "pipeline" else held.pipeline.models
    recurrent = [part for part in parts if _is_recurrent(part)]
    if len(recurrent) != 1:
        raise UnsupportedCellError(
            "The Core ML pipeline does not hold exactly one recurrent model.",
            where=path,
            expected="one model with recurrent layers",
            found=f"{len(recurrent)} of {len(parts)} models",
        )
    return recurrent[0], (f"Of a pipeline of {len(parts)} models, the only recurrent one is read.",)


def _is_recurrent(model: Any) -> bool:
    kind = model.WhichOneof("Type")
    if kind in NETWORKS:
        layers = ("uniDirectionalLSTM", "biDirectionalLSTM", "gru", "simpleRecurrent")
        return any(one.WhichOneof("layer") in layers for one in getattr(model, kind).layers)
    if kind != "mlProgram":
        return False
    return any(
        op.type in ("lstm", "gru", "rnn")
        for function in model.mlProgram.functions.values()
        for block in function.block_specializations.values()
        for op in block.operations
    )
