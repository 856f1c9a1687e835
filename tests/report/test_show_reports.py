"""The states of a trace in a terminal, word for word: in colours, without, in a pipe."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from seen_traces import waves, write_trace

import rnnscope
from rnnscope.report.states.heatmap_text import tenths
from rnnscope.report.states.sparkline_text import sparkline
from rnnscope.seeing.colours import TERMINAL_NO_NUMBER, TERMINAL_RAMP, terminal_colours
from rnnscope.trace import TraceHeader

SEVENTHS = np.linspace(-3, 3, 7)


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Two sequences of eight steps, five units whose numbers are tenths; the second ends early."""
    monkeypatch.chdir(tmp_path)
    steps, units = np.arange(8)[:, None], np.arange(5)[None, :]
    m = np.stack([(steps - 3) * (units - 2) / 10, (steps * (units + 1) % 7 - 3) / 10])
    header = TraceHeader(
        checkpoint="model.ckpt", checkpoint_format="tf1-saver", framework="TensorFlow 1.15.5",
        input="x.npz::x", engine="numpy", rnnscope_version="0.1.0", notes=("A note.",),
    )  # fmt: skip
    write_trace("t.h5", {"m": m, "c": 2 * m}, lengths=[8, 5], header=header)
    return "t.h5"


HEAD = """\
trace       2 sequences x 8 timesteps, lengths 8, 5
checkpoint  model.ckpt (tf1-saver, TensorFlow 1.15.5)
input       x.npz::x
engine      numpy, rnnscope 0.1.0

t.h5
"""


def test_without_colours_at_60_columns(path):
    shown = rnnscope.show(path, sequence=1)
    assert (
        shown.render(width=60)
        == HEAD
        + """\
`-- rnn/lstm  LSTMCell, forward, float64
    |-- c                        sequence 2 x timestep 8 x
    |                            unit 5
    |-- m                        sequence 2 x timestep 8 x
    |                            output 5
    |-- outputs                  the same as m
    |-- initial                  c, m
    |-- final                    c, m
    |-- options (class default)  cell_clip none
    `-- options (graph)          forget_bias 1.0

notes
  - A note.

m of rnn/lstm, sequence 1: 5 units x 8 timesteps
   0 -9  -6  -3   0  +3   /   /   /
   1 -9  -3  +3  +9  -6   /   /   /
   2 -9   0  +9  -3  +6   /   /   /
   3 -9  +3  -6  +6  -3   /   /   /
   4 -9  +6   0  -6  +9   /   /   /
step 0   1   2   3   4   5   6   7
digits: tenths of 0.3, with their sign   / padding

units by variance
unit  variance   min  max  over time
   4     0.052  -0.3  0.3  08519///
   1    0.0464  -0.3  0.3  03691///
   2    0.0456  -0.3  0.3  05938///
   3    0.0344  -0.3  0.2  08193///
   0      0.02  -0.3  0.1  02479///
"""
    )


def test_without_colours_at_80_columns_ranked(path):
    shown = rnnscope.show(path, state="c", sequence=1, rank="change", steps="1:7", units="1:4")
    assert (
        shown.render(width=80)
        == HEAD
        + """\
`-- rnn/lstm  LSTMCell, forward, float64
    |-- c                        sequence 2 x timestep 8 x unit 5
    |-- m                        sequence 2 x timestep 8 x output 5
    |-- outputs                  the same as m
    |-- initial                  c, m
    |-- final                    c, m
    |-- options (class default)  cell_clip none
    `-- options (graph)          forget_bias 1.0

notes
  - A note.

c of rnn/lstm, sequence 1: 3 units by change x 6 timesteps
   2  0  +9  -3  +6   /   /
   3 +3  -6  +6  -3   /   /
   1 -3  +3  +9  -6   /   /
step 1   2   3   4   5   6
digits: tenths of 0.6, with their sign   / padding

units by change
unit  change   min  max  over time
   2   0.667  -0.2  0.6  2907//
   3   0.667  -0.4  0.4  7092//
   1     0.6  -0.4  0.6  2690//
"""
    )


