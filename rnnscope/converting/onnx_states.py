"""Outputs of an ONNX graph that hold c and m of every step: a Scan of the one-step node.

The operators LSTM and GRU return m of every step, but c of the last one only. A Scan repeats the
same operator over one step at a time and hands on its states; past a length the states stand still
(Where), as they do in the operator.

References
----------
https://onnx.ai/onnx/operators/onnx__Scan.html: states first, then what is scanned; directions of
inputs and outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.evaluation.evaluator import OnnxProgram
from rnnscope.checkpoints.onnx.graph.flattening import flatten
from rnnscope.checkpoints.onnx.graph.proto import parse_model
from rnnscope.checkpoints.onnx.graph.stored_values import StoredValues
from rnnscope.checkpoints.onnx.graph.tensors import TensorStore
from rnnscope.converting import onnx_cells
from rnnscope.converting.interface import Level
from rnnscope.converting.onnx_messages import graph, node, value_info
from rnnscope.converting.onnx_plain import Building
from rnnscope.model.cell import Array, CellSpec
from rnnscope.model.recurrent_layer import RecurrentLayer


def exposed_states(
    build: Building, level: Level, name: str, key: str, lengths: str
) -> dict[str, dict[str, str]]:
    """Add the nodes that return the states of a level.

    Parameters
    ----------
    build : Building
    level : Level
    name : str
        Of the level in the graph.
    key : str
        What it reads, (timestep, sequence, feature).
    lengths : str
        The graph's input that holds them; empty where every step counts.

    Returns
    -------
    dict of str to dict of str to str
        By node of the plan, the graph's outputs (sequence, timestep, unit) by state.
    """
    counts = _counts(build, name, key, lengths) if lengths else ""
    found: dict[str, dict[str, str]] = {}
    for number, (part, layer) in enumerate(zip(level.nodes, level.layers, strict=True)):
        own = f"{name}{('.forward', '.backward')[number]}" if len(level.nodes) == 2 else name
        found[part.name] = _scan(build, layer, own, key, counts)
    return found


def _counts(build: Building, name: str, key: str, lengths: str) -> str:
    """Whether a step counts, (timestep, sequence, 1)."""
    zero, one = (
        build.constant(f"{name}.{word}", np.array(value, np.int64))
        for word, value in (("zero", 0), ("one", 1))
    )
    first, both, last = (
        build.constant(f"{name}.{word}", np.array(value, np.int64))
        for word, value in (("axis_0", [0]), ("axes_1_2", [1, 2]), ("axis_1", [1]))
    )
    shape = build.add("Shape", [key], f"{name}.x_shape")
    steps = build.add("Gather", [shape, zero], f"{name}.steps")
    places = build.add("Range", [zero, steps, one], f"{name}.places")
    column = build.add("Unsqueeze", [places, both], f"{name}.column")
    wide = build.add("Cast", [lengths], f"{name}.wide_lengths", to=7)
    row = build.add("Unsqueeze", [wide, last], f"{name}.row")
    rows = build.add("Unsqueeze", [row, first], f"{name}.rows")
    return build.add("Less", [column, rows], f"{name}.counts")


def _scan(
    build: Building, layer: RecurrentLayer, name: str, key: str, counts: str
) -> dict[str, str]:
    cell = layer.cell
    states = onnx_cells.STATES[cell.kind]
    arrays = {
        role: build.constant(f"{name}.step_{role}", one)
        for role, one in onnx_cells.arrays([cell]).items()
    }
    starts = _start(build, layer, name, key)
    body = _body(cell, name, arrays, masked=bool(counts), axis=build.constant(
        f"{name}.step_axis", np.array([0], np.int64)))  # fmt: skip
    scanned = [key, *([counts] if counts else [])]
    finals = [f"{name}.final_{state}" for state in states]
    kept = [f"{name}.steps_{state}" for state in states]
    turned = int(bool(layer.backward.value))
    build.nodes.append(
        node(
            "Scan",
            [*starts, *scanned],
            [*finals, *kept],
            f"{name}.states",
            body=body,
            num_scan_inputs=len(scanned),
            scan_input_directions=[turned] * len(scanned),
            scan_output_directions=[turned] * len(states),
        )
    )
    return {
        state: build.add("Transpose", [all_steps], f"{name}.{state}", perm=[1, 0, 2])
        for state, all_steps in zip(states, kept, strict=True)
    }


def _start(build: Building, layer: RecurrentLayer, name: str, key: str) -> list[str]:
    """The states before the first step, (sequence, unit), in the order of the operator."""
    cell = layer.cell
    place = build.constant(f"{name}.batch_place", np.array([1], np.int64))
    units = build.constant(f"{name}.units", np.array([cell.num_units], np.int64))
    shape = build.add("Shape", [key], f"{name}.start_of")
    batch = build.add("Gather", [shape, place], f"{name}.batch")
    size = build.add("Concat", [batch, units], f"{name}.start_shape", axis=0)
    stored = onnx_cells.starts([layer])
    zeros = np.zeros((1, cell.num_units), cell.dtype)
    return [
        build.add(
            "Expand",
            [build.constant(f"{name}.{state}_0", stored[state][0] if stored else zeros), size],
            f"{name}.{state}_start",
        )
        for state in onnx_cells.STATES[cell.kind]
    ]


def _body(cell: CellSpec, name: str, arrays: Mapping[str, str], *, masked: bool, axis: str) -> Any:
    """One step: states and x (sequence, …) in, new states twice out."""
    states, dtype, units = onnx_cells.STATES[cell.kind], cell.dtype.name, cell.num_units
    inner = Building()
    x = inner.add("Unsqueeze", [f"{name}.x_t", axis], f"{name}.x_1")
    before = [
        inner.add("Unsqueeze", [f"{name}.{state}_in", axis], f"{name}.{state}_1")
        for state in states
    ]
    inputs = [x, arrays["W"], arrays["R"], arrays["B"], "", *before]
    if "P" in arrays:
        inputs.append(arrays["P"])
    made = [f"{name}.{state}_step" for state in states]
    inner.nodes.append(
        node(
            onnx_cells.OPERATORS[cell.kind], inputs, ["", *made], f"{name}.step",
            direction="forward", **onnx_cells.attributes([cell]),
        )
    )  # fmt: skip
    new = []
    for state, key in zip(states, made, strict=True):
        flat = inner.add("Squeeze", [key, axis], f"{name}.{state}_made")
        if masked:
            held = [f"{name}.counts_t", flat, f"{name}.{state}_in"]
            flat = inner.add("Where", held, f"{name}.{state}_new")
        new.append(flat)
    kept = [inner.add("Identity", [key], f"{key}_kept") for key in new]
    axes: list[str | int] = ["sequence", units]
    takes = [value_info(f"{name}.{state}_in", dtype, axes) for state in states]
    takes.append(value_info(f"{name}.x_t", dtype, ["sequence", cell.input_size]))
    if masked:
        takes.append(value_info(f"{name}.counts_t", "bool", ["sequence", 1]))
    gives = [value_info(key, dtype, axes) for key in (*new, *kept)]
    return graph(inner.nodes, takes, gives, name=f"{name}_step")


def stored_graph_states(
    path: Path, x: Array, lengths: Array | None, *, places: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, Array]]:
    """The states that a written graph returns, evaluated op by op.

    Parameters
    ----------
    path : Path
    x : ndarray
        As the model takes it.
    lengths : ndarray of int (sequence,) or None
    places : mapping of str to mapping
        What `exposed_states` returned.

    Returns
    -------
    dict of str to dict of str to ndarray (sequence, timestep, unit)
    """
    made = flatten(parse_model(path), path)
    program = OnnxProgram(made, StoredValues(made, TensorStore(path)))
    given: dict[str, Any] = {"x": x}
    if "lengths" in made.inputs:
        full = np.full(x.shape[0], x.shape[1])
        given["lengths"] = (full if lengths is None else lengths).astype(np.int32)
    run = program.evaluation(given)
    return {
        node_name: {state: np.asarray(run.value(key)) for state, key in keys.items()}
        for node_name, keys in places.items()
    }
