"""Bare arrays that are called as the inputs of ONNX recurrent nodes: W, R, B and P."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rnnscope.checkpoints.interface import LeftOut
from rnnscope.checkpoints.onnx.graph.nodes import OnnxNode
from rnnscope.checkpoints.onnx.network.cells import GATE_COUNTS, NotBuilt, build_cells
from rnnscope.checkpoints.tf1.graph_model import GraphModel, Variables
from rnnscope.errors import CheckpointError
from rnnscope.model.cell import CellSpec, Option
from rnnscope.model.initial_state import ZERO_STATE
from rnnscope.model.layers import BidirectionalMerge
from rnnscope.model.lengths_source import LENGTHS_NOT_STORED
from rnnscope.model.network import Network, Node
from rnnscope.model.recurrent_layer import RecurrentLayer

INPUT = "input"

ONNX_ARRAY = re.compile(r"(?P<layer>|.*[._/])(?P<role>[WRBP])")
"""``lstm_W``, ``lstm.R``, ``B``: as initializers of ONNX models are called."""


def read_onnx_arrays(variables: Variables, path: Path) -> GraphModel:
    """The layers that arrays named W, R, B and P make.

    Raises
    ------
    CheckpointError
        They do not fit each other.
    """
    layers: dict[str, dict[str, str]] = {}
    for name in variables.variables:
        match = ONNX_ARRAY.fullmatch(name)
        if match is not None:
            layers.setdefault(match["layer"], {})[match["role"]] = name
    nodes: list[Node] = []
    used: set[str] = set()
    notes: list[str] = []
    last, width, first_width = INPUT, 0, 0
    for layer, names in layers.items():
        if not {"W", "R"} <= names.keys():
            continue
        cells = _onnx_cells(variables, layer, names, path)
        first_width = first_width or cells[0].input_size
        reads = last if cells[0].input_size == width != first_width else INPUT
        own = layer.rstrip("._/") or cells[0].kind
        if nodes:
            notes.append(f"That '{own}' reads '{reads}' is a guess from widths.")
        nodes += _onnx_nodes(own, cells, reads)
        last, width = nodes[-1].name, sum(cell.output_size for cell in cells)
        used |= set(names.values())
    left_out = tuple(
        LeftOut(name, "not recurrent", info.shape)
        for name, info in variables.variables.items()
        if name not in used
    )
    return GraphModel(Network((INPUT,), tuple(nodes)), left_out, tuple(notes))


def _onnx_cells(
    variables: Variables, layer: str, names: Mapping[str, str], path: Path
) -> list[CellSpec]:
    arrays = [variables.read(names[role]) if role in names else None for role in "WRBP"]
    recurrent = variables.variables[names["R"]].shape
    gates = recurrent[1] // max(1, recurrent[2]) if len(recurrent) == 3 else 0
    ops = {count: op for op, count in GATE_COUNTS.items()}
    try:
        if gates not in ops:
            raise NotBuilt(f"has an R of shape {recurrent}")  # noqa: TRY301 - said as the others
        stand_in = OnnxNode(ops[gates], layer, (), (), {})
        cells = build_cells(stand_in, arrays, tuple(names.values()))
    except NotBuilt as reason:
        raise CheckpointError(
            f"Layer '{layer}' {reason}.",
            where=path,
            expected="W, R, B, P as the ONNX operators LSTM, GRU and RNN take them",
            found=", ".join(f"{name} {variables.variables[name].shape}" for name in names.values()),
        ) from None
    return [replace(cell, options=_as_defaults(cell)) for cell in cells]


def _as_defaults(cell: CellSpec) -> object:
    """No graph states the options here: they are the operator's defaults."""
    stated = {name: replace(o, origin="class default") for name, o in cell.options.items()}
    return replace(cell.options, **stated)


def _onnx_nodes(name: str, cells: list[CellSpec], reads: str) -> list[Node]:
    parts = (name,) if len(cells) == 1 else (f"{name}/forward", f"{name}/backward")
    nodes = [
        Node(
            part,
            RecurrentLayer(
                cell=cell,
                backward=Option(number == 1, "guess", "by its place in W"),
                padding=Option("zeros", "class default", "as with sequence_lens"),
                lengths=Option(LENGTHS_NOT_STORED, "guess"),
                initial_state=Option(ZERO_STATE, "guess"),
                state_format=Option("outputs (Y_h, Y_c)", "class default"),
                reversal="within length",
            ),
            (reads,),
            "guess",
        )
        for number, (part, cell) in enumerate(zip(parts, cells, strict=True))
    ]
    if len(cells) == 2:
        nodes.append(Node(name, BidirectionalMerge("concat"), parts, "guess"))
    return nodes