def test_in_colours_at_120_columns(path):
    """Escapes are cut out; what is left is the picture without its colours."""
    text = rnnscope.show(path, sequence=1).render(width=120, color=True)
    assert (
        re.sub(r"\x1b\[[\d;]*m", "", text)
        == HEAD
        + """\
└── rnn/lstm  LSTMCell, forward, float64
    ├── c                        sequence 2 x timestep 8 x unit 5
    ├── m                        sequence 2 x timestep 8 x output 5
    ├── outputs                  the same as m
    ├── initial                  c, m
    ├── final                    c, m
    ├── options (class default)  cell_clip none
    └── options (graph)          forget_bias 1.0

notes
  - A note.

m of rnn/lstm, sequence 1: 5 units x 8 timesteps
 0/1 ▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀╱╱╱╱╱╱╱╱╱╱╱╱
 2/3 ▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀╱╱╱╱╱╱╱╱╱╱╱╱
   4 ▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀╱╱╱╱╱╱╱╱╱╱╱╱
step 0   1   2   3   4   5   6   7
-0.3 █████████████ 0.3   ╱╱ padding

units by variance
unit  variance   min  max  over time
   4     0.052  -0.3  0.3  ▁▇▅▂█╱╱╱
   1    0.0464  -0.3  0.3  ▁▃▆█▂╱╱╱
   2    0.0456  -0.3  0.3  ▁▅█▃▇╱╱╱
   3    0.0344  -0.3  0.2  ▁▇▂█▄╱╱╱
   0      0.02  -0.3  0.1  ▁▂▄▆█╱╱╱
"""
    )


def test_colours_are_those_of_the_numbers(path):
    """The first line of cells: unit 0 above unit 1, by the numbers of the terminal's palette."""
    shown = rnnscope.show(path)
    text = shown.render(width=60, color=True)
    line = next(line for line in text.splitlines() if line.startswith(" 0/1"))
    cells = re.findall(r"\x1b\[38;5;(\d+);48;5;(\d+)m(▀+)", line)
    colours = terminal_colours(shown.heatmap.low, shown.heatmap.limit)
    assert [(int(a), int(b)) for a, b, _ in cells] == list(
        zip(colours[0].tolist(), colours[1].tolist(), strict=True)
    )
    assert {len(blocks) for *_, blocks in cells} == {4}


def test_in_a_pipe(path):
    shown = rnnscope.show(path, state="c", sequence=1, steps="3:")
    assert (
        shown.render("numbers")
        == """\
# t.h5
# `-- rnn/lstm  LSTMCell, forward, float64
#     |-- c                        sequence 2 x timestep 8 x unit 5
#     |-- m                        sequence 2 x timestep 8 x output 5
#     |-- outputs                  the same as m
#     |-- initial                  c, m
#     |-- final                    c, m
#     |-- options (class default)  cell_clip none
#     `-- options (graph)          forget_bias 1.0
# c of rnn/lstm, sequence 1: 5 units x 5 timesteps
# padding: 5:8
# unit 3 4 5 6 7
0 0.0 0.2 0.4 0.6 -0.6
1 0.6 -0.4 0.0 0.4 -0.6
2 -0.2 0.4 -0.4 0.2 -0.6
3 0.4 -0.2 0.6 0.0 -0.6
4 -0.4 0.6 0.2 -0.2 -0.6
"""
    )


def test_a_pipe_is_read_by_numpy(path):
    """Bit for bit, float32 too."""
    arrays = waves(1, 9, 4)
    write_trace("w.h5", arrays)
    for name in ("c", "f"):
        text = rnnscope.show("w.h5", state=name).render("numbers")
        table = np.loadtxt(io.StringIO(text), dtype=np.float32)
        np.testing.assert_array_equal(table[:, 0], np.arange(4))
        np.testing.assert_array_equal(table[:, 1:], arrays[name][0].T)


def test_bins_in_a_pipe_come_in_pairs(path):
    text = rnnscope.show(path, sequence=1, cells=10).render("numbers")
    assert text.endswith("""\
# m of rnn/lstm, sequence 1: 5 units x 8 timesteps
# padding: 5:8
# a cell is 1 unit x up to 4 timesteps: the largest value above, the smallest below
# unit 0:4 4:8
0 0.0 0.1
0 -0.3 0.1
1 0.3 -0.2
1 -0.3 -0.2
2 0.3 0.2
2 -0.3 0.2
3 0.2 -0.1
3 -0.3 -0.1
4 0.2 0.3
4 -0.3 0.3
""")


