"""Reports and a checkpoint to render, made by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from rnnscope.checkpoints.interface import Checkpoint, LeftOut
from rnnscope.checks.interface import Finding, StatePlace
from rnnscope.checks.padding_verdict import PaddingVerdict
from rnnscope.model.cell import CellSpec, LSTMOptions, LSTMWeights, Option
from rnnscope.model.evidence import Evidence
from rnnscope.model.initial_state import ZERO_STATE
from rnnscope.model.lengths_source import LengthsSource
from rnnscope.model.network import Network, Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.verification import KernelDifference
from rnnscope.record.results.model_report import CheckpointReport, layer_report
from rnnscope.record.results.run_report import InputReport, RunReport


def cell(inputs=8, units=64, projection=None, **weights):
    output = projection or units
    return CellSpec(
        kind="lstm",
        source_class="BasicLSTMCell",
        weights=LSTMWeights(
            np.zeros((inputs, 4 * units)),
            np.zeros((output, 4 * units)),
            np.zeros(4 * units),
            projection=None if projection is None else np.zeros((units, projection)),
            **weights,
        ),
        options=LSTMOptions(
            forget_bias=Option(1.0, "graph", "rnn/while/rnn/basic_lstm_cell/add/y"),
            activation=Option("tanh", "graph", "rnn/while/rnn/basic_lstm_cell/Tanh"),
            recurrent_activation=Option("sigmoid", "class default"),
            output_activation=Option("tanh", "graph"),
            cell_clip=Option(None, "class default"),
            proj_clip=Option(None, "flag", "--proj-clip"),
        ),
        variables=("rnn/basic_lstm_cell/kernel", "rnn/basic_lstm_cell/bias"),
        stored_gate_order="i g f o",
    )


def layer(backward=False, **sizes):
    return RecurrentLayer(
        cell=cell(**sizes),
        backward=Option(backward, "graph"),
        padding=Option("zeros", "graph", "rnn/while/Select"),
        lengths=Option(
            LengthsSource("input", "sequence_length from placeholder 'lengths'"), "graph"
        ),
        initial_state=Option(ZERO_STATE, "graph", "rnn/zeros"),
        state_format=Option("tuple (c, m)", "guess"),
        # Directions differ by how rounding fell out; they are shown together all the same.
        evidence=Evidence("proved", 7, 1.9e-7 if backward else 1.3e-7),
    )


class Dense:
    kind = "Dense"


ONE = Network(("x",), (Node("rnn/basic_lstm_cell", layer(), ("x",)),))
BIDIRECTIONAL_STACK = Network(
    ("x",),
    (
        Node("fw", layer(), ("x",)),
        Node("bw", layer(backward=True), ("x",)),
        Node("concat", Dense(), ("fw", "bw")),
        Node("top", layer(inputs=128, units=32, projection=4), ("concat",), "guess"),
        Node("over", layer(inputs=4), ("top",)),
    ),
)

LEFT_OUT = (
    *(LeftOut(f"kernel/Adam_{k}", "optimizer slot", (72, 256)) for k in range(6)),
    LeftOut("global_step", "training step"),
)


def checkpoint(network=ONE, left_out=LEFT_OUT):
    return Checkpoint(
        path=Path("model.ckpt-100"),
        format="tf1-saver",
        framework="TensorFlow 1.15.5",
        files=(Path("model.ckpt-100.index"), Path("model.ckpt-100.data-00000-of-00001")),
        network=network,
        left_out=left_out,
        notes=("The graph holds no activation; tanh is the default of BasicLSTMCell.",),
    )


def findings(name="rnn/basic_lstm_cell"):
    return (
        Finding("last-output-is-m", name, "pass", "it is", 0.0, 0.0),
        Finding("final-state-is-last-valid-step", name, "pass", "it is", 0.0, 0.0),
        Finding(
            "outputs-past-length",
            name,
            "fail",
            "outputs past the length are computed on; the rule is zeros",
            0.0123456,
            0.0,
            StatePlace(1, 6, 12),
        ),
        Finding(
            "input-tail",
            name,
            "warn",
            "the length runs through all-zero rows at the end of the input",
            1.0,
            0.0,
            StatePlace(1, 6),
        ),
        Finding("length-cuts-input", name, "skip", "needs lengths or a mask"),
        Finding("m-bound", name, "pass", "within", 0.964512, 1.0, StatePlace(0, 9, 63)),
    )


RUN = RunReport(
    command="rnnscope run model.ckpt-100 x.npy -o trace.h5",
    checkpoint=CheckpointReport("model.ckpt-100", "tf1-saver", "TensorFlow 1.15.5"),
    input=InputReport("x.npy", (2, 10, 8), "float64", "10, 6 from --lengths"),
    layers=tuple(layer_report(node) for node in ONE.recurrent),
    findings=findings(),
    padding=(PaddingVerdict("rnn/basic_lstm_cell", "no lengths: every step was computed"),),
    wiring=("rnn/basic_lstm_cell reads x",),
    notes=("The graph holds no activation; tanh is the default of BasicLSTMCell.",),
    verify=(KernelDifference("rnn/basic_lstm_cell", "c", 1.2e-16, 1e-12, True, "BlockLSTM"),),
    verified_by="TensorFlow 2.21.0",
    trace="trace.h5",
    seconds=0.0123,
    steps_per_second=1626.0,
)


def run(**changes):
    return replace(RUN, **changes)
