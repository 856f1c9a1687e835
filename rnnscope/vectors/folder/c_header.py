"""``vectors.h``: the cases as constants of C99, for `runner.c`."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np

from rnnscope.model.cell import Array
from rnnscope.vectors.cases import ExpectedLayer, LayerNotes, VectorCase, VectorSet, limit_of

A_LINE = 6

HEAD = """\
/* Written by rnnscope vectors. Arrays are (sequence, timestep, unit), units side by side. */
#ifndef RNNSCOPE_VECTORS_H
#define RNNSCOPE_VECTORS_H

#include <stddef.h>

typedef {real} vec_real;

typedef struct {{
  const char *name;       /* a gate, c, m, outputs */
  int width;              /* of the last axis */
  int over_time;          /* 0: (sequence, unit), after the last valid step */
  int gate;               /* 1: means nothing at steps that do not count */
  double limit;           /* |got - expected| may be so much */
  const vec_real *values;
}} vec_array;

typedef struct {{
  const char *name;
  int rows, columns;      /* a vector has one row */
  const vec_real *values;
}} vec_weight;

typedef struct {{
  const char *name, *cell, *gates, *options; /* options: as JSON */
  int inputs, units, outputs;
  int backward;           /* reads each sequence from its end */
  int whole;              /* and takes the padding first */
  int heeds_lengths;
  int outputs_turned;     /* outputs stand in the order of the input, also if backward */
  int weight_count;       /* 0 without --weights */
  const vec_weight *weights;
}} vec_layer;

typedef struct {{
  int layer;              /* of vec_layers */
  int array_count;        /* in the order in which a step computes them, then the final ones */
  const vec_array *arrays;
}} vec_expected;

typedef struct {{
  const char *name;
  int whole;              /* 1: all layers together */
  int sequences, timesteps, inputs, outputs;
  const int *lengths;     /* valid steps of each sequence */
  const vec_real *x;
  int initial_count;      /* 0: starts as the model does */
  const vec_array *initial;
  int layer_count;
  const vec_expected *layers;
  double output_limit;
  const vec_real *expected_outputs; /* of the whole */
}} vec_case;

