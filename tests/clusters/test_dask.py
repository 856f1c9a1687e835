"""Work on a real cluster of processes: the bits of one process, whatever is lost on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import gettempdir

import h5py
import numpy as np
import pytest

import rnnscope
from rnnscope.clusters.connecting import open_cluster
from rnnscope.clusters.dask_cluster import Cluster, require_same_version
from rnnscope.clusters.interface import ClusterAddress, TaskResult
from rnnscope.errors import EngineError, InputError, OptionError, TraceError
from rnnscope.files.remote.addresses import as_address
from rnnscope.record.parts.on_cluster import record_on_cluster, require_count
from rnnscope.record.recipes.recipe import Recipe
from rnnscope.record.recording import Interrupted
from rnnscope.record.targets import Target

distributed = pytest.importorskip("distributed")

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SEQUENCES, STEPS, PARTS = 24, 150, 12
PATIENCE_SECONDS = 300
"""A busy machine takes long to start a process, and no time is judged here."""
C = "lstm/l0/c"
HOW, LAYOUT = {"layout": "torch"}, ("--layout", "torch")


@contextmanager
def process(*arguments, **changes):
    """A process of its own, ended with what it started."""
    started = subprocess.Popen(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=gettempdir(), env={**os.environ, "PYTHONPATH": str(ROOT), **changes},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        yield started
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if started.poll() is None:
                os.killpg(started.pid, number)
                try:
                    started.wait(10)
                except subprocess.TimeoutExpired:
                    continue
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)


@contextmanager
def scheduler(folder):
    """A scheduler; its address."""
    place = folder / "scheduler.json"
    with process("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", 0,
                 "--no-dashboard", "--scheduler-file", place):  # fmt: skip
        wait_for(place.exists)
        wait_for(lambda: place.read_text().rstrip().endswith("}"))
        yield json.loads(place.read_text())["address"]


@contextmanager
def worker(address, count=1, **changes):
    """So many workers, when they are all there: runs wait for them for some seconds alone."""
    with process("distributed.cli.dask_worker", address, "--nworkers", count, "--nthreads", 1,
                 "--no-dashboard", "--memory-limit", 0, **changes):  # fmt: skip
        settings = {"timeout": PATIENCE_SECONDS, "set_as_default": False}
        with distributed.Client(address, **settings) as client:
            client.wait_for_workers(count, timeout=PATIENCE_SECONDS)
        yield


def wait_for(condition, seconds=PATIENCE_SECONDS):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A scheduler and two worker processes; its address."""
    with (
        scheduler(tmp_path_factory.mktemp("cluster")) as address,
        worker(address, 2),
        open_cluster(ClusterAddress(address)) as opened,
    ):
        wait_for(lambda: len(opened.workers) == 2)
        yield opened


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """An LSTM by PyTorch's names and an input: (checkpoint, input, trace of one process)."""
    folder = tmp_path_factory.mktemp("model")
    rng = np.random.default_rng(4)
    shapes = {"weight_ih_l0": (128, 3), "weight_hh_l0": (128, 32),
              "bias_ih_l0": 128, "bias_hh_l0": 128}  # fmt: skip
    arrays = {f"lstm.{name}": rng.normal(size=shape) / 3 for name, shape in shapes.items()}
    np.savez(folder / "lstm.npz", **{name: array.astype("f4") for name, array in arrays.items()})
    inputs = rng.normal(size=(SEQUENCES, STEPS, 3)).astype("f4")
    np.savez(folder / "x.npz", inputs=inputs, lengths=rng.integers(1, STEPS + 1, SEQUENCES))
    rnnscope.run(folder / "lstm.npz", folder / "x.npz", output=folder / "one.h5", **HOW).close()
    return folder / "lstm.npz", folder / "x.npz", folder / "one.h5"


@contextmanager
def whenever_a_part_is_done(act):
    """Progress that calls ``act(parts done)``."""
    done = []

    def advance(count):
        done.append(count)
        act(len(done))

    yield advance


def record(cluster, model, output, act=lambda done: None, **how):
    recipe = Recipe.make(model[0], model[1], **HOW)
    return record_on_cluster(
        recipe, Target(output, **how), cluster.address, parts=PARTS,
        progress=lambda planned: whenever_a_part_is_done(act),
    )  # fmt: skip


