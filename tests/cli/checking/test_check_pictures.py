"""``rnnscope check --pictures``: where a trace parts first from its golden one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import pytest
from seen_traces import waves, write_trace

import rnnscope as library

SAMPLE = Path(__file__).resolve().parents[3] / "sample_data" / "lstm_float64"


@pytest.fixture
def traces(tmp_path, monkeypatch):
    """``a.h5`` and ``golden.h5``, which differ from step 5 of sequence 1 on."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RUNNER_TEMP", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    arrays = waves()
    write_trace("a.h5", arrays)
    arrays["c"][1, 5:, 2] += 0.25
    write_trace("golden.h5", arrays)


def test_a_picture_is_written_where_they_part(traces, rnnscope):
    result = rnnscope("check", "a.h5", "--golden", "golden.h5", "--only", "golden",
                      "--pictures", "pictures")  # fmt: skip
    assert result.code == 1
    assert "\npicture  pictures/a.svg\n" in result.stdout
    text = Path("pictures/a.svg").read_text("utf-8")
    assert "c of rnn/lstm parts first at sequence 1, timestep 5, unit 2" in text


def test_the_same_have_none(traces, rnnscope):
    result = rnnscope("check", "a.h5", "--golden", "a.h5", "--only", "golden", "--pictures", "p")
    assert (result.code, "picture" in result.stdout) == (0, False)
    assert list(Path("p").iterdir()) == []


def test_on_github_it_goes_among_the_job_s_own_files(traces, rnnscope, monkeypatch):
    monkeypatch.setenv("RUNNER_TEMP", "temp")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    arguments = ("check", "a.h5", "--golden", "golden.h5", "--only", "golden")
    assert "picture" not in rnnscope(*arguments).stdout
    rnnscope(*arguments, "--github")
    assert [path.name for path in Path("temp/rnnscope").iterdir()] == ["a.svg"]
    assert "- first divergence: picture a.svg" in Path("summary.md").read_text("utf-8")


def test_it_needs_something_to_compare_with(traces, rnnscope):
    result = rnnscope("check", "a.h5", "--pictures", "p")
    assert result.code == 2
    assert "--pictures goes with --golden or --suite" in result.stderr
    with pytest.raises(library.RnnscopeError, match="pictures go with golden"):
        library.check("a.h5", pictures="p")


def test_layers_that_are_not_checked_have_none(traces, rnnscope):
    rnnscope("check", "a.h5", "--golden", "golden.h5", "--layer", "rnn/*", "--pictures", "p")
    assert Path("p/a.svg").exists()


def test_a_folder_that_cannot_be_made_is_named(traces, rnnscope):
    Path("file").write_text("")
    result = rnnscope("check", "a.h5", "--golden", "golden.h5", "--pictures", "file")
    assert result.code == 2
    assert "The folder for pictures cannot be made." in result.stderr


def test_cases_of_a_suite_have_theirs(tmp_path, monkeypatch, rnnscope):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(SAMPLE, "model")
    name = 'odd name: <"x">'
    Path("suite.toml").write_text(
        f"[[case]]\nname = '{name}'\ncheckpoint = \"model/model.ckpt\"\n"
        'input = "model/inputs.npz"\ngolden = "golden.h5"\nchecks = { only = ["golden"] }\n'
    )
    update = ("check", "--suite", "suite.toml", "--update-golden", "--allow-empty")
    assert rnnscope(*update).code == 0
    with h5py.File("golden.h5", "r+") as file:
        file["rnn/lstm_cell/c"][1, 3, 7] += 1
    result = rnnscope("check", "--suite", "suite.toml", "--pictures", "p", "--format", "json")
    assert result.code == 1
    subject = json.loads(result.stdout)["subjects"][0]
    (picture,) = Path("p").iterdir()
    assert subject["picture"] == f"p/{picture.name}"
    assert picture.name.startswith("odd_name_x_-")
    assert "sequence 1, timestep 3, unit 7" in picture.read_text("utf-8")


def test_python_names_it(traces):
    report = library.check("a.h5", golden="golden.h5", only=["golden"], pictures="p")
    assert report.subjects[0].picture == "p/a.svg"
    with library.open_trace("a.h5") as trace:
        report = library.check(trace, golden="golden.h5", only=["golden"], pictures="q")
    assert report.subjects[0].picture == "q/a.svg"
