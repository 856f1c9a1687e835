"""Links and other surprises under the names that rnnscope uses beside a trace."""

from __future__ import annotations

import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from rnnscope.files.writing.own_files import is_own, read_own, write_new

VICTIM = b"not yours"


@pytest.fixture
def victim(files):
    """A file outside the folder of the run, and a check that it is as it was."""
    path = files.parent / "victim"
    path.write_bytes(VICTIM)
    yield path
    assert path.read_bytes() == VICTIM


@pytest.fixture
def h5_victim(files):
    path = files.parent / "victim.h5"
    with h5py.File(path, "w") as file:
        file["secret"] = np.full((6, 4, 3), 7, "f4")
        file["sequence"] = np.arange(6)
    before = path.read_bytes()
    yield path
    assert path.read_bytes() == before


def replace(name, thing):
    with h5py.File(".t.h5.partial", "r+") as file:
        del file[name]
        file[name] = thing


@pytest.mark.parametrize("name", ["rnn/lstm_cell/c", "sequence", "rnn/lstm_cell/more"])
@pytest.mark.parametrize("kind", ["external link", "soft link"])
def test_a_link_planted_in_what_was_left_is_refused(cut_off, run, h5_victim, name, kind):
    """HDF5 would write through it, and the trace's c would be a link to another's file."""
    cut_off()
    link = h5py.SoftLink("/rnn/lstm_cell/m")
    if kind == "external link":
        link = h5py.ExternalLink(str(h5_victim), "/secret")
    with h5py.File(".t.h5.partial", "r+") as file:
        if name in file:
            del file[name]
        file[name] = link
    found = run("--resume", "--memory", "1KB")
    assert found.code == 2
    assert "What an interrupted run left was changed since" in found.stderr
    assert f"found: {'an external' if kind == 'external link' else 'a soft'} link" in found.stderr
    assert not Path("t.h5").exists()
    assert run().code == 0  # without --resume it starts anew


def test_values_outside_the_file_are_refused(cut_off, run, victim):
    cut_off()
    with h5py.File(".t.h5.partial", "r+") as file:
        del file["rnn/lstm_cell/c"]
        file.create_dataset("rnn/lstm_cell/c", (6, 4, 3), "f4", external=[(str(victim), 0, 288)])
    found = run("--resume", "--memory", "1KB")
    assert found.code == 2
    assert "external storage" in found.stderr


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("rnn/lstm_cell/c", np.zeros((6, 4, 4), "f4")),
        ("rnn/lstm_cell/c", np.zeros((6, 4, 3), "f8")),
        ("rnn/lstm_cell/c", np.array("text", h5py.string_dtype())),
        ("rnn/lstm_cell/c", h5py.Empty("f4")),
        ("rnn/lstm_cell/final/c", np.zeros(3, "f4")),
        ("input_steps", np.zeros((6, 1), "i8")),
    ],
)
def test_a_dataset_that_does_not_fit_means_a_new_start(cut_off, run, read_trace, name, other):
    cut_off()
    replace(name, other)
    assert run("--resume", "--memory", "1KB").code == 0
    states = read_trace("t.h5")
    Path("t.h5").unlink()
    assert run().code == 0
    assert all(np.array_equal(states[key], array) for key, array in read_trace("t.h5").items())


@pytest.mark.parametrize(
    "change",
    [
        {"state": "no JSON"}, {"state": '{"findings": 1}'},
        {"state": '{"findings": [], "padding": {"x": {}}}'},
        {"state": '{"findings": [{"check": "finite"}], "padding": {}}'},
        {"state": '{"findings": [], "padding": {"rnn/lstm_cell": {"facts": 1}}}'},
        {"done": 10**30}, {"done": 1e999}, {"done": -1}, {"done": "3"},
        {"fingerprint": None}, {"state": None},
    ],
)  # fmt: skip
def test_a_record_that_was_changed_is_refused_or_means_a_new_start(cut_off, run, change):
    cut_off()
    record = json.loads(Path(".t.h5.partial.json").read_text())
    Path(".t.h5.partial.json").write_text(json.dumps({**record, **change}))
    found = run("--resume", "--memory", "1KB")
    assert found.code in (0, 2)
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize("name", [".t.h5.partial", ".t.h5.partial.json", ".t.h5.partial.json.new"])
@pytest.mark.parametrize("more", [(), ("--resume",)])
def test_symbolic_links_under_our_names_lead_nowhere(run, victim, name, more):
    Path(name).symlink_to(victim)
    assert run(*more).code == 0
    assert Path("t.h5").is_file()
    assert not Path("t.h5").is_symlink()


def test_a_symbolic_link_under_the_name_of_the_lock_is_refused(run, victim):
    Path(".t.h5.partial.lock").symlink_to(victim)
    assert run().code == 2


@pytest.mark.parametrize("name", [".t.h5.partial", ".t.h5.partial.json.new", ".t.h5.partial.lock"])
def test_hard_links_under_our_names_lead_nowhere(run, victim, name):
    os.link(victim, name)
    assert run().code == 0


def test_a_file_of_two_names_is_not_continued(cut_off, run):
    cut_off()
    os.link(".t.h5.partial", "other.h5")
    before = Path("other.h5").read_bytes()
    found = run("--resume", "--memory", "1KB")
    assert found.code == 2
    assert "not this user's alone" in found.stderr
    assert Path("other.h5").read_bytes() == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_in_place_of_the_record_does_not_hang(cut_off, run):
    cut_off()
    Path(".t.h5.partial.json").unlink()
    os.mkfifo(".t.h5.partial.json")
    assert run("--resume").code == 0


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_pooling_writes_into_no_other_file(run, rnnscope, victim, link):
    assert run().code == 0
    link(victim, ".t.h5.pooled.partial")
    found = rnnscope("pool", "t.h5", "--method", "mean")
    assert found.code == (2 if link is os.symlink else 0)


def test_pooling_follows_no_link_of_the_trace(run, rnnscope, h5_victim):
    """A scale is attached to /sequence, which would write into the file that a link leads to."""
    assert run().code == 0
    with h5py.File("t.h5", "r+") as file:
        del file["sequence"]
        file["sequence"] = h5py.ExternalLink(str(h5_victim), "/sequence")
    found = rnnscope("pool", "t.h5", "--method", "mean")
    assert found.code == 2
    assert "an external link" in found.stderr


def test_a_new_file_is_made_where_a_link_was(files, victim):
    Path("name").symlink_to(victim)
    write_new(Path("name"), b"ours")
    assert Path("name").read_bytes() == b"ours"
    assert not Path("name").is_symlink()


def test_only_our_own_plain_files_are_read_back(files, victim):
    Path("plain").write_bytes(b"abc")
    assert read_own(Path("plain"), 3) == b"abc"
    assert read_own(Path("plain"), 2) is None
    assert read_own(Path("missing"), 9) is None
    Path("link").symlink_to(victim)
    assert read_own(Path("link"), 99) is None
    os.link("plain", "second")
    assert not is_own(Path("plain").lstat())
    assert read_own(Path("plain"), 3) is None
