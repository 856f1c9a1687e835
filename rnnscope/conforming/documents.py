"""A case as a JSON document, and an answer read back from one: what CONFORMING.md describes.

Weights are given gate by gate and by name, so that nobody has to know anybody's order of gates.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from rnnscope.conforming.case import Answer, Case, shapes
from rnnscope.conforming.engines.interface import Failed, NotOffered
from rnnscope.model.cell import GATE_ORDER, Array
from rnnscope.model.cells.gru import GRU_GATE_ORDER
from rnnscope.model.recurrent_layer import RecurrentLayer

DOCUMENT_VERSION = 1
"""Raised when a key changes its meaning or goes; new keys may come."""

GATES = {"lstm": GATE_ORDER, "gru": GRU_GATE_ORDER, "rnn": ("n",)}
OPTIONS = {
    "lstm": ("activation", "recurrent_activation", "output_activation", "forget_bias", "coupled",
             "clip", "cell_clip", "proj_clip"),
    "gru": ("activation", "recurrent_activation", "reset_after", "clip"),
    "rnn": ("activation", "clip"),
}  # fmt: skip
TIMED = ("outputs", "c")
SHOWN = 80
"""Characters of an answer that a message repeats."""


def case_document(case: Case) -> dict[str, Any]:
    """A case as JSON's own types. Every number is exact: a dtype's value written as a float64."""
    timed = case.x if case.layout == "sequence first" else case.x.swapaxes(0, 1)
    directions = []
    for number, layer in enumerate(case.layers):
        start = None
        if case.initial is not None:
            start = {name: value.tolist() for name, value in case.initial[number].items()}
        directions.append(
            {
                "backward": bool(layer.backward.value),
                "weights": _weights(case, layer),
                "initial": start,
            }
        )
    return {
        "document_version": DOCUMENT_VERSION,
        "case": case.name,
        "cell": case.cell,
        "dtype": case.dtype.name,
        "layout": case.layout,
        "sequences": len(case.x),
        "timesteps": case.steps,
        "features": int(case.x.shape[2]),
        "units": case.units,
        "options": {
            name: case.option("gate_clip" if name == "clip" else name)
            for name in OPTIONS[case.cell]
        },
        "directions": directions,
        "lengths": None if case.lengths is None else case.lengths.tolist(),
        "x": timed.tolist(),
    }


def _weights(case: Case, layer: RecurrentLayer) -> dict[str, Any]:
    weights, gates = layer.cell.weights, GATES[case.cell]

    def by_gate(array: Array | None) -> Any:
        if array is None:
            return None
        blocks = np.split(array, len(gates), axis=-1)
        return {gate: block.tolist() for gate, block in zip(gates, blocks, strict=True)}

    found = {
        "kernel": by_gate(weights.kernel),
        "recurrent_kernel": by_gate(weights.recurrent_kernel),
        "bias": by_gate(weights.bias) if case.biased else None,
    }
    if case.cell == "gru":
        found["recurrent_bias"] = by_gate(weights.recurrent_bias)
    if case.cell == "lstm":
        diagonals = {gate: getattr(weights, f"peephole_{gate}") for gate in "ifo"}
        found["peepholes"] = (
            {gate: array.tolist() for gate, array in diagonals.items()}
            if layer.cell.peepholes
            else None
        )
        projection = weights.projection
        found["projection"] = None if projection is None else projection.tolist()
    return found


def case_line(case: Case) -> str:
    """A case as one line of JSON, with its newline."""
    return json.dumps(case_document(case), separators=(",", ":")) + "\n"


def answer_document(line: bytes) -> dict[str, Any]:
    """An answer's document, of one line that was received.

    Raises
    ------
    Failed
        It is no JSON object.
    """
    try:
        document = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Failed(_shown(line), "no JSON") from error
    if not isinstance(document, dict):
        raise Failed(f"no object: {_shown(line)}", "no JSON")
    return document


def _shown(line: bytes) -> str:
    text = line.decode("utf-8", "replace").strip()
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "…")


def answer_of(case: Case, document: dict[str, Any]) -> Answer:
    """The arrays of an answer, sequence first, each of the right shape.

    Raises
    ------
    NotOffered
        The document says so, and why.
    Failed
        It is for another case, or an array is not of numbers or of the wrong shape.
    """
    if document.get("case") != case.name:
        raise Failed(f"an answer to {document.get('case')!r:.60}, not to this case", "no answer")
    if "not_offered" in document:
        raise NotOffered(str(document["not_offered"])[:200])
    directions = document.get("directions")
    count = len(case.layers)
    if not isinstance(directions, list) or len(directions) != count:
        raise Failed(f"'directions' is no list of {count}", "wrong shape")
    return tuple(_direction(case, number, one) for number, one in enumerate(directions))


def _direction(case: Case, number: int, given: Any) -> dict[str, Array]:
    if not isinstance(given, dict):
        raise Failed(f"'directions[{number}]' is no object", "wrong shape")
    found: dict[str, Array] = {}
    for name, shape in shapes(case, number).items():
        if given.get(name) is None:
            continue
        array = _array(given[name], f"directions[{number}].{name}")
        timed = name in TIMED and case.layout == "time first"
        wanted = (shape[1], shape[0], *shape[2:]) if timed else shape
        if array.shape != wanted:
            raise Failed(
                f"'directions[{number}].{name}' has the shape {list(array.shape)}, "
                f"not {list(wanted)}",
                "wrong shape",
            )
        found[name] = array.swapaxes(0, 1) if timed else array
    return found


def _array(value: Any, where: str) -> Array:
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError) as error:
        raise Failed(f"'{where}' is no array: its rows differ in length", "wrong shape") from error
    if array.dtype.kind not in "fiu":
        raise Failed(f"'{where}' holds something that is no number", "no numbers")
    return array.astype(np.float64)
