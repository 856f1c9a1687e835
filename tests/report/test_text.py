"""The text report, literally, at fixed widths and without colour."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from rnnscope.checkpoints.interface import LeftOut
from rnnscope.checks.interface import Finding, StatePlace, index
from rnnscope.errors import CheckpointError
from rnnscope.model.evidence import BY_NAME
from rnnscope.record.results.inspect_report import inspect_report
from rnnscope.record.results.model_report import left_out_groups
from rnnscope.report.errors.error_text import render_error
from rnnscope.wording import number, option_value, printable, shape, some

from .samples import BIDIRECTIONAL_STACK, LEFT_OUT, checkpoint, findings, run


def render(report, **how):
    return report.render("text", **how)


RUN_TEXT = """\
checkpoint  model.ckpt-100 (tf1-saver, TensorFlow 1.15.5)
input       x.npy: 2 x 10 x 8, float64, lengths 10, 6 from --lengths
engine      numpy, 0.01 s, 1,626 steps/s
trace       trace.h5

layer                cell           direction  input  units  dtype    extras
rnn/basic_lstm_cell  BasicLSTMCell  forward        8     64  float64  none

options
option                value         origin         read from
forget_bias           1.0           graph          rnn/while/rnn/basic_lstm_cell/add/y
activation            tanh          graph          rnn/while/rnn/basic_lstm_cell/Tanh
recurrent_activation  sigmoid       class default
output_activation     tanh          graph
cell_clip             none          class default
proj_clip             none          flag           --proj-clip
direction             forward       graph
padding               zeros         graph          rnn/while/Select
initial_state         zeros         graph          rnn/zeros
state_format          tuple (c, m)  guess
lengths               sequence_length from placeholder 'lengths' (graph)
evidence              proved on 7 random steps, below 1e-6

checks
status  check                             measured  limit  where
pass    last-output-is-m                         0      0
pass    final-state-is-last-valid-step           0      0
fail    outputs-past-length                 0.0123      0  [1, 6, 12]
warn    input-tail                      1 sequence      0  [1, 6]
skip    length-cuts-input
pass    m-bound                              0.965      1  [0, 9, 63]

fail    outputs-past-length: outputs past the length are computed on; the rule is zeros (sequence 1,
        timestep 6, unit 12)
        Compare the lengths with those the layer was given, and the padding rule (--padding) with
        the framework that ran it: TensorFlow, torch and ONNX give zeros, Keras repeats.
warn    input-tail: the length runs through all-zero rows at the end of the input (sequence 1,
        timestep 6)
        If the zero rows are padding, give shorter --lengths (or --lengths auto); if they are data,
        all is well.
skip    length-cuts-input: needs lengths or a mask

padding
  - rnn/basic_lstm_cell: no lengths: every step was computed

verified with TensorFlow 2.21.0
status  state  difference  limit  kernel     layer
pass    c         1.2e-16  1e-12  BlockLSTM  rnn/basic_lstm_cell

notes
  - The graph holds no activation; tanh is the default of BasicLSTMCell.
"""

INSPECT_TEXT = """\
checkpoint  model.ckpt-100 (tf1-saver, TensorFlow 1.15.5)

layer  cell           direction  input  units  dtype    extras
fw     BasicLSTMCell  forward        8     64  float64  none
bw     BasicLSTMCell  backward       8     64  float64  none
top    BasicLSTMCell  forward      128     32  float64  projection to 4
over   BasicLSTMCell  forward        4     64  float64  none

options of all 4 layers
option                value              origin         read from
forget_bias           1.0                graph          rnn/while/rnn/basic_lstm
                                                        _cell/add/y
activation            tanh               graph          rnn/while/rnn/basic_lstm
                                                        _cell/Tanh
recurrent_activation  sigmoid            class default
output_activation     tanh               graph
cell_clip             none               class default
proj_clip             none               flag           --proj-clip
direction             forward, backward  graph
padding               zeros              graph          rnn/while/Select
initial_state         zeros              graph          rnn/zeros
state_format          tuple (c, m)       guess
lengths               sequence_length from placeholder 'lengths' (graph)
evidence              proved on 7 random steps, below 1e-6

