"""What is sent to a cluster, without one: each task is small, whatever the run is told."""

from __future__ import annotations

import pickle
import shutil
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest

import rnnscope
from rnnscope.clusters.dask_cluster import Cluster
from rnnscope.clusters.interface import ClusterAddress
from rnnscope.errors import EngineError, TraceError
from rnnscope.record.parts.on_cluster import plan_on_cluster, record_on_cluster
from rnnscope.record.recipes.recipe import Recipe
from rnnscope.record.recording import Interrupted
from rnnscope.record.targets import Target
from rnnscope.trace.pooled import load_pooled

SEQUENCES, STEPS, PARTS = 1200, 3, 6
LENGTHS = [1 + number % STEPS for number in range(SEQUENCES)]


class Here:
    """A cluster of this process: what is sent goes through pickle, and its size is kept."""

    workers = ("here",)

    def __init__(self):
        self.calls, self.shared = [], b""

    def require_folder(self, folder):
        assert folder.is_dir()

    def require_files(self, files):
        assert all(file.is_file() for file in files)

    def run(self, function, calls, shared=None):
        self.shared = pickle.dumps(shared)
        self.calls = [pickle.dumps((function, call)) for call in calls]
        for number, sent in enumerate(self.calls):
            asked, call = pickle.loads(sent)  # noqa: S301  # made above
            last = () if shared is None else (pickle.loads(self.shared),)  # noqa: S301
            yield number, asked(*call, *last).unpacked()


@pytest.fixture
def here(monkeypatch):
    cluster = Here()

    @contextmanager
    def opened(address):
        yield cluster

    monkeypatch.setattr("rnnscope.record.parts.on_cluster.open_cluster", opened)
    return cluster


