"""``vectors.json``: everything in one document, for a reader in any language."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rnnscope.json_values import plain
from rnnscope.model.cell import Array
from rnnscope.vectors.cases import ExpectedLayer, LayerNotes, VectorCase, VectorSet, limit_of

SCHEMA = "rnnscope-vectors"
SCHEMA_VERSION = 1

BYTES_OF_NUMBER = {"float32": 13, "float64": 21}
"""In JSON, with what stands between two numbers."""


def document_of(vectors: VectorSet) -> dict[str, Any]:
    """The document in JSON's own types."""
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "model": {"file": vectors.model, "sha256": vectors.sha256, "options": vectors.options},
        "seed": vectors.seed,
        "tolerance": vectors.tolerance,
        "tolerance_is": "|got - expected| <= tolerance * the largest |expected| of the array: the "
        "limits of each case",
        "layers": [_layer(layer) for layer in vectors.layers],
        "readings": vectors.readings,
        "not_separated": [plain(one) for one in vectors.not_separated],
        "left_out": [plain(one) for one in vectors.left_out],
        "cases": [_case(case, vectors) for case in vectors.cases],
    }


def _layer(layer: LayerNotes) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": layer.name,
        "part": layer.part,
        "cell": layer.kind,
        "inputs": layer.inputs,
        "units": layer.units,
        "outputs": layer.outputs,
        "gates": list(layer.gates),
        "options": plain(layer.options),
    }
    if layer.weights:
        found["weights"] = {name: numbers(array) for name, array in layer.weights.items()}
    return found


def _case(case: VectorCase, vectors: VectorSet) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": case.name,
        "layer": case.layer or None,
        "dtype": case.dtype.name,
        "x": numbers(case.x),
        "lengths": case.lengths.tolist(),
        "initial": {name: numbers(array) for name, array in case.initial.items()},
    }
    if case.layer:
        found |= _expected(case.layers[case.layer], vectors.tolerance)
        return found
    layers = {name: _expected(each, vectors.tolerance) for name, each in case.layers.items()}
    return found | {
        "expected": {"outputs": numbers(case.outputs)},
        "limits": {"outputs": limit_of(case.outputs, vectors.tolerance)},
        "layers": layers,
    }


def _expected(layer: ExpectedLayer, tolerance: float) -> dict[str, Any]:
    every = {**layer.steps, **{f"final/{name}": array for name, array in layer.final.items()}}
    return {
        "expected": {name: numbers(array) for name, array in layer.steps.items()},
        "final": {name: numbers(array) for name, array in layer.final.items()},
        "limits": {name: limit_of(array, tolerance) for name, array in every.items()},
    }


def numbers(array: Array) -> Any:
    """Nested lists of the shortest decimals that give each number of its own dtype again."""
    if array.dtype != np.float32:
        return array.tolist()
    short = [float(text) for text in array.reshape(-1).astype("U32")]
    nested: Any = np.array(short, object).reshape(array.shape).tolist()
    return nested


def text_of(document: Mapping[str, Any]) -> str:
    """The document as JSON: a line for each array, so that a change is seen where it is."""
    return "".join(_lines(document, 0)) + "\n"


def _lines(value: Any, depth: int) -> Iterator[str]:
    indent = " " * (depth + 1)
    if isinstance(value, Mapping) and value:
        yield "{\n"
        for number, (key, item) in enumerate(value.items()):
            yield (",\n" if number else "") + f"{indent}{json.dumps(key)}: "
            yield from _lines(item, depth + 1)
        yield f"\n{indent[:-1]}}}"
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        yield "[\n"
        for number, item in enumerate(value):
            yield (",\n" if number else "") + indent
            yield from _lines(item, depth + 1)
        yield f"\n{indent[:-1]}]"
    else:
        yield json.dumps(value, allow_nan=False)
