"""The class of a cell by its scopes: nothing that is computed depends on it."""

from __future__ import annotations

import re

from rnnscope.checkpoints.tf1.graph.cells.appearance import FoundCell

CLASSES = {
    "basiclstmcell": "BasicLSTMCell",
    "lstmcell": "LSTMCell",
    "lstmblockcell": "LSTMBlockCell",
    "cudnncompatiblelstmcell": "CudnnCompatibleLSTMCell",
    "basicrnnlstmcell": "BasicLSTMCell",
    "grucell": "GRUCell",
    "cudnncompatiblegrucell": "CudnnCompatibleGRUCell",
    "basicrnncell": "BasicRNNCell",
    "layernormbasiclstmcell": "LayerNormBasicLSTMCell",
    "coupledinputforgetgatelstmcell": "CoupledInputForgetGateLSTMCell",
}
"""Scope names of cells with case and underscores taken out, and the class that uses them."""

UNBUILT = {
    name.lower(): name
    for name in (
        "NASCell", "IndyLSTMCell", "IndyGRUCell", "UGRNNCell", "IntersectionRNNCell",
        "PhasedLSTMCell", "ConvLSTMCell", "Conv1DLSTMCell", "Conv2DLSTMCell", "Conv3DLSTMCell",
        "ConvLSTM2D", "GLSTMCell", "GridLSTMCell", "BidirectionalGridLSTMCell", "TimeFreqLSTMCell",
        "LayerNormLSTMCell", "SRUCell", "WeightNormLSTMCell", "IndRNNCell", "NTMCell",
        "MinimalRNNCell", "CFNCell", "HighwayWrapper", "AttentionCellWrapper", "AttentionWrapper",
    )
}  # fmt: skip
"""Classes that TensorFlow 1 has and rnnscope does not compute, by their scope."""

FUSED = {
    "BlockLSTM": "LSTMBlockFusedCell",
    "BlockLSTMV2": "LSTMBlockFusedCell",
    "GRUBlockCell": "GRUBlockCell",
    "LSTMBlockCell": "LSTMBlockCell",
}
"""Fused ops, and the class that uses them."""

UNNAMED = {
    "lstm": "LSTM cell",
    "gru": "GRU cell",
    "simple_rnn": "simple RNN cell",
    "layer_norm_lstm": "LayerNormBasicLSTMCell",
    "coupled_lstm": "CoupledInputForgetGateLSTMCell",
}
"""What a cell is called where no scope says it, by kind."""

KERAS = {"lstm": "keras LSTM", "gru": "keras GRU", "simple_rnn": "keras SimpleRNN"}


def unbuilt_class(variable: str) -> str | None:
    """The class that a variable's scopes name, if it is one that rnnscope does not compute."""
    scopes = variable.replace("_", "").lower().split("/")[:-1]
    return next((UNBUILT[scope] for scope in reversed(scopes) if scope in UNBUILT), None)


def is_keras(cell: FoundCell) -> bool:
    """Whether a layer of Keras made a cell: it multiplies x and m by weights of their own."""
    return not cell.op and len(cell.weights) > 1 and cell.split_inputs


def class_of(cell: FoundCell, kernel: str) -> str:
    """The class that made a cell, as far as op, scopes and the kernel's name tell."""
    scopes = [part.replace("_", "").lower() for part in f"{kernel}/{cell.name}".split("/")]
    if cell.op:
        if cell.op == "CudnnRNN":
            return {"lstm": "CudnnLSTM", "gru": "CudnnGRU"}.get(cell.kind, "CudnnRNN")
        fused = next((CLASSES[scope] for scope in scopes if scope in CLASSES), "")
        return fused if fused.startswith("Cudnn") else FUSED.get(cell.op, cell.op)
    if is_keras(cell):
        return KERAS[cell.kind]
    for scope in reversed(scopes):
        named = CLASSES.get(re.sub(r"\d+$", "", scope))
        if named is not None:
            return named
    return UNNAMED[cell.kind]