def test_bins_in_a_terminal_have_two_halves(path):
    write_trace("w.h5", waves(1, 400, 70))
    shown = rnnscope.show("w.h5")
    plain = shown.render(width=80)
    assert "a cell is up to 5 units x up to 11 timesteps: the largest value above, the" in plain
    assert max(map(len, plain.splitlines())) <= 80
    coloured = re.sub(r"\x1b\[[\d;]*m", "", shown.render(width=80, color=True))
    assert "a cell is up to 3 units x up to 6 timesteps: the largest value above, the" in coloured
    assert sum("▀" in line for line in coloured.splitlines()) == 32
    ranked = rnnscope.show("w.h5", rank="variance", steps="0:10").render(width=80)
    assert "the first 32 of 70 units by variance x 10 timesteps" in ranked


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize("timesteps", [1, 30, 999])
def test_no_line_is_wider_than_the_terminal(tmp_path, monkeypatch, width, color, timesteps):
    monkeypatch.chdir(tmp_path)
    write_trace(
        "w.h5", waves(1, timesteps, 33), layer="a/long/name/of/a/layer", lengths=[timesteps]
    )
    text = rnnscope.show("w.h5").render(width=width, color=color)
    plain = re.sub(r"\x1b\[[\d;]*m", "", text)
    assert max(map(len, plain.splitlines())) <= width
    assert color or plain.isascii()


def test_tokens_stand_below_their_cells_or_in_a_list(path):
    Path("short.txt").write_text("\n".join("abcdefgh"))
    Path("long.txt").write_text("\n".join(f"antidisestablishmentarianism-{n}" for n in range(8)))
    short = rnnscope.show(path, labels="short.txt").render(width=60)
    assert "\nstep 0   1   2   3   4   5   6   7\n     a   b   c   d   e   f   g   h\n" in short
    assert "\ntokens" not in short
    long = rnnscope.show(path, labels="long.txt").render(width=60)
    assert "\ntokens  0 antidisestablishmentarianism-0" in long


def test_names_of_a_file_stay_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_trace("w.h5", waves(1, 4, 3), layer="[red]x[/red]\x1b[31m\u202e<b>",
                options={"[bold]o": ("[/]", "\x1b]0;t\x07")})  # fmt: skip
    shown = rnnscope.show("w.h5")
    for name in ("text", "numbers"):
        text = shown.render(name, width=80)
        assert "[red]x[/red][31m<b>" in text
        assert "[bold]o [/]" in text
        assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", text)


def test_a_trace_without_steps_shows_its_tree(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_trace("w.h5", {"m": np.zeros((0, 3, 2), np.float32)})
    text = rnnscope.show("w.h5").render(width=80)
    assert text.endswith("It holds no states over time.\n")
    assert "0 sequences x 3 timesteps" in text
    with pytest.raises(rnnscope.RnnscopeError, match="holds no states over time"):
        rnnscope.show("w.h5", state="m")


def test_what_is_no_number_is_a_question_mark(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    m = np.full((1, 2, 3), 0.5)
    m[0, 1, 1] = np.nan
    write_trace("w.h5", {"m": m})
    text = rnnscope.show("w.h5").render(width=80)
    assert "   1 +9   ?\n" in text
    assert "? no number" in text
    assert " 1       nan" in text
    assert "1 0.5 nan\n" in rnnscope.show("w.h5").render("numbers")
    assert rnnscope.show("w.h5").to_dict()["heatmap"]["low"][1] == [0.5, "NaN"]


@pytest.mark.parametrize(
    ("value", "sign"),
    [(0, " 0"), (0.09, " 0"), (-0.1, "-1"), (0.3, "+3"), (1, "+9"), (-7, "-9"), (np.nan, " ?")],
)
def test_tenths_of_the_limit(value, sign):
    assert tenths(value, 1.0) == sign


def test_palette_has_the_middle_at_zero():
    found = terminal_colours(np.array([-9.0, 0, 9, np.nan, *SEVENTHS[1:3]]), 3.0)
    middle = TERMINAL_RAMP[len(TERMINAL_RAMP) // 2]
    assert found[:4].tolist() == [TERMINAL_RAMP[0], middle, TERMINAL_RAMP[-1], TERMINAL_NO_NUMBER]
    assert found[4:].tolist() == [TERMINAL_RAMP[2], TERMINAL_RAMP[4]]


def test_sparklines():
    values, padding = np.array([0, 1, 2, 3, np.nan, 9.0]), np.array([False] * 5 + [True])
    assert sparkline(values, padding, plain=False) == "▁▃▆█?╱"
    assert sparkline(values, padding, plain=True) == "0369?/"
    assert sparkline(np.ones(2), np.zeros(2, bool), plain=True) == "55"
