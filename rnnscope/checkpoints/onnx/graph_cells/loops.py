"""Loop and Scan nodes as recurrent computations: their carried values are the states."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.evaluation.evaluator import OnnxProgram
from rnnscope.checkpoints.onnx.evaluation.trial import MAX_WORK, Trial
from rnnscope.checkpoints.onnx.evaluation.work import Work
from rnnscope.checkpoints.onnx.graph.nodes import Body, OnnxGraph, OnnxNode
from rnnscope.checkpoints.onnx.graph_cells.loop_recurrence import (
    Collected,
    LoopRecurrence,
    carried_offsets,
)
from rnnscope.checkpoints.onnx.graph_cells.recurrence import c_of
from rnnscope.model.ops import EvaluationError


def find_loops(program: OnnxProgram, trial: Trial) -> list[LoopRecurrence]:
    """The loops of the graph itself, not those inside others, whose states are known."""
    graph = program.graph
    inner = {
        key for bodies in graph.bodies.values() for body in bodies.values() for key in body.own
    }
    found = []
    for node in graph.nodes:
        if node.op not in ("Loop", "Scan") or not inner.isdisjoint(node.outputs):
            continue
        try:
            found.append(_loop(program, trial, node))
        except EvaluationError:
            continue  # it stays a node that is not computed, and is named as one
    return found


def _loop(program: OnnxProgram, trial: Trial, node: OnnxNode) -> LoopRecurrence:
    graph, body = program.graph, program.graph.bodies[node]["body"]
    directions = node.ints("scan_input_directions") or ()
    if len(set(directions)) > 1:
        raise EvaluationError("it reads some inputs from the start and some from the end")
    evaluation = program.evaluation(trial.bound, Work(MAX_WORK))
    evaluation.watch(node, {})
    evaluation.value(next(filter(None, node.outputs)))
    handed, turns = evaluation.watched[node]
    if not turns:
        raise EvaluationError("it takes no turn")
    skip, first, carried = carried_offsets(node, body)
    states = [
        at for at in range(carried)
        if _is_state([made[skip + at] for made in turns])
        and graph.behind(body.outputs[skip + at], ("Identity",)) != body.inputs[first + at]
    ]  # fmt: skip
    collections = [
        one for at in states
        if (one := Collected.of(at, handed[first + at], [made[skip + at] for made in turns]))
    ]  # fmt: skip
    states = [
        at for at in states
        if at not in [one.at for one in collections]
        and _put_into(graph, body, body.outputs[skip + at], body.inputs[first + at]) is None
    ]  # fmt: skip
    if not states:
        raise EvaluationError("it carries no state")
    scanned = range(skip + carried, len(body.outputs))
    written = next((at for at in scanned if _is_state([made[at] for made in turns])), None)
    collected = collections[0] if collections and written is None else None
    m = None
    if collected is not None:
        rows = collected.rows([made[skip + collected.at] for made in turns])
        m = _equal_state(graph, body, turns, states, (skip, first), rows)
        collected = collected if m is None else None
    if m is None:
        m = _m_of(graph, body, turns, states, (skip, first), written)
    top = body.outputs[written if m is None and written is not None else skip + (m or 0)]
    keys = {str(at): body.outputs[skip + at] for at in states if at != m}
    c = c_of(graph, top, keys)
    named = {
        "m" if at == m else "c" if str(at) == c else _state_name(body.inputs[first + at]): at
        for at in states
    }
    if len(named) < len(states):
        raise EvaluationError("two states have the same name")
    return LoopRecurrence(
        node, body, _candidates(program, node, body, carried), 1 in directions, named,
        None if m is not None or written is None else written - skip - carried,
        collected,
    )  # fmt: skip


def _put_into(graph: OnnxGraph, body: Body, made: str, handed: str) -> str | None:
    """The value that a turn puts into an array of all steps; None if it carries anything else.

    Nothing but its own next value is made of such an array, the shapes of others aside.
    """
    producer = graph.producers.get(graph.behind(made, ("Identity",)))
    if producer is None or producer.op != "ScatterND":
        return None
    others = [key for key in body.outputs if key != made]
    if graph.behind(producer.input(0), ("Identity", "Expand")) != handed:
        return None
    if _made_of(graph, body, [*others, *producer.inputs[1:]], handed):
        return None
    return graph.behind(producer.input(2), ("Identity", "Reshape", "Unsqueeze"))


def _made_of(graph: OnnxGraph, body: Body, keys: Sequence[str], wanted: str) -> bool:
    """Whether any of some values of a body is made of another, not of its shape alone."""
    pending, seen = [*keys], set[str]()
    while pending:
        key = pending.pop()
        if key == wanted:
            return True
        node = graph.producers.get(key)
        if key in seen or node is None or node.op == "Shape" or key not in body.own:
            continue
        seen.add(key)
        pending.extend(node.inputs)
    return False


def _is_state(values: Sequence[Any]) -> bool:
    """Whether a value that is carried is an array of floats, of the same shape in every turn."""
    if any(isinstance(value, list) for value in values):
        return False
    arrays = [np.asarray(value) for value in values]
    return (
        arrays[0].dtype.kind == "f" and arrays[0].ndim > 0 and len({a.shape for a in arrays}) == 1
    )


def _m_of(
    graph: OnnxGraph,
    body: Body,
    turns: Sequence[Sequence[Any]],
    states: Sequence[int],
    offsets: tuple[int, int],
    written: int | None,
) -> int | None:
    """The state that every turn writes out; None if what is written is no state.

    Of several that are equal, the one that the body multiplies. Where nothing is stacked, the one
    that goes into a sequence, or that is a share of another, as m is of c; else the first.
    """
    skip, first = offsets
    if written is None:
        inserted = {
            node.input(1) for node in graph.nodes
            if node.op == "SequenceInsert" and not body.own.isdisjoint(node.outputs)
        }  # fmt: skip
        for made, handed in zip(body.outputs[skip:], body.inputs[first:], strict=False):
            row = _put_into(graph, body, made, handed)
            inserted |= {row} if row else set()
        for at in states:
            if body.outputs[skip + at] in inserted:
                return at
        for at in states:
            others = {str(one): body.outputs[skip + one] for one in states if one != at}
            if c_of(graph, body.outputs[skip + at], others):
                return at
        return states[0]
    return _equal_state(graph, body, turns, states, offsets, [made[written] for made in turns])


def _equal_state(
    graph: OnnxGraph,
    body: Body,
    turns: Sequence[Sequence[Any]],
    states: Sequence[int],
    offsets: tuple[int, int],
    written: Sequence[Any],
) -> int | None:
    """The state that is what every turn writes; of several, the one that the body multiplies."""
    skip, first = offsets
    equal = [
        at for at in states
        if all(np.array_equal(np.ravel(made[skip + at]), np.ravel(one))
               for made, one in zip(turns, written, strict=True))
    ]  # fmt: skip
    multiplied = {
        key for node in graph.nodes if node.op in ("MatMul", "Gemm", "Concat")
        for key in node.inputs
    }  # fmt: skip
    return next(
        (at for at in equal if body.inputs[first + at] in multiplied), equal[0] if equal else None
    )


def _state_name(key: str) -> str:
    """The last part of a name, of letters, digits and the like."""
    last = key.rsplit("/", 1)[-1] or key
    return re.sub(r"[^\w.-]+", "_", last).strip("_") or "state"


def _candidates(program: OnnxProgram, node: OnnxNode, body: Body, carried: int) -> tuple[str, ...]:
    """What a loop may read step by step: scanned inputs, or what its body reads from outside."""
    graph = program.graph
    own = graph.own_inputs(node)
    if node.op == "Scan":
        return (*own[carried:], *graph.inputs)
    outside: dict[str, None] = {}
    for inside in graph.nodes:
        if not body.own.isdisjoint(inside.outputs):
            for key in graph.own_inputs(inside):
                if key and key not in body.own and key not in program.stored:
                    outside[key] = None
    return (*outside, *own[2:], *graph.inputs)