def require_bytes_of(one, tied):
    with h5py.File(one) as a, h5py.File(tied) as b:
        names = []
        a.visititems(lambda name, item: names.append(name) if hasattr(item, "dtype") else None)
        assert len(names) > 8
        for name in names:
            assert a[name][()].tobytes() == b[name][()].tobytes(), name
    assert rnnscope.diff(one, tied, exact=True, padding=True).verdict == "same"


def pids(cluster):
    return cluster._client.run(os.getpid)


def test_a_worker_that_is_killed_in_the_middle_changes_no_byte(cluster, model, tmp_path):
    victims = list(pids(cluster).values())[:1]

    def kill(done):
        if done == 2:
            os.kill(victims[0], signal.SIGKILL)

    report = record(cluster, model, tmp_path / "t.h5", kill)
    assert report.parts.of == PARTS
    require_bytes_of(model[2], tmp_path / "t.h5")
    wait_for(lambda: len(cluster.workers) == 2)
    assert victims[0] not in pids(cluster).values()
    one = rnnscope.run(model[0], model[1], **HOW)
    assert (report.findings, report.padding) == (one.report.findings, one.report.padding)
    with h5py.File(model[2]) as a, h5py.File(tmp_path / "t.h5") as b:
        assert b.attrs["recipe"] == a.attrs["recipe"]
        assert json.loads(b.attrs["checks"]) == json.loads(a.attrs["checks"])


def test_an_interrupt_keeps_parts_and_resume_goes_on_and_mends(cluster, model, tmp_path):
    trace = tmp_path / "t.h5"

    def stop(done):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        record(cluster, model, trace, stop)
    assert not trace.exists()
    with pytest.raises(TraceError, match="Parts of an earlier run are there"):
        record(cluster, model, trace)
    report = record(cluster, model, trace, resume=True)
    assert report.parts.kept >= 3
    require_bytes_of(model[2], trace)
    parts = sorted((tmp_path / "t.h5.parts").iterdir())
    assert [path.name for path in parts if path.name.startswith(".")] == []
    parts[4].unlink()
    with h5py.File(parts[7], "r+") as file:
        file[C][0, 0, 0] = 5
    with parts[9].open("r+b") as file:
        file.truncate(1000)
    report = record(cluster, model, trace, resume=True)
    assert report.parts.kept == PARTS - 3
    require_bytes_of(model[2], trace)


def test_force_leaves_the_old_trace_whole_until_the_new_one_is(cluster, model, tmp_path):
    trace = tmp_path / "t.h5"
    record(cluster, model, trace)
    with pytest.raises(TraceError, match="exists already"):
        record(cluster, model, trace)

    def stop(done):
        raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        record(cluster, model, trace, stop, force=True)
    require_bytes_of(model[2], trace)
    record(cluster, model, trace, force=True)
    require_bytes_of(model[2], trace)
    assert len([path for path in tmp_path.iterdir() if ".parts" in path.name]) == 1


def test_an_error_of_the_run_is_told_as_it_is_and_leaves_nothing(cluster, model, tmp_path):
    x = np.zeros((SEQUENCES, 5, 3), "f4")
    x[20, 1, 1] = np.nan
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(InputError) as alone:
        rnnscope.run(model[0], tmp_path / "x.npy", output=tmp_path / "one.h5", **HOW)
    with pytest.raises(InputError) as caught:
        record(cluster, (model[0], tmp_path / "x.npy"), tmp_path / "t.h5")
    assert str(caught.value).splitlines()[0] == str(alone.value).splitlines()[0]
    assert not (tmp_path / "t.h5").exists()


