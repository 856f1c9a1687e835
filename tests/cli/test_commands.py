"""What the commands understand of half-typed lines: other words, short flags, what is left out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import rnnscope as api

SAMPLE = Path(__file__).parents[2] / "sample_data/lstm_float64"


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    path = tmp_path_factory.mktemp("trace") / "trace.h5"
    with api.run(SAMPLE / "model.ckpt", SAMPLE / "inputs.npz", output=path):
        return path


@pytest.fixture
def inputs(tmp_path):
    return Path(shutil.copy(SAMPLE / "inputs.npz", tmp_path / "mine.npz"))


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("insepct", "did you mean 'rnnscope inspect'?"),
        ("Run", "did you mean 'rnnscope run'?"),
        ("model.ckpt", "a command comes first: rnnscope inspect model.ckpt"),
        ("frobnicate", "rnnscope --help lists them"),
    ],
)
def test_a_word_that_is_no_command(rnnscope, typed, hint):
    done = rnnscope(typed, "x")
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: There is no command '{typed}'.\n")
    assert done.stderr.endswith(f"  next: {hint}\n")


def test_short_flags(rnnscope, trace, tmp_path):
    assert rnnscope("-V").stdout == rnnscope("--version").stdout == "rnnscope, version 0.1.0\n"
    line = ("run", SAMPLE / "model.ckpt", SAMPLE / "inputs.npz", "-o", tmp_path / "x.h5", "-q")
    assert rnnscope(*line).code == 0
    again = rnnscope(*line)
    assert (again.code, again.stderr.splitlines()[0]) == (2, "error: The trace exists already.")
    done = rnnscope(*line, "-f")
    assert (done.code, done.stdout, done.stderr) == (0, "", "")


def test_a_trace_beside_the_input_where_no_name_is_given(rnnscope, inputs):
    done = rnnscope("run", SAMPLE / "model.ckpt", inputs)
    expected = inputs.with_name("mine.trace.h5")
    assert done.code == 0
    assert done.stderr == f"no -o: the trace is {expected}\n"
    assert f"trace       {expected.name}" in done.stdout or str(expected) in done.stdout
    assert api.check(expected).status == "pass"
    assert rnnscope("run", SAMPLE / "model.ckpt", inputs).code == 2  # it is never replaced unasked


def test_a_dry_run_reads_all_and_writes_nothing(rnnscope, inputs):
    done = rnnscope("run", SAMPLE / "model.ckpt", inputs, "--dry-run", "--format", "json")
    told = json.loads(done.stdout)
    assert done.code == 0
    assert [path.name for path in inputs.parent.iterdir()] == ["mine.npz"]
    assert (told["dry_run"], told["seconds"], told["status"]) == (True, None, "skip")
    assert told["layers"][0]["name"] == "rnn/lstm_cell"
    # c, m and outputs of 2 sequences x 10 timesteps x 64 units in float64
    assert told["bytes_of_states"] == 3 * 2 * 10 * 64 * 8
    assert api.plan(SAMPLE / "model.ckpt", inputs).bytes_of_states == told["bytes_of_states"]


def test_a_dry_run_refuses_what_a_run_refuses(rnnscope, inputs, tmp_path):
    np.save(tmp_path / "narrow.npy", np.ones((2, 3, 5)))
    assert rnnscope("run", SAMPLE / "model.ckpt", tmp_path / "narrow.npy", "--dry-run").code == 2
    done = rnnscope("run", SAMPLE / "model.ckpt", inputs, "-o", inputs, "--dry-run")
    assert done.code == 2


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("x.npz", "error: A trace is an HDF5 file or a zarr store, and this is the name"),
        ("-", "error: The trace cannot be written to stdout.\n"),
    ],
)
def test_names_that_are_no_trace(rnnscope, tmp_path, monkeypatch, name, said):
    monkeypatch.chdir(tmp_path)
    done = rnnscope("run", SAMPLE / "model.ckpt", SAMPLE / "inputs.npz", "-o", name)
    assert done.code == 2
    assert done.stderr.startswith(said)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["export", "{t}", "--to", "torch", "-o", "-"], "The output cannot be written to stdout."),
        (
            ["export", "{t}", "--to", "trace", "-o", "x.npz"],
            "A trace is an HDF5 file or a zarr store, ",
        ),
        (["report", "{t}", "-o", "-"], "The page cannot be written to stdout."),
        (["report", "{t}", "-o", "x.txt"], "A page is an HTML file, and this is the name of "),
    ],
)
def test_names_of_other_outputs(rnnscope, trace, tmp_path, monkeypatch, line, said):
    monkeypatch.chdir(tmp_path)
    done = rnnscope(*(str(part).format(t=trace) for part in line))
    assert done.code == 2
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_exists_already_is_called_what_it_is(rnnscope, trace, tmp_path):
    for name in ("a.npz", "b.npz"):
        (tmp_path / name).touch()
    done = rnnscope("export", trace, "--to", "keras", "-o", tmp_path / "a.npz")
    assert done.stderr.startswith("error: The output exists already.\n")
    done = rnnscope("pool", trace, "--method", "mean", "-o", tmp_path / "b.npz")
    assert done.stderr.startswith("error: The file of pooled states exists already.\n")


SUITE = """
[[case]]
name = "sample"
checkpoint = "model.ckpt"
input = "inputs.npz"
golden = "golden/sample.h5"
"""


@pytest.fixture
def suite_folder(tmp_path, trace, monkeypatch):
    for file in SAMPLE.iterdir():
        shutil.copy(file, tmp_path / file.name)
    (tmp_path / "golden").mkdir()
    shutil.copy(trace, tmp_path / "golden/sample.h5")
    (tmp_path / "rnnscope.toml").write_text(SUITE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_check_finds_the_suite_of_the_folder(rnnscope, suite_folder):
    done = rnnscope("check")
    assert (done.code, done.stderr) == (0, "no TRACE: the suite is rnnscope.toml\n")
    assert done.stdout.startswith("checked  sample\n")
    (suite_folder / "rnnscope.toml").unlink()
    done = rnnscope("check")
    assert done.code == 2
    assert "say what to check: TRACE, --suite FILE or --outputs FILE; there is no" in done.stderr


def test_golden_traces_that_no_case_uses_are_named(rnnscope, suite_folder):
    shutil.copy(suite_folder / "golden/sample.h5", suite_folder / "golden/old.h5")
    (suite_folder / "golden/notes.h5").write_text("no trace")
    done = rnnscope("check", "--format", "json")
    old = suite_folder / "golden/old.h5"
    assert json.loads(done.stdout)["notes"] == [f"{old} is the golden trace of no case"]
    text = " ".join(rnnscope("check").stdout.split())
    assert "old.h5 is the golden trace of no case" in text
    # Of some of the cases nothing can be said.
    done = rnnscope("check", "--case", "sample", "--format", "json")
    assert json.loads(done.stdout)["notes"] == []


def test_many_subjects_have_a_line_each(rnnscope, trace, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # short names, of which each fits a line
    trace, none = shutil.copy(trace, "t.h5"), "none.h5"
    done = rnnscope("check", trace, none, trace, trace)
    assert done.code == 2
    assert done.stderr == (
        f"error: There is no such file.\n  where: {none}\n  next: Check the path.\n"
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 6
    assert lines[-1] == "4 subjects: 39 passed, 27 skipped, 1 could not be checked"
    assert "13 passed, 9 skipped" in done.stdout
    tables = rnnscope("check", trace, none, trace, trace, "-v").stdout
    assert tables.count("last-output-is-m") == 3
    assert "last-output-is-m" in rnnscope("check", trace).stdout


def test_errors_of_check_go_to_stderr(rnnscope, tmp_path):
    done = rnnscope("check", tmp_path / "none.h5")
    assert done.code == 2
    assert done.stderr.startswith("error: There is no such file.\n  where: ")
    assert "next:" not in done.stdout


def test_a_junit_file_without_a_folder_is_refused_before_the_work(rnnscope, trace, tmp_path):
    done = rnnscope("check", tmp_path / "none.h5", "--junit", tmp_path / "nodir/x.xml")
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr == (
        "error: The JUnit file cannot be written.\n"
        f"  where: {tmp_path}/nodir/x.xml\n"
        "  expected: the name of a file in a folder that exists\n"
        "  found: no such folder\n"
        f"  next: mkdir -p {tmp_path}/nodir\n"
    )


def test_what_has_a_limit_is_listed_and_completed(rnnscope):
    done = rnnscope("check", "--limit", "list")
    assert done.code == 2
    assert "error: --limit needs CHECK=VALUE.\n" in done.stderr
    assert "saturation=0.5" in done.stderr
    from rnnscope.cli.checking.arguments import complete_limits

    assert complete_limits(None, None, "sat") == ["saturation=0.5"]
