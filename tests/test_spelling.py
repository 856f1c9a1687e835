"""Messages name options and next steps as the surface does that the user is at."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

import rnnscope as api
from rnnscope.cli.main import COMMANDS
from rnnscope.cli.spelling import AS_COMMAND_LINE
from rnnscope.errors import Spelling, spell_as, spell_command
from rnnscope.errors import spelled as texts_spelled

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "sample_data/lstm_float64"

STEPS = {
    ("run", "CHECKPOINT", "INPUT", ("output", "TRACE")): (
        "rnnscope.run(CHECKPOINT, INPUT, output=TRACE)",
        "rnnscope run CHECKPOINT INPUT -o TRACE",
    ),
    ("export", "NAME.h5", ("to", "zarr"), ("path", "NAME.zarr")): (
        'rnnscope.export("NAME.h5", "zarr", "NAME.zarr")',
        "rnnscope export NAME.h5 --to zarr -o NAME.zarr",
    ),
    ("conform_cases",): ("rnnscope.conform_cases()", "rnnscope conform --list"),
    ("write_vectors", "CHECKPOINT", ("path", "DIR")): (
        "rnnscope.write_vectors(CHECKPOINT, DIR)",
        "rnnscope vectors CHECKPOINT -o DIR",
    ),
    ("join", "trace.h5.parts", ("output", "trace.h5")): (
        'rnnscope.join("trace.h5.parts", "trace.h5")',
        "rnnscope join trace.h5.parts -o trace.h5",
    ),
    ("check", "TRACE", ("verify", "torch")): (
        'rnnscope.check(TRACE, verify="torch")',
        "rnnscope check TRACE --verify torch",
    ),
    ("explain", "my.pt", "INPUT", "port.npz"): (
        'rnnscope.explain("my.pt", INPUT, "port.npz")',
        "rnnscope explain my.pt INPUT port.npz",
    ),
    ("open_model", Path("my model.pt")): (
        'rnnscope.open_model("my model.pt")',
        "rnnscope inspect 'my model.pt'",
    ),
    ("diff", "A", "B", ("atol", ("c:0.1", "2")), ("exact", True), ("ulp", 3)): (
        'rnnscope.diff(A, B, atol=["c:0.1", "2"], exact=True, ulp=3)',
        "rnnscope diff A B --atol c:0.1 --atol 2 --exact --ulp 3",
    ),
}
"""A function of Python with what it is given: as a call, and as a line."""


@pytest.fixture
def command_line():
    spell_as(AS_COMMAND_LINE)
    yield
    spell_as()


def spelled(step):
    options = {one[0]: one[1] for one in step[1:] if isinstance(one, tuple)}
    return spell_command(
        step[0], *(one for one in step[1:] if not isinstance(one, tuple)), **options
    )


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step[0])
def test_python_shows_a_call(step):
    assert spelled(step) == STEPS[step][0]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step[0])
@pytest.mark.usefixtures("command_line")
def test_the_command_line_shows_a_line(step):
    assert spelled(step) == STEPS[step][1]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step[0])
def test_there_is_such_a_function_with_such_options_and_such_a_command(step):
    call = ast.parse(STEPS[step][0], mode="eval").body
    given = {one.arg: one.value for one in call.keywords}
    inspect.signature(getattr(api, step[0])).bind(*call.args, **given)
    assert STEPS[step][1].split()[1] in COMMANDS


def test_a_surface_of_ones_own():
    spell_as(Spelling(command=lambda function, arguments, options: f"<{function}>"))
    try:
        assert spell_command("run", "INPUT") == "<run>"
    finally:
        spell_as()
    assert spell_command("run", "INPUT") == "rnnscope.run(INPUT)"


def zarr_continued():
    from rnnscope.trace.stores.drafts import check_zarr_options

    pytest.importorskip("zarr")
    check_zarr_options(Path("states.zarr"), None, resume=True)


def no_such_case():
    list(api.conform_cases(only="nothing/of/this"))


def states_of_a_checkpoint():
    api.diff(SAMPLE / "model.ckpt", {"c": np.zeros((2, 10, 64))})


def no_trace_at_all():
    api.open_trace(SAMPLE / "inputs.npz")


def a_trace_for_a_model():
    with TemporaryDirectory() as folder:
        path = Path(folder) / "t.h5"
        api.run(SAMPLE / "model.ckpt", SAMPLE / "inputs.npz", output=path).close()
        api.open_model(path)


def another_kind_of_file():
    api.run(SAMPLE / "model.ckpt", SAMPLE / "inputs.npz", output="t.npz")


ERRORS = {
    a_trace_for_a_model: "look at it: rnnscope.show(TRACE); compute it again: "
    "rnnscope.rerun(TRACE)",
    another_kind_of_file: 'rnnscope.export(TRACE, "torch", "h_c.npz") writes a trace',
    zarr_continued: 'then: rnnscope.export("NAME.h5", "zarr", "NAME.zarr")',
    no_such_case: "rnnscope.conform_cases() shows them all",
    states_of_a_checkpoint: f'rnnscope.run("{SAMPLE / "model.ckpt"}", INPUT, output=TRACE)',
    no_trace_at_all: "make one with: rnnscope.run(CHECKPOINT, INPUT, output=TRACE)",
}


@pytest.mark.parametrize("do", ERRORS, ids=lambda do: do.__name__)
def test_errors_in_python_speak_python(do):
    with pytest.raises(api.RnnscopeError) as error:
        do()
    assert ERRORS[do] in error.value.hint
    assert not re.search(r" --?[a-z]", error.value.hint)


def test_texts_that_nobody_spelled_yet():
    """Advice of checks and kinds of files: written once, and spelled where it is shown."""
    text = "{diff(A, B)} tells, or {open_model(CHECKPOINT)}; {update_golden} keeps {lengths=auto}"
    assert texts_spelled(text) == (
        "rnnscope.diff(A, B) tells, or rnnscope.open_model(CHECKPOINT); update_golden keeps "
        "lengths=auto"
    )
    spell_as(AS_COMMAND_LINE)
    try:
        assert texts_spelled(text) == (
            "rnnscope diff A B tells, or rnnscope inspect CHECKPOINT; --update-golden keeps "
            "--lengths auto"
        )
    finally:
        spell_as()


def test_what_was_left_out_is_looked_at_with_python_in_python():
    model = ROOT / "sample_data/keras2_masked/model.h5"
    report = api.plan(model, model.parent / "inputs.npz")
    assert f'rnnscope.open_model("{model}")' in report.render("text", width=500)


def test_no_room_below_spells_a_command_itself():
    """A line that a user is to type is written by `spell_command`, not as it is in the code."""
    lines = []
    for path in sorted((ROOT / "rnnscope").rglob("*.py")):
        below = path.relative_to(ROOT / "rnnscope")
        if below.parts[0] in ("cli", "__main__.py"):
            continue
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            names = "|".join(name for name in COMMANDS if name != "help")
            told = "``" not in line and "### " not in line  # neither a docstring nor a heading
            typed = rf"\brnnscope ({names}) [A-Z{{<-]|'rnnscope ({names})'"
            if told and re.search(typed, line):
                lines.append(f"{below}:{number}: {line.strip()}")
    assert lines == []