"""


def header_of(vectors: VectorSet) -> str:
    """The header as text."""
    double = any(case.dtype == np.float64 for case in vectors.cases)
    return "".join(_Header(vectors, double=double).parts())


class _Header:
    def __init__(self, vectors: VectorSet, *, double: bool) -> None:
        self._vectors = vectors
        self._double = double
        self._places = {layer.name: at for at, layer in enumerate(vectors.layers)}

    def parts(self) -> Iterator[str]:
        """The text, piece by piece."""
        yield HEAD.format(real="double" if self._double else "float")
        yield f"static const double vec_tolerance = {self._vectors.tolerance!r};\n\n"
        for at, layer in enumerate(self._vectors.layers):
            yield from self._weights(at, layer)
        rows = [self._layer(at, layer) for at, layer in enumerate(self._vectors.layers)]
        yield f"static const vec_layer vec_layers[] = {{\n{''.join(rows)}}};\n\n"
        for at, case in enumerate(self._vectors.cases):
            yield from self._case(at, case)
        cases = [self._row(at, case) for at, case in enumerate(self._vectors.cases)]
        yield f"static const vec_case vec_cases[] = {{\n{''.join(cases)}}};\n"
        yield f"enum {{ VEC_LAYERS = {len(rows)}, VEC_CASES = {len(cases)} }};\n\n#endif\n"

    def _weights(self, at: int, layer: LayerNotes) -> Iterator[str]:
        if not layer.weights:
            return
        rows = []
        for name, array in layer.weights.items():
            called = f"vec_w{at}_{name}"
            yield self._numbers(called, array)
            shape = array.shape if array.ndim == 2 else (1, array.shape[0])
            rows.append(f'  {{"{name}", {shape[0]}, {shape[1]}, {called}}},\n')
        yield f"static const vec_weight vec_w{at}[] = {{\n{''.join(rows)}}};\n\n"

    def _layer(self, at: int, layer: LayerNotes) -> str:
        options = layer.options
        backward = options["direction"] == "backward"
        flags = (
            backward,
            options["reversal"] == "whole",
            options["padding"] != "none",
            options["outputs_in_input_order"],
        )
        weights = f"{len(layer.weights)}, {f'vec_w{at}' if layer.weights else 'NULL'}"
        words = (layer.name, layer.kind, " ".join(layer.gates), json.dumps(dict(options)))
        return (
            f"  {{{', '.join(map(c_string, words))},\n   {layer.inputs}, {layer.units}, "
            f"{layer.outputs}, {', '.join(str(int(flag)) for flag in flags)}, {weights}}},\n"
        )

    def _case(self, at: int, case: VectorCase) -> Iterator[str]:
        lengths = ", ".join(map(str, case.lengths.tolist()))
        yield f"/* {case.name} */\nstatic const int vec_{at}_lengths[] = {{{lengths}}};\n"
        yield self._numbers(f"vec_{at}_x", case.x)
        rows = []
        for state, array in case.initial.items():
            yield self._numbers(f"vec_{at}_initial_{state}", array)
            width = array.shape[-1]
            rows.append(f'  {{"{state}", {width}, 0, 0, 0.0, vec_{at}_initial_{state}}},\n')
        if rows:
            yield f"static const vec_array vec_{at}_initial[] = {{\n{''.join(rows)}}};\n"
        layers = []
        for number, (name, expected) in enumerate(case.layers.items()):
            yield from self._expected(f"vec_{at}_{number}", self._places[name], expected)
            count = len(expected.steps) + len(expected.final)
            layers.append(f"  {{{self._places[name]}, {count}, vec_{at}_{number}}},\n")
        yield f"static const vec_expected vec_{at}_layers[] = {{\n{''.join(layers)}}};\n"
        if not case.layer:
            yield self._numbers(f"vec_{at}_outputs", case.outputs)
        yield "\n"

    def _expected(self, called: str, place: int, expected: ExpectedLayer) -> Iterator[str]:
        gates = self._vectors.layers[place].gates
        tolerance = self._vectors.tolerance
        rows = []
        for kind, arrays in (("", expected.steps), ("final_", expected.final)):
            for name, array in arrays.items():
                yield self._numbers(f"{called}_{kind}{name}", array)
                limit = limit_of(array, tolerance)
                rows.append(
                    f'  {{"{name}", {array.shape[-1]}, {int(not kind)}, '
                    f"{int(not kind and name in gates)}, {limit!r}, {called}_{kind}{name}}},\n"
                )
        yield f"static const vec_array {called}[] = {{\n{''.join(rows)}}};\n"

    def _row(self, at: int, case: VectorCase) -> str:
        sequences, timesteps, inputs = case.x.shape
        initial = f"{len(case.initial)}, {f'vec_{at}_initial' if case.initial else 'NULL'}"
        limit = limit_of(case.outputs, self._vectors.tolerance)
        outputs = "NULL" if case.layer else f"vec_{at}_outputs"
        return (
            f"  {{{c_string(case.name)}, {int(not case.layer)}, {sequences}, {timesteps}, "
            f"{inputs}, {case.outputs.shape[-1]},\n   vec_{at}_lengths, vec_{at}_x, {initial}, "
            f"{len(case.layers)}, vec_{at}_layers, {limit!r}, {outputs}}},\n"
        )

    def _numbers(self, name: str, array: Array) -> str:
        suffix = "" if self._double else "f"
        texts = [f"{text}{suffix}" for text in _texts(array)]
        rows = [", ".join(texts[at : at + A_LINE]) for at in range(0, len(texts), A_LINE)]
        body = ",\n  ".join(rows)
        return f"static const vec_real {name}[] = {{\n  {body}\n}};\n"


def _texts(array: Array) -> list[str]:
    """The shortest text of each number that C reads as a floating constant."""
    flat = array.reshape(-1)
    found = [str(text) for text in flat.astype("U32")]
    return [text if {".", "e"} & set(text) else f"{text}.0" for text in found]


def c_string(text: str) -> str:
    """A string constant of C99, in ASCII; no trigraph comes about."""
    found = ['"']
    for byte in text.encode("utf-8"):
        char = chr(byte)
        if char in '"\\?':
            found.append(f"\\{char}")
        elif 32 <= byte < 127:
            found.append(char)
        else:  # three digits, so that no digit behind it is taken for one of them
            found.append(f"\\{byte:03o}")
    return "".join((*found, '"'))
