"""The JSON report: valid, complete, with keys that stay."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rnnscope.json_values import plain
from rnnscope.record.results.inspect_report import inspect_report
from rnnscope.report.json_document import render

from .samples import BIDIRECTIONAL_STACK, checkpoint, findings, run


def refuse(name):
    raise AssertionError(f"{name} is not JSON")


def parse(text):
    return json.loads(text, parse_constant=refuse)


def test_run():
    report = parse(render(run()))
    assert list(report) == [
        "schema_version",
        "report",
        "status",
        "command",
        "checkpoint",
        "input",
        "layers",
        "findings",
        "padding",
        "wiring",
        "notes",
        "verify",
        "verified_by",
        "trace",
        "engine",
        "seconds",
        "steps_per_second",
        "left_out",
        "dry_run",
        "bytes_of_states",
        "part",
        "parts",
    ]
    assert (report["schema_version"], report["report"], report["status"]) == (1, "run", "fail")
    assert report["input"]["shape"] == [2, 10, 8]
    assert report["findings"][2] == {
        "check": "outputs-past-length",
        "layer": "rnn/basic_lstm_cell",
        "status": "fail",
        "message": "outputs past the length are computed on; the rule is zeros",
        "measured": 0.0123456,
        "limit": 0.0,
        "place": {"sequence": 1, "timestep": 6, "unit": 12},
    }


def test_a_layer():
    layer = parse(render(run()))["layers"][0]
    assert list(layer) == [
        "name",
        "cell",
        "kind",
        "direction",
        "input_size",
        "num_units",
        "output_size",
        "projection",
        "peepholes",
        "dtype",
        "stored_gate_order",
        "variables",
        "reads",
        "wiring",
        "options",
        "evidence",
    ]
    assert layer["evidence"] == {
        "kind": "proved",
        "steps": 7,
        "difference": 1.3e-07,
        "detail": "",
    }
    assert layer["options"][0] == {
        "name": "forget_bias",
        "value": 1.0,
        "origin": "graph",
        "detail": "rnn/while/rnn/basic_lstm_cell/add/y",
    }
    assert [option["name"] for option in layer["options"]] == [
        "forget_bias",
        "activation",
        "recurrent_activation",
        "output_activation",
        "cell_clip",
        "proj_clip",
        "direction",
        "padding",
        "lengths",
        "initial_state",
        "state_format",
    ]


def test_inspect():
    report = parse(render(inspect_report(checkpoint(BIDIRECTIONAL_STACK))))
    assert list(report) == [
        "schema_version",
        "report",
        "checkpoint",
        "files",
        "inputs",
        "layers",
        "other_layers",
        "wiring",
        "left_out",
        "notes",
        "findings",
    ]
    assert report["other_layers"] == [{"name": "concat", "kind": "Dense", "reads": ["fw", "bw"]}]
    assert [layer["direction"] for layer in report["layers"]] == [
        "forward",
        "backward",
        "forward",
        "forward",
    ]
    assert report["layers"][2]["projection"] == report["layers"][2]["output_size"] == 4
    slots, step = report["left_out"]
    assert (slots["reason"], len(slots["entries"])) == ("optimizer slot", 6)
    assert step["entries"] == [{"name": "global_step", "shape": []}]


@pytest.mark.parametrize(
    ("value", "name"), [("nan", "NaN"), ("inf", "Infinity"), ("-inf", "-Infinity")]
)
def test_numbers_that_json_does_not_have_are_strings(value, name):
    odd = replace(findings()[0], measured=float(value))
    assert parse(render(run(findings=(odd,))))["findings"][0]["measured"] == name


def test_numpy_scalars_paths_and_control_characters():
    assert plain({"a": np.float32(0.5), "b": np.int64(2), "c": Path("x"), "d": (True, None)}) == {
        "a": 0.5,
        "b": 2,
        "c": "x",
        "d": [True, None],
    }
    text = render(run(notes=("\x1b[2J\u202e\ud800",)))
    assert text.isascii()
    assert "\x1b" not in text
    assert parse(text)["notes"] == ["\x1b[2J\u202e\ud800"]


def test_width_and_colour_change_nothing():
    assert render(run(), width=10, color=True) == render(run())
    assert run().to_dict()["status"] == run().status