def test_check_pool_and_diff_say_what_one_process_says(cluster, model, tmp_path, monkeypatch):
    for room in ("pooling.streaming", "record.checking.slice_checks"):
        monkeypatch.setattr(f"rnnscope.{room}.SLICE_BYTES", 10**5)
    monkeypatch.setattr("rnnscope.clusters.pieces.PIECE_BYTES", 2 * 10**5)
    monkeypatch.setattr("rnnscope.clusters.pieces.PIECES_A_WORKER", 3)
    monkeypatch.setattr("rnnscope.clusters.pieces.LEAST_PIECES", 5)
    trace, other = tmp_path / "t.h5", tmp_path / "other.h5"
    record(cluster, model, trace)
    recipe = {"lengths": "none", **HOW}
    rnnscope.run(model[0], model[1], output=other, **recipe).close()
    address = cluster.address.address

    def without_time(report):
        found = report.to_dict()
        for subject in found["subjects"]:
            subject["seconds"] = None
        return found

    for golden in (None, other):
        alone = rnnscope.check(trace, golden=golden, atol=None)
        spread = rnnscope.check(trace, golden=golden, dask=address)
        assert without_time(spread) == without_time(alone)
    assert rnnscope.diff(trace, other, dask=address).to_dict() == (
        rnnscope.diff(trace, other).to_dict()
    )
    assert rnnscope.diff(trace, other).verdict == "differ"
    how = {"state": ("m", "c"), "naive": True}
    alone = rnnscope.pool(trace, "all", output=tmp_path / "a.npz", **how)
    spread = rnnscope.pool(trace, "all", output=tmp_path / "b.npz", dask=address, **how)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    told = [report.to_dict() for report in (alone, spread)]
    assert json.loads(json.dumps(told[1]).replace("b.npz", "a.npz")) == (
        json.loads(json.dumps(told[0]))
    )
    path = sorted((tmp_path / "t.h5.parts").iterdir())[5]
    with h5py.File(path) as file:
        place = file[C].id.get_offset() + 10_000
    with path.open("r+b") as file:
        file.seek(place)
        file.write(b"\1\2\3")
    with pytest.raises(TraceError, match="damaged") as caught:
        rnnscope.check(trace, dask=address)
    assert "part 6 of 12 (sequences 10-11)" in caught.value.where


def test_workers_of_another_version_are_refused_by_name(model, tmp_path):
    fake = tmp_path / "other" / "rnnscope"
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text("__version__ = '9.9'\n")
    with (
        scheduler(tmp_path) as address,
        worker(address, PYTHONPATH=str(fake.parent)),
        pytest.raises(EngineError, match="do not have this version") as caught,
    ):
        rnnscope.run(model[0], model[1], output=tmp_path / "t.h5", dask=address, **HOW)
    assert caught.value.where.startswith("tcp://127.0.0.1:")
    assert caught.value.found == "rnnscope 9.9"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("t.h5")]


def test_the_scheduler_that_is_gone_is_told_and_resume_goes_on_with_another(
    cluster, model, tmp_path
):
    trace = tmp_path / "t.h5"
    with scheduler(tmp_path) as address, worker(address):
        found = subprocess.run(
            ["pgrep", "-f", f"scheduler-file {tmp_path}"],
            capture_output=True, text=True, check=True,
        ).stdout.split()  # fmt: skip

        def end(done):
            if done == 2:
                os.kill(int(found[0]), signal.SIGKILL)

        recipe = Recipe.make(model[0], model[1], **HOW)
        with pytest.raises(EngineError, match="The cluster is gone"):
            record_on_cluster(
                recipe, Target(trace), ClusterAddress(address), parts=PARTS,
                progress=lambda planned: whenever_a_part_is_done(end),
            )  # fmt: skip
    assert not trace.exists()
    report = record(cluster, model, trace, resume=True)
    assert report.parts.kept >= 2
    require_bytes_of(model[2], trace)


def test_the_command_starts_a_cluster_of_its_own(model, tmp_path):
    """And leaves no process behind."""
    command = [sys.executable, "-m", "rnnscope", "run", *map(str, model[:2]),
               "-o", "t.h5", "--dask", "local", "-j", "2", "--parts", "6", *LAYOUT,
               "--format", "json"]  # fmt: skip
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["parts"] == {"of": 6, "kept": 0, "workers": 2}
    assert done.stderr == ""
    require_bytes_of(model[2], tmp_path / "t.h5")


def test_nobody_at_the_address_and_no_address(model, tmp_path, monkeypatch):
    monkeypatch.setattr("rnnscope.clusters.connecting.CONNECT_SECONDS", 1)
    with pytest.raises(EngineError, match="does not answer"):
        rnnscope.run(model[0], model[1], output=tmp_path / "t.h5", dask="tcp://127.0.0.1:1", **HOW)
    assert list(tmp_path.iterdir()) == []
    for address, jobs in (("nonsense", None), ("tcp://a:1", 3), (None, 3)):
        with pytest.raises(OptionError):
            ClusterAddress.maybe(address, jobs)


