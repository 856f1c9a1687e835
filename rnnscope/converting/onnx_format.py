"""ONNX: a whole model with LSTM, GRU and RNN nodes, batch first, and its states where asked for."""

from __future__ import annotations

from dataclasses import field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.converting import onnx_cells
from rnnscope.converting.chains import chain, front_words, in_the_order, input_width, join_words
from rnnscope.converting.folding import folding_words
from rnnscope.converting.interface import (
    Abilities,
    FormatOptions,
    Level,
    Plan,
    WeightFormat,
    Written,
)
from rnnscope.converting.left_out_words import start_words
from rnnscope.converting.names import clean_names
from rnnscope.converting.onnx_messages import graph, model_bytes, node, value_info
from rnnscope.converting.onnx_plain import PLAIN, Building
from rnnscope.converting.onnx_states import exposed_states, stored_graph_states
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.layers import Embedding
from rnnscope.model.network import Node

X, LENGTHS, OUTPUTS = "x", "lengths", "outputs"
INTERFACE = frozenset({X, LENGTHS, OUTPUTS})
"""Names of the graph's own inputs and outputs, which no layer may have."""

REDUCTIONS = {"sum": "ReduceSum", "ave": "ReduceMean", "mul": "ReduceProd"}


def _abilities(options: FormatOptions) -> Abilities:  # noqa: ARG001 - the same for all
    return onnx_cells.ONNX


def _write(plan: Plan, options: FormatOptions) -> Written:
    steps, left = chain(plan, "onnx", _known, PLAIN, in_order=True)
    made = _Model(plan, steps, options.expose_states)
    content = made.content()
    return Written(
        save=partial(_save, content=content),
        names=made.names,
        load=(
            'session = onnxruntime.InferenceSession("{target}")',
            f"outputs, *states = session.run(None, {made.feeds()})",
        ),
        folded=folding_words(plan, joined=False),
        left_out=(*front_words(left), *start_words(plan)),
        notes=(*_notes(made), *join_words(plan)),
        steps=steps,
        read_states=partial(stored_graph_states, places=made.exposed) if made.exposed else None,
    )


def _save(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)


def _known(step: Node) -> bool:
    return (
        type(step.layer) in PLAIN
        and PLAIN[type(step.layer)](step.layer, Building(), "x", "y") is not None
    )