variables
  - fw: rnn/basic_lstm_cell/kernel, rnn/basic_lstm_cell/bias (gates stored as i
    g f o)
  - bw: rnn/basic_lstm_cell/kernel, rnn/basic_lstm_cell/bias (gates stored as i
    g f o)
  - top: rnn/basic_lstm_cell/kernel, rnn/basic_lstm_cell/bias (gates stored as i
    g f o)
  - over: rnn/basic_lstm_cell/kernel, rnn/basic_lstm_cell/bias (gates stored as
    i g f o)

weights
  - fw: kernel is all zero, recurrent_kernel is all zero
  - fw: 64 of 64 units see neither input nor state: every weight is zero
  - bw: kernel is all zero, recurrent_kernel is all zero
  - bw: 64 of 64 units see neither input nor state: every weight is zero
  - top: kernel is all zero, recurrent_kernel is all zero
  - top: 32 of 32 units see neither input nor state: every weight is zero
  - over: kernel is all zero, recurrent_kernel is all zero
  - over: 64 of 64 units see neither input nor state: every weight is zero

wiring
  - fw and bw read x: the two directions of a bidirectional layer
  - concat reads fw and bw
  - top reads concat, stacked on fw and bw (guess)
  - over reads top and is stacked on it

other layers
  - concat: Dense

left out
  - optimizer slot: kernel/Adam_0 (72 x 256), kernel/Adam_1 (72 x 256),
    kernel/Adam_2 (72 x 256), kernel/Adam_3 (72 x 256) and 2 more
  - training step: global_step

notes
  - The graph holds no activation; tanh is the default of BasicLSTMCell.
