"""``rnnscope report``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from seen_traces import waves, write_trace

SAMPLES = Path(__file__).parents[3] / "sample_data"


@pytest.fixture
def trace(tmp_path):
    return write_trace(tmp_path / "t.h5", waves(2, 6, 4), lengths=[6, 3])


def test_a_page_and_what_it_holds(rnnscope, trace, tmp_path):
    page = tmp_path / "page.html"
    done = rnnscope("report", trace, "-o", page)
    size = page.stat().st_size
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout == (
        f"wrote {page} ({size / 1e6:.1f} MB)\n"
        "  rnn/lstm: c, m, i, f, g, o: Values as stored (float32).\n"
    )
    assert page.read_text("utf-8").startswith("<!doctype html>\n")


def test_json_and_quiet(rnnscope, trace, tmp_path):
    done = rnnscope("report", trace, "-o", tmp_path / "p.html", "--format", "json")
    told = json.loads(done.stdout)
    assert (told["report"], told["schema_version"]) == ("page", 1)
    assert told["size"] == (tmp_path / "p.html").stat().st_size
    assert told["arrays"][0] == {
        "layer": "rnn/lstm", "array": "c", "sequences": 2, "timesteps": 6, "bins": 6, "units": 4,
        "held": "float32", "words": "Values as stored (float32).",
    }  # fmt: skip
    assert rnnscope("report", trace, "-o", tmp_path / "q.html", "--quiet").stdout == ""


@pytest.mark.parametrize("sample", ["lstm_float64", "keras_stack"])
def test_pages_of_the_samples_are_below_three_megabytes(rnnscope, tmp_path, sample):
    folder = SAMPLES / sample
    model = folder / "model.ckpt" if sample.startswith("lstm") else folder / "model.h5"
    run = tmp_path / "t.h5"
    assert rnnscope("run", model, folder / "inputs.npz", "-o", run, "--gates", "--quiet").code == 0
    done = rnnscope("report", run, run, "--weights", model, model, "-o", tmp_path / "p.html")
    assert done.code == 0
    assert (tmp_path / "p.html").stat().st_size < 3e6


def test_differences_are_told_and_change_no_exit_code(rnnscope, trace, tmp_path):
    other = write_trace(tmp_path / "u.h5", waves(2, 6, 4, seed=8), lengths=[6, 3])
    done = rnnscope("report", trace, other, "-o", tmp_path / "p.html")
    assert done.code == 0
    assert done.stdout.endswith(f"compared: {other}\n")
    text = (tmp_path / "p.html").read_text("utf-8")
    assert "They part first in gates/i of rnn/lstm at sequence 0, timestep 0, unit " in text


def test_small_pictures_of_where_others_part(rnnscope, trace, tmp_path):
    other = write_trace(tmp_path / "u.h5", waves(2, 6, 4, seed=8), lengths=[6, 3])
    folder = tmp_path / "pictures"
    done = rnnscope("report", trace, other, trace, "-o", tmp_path / "p.html", "--pictures", folder)
    assert done.stdout.splitlines()[-1] == f"picture: {folder / 'B-u.svg'}"
    assert [item.name for item in folder.iterdir()] == ["B-u.svg"]  # C does not differ
    assert (folder / "B-u.svg").read_text().startswith("<svg ")
    done = rnnscope("report", trace, "-o", tmp_path / "p.html", "--force", "--pictures", folder)
    assert (done.code, done.stderr) == (
        2, "error: --pictures are of other traces, and there are none.\n"
        "  next: rnnscope report --help\n"
    )  # fmt: skip


def test_two_checkpoints_alone(rnnscope, tmp_path):
    model = SAMPLES / "lstm_float64" / "model.ckpt"
    done = rnnscope("report", "--weights", model, model, "-o", tmp_path / "p.html")
    assert (done.code, done.stdout.splitlines()[1:]) == (
        0, [f"compared: {model}", f"compared: {model}"]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "There is nothing to make a page of."),
        (["{t}", "--layer", "nothing"], "No layer fits."),
        (["{t}", "--sequence", "2"], "The trace has no such sequence."),
        (["{t}", "--budget", "0"], "A page needs some room for values."),
        (["{t}", "--budget", "nan"], "A page needs some room for values."),
        (["{t}", "--labels", "{folder}/none.txt"], "The tokens cannot be read."),
        (["{folder}/none.h5"], "There is no such file."),
        (["{t}", "{folder}/none.h5"], "There is no such file."),
    ],
)
def test_what_cannot_be_done_leaves_the_old_page(rnnscope, trace, tmp_path, arguments, says):
    page = tmp_path / "p.html"
    page.write_text("old")
    told = [part.format(t=trace, folder=tmp_path) for part in arguments]
    done = rnnscope("report", *told, "-o", page, "--force")
    assert done.code == 2
    assert done.stderr.startswith(f"error: {says}\n")
    assert page.read_text() == "old"
    assert sorted(item.name for item in tmp_path.iterdir()) == ["p.html", "t.h5"]


def test_an_existing_file_or_the_trace_itself_is_not_replaced(rnnscope, trace, tmp_path):
    page = tmp_path / "p.html"
    page.write_text("old")
    done = rnnscope("report", trace, "-o", page)
    assert (done.code, page.read_text()) == (2, "old")
    assert done.stderr.startswith("error: The page exists already.\n")
    before = trace.read_bytes()
    assert rnnscope("report", trace, "-o", trace, "--force").code == 2
    assert trace.read_bytes() == before


def test_what_did_not_fit_is_said(rnnscope, tmp_path):
    arrays = {name: array for name, array in waves(2, 400, 32).items() if name in "cmif"}
    arrays |= {"g": arrays["i"], "o": arrays["f"] + np.float32(0.5)}
    trace = write_trace(tmp_path / "t.h5", arrays)
    done = rnnscope("report", trace, "-o", tmp_path / "p.html", "--budget", "0.016")
    assert "400 timesteps in 16 bins, the least and the greatest of each" in done.stdout
    assert "note: 1 array did not fit into this page: gates/o of rnn/lstm." in done.stdout