@pytest.fixture
def files(tmp_path, monkeypatch):
    """An LSTM and an input in the folder of the test."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(4)
    shapes = {"weight_ih_l0": (8, 3), "weight_hh_l0": (8, 2), "bias_ih_l0": 8, "bias_hh_l0": 8}
    np.savez("lstm.npz", **{f"lstm.{name}": rng.normal(size=size) for name, size in shapes.items()})
    np.save("x.npy", rng.normal(size=(SEQUENCES, STEPS, 3)))
    np.save("c.npy", rng.normal(size=(SEQUENCES, 2)))
    return tmp_path


def test_a_run_is_told_once_and_not_with_every_part(here, files):
    """A list of lengths, in the recipe and in the command line, was sent twice with each."""
    options = {"lengths": LENGTHS, "layout": "torch", "initial_c": "c.npy"}
    recipe = Recipe.make("lstm.npz", "x.npy", **options)
    told = f"rnnscope run lstm.npz x.npy --lengths {','.join(map(str, LENGTHS))}"
    record_on_cluster(
        recipe, Target(files / "t.h5"), ClusterAddress("tcp://a:1"), parts=PARTS, command=told
    )
    assert len(here.calls) == PARTS
    assert max(map(len, here.calls)) < 2000
    assert len(recipe.to_json()) < len(here.shared) < len(recipe.to_json()) + len(told) + 2000
    rnnscope.run("lstm.npz", "x.npy", output="one.h5", **options).close()
    assert rnnscope.diff("one.h5", "t.h5", exact=True, padding=True).verdict == "same"
    with rnnscope.open_trace("one.h5") as one, rnnscope.open_trace("t.h5") as tied:
        assert tied.recipe == one.recipe, "files by the names that the user gave"


def run(parts=None, *, act=None, **how):
    """A run in parts; ``act(parts done)`` may end it."""

    @contextmanager
    def progress(planned):
        done = []
        yield lambda count: (done.append(count), act and act(len(done)))

    recipe = Recipe.make("lstm.npz", "x.npy", layout="torch")
    target = Target(Path("t.h5"), **how)
    return record_on_cluster(
        recipe, target, ClusterAddress("tcp://a:1"), parts=parts, progress=progress
    )


def stop(done):
    raise KeyboardInterrupt


def files_below(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("state", ["tied", "begun"])
@pytest.mark.usefixtures("here")
def test_parts_of_another_number_are_not_mixed_with_new_ones(files, state):
    """They were left behind, and two sets of parts lay in one folder."""
    if state == "tied":
        run(6)
    else:
        with pytest.raises(Interrupted):
            run(6, act=stop)
    before = files_below(files)
    recipe = Recipe.make("lstm.npz", "x.npy", layout="torch")
    target = Target(Path("t.h5"), resume=True)
    plan_on_cluster(recipe, target, parts=6)
    with pytest.raises(TraceError, match="of another number of parts"):
        plan_on_cluster(recipe, target, parts=4)
    with pytest.raises(TraceError, match="of another number of parts") as caught:
        run(4, resume=True)
    assert (caught.value.expected, caught.value.found) == ("parts=6", "parts=4")
    assert "go on with parts=6, or make all anew with force" in caught.value.hint
    assert files_below(files) == before
    assert run(resume=True).parts.of == 6
    report = run(4, force=True)
    assert (report.parts.of, report.parts.kept) == (4, 0)
    (folder,) = files.glob("t.h5.parts*")
    assert {path.name for path in folder.iterdir()} == {
        f"000{number}-of-0004.h5" for number in range(1, 5)
    }


@pytest.mark.usefixtures("here")
def test_parts_of_several_runs_are_refused(files):
    """As they were left by SLURM, or by an older rnnscope."""
    run(6)
    (files / "t.h5.parts/.0001-of-0012.h5.partial").write_bytes(b"begun")
    with pytest.raises(TraceError, match="of several runs") as caught:
        run(6, resume=True)
    assert caught.value.found == "parts=6, parts=12"


@pytest.mark.usefixtures("here")
def test_what_was_pooled_stays_when_parts_are_mended(files):
    """The master was written anew, and without a word held no pooled arrays any more."""
    run(6)
    rnnscope.pool("t.h5", ["mean", "last"], state=("c", "m"), store=True)
    before = load_pooled("t.h5")
    assert len(before) == 4
    said = [run(6, resume=True)]
    (files / "t.h5.parts/0003-of-0006.h5").unlink()
    said.append(run(6, resume=True))
    after = load_pooled("t.h5")
    assert before.keys() == after.keys()
    assert all(after[name].tobytes() == values.tobytes() for name, values in before.items())
    told = [[note for note in report.notes if "pooled" in note] for report in said]
    assert told[0] == []
    assert told[1][0].startswith("1 part of 6 was made again, and the pooled arrays are those")
    assert rnnscope.check("t.h5").status == "pass"


def values(trace):
    with rnnscope.open_trace(trace) as opened:
        return {
            key: np.asarray(getattr(next(iter(opened.layers.values())), key)) for key in ("c", "m")
        }


def other_input(files):
    np.save(files / "x.npy", np.random.default_rng(9).normal(size=(SEQUENCES, STEPS, 3)))


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("how", ["renamed", "copied"])
def test_parts_of_a_trace_with_another_name_are_not_removed(files, how):
    """A master may be renamed: parts of its name were removed for whoever made the name anew."""
    run(4)
    kept = files / "kept.h5"
    kept.write_bytes((files / "t.h5").read_bytes())
    if how == "renamed":
        (files / "t.h5").unlink()
    before, parts = values("kept.h5"), files_below(files / "t.h5.parts")
    other_input(files)
    run(4, force=True)
    assert files_below(files / "t.h5.parts") == parts
    after = values("kept.h5")
    assert all(after[key].tobytes() == before[key].tobytes() for key in before)
    assert rnnscope.check("kept.h5").status == rnnscope.check("t.h5").status == "pass"
    assert not np.array_equal(values("t.h5")["c"], before["c"], equal_nan=True)
    run(4, force=True)
    assert files_below(files / "t.h5.parts") == parts
    assert len([*files.glob("t.h5.parts*")]) == 2, "those of the trace that was replaced are gone"


@pytest.mark.usefixtures("here")
def test_a_name_is_free_where_its_parts_are_those_of_a_renamed_trace(files):
    run(4)
    (files / "t.h5").rename(files / "kept.h5")
    other_input(files)
    run(4)
    assert rnnscope.check("kept.h5").status == rnnscope.check("t.h5").status == "pass"


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("same", [True, False])
def test_a_run_goes_on_with_the_parts_of_a_renamed_trace_if_they_are_its_own(files, same):
    run(4)
    (files / "t.h5").rename(files / "kept.h5")
    if not same:
        other_input(files)
        recipe = Recipe.make("lstm.npz", "x.npy", layout="torch")
        plan_on_cluster(recipe, Target(Path("t.h5"), resume=True), parts=2)
    assert run(4, resume=True).parts.kept == (4 if same else 0)
    assert rnnscope.check("kept.h5").status == rnnscope.check("t.h5").status == "pass"


@pytest.mark.usefixtures("here")
def test_a_folder_whose_name_only_begins_alike_is_left_alone(files):
    run(4)
    shutil.copytree(files / "t.h5.parts", files / "t.h5.parts-2026-11 backup")
    before = files_below(files / "t.h5.parts-2026-11 backup")
    run(4, force=True)
    assert files_below(files / "t.h5.parts-2026-11 backup") == before


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("same", [True, False])
def test_force_tells_what_became_of_pooled_arrays(files, same):
    """Of the same run they stayed without a word, of another they went without one."""
    run(4)
    rnnscope.pool("t.h5", ["mean"], store=True)
    if not same:
        other_input(files)
    (note,) = [note for note in run(4, force=True).notes if "pooled" in note]
    assert bool(load_pooled("t.h5")) == same
    assert ("those that were there" in note) == same
    assert ("went with it" in note) != same
    assert not [note for note in run(4, force=True).notes if "went with it" in note]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("attribute", [["a", "b"], 5, None])
def test_a_foreign_file_is_replaced_whatever_it_calls_pooled(files, attribute):
    with h5py.File("t.h5", "w") as file:
        file["pooled/x"] = h5py.SoftLink("/nowhere")
        if attribute is not None:
            file.attrs["parts_run"] = attribute
    assert run(4, force=True).parts.of == 4
    assert load_pooled("t.h5") == {}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("how", ["force", "resume"])
def test_a_trace_that_opens_no_more_is_replaced(files, how):
    """Nothing can be kept of it; it was refused at the very end, when all was computed."""
    run(4)
    whole = (files / "t.h5").read_bytes()
    (files / "t.h5").write_bytes(whole[: len(whole) // 2])
    if how == "resume":
        with pytest.raises(TraceError, match="exists already"):
            run(4, resume=True)
    else:
        assert run(4, force=True).parts.of == 4
        assert rnnscope.check("t.h5").status == "pass"


class Ending:
    """A future that is done, and whose scheduler ends before its result is there."""

    status = "finished"

    def exception(self, timeout):
        return None

    def result(self, timeout):
        raise ConnectionResetError("reset by peer")


def test_a_scheduler_that_ends_while_a_result_is_fetched_is_told():
    with pytest.raises(EngineError, match="The cluster is gone") as caught:
        Cluster(None, ClusterAddress("tcp://a:1"))._value(Ending())
    assert caught.value.found == "reset by peer"