def test_what_only_this_process_holds_cannot_be_sent(model, tmp_path):
    with pytest.raises(OptionError, match="array that no file holds"):
        rnnscope.run(
            model[0], np.zeros((4, 5, 3), "f4"), output=tmp_path / "t.h5", dask="tcp://a:1"
        )
    with pytest.raises(OptionError, match="needs a file"):
        rnnscope.run(model[0], model[1], dask="tcp://a:1")
    for given, name in (
        (("s3://b/model.ckpt", model[1]), "checkpoint"), ((model[0], "s3://b/x.npy"), "input"),
    ):  # fmt: skip
        with pytest.raises(OptionError, match="given an address") as caught:
            rnnscope.run(*given, output=tmp_path / "t.h5", dask="tcp://a:1")
        assert caught.value.where == name
    with pytest.raises(OptionError, match="not for runs in parts"):
        rnnscope.run(
            model[0], model[1], output=tmp_path / "t.h5", dask="tcp://a:1", verify="tensorflow"
        )


class _Answers:
    """A client whose workers answer as they are told to."""

    def __init__(self, **answers):
        self._answers = answers

    def scheduler_info(self, **_):
        return {"workers": {"tcp://one": {}, "tcp://two": {}}}

    def run(self, function, *_, **__):
        return dict(zip(("tcp://one", "tcp://two"), self._answers[function.__name__], strict=True))


def test_workers_that_do_not_see_a_folder_or_file_are_named(tmp_path):
    def made(**answers):
        return Cluster(_Answers(**answers), ClusterAddress("tcp://a:1"))

    seeing = {"isfile": (True, True), "access": (True, True), "exists": (True, True)}
    made(**seeing).require_folder(tmp_path)
    with pytest.raises(EngineError, match="do not see the folder") as caught:
        made(**seeing | {"isfile": (True, False)}).require_folder(tmp_path)
    assert caught.value.where == "tcp://two"
    with pytest.raises(EngineError, match="may not write") as caught:
        made(**seeing | {"access": (False, True)}).require_folder(tmp_path)
    assert caught.value.where == "tcp://one"
    with pytest.raises(EngineError, match="do not see a file") as caught:
        made(**seeing | {"exists": (OSError(), True)}).require_files([tmp_path / "x"])
    assert caught.value.where == "tcp://one"
    address = as_address("s3://b/x.zarr").absolute()  # workers ask for it themselves
    assert str(address) == "s3://b/x.zarr"
    made(**seeing | {"exists": (False, False)}).require_files([address])
    with pytest.raises(EngineError, match="do not have this version") as caught:
        made(resolve_name=(rnnscope.__version__, ImportError("rnnscope"))).require_version()
    assert (caught.value.where, caught.value.found) == ("tcp://two", "no rnnscope")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("parts", [0, -1, 13, 100_001])
def test_a_number_of_parts_that_cannot_be_is_refused_before_a_cluster_is_asked(
    model, tmp_path, parts
):
    np.save(tmp_path / "x.npy", np.zeros((12, 5, 3), "f4"))
    with pytest.raises(OptionError, match="cannot be divided into so many parts") as caught:
        rnnscope.run(
            model[0], tmp_path / "x.npy", output=tmp_path / "t.h5", dask="tcp://a:1", parts=parts,
            **HOW,
        )  # fmt: skip
    assert (caught.value.where, caught.value.expected) == (f"parts={parts}", "1 to 12 parts")
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]
    require_count(100_000, 200_000)
    with pytest.raises(OptionError):
        require_count(100_001, 200_000)


def test_a_worker_that_joined_later_refuses_work_of_another_version():
    require_same_version(rnnscope.__version__)
    with pytest.raises(EngineError, match="joined later"):
        require_same_version("9.9")


def test_an_error_arrives_whole():
    error = InputError("What.", where="there", expected="this", found="that", hint="then")
    with pytest.raises(InputError) as caught:
        TaskResult.of_error(error).unpacked()
    assert caught.value.describe() == error.describe()
    assert TaskResult(3).unpacked() == 3