@dataclass
class _Model:
    """The graph of a chain, time first inside: one Transpose at its begin, one at its end."""

    plan: Plan
    steps: tuple[Level | Node, ...]
    expose: bool
    names: dict[str, str] = field(default_factory=dict)
    exposed: dict[str, dict[str, str]] = field(default_factory=dict)
    building: Building = field(default_factory=Building)
    outputs: list[Any] = field(default_factory=list)

    @property
    def dtype(self) -> str:
        return str(self.plan.levels[0].cell.dtype)

    @property
    def takes_lengths(self) -> bool:
        return any(level.takes_lengths for level in self.plan.levels)

    @property
    def takes_ids(self) -> bool:
        first = self.steps[0]
        return isinstance(first, Node) and isinstance(first.layer, Embedding)

    def feeds(self) -> str:
        """What a session is fed, as code."""
        return '{"x": x, "lengths": lengths}' if self.takes_lengths else '{"x": x}'

    def content(self) -> bytes:
        """The model as bytes."""
        build = self.building
        turn = [1, 0] if self.takes_ids else [1, 0, 2]
        key = build.add("Transpose", [X], "x.time_first", perm=turn)
        named = clean_names((step.name for step in self.steps), misread=INTERFACE.__contains__)
        for step in self.steps:
            if isinstance(step, Level):
                key = self._level(step, named[step.name], key)
            else:
                key = self._plain(step, named[step.name], key)
        build.add("Transpose", [key], OUTPUTS, perm=[1, 0, 2])
        last = self.plan.levels[-1]
        width = last.cell.output_size
        if len(last.nodes) == 2 and (last.merge or "concat") == "concat":
            width *= 2
        outputs = [value_info(OUTPUTS, self.dtype, ["sequence", "timestep", width]), *self.outputs]
        return model_bytes(graph(build.nodes, self._inputs(), outputs, build.arrays))

    def _inputs(self) -> list[Any]:
        axes: list[str | int] = ["sequence", "timestep"]
        if self.takes_ids:
            found = [value_info(X, "int64", axes)]
        else:
            found = [value_info(X, self.dtype, [*axes, input_width(self.steps)])]
        if self.takes_lengths:
            found.append(value_info(LENGTHS, "int32", ["sequence"]))
        return found

    def _plain(self, step: Node, name: str, key: str) -> str:
        made = PLAIN[type(step.layer)](step.layer, self.building, key, name)
        assert made is not None
        return made

    def _level(self, level: Level, name: str, key: str) -> str:
        build = self.building
        both = len(level.nodes) == 2
        arrays = onnx_cells.arrays(level.cells)
        stored = {role: build.constant(f"{name}.{role}", one) for role, one in arrays.items()}
        backward = bool(level.layers[0].backward.value)
        direction = "bidirectional" if both else "reverse" if backward else "forward"
        lengths = LENGTHS if level.takes_lengths else ""
        inputs = [key, stored["W"], stored["R"], stored["B"], lengths]
        starts = self._starts(level, name, key)
        inputs += starts
        if "P" in stored:
            inputs += [*[""] * (2 - len(starts)), stored["P"]]
        states = ["Y_h", "Y_c"] if level.cell.kind == "lstm" else ["Y_h"]
        outputs = [f"{name}.Y", *(f"{name}.{state}" for state in states)]
        given = onnx_cells.attributes(level.cells)
        build.nodes.append(
            node(
                onnx_cells.OPERATORS[level.cell.kind], _trimmed(inputs), outputs, name,
                direction=direction, **given,
            )
        )  # fmt: skip
        axes: list[str | int] = [len(level.nodes), "sequence", level.cell.num_units]
        self.outputs += [value_info(output, self.dtype, axes) for output in outputs[1:]]
        suffixes = ("/forward", "/backward") if both else ("",)
        for part, suffix in zip(level.nodes, suffixes, strict=True):
            self.names[part.name] = name + suffix
        if self.expose:
            found = exposed_states(build, level, name, key, lengths)
            self.exposed |= found
            self.outputs += [
                value_info(output, self.dtype, ["sequence", "timestep", level.cell.num_units])
                for keys in found.values()
                for output in keys.values()
            ]
        return self._joined(level, name, outputs[0])

    def _starts(self, level: Level, name: str, key: str) -> list[str]:
        """The inputs initial_h and initial_c, (direction, sequence, unit); none for zeros."""
        build = self.building
        stored = onnx_cells.starts(level.layers)
        if not stored:
            return []
        place = build.constant(f"{name}.sequences_at", np.array([1], np.int64))
        count = build.constant(f"{name}.directions", np.array([len(level.nodes)], np.int64))
        units = build.constant(f"{name}.hidden", np.array([level.cell.num_units], np.int64))
        shape = build.add("Shape", [key], f"{name}.shape_of_x")
        batch = build.add("Gather", [shape, place], f"{name}.sequences")
        size = build.add("Concat", [count, batch, units], f"{name}.initial_shape", axis=0)
        return [
            build.add(
                "Expand",
                [build.constant(f"{name}.learned_{state}", values), size],
                f"{name}.initial_{state}",
            )
            for state, values in stored.items()
        ]

    def _joined(self, level: Level, name: str, key: str) -> str:
        """Y (timestep, direction, sequence, unit) as (timestep, sequence, feature)."""
        build = self.building
        if len(level.nodes) == 1:
            axis = build.constant(f"{name}.axis", np.array([1], np.int64))
            return build.add("Squeeze", [key, axis], f"{name}.squeezed")
        merge = level.merge or "concat"
        if merge == "concat":
            turned = build.add("Transpose", [key], f"{name}.turned", perm=[0, 2, 1, 3])
            width = 2 * level.cell.num_units
            shape = build.constant(f"{name}.shape", np.array([0, 0, width], np.int64))
            return build.add("Reshape", [turned, shape], f"{name}.joined")
        if merge == "sum":
            axis = build.constant(f"{name}.axis", np.array([1], np.int64))
            return build.add("ReduceSum", [key, axis], f"{name}.joined", keepdims=0)
        return build.add(REDUCTIONS[merge], [key], f"{name}.joined", axes=[1], keepdims=0)


def _trimmed(inputs: list[str]) -> list[str]:
    while inputs and not inputs[-1]:
        inputs = inputs[:-1]
    return inputs


def _notes(made: _Model) -> tuple[str, ...]:
    notes = ["x is (sequence, timestep, feature); Y_h and Y_c are (direction, sequence, unit)."]
    if made.takes_ids:
        notes[0] = notes[0].replace("x is (sequence, timestep, feature)", "x are ids as int64")
    if made.takes_lengths:
        notes.append(
            "lengths (int32, one a sequence) has to be given: a graph makes no mask of zeros. Past "
            "a length outputs are zeros."
        )
    if made.expose:
        listed = ", ".join(key for keys in made.exposed.values() for key in keys.values())
        notes.append(f"States of every step, (sequence, timestep, unit): {listed}.")
    alone = [f"'{level.name}'" for level in made.plan.levels if not in_the_order(level, True)]
    if alone:
        notes.append(
            f"outputs of {', '.join(alone)} are in the order of the input; the source returns them "
            "from the end."
        )
    if made.dtype == "float64":
        notes.append(
            "The weights are float64, as in the source; ONNX Runtime's CPU kernels of LSTM, GRU "
            "and RNN take float32 alone."
        )
    return tuple(notes)


WEIGHT_FORMAT = WeightFormat(
    name="onnx",
    title="ONNX model (.onnx)",
    holds="a whole model of LSTM, GRU and RNN nodes; in front and between them Embedding, Dense, "
    "Activation, Rescaling and the normalizations; c and m of every step where asked for",
    framework="ONNX Runtime",
    suffixes=(".onnx",),
    abilities=_abilities,
    write=_write,
    takes=("expose_states",),
)
