"""What is sent to a cluster, without one: each task is small, whatever the run is told."""

from __future__ import annotations

import pickle
from contextlib import contextmanager

import numpy as np
import pytest

import rnnscope
from rnnscope.clusters.dask_cluster import Cluster
from rnnscope.clusters.interface import ClusterAddress
from rnnscope.errors import EngineError
from rnnscope.record.on_cluster import record_on_cluster
from rnnscope.record.recipe import Recipe
from rnnscope.record.recording import Target

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

    monkeypatch.setattr("rnnscope.record.on_cluster.open_cluster", opened)
    return cluster


def test_a_run_is_told_once_and_not_with_every_part(here, tmp_path, monkeypatch):
    """A list of lengths, in the recipe and in the command line, was sent twice with each."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(4)
    shapes = {"weight_ih_l0": (8, 3), "weight_hh_l0": (8, 2), "bias_ih_l0": 8, "bias_hh_l0": 8}
    np.savez("lstm.npz", **{f"lstm.{name}": rng.normal(size=size) for name, size in shapes.items()})
    np.save("x.npy", rng.normal(size=(SEQUENCES, STEPS, 3)))
    np.save("c.npy", rng.normal(size=(SEQUENCES, 2)))
    options = {"lengths": LENGTHS, "layout": "torch", "initial_c": "c.npy"}
    recipe = Recipe.make("lstm.npz", "x.npy", **options)
    told = f"rnnscope run lstm.npz x.npy --lengths {','.join(map(str, LENGTHS))}"
    record_on_cluster(
        recipe, Target(tmp_path / "t.h5"), ClusterAddress("tcp://a:1"), parts=PARTS, command=told
    )
    assert len(here.calls) == PARTS
    assert max(map(len, here.calls)) < 2000
    assert len(recipe.to_json()) < len(here.shared) < len(recipe.to_json()) + len(told) + 2000
    rnnscope.run("lstm.npz", "x.npy", output="one.h5", **options).close()
    assert rnnscope.diff("one.h5", "t.h5", exact=True, padding=True).verdict == "same"
    with rnnscope.open_trace("one.h5") as one, rnnscope.open_trace("t.h5") as tied:
        assert tied.recipe == one.recipe, "files by the names that the user gave"


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