"""


def test_run_at_100_columns():
    assert render(run(), width=100) == RUN_TEXT


def test_inspect_at_80_columns():
    assert render(inspect_report(checkpoint(BIDIRECTIONAL_STACK)), width=80) == INSPECT_TEXT


@pytest.mark.parametrize("width", [80, 100, 120])
def test_no_line_is_wider_than_asked(width):
    for report in (run(), inspect_report(checkpoint(BIDIRECTIONAL_STACK))):
        assert max(map(len, render(report, width=width).splitlines())) <= width


def test_a_console_that_is_no_terminal_gets_no_escapes():
    assert render(run(), width=100, color=False) == RUN_TEXT


def test_colour_is_written_only_when_asked_for(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[1;31mfail" in render(run(), color=True)
    assert "\x1b" not in render(run())


def test_no_color_is_honoured(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    text = render(run(), color=True)
    assert not any(f"{code}m" in text for code in range(30, 38))


def test_long_names_of_layers_stand_in_a_list():
    """They would leave the columns no room."""
    (layer,) = run().layers
    names = [f"bidirectional_rnn/{way}/multi_rnn_cell/cell_0/lstm_cell" for way in ("fw", "bw")]
    text = render(run(layers=tuple(replace(layer, name=name) for name in names)), width=80)
    assert f"layer 1  {names[0]}\nlayer 2  {names[1]}\n" in text
    assert "\n2      BasicLSTMCell  forward" in text


def test_layers_that_agree_share_a_table_of_checks_and_bad_ones_stand_apart():
    good = [
        replace(finding, layer=name, place=None)
        for name in ("b", "c")
        for finding in findings()
        if finding.status in ("pass", "skip")
    ]
    good[-1] = replace(good[-1], measured=0.99)
    text = render(run(findings=(*findings("a"), *good)))
    assert "checks of a\n" in text
    shared = text.split("checks of b, c\n")[1].split("\n\n")[0]
    assert shared == (
        "status  check                           measured  limit  where\n"
        "pass    last-output-is-m                       0      0\n"
        "pass    final-state-is-last-valid-step         0      0\n"
        "skip    length-cuts-input\n"
        "pass    m-bound                             0.99      1"
    )
    assert "fail    outputs-past-length in a: outputs" in text
    assert "skip    length-cuts-input: needs lengths or a mask" in text


def test_options_that_differ_have_a_table_each():
    (layer,) = run().layers
    other = replace(layer, name="other", options=(replace(layer.options[0], value=0.0),))
    text = render(run(layers=(layer, other)))
    assert "options of rnn/basic_lstm_cell\n" in text
    assert "options of other\n" in text


def test_a_verification_that_failed_says_so():
    (row,) = run().verify
    report = run(verify=(replace(row, difference=float("nan"), ok=False),))
    assert "fail    c             nan  1e-12" in render(report)
    assert report.status == "fail"


def test_a_checkpoint_without_recurrent_layers_says_so():
    report = replace(inspect_report(checkpoint()), layers=(), wiring=())
    assert "layers\n  - no recurrent layer was found\n" in render(report)


def test_markup_and_escapes_in_names_are_printed_literally_or_not_at_all():
    """A file must not colour, erase or turn round what the user sees."""
    evil = "[red]rnn[/red]\x1b[2J\x9b\u202e:smile:\nfail"
    (layer,) = run().layers
    report = run(
        layers=(replace(layer, name=evil),),
        findings=tuple(replace(finding, layer=evil) for finding in findings()),
        notes=(evil,),
    )
    text = render(report, width=120)
    assert not {"\x1b", "\x9b", "\u202e"} & set(text)
    assert "  - [red]rnn[/red][2J:smile: fail\n" in text
    left = replace(LEFT_OUT[0], name=evil)
    assert "\x1b" not in render(inspect_report(checkpoint(left_out=(left,))))


def test_an_unknown_check_is_printed_too():
    """Suites bring checks that are in no table."""
    finding = Finding("golden", "a", "fail", "differs", 0.5, 0.1, StatePlace(2, None, 1))
    text = render(run(findings=(finding,)))
    assert "fail    golden       0.5    0.1  [2, :, 1]" in text
    assert "fail    golden: differs (sequence 2, unit 1)" in text


ERROR = CheckpointError(
    "The shard is shorter than its index says.",
    where="model.ckpt-100.data-00000-of-00001\x1b[2J",
    expected="4096 bytes",
    found="one of\n[b]a[/b]\nb",
    hint="Copy the file again.",
)


def test_an_error_is_one_line_and_its_labelled_parts():
    expected = (
        "error: The shard is shorter than its index says.\n"
        "  where: model.ckpt-100.data-00000-of-00001[2J\n"
        "  expected: 4096 bytes\n"
        "  found: one of\n"
        "    [b]a[/b]\n"
        "    b\n"
        "  next: Copy the file again.\n"
    )
    assert render_error(ERROR) == expected
    assert re.sub(r"\x1b\[[0-9;]*m", "", render_error(ERROR, color=True)) == expected


def test_the_lines_of_an_error_are_not_wrapped(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    error = CheckpointError("There is no such file.", where="folder/" * 30)
    for color in (False, True):
        assert "folder/" * 30 in render_error(error, color=color)
    assert render_error(error, color=True).startswith("\x1b[1;31merror: ")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (0.0, "0"),
        (-0.0, "0"),
        (12.0, "12"),
        (0.0123456, "0.0123"),
        (1e-16, "1e-16"),
        (1e9, "1e+09"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
    ],
)
def test_numbers(value, text):
    assert number(value) == text


def test_words():
    assert [option_value(value) for value in (None, True, False, 0.5, "tanh")] == [
        "none",
        "yes",
        "no",
        "0.5",
        "tanh",
    ]
    assert (shape((2, 3)), shape(())) == ("2 x 3", "scalar")
    assert (index(None), index(StatePlace(1)), index(StatePlace())) == ("", "[1]", "")
    assert some(["a", "b", "c"], most=2) == "a, b and 1 more"
    assert printable("a\tb\u2028c\ud800\x00é") == "a b cé"


def test_layers_known_in_different_ways_stand_apart():
    report = inspect_report(checkpoint(BIDIRECTIONAL_STACK))
    first, *others = report.layers
    named = replace(first, evidence=BY_NAME)
    text = render(replace(report, layers=(named, *others)), width=100)
    assert f"options of {first.name}\n" in text
    assert re.search(r"^evidence +by name$", text, re.MULTILINE)
    assert re.search(r"^evidence +proved on 7 random steps, below 1e-6$", text, re.MULTILINE)


def test_what_is_left_out_for_long_reasons_is_counted_together():
    """Equal counts of several reasons are not one."""
    left = (
        LeftOut("a", "it looks recurrent, but no name tells what its cell is"),
        LeftOut("b", "it looks recurrent, but its shapes are those of many cells"),
        LeftOut("c", "training step"),
    )
    text = render(run(left_out=left_out_groups(checkpoint(left_out=left))))
    said = "2 that no layer was read from, 1 training step: rnnscope inspect "
    assert said in " ".join(text.split())
