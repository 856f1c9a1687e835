"""A run in slices: the same numbers, in the same memory, and nothing left of a run that failed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from rnnscope.checkpoints.interface import Checkpoint
from rnnscope.engines.choose import LayerEngine
from rnnscope.errors import InputError, TraceError
from rnnscope.inputs import open_input
from rnnscope.model.cell import CellSpec, LSTMOptions, LSTMWeights, Option
from rnnscope.model.initial_state import ZERO_STATE, InitialState
from rnnscope.model.layers import BidirectionalMerge
from rnnscope.model.lengths_source import LENGTHS_UNUSED
from rnnscope.model.network import Network, Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.record.run_checks import RunChecks
from rnnscope.running import plan_run, run_plan, runner, sliced_run
from rnnscope.running.memory import (
    IN_FLIGHT,
    LONG_SLICE,
    SHORTEST_SLICE,
    SliceSize,
    choose_slices,
)
from rnnscope.running.pipeline import WritingThread
from rnnscope.running.plan import Plan
from rnnscope.running.runner import RunSettings
from rnnscope.running.side_by_side import side_by_side
from rnnscope.running.streamable import needs_whole_time
from rnnscope.trace import TraceHeader, TraceWriter
from rnnscope.trace.blocks import Destination

needs_llvmlite = pytest.mark.skipif(
    find_spec("llvmlite") is None, reason="llvmlite is not installed"
)
STEPS = ["numpy", pytest.param("compiled", marks=needs_llvmlite)]

FEATURES, UNITS = 5, 8
ULP = 4
"""Units in the last place of the largest state that numpy steps may change by with the rows of a
slice, where a sum has `FEATURES` + `UNITS` terms: a BLAS is free to take it in another order.

An addition is wrong by half a unit at most, and n of them by a small multiple of the root of n
halves (N. Higham and T. Mary, 2019, doi 10.1137/18M1226312; n halves in the worst case). Two orders
are then the root of n units apart, 3.6 here. Slopes of the gates are 1 at most and the forget gate
lets old errors fade, so that what comes from the steps and layers before does not grow."""

TINY = 1
"""A budget that makes every slice as small as slices get."""

PLENTY = 10**9
PATIENCE_SECONDS = 120
"""After which a run that ought to have ended counts as one that never will."""


def make_layer(
    seed, features=FEATURES, units=UNITS, *, backward=False, padding="zeros", reversal="whole",
    in_input_order=True,
):  # fmt: skip
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return rng.uniform(-1, 1, shape).astype(np.float32) / np.float32(np.sqrt(units))

    tanh, none = Option("tanh", "graph"), Option(None, "graph")
    return RecurrentLayer(
        cell=CellSpec(
            kind="lstm",
            source_class="LSTMCell",
            weights=LSTMWeights(draw(features, 4 * units), draw(units, 4 * units), draw(4 * units)),
            options=LSTMOptions(
                Option(1.0, "graph"), tanh, Option("sigmoid", "graph"), tanh, none, none
            ),
            variables=(),
            stored_gate_order="i g f o",
        ),
        backward=Option(backward, "graph"),
        padding=Option(padding, "graph"),
        lengths=Option(LENGTHS_UNUSED, "graph"),
        initial_state=Option(ZERO_STATE, "graph"),
        state_format=Option("", "graph"),
        reversal=reversal,
        outputs_in_input_order=in_input_order,
    )


def both_ways(name, reads, features, **ways):
    """The three nodes of a bidirectional layer."""
    return (
        Node(f"{name}/forward", make_layer(1, features, **ways), (reads,)),
        Node(f"{name}/backward", make_layer(2, features, backward=True, **ways), (reads,)),
        Node(name, BidirectionalMerge("concat"), (f"{name}/forward", f"{name}/backward")),
    )


WITHIN = {"backward": True, "reversal": "within length"}
NETWORKS = {
    "forward": (Node("a", make_layer(1), ("x",)),),
    "backward whole": (Node("a", make_layer(1, backward=True), ("x",)),),
    "backward as processed": (
        Node("a", make_layer(1, backward=True, in_input_order=False), ("x",)),
    ),
    "backward within length": (Node("a", make_layer(1, **WITHIN), ("x",)),),
    "hold": (Node("a", make_layer(1, padding="hold"), ("x",)),),
    "hold, backward": (Node("a", make_layer(1, padding="hold", backward=True), ("x",)),),
    "no padding": (Node("a", make_layer(1, padding="none"), ("x",)),),
    "stacked": (
        Node("a", make_layer(1), ("x",)),
        Node("b", make_layer(2, UNITS), ("a",)),
    ),
    "backward on forward": (
        Node("a", make_layer(1), ("x",)),
        Node("b", make_layer(2, UNITS, backward=True), ("a",)),
        Node("c", make_layer(3, UNITS), ("b",)),
    ),
    "bidirectional": both_ways("a", "x", FEATURES),
    "bidirectional within length": both_ways("a", "x", FEATURES, reversal="within length"),
    "bidirectional under another": (
        *both_ways("a", "x", FEATURES, padding="hold"),
        Node("b", make_layer(3, 2 * UNITS), ("a",)),
        *both_ways("c", "b", UNITS),
    ),
}


class Case:
    """A network and an input, to be run with one budget or another."""

    def __init__(self, folder, nodes, x, lengths=None):
        self.folder = folder
        self._network = Network(("x",), nodes)
        self._input = folder / "x.npy"
        np.save(self._input, x)
        self._lengths = None if lengths is None else ",".join(map(str, lengths))
        self.path = folder / "out" / "trace.h5"
        self.path.parent.mkdir()

    def run(self, memory=PLENTY, *, progress=None, **settings):
        """Run; every array of the trace by name, and the result."""
        checkpoint = Checkpoint(Path("m"), "test", "TensorFlow", (), self._network)
        with open_input(str(self._input), lengths=self._lengths) as source:
            plan = plan_run(checkpoint, source)

            def open_writer(layers, lengths, has_mask, _engine):
                return TraceWriter(
                    self.path, TraceHeader(), layers, source.sequences, source.timesteps,
                    has_lengths=lengths is not None, has_mask=has_mask, force=True,
                )  # fmt: skip

            checks = []

            def watch(prepared):
                checks.append(RunChecks(prepared))
                return checks[-1]

            chosen = RunSettings(memory=memory, **{"threads": 1, **settings})
            result = run_plan(plan, source, open_writer, chosen, observe=watch, progress=progress)
            result = SimpleNamespace(
                **vars(result), findings=checks[-1].findings(), padding=checks[-1].padding()
            )
        found = {}
        with h5py.File(self.path) as file:
            file.visititems(
                lambda name, item: (
                    found.update({name: item[...]}) if isinstance(item, h5py.Dataset) else None
                )
            )
        return found, result

    def left(self):
        """What lies in the folder of the trace."""
        return sorted(path.name for path in self.path.parent.iterdir())


def make_case(folder, network, sequences, timesteps, lengths=None):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((sequences, timesteps, FEATURES)).astype(np.float32)
    return Case(folder, NETWORKS[network], x, lengths)


def assert_same_bits(one, other):
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(other[name], array, err_msg=name)


def assert_close(one, other, terms=FEATURES + UNITS):
    """Equal to `ULP`, which is for few terms; rounding grows with the root of their number."""
    ulp = ULP * (terms / (FEATURES + UNITS)) ** 0.5
    assert one.keys() == other.keys()
    for name, array in one.items():
        if array.dtype.kind != "f":
            np.testing.assert_array_equal(other[name], array, err_msg=name)
            continue
        limit = ulp * np.spacing(np.abs(array).max(initial=np.float32(0)))
        assert np.abs(array - other[name]).max(initial=0) <= limit, name


def assert_as_promised(steps, one, other, terms=FEATURES + UNITS):
    """Bits where our own code sums; BLAS sums otherwise for another number of rows."""
    if steps == "compiled":
        assert_same_bits(one, other)
    else:
        assert_close(one, other, terms)


def verdicts(result):
    """What a run found, but for how large it was measured to be in slices."""
    found = [(finding.check, finding.layer, finding.status) for finding in result.findings]
    return found, result.padding, result.notes


def failures(result):
    """The layers and checks that failed."""
    return {(found.layer, found.check) for found in result.findings if found.status == "fail"}


# Time is cut


@pytest.mark.parametrize("length", [None, 0, 1, SHORTEST_SLICE, 100, 199, 200])
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("steps", STEPS)
def test_time_cut_into_slices_gives_the_states_of_one_run(tmp_path, steps, network, length):
    """Layers of every direction, alone and reading one another, with padding and without."""
    lengths = None if length is None else [length]
    case = make_case(tmp_path, network, 1, 200, lengths)
    whole, _ = case.run(engine=steps)
    cut, _ = case.run(TINY, engine=steps)
    assert_as_promised(steps, whole, cut)


@pytest.mark.parametrize("length", [None, 0, 1, SHORTEST_SLICE, 100, 199, 200])
@pytest.mark.parametrize("network", NETWORKS)
def test_time_cut_into_slices_is_judged_as_one_run_is(tmp_path, network, length):
    """No check fails because a slice does not hold what came before it; the verdict is the same."""
    case = make_case(tmp_path, network, 1, 200, None if length is None else [length])
    _, whole = case.run()
    _, cut = case.run(TINY)
    assert failures(whole) == set()
    assert failures(cut) == set()
    assert cut.padding == whole.padding
    assert cut.notes == whole.notes


@pytest.mark.parametrize("timesteps", [SHORTEST_SLICE + 1, 2 * SHORTEST_SLICE, 191])
@pytest.mark.parametrize("steps", STEPS)
def test_a_last_slice_of_any_size_gives_the_states_of_one_run(tmp_path, steps, timesteps):
    """A single step at the end included."""
    case = make_case(tmp_path, "forward", 1, timesteps)
    whole, _ = case.run(engine=steps)
    cut, _ = case.run(TINY, engine=steps)
    assert_as_promised(steps, whole, cut)


@pytest.mark.parametrize("units", [32, 64, 256])
@pytest.mark.parametrize("steps", STEPS)
def test_wide_layers_give_the_states_of_one_run_however_time_is_cut(tmp_path, units, steps):
    """The last slice is a single step of a single row, which BLAS may round otherwise."""
    nodes = (Node("a", make_layer(1, 128, units), ("x",)),)
    x = np.random.default_rng(4).standard_normal((1, 10 * SHORTEST_SLICE + 1, 128))
    case = Case(tmp_path, nodes, x.astype(np.float32))
    whole, _ = case.run(engine=steps)
    cut, _ = case.run(TINY, engine=steps)
    assert_as_promised(steps, whole, cut, terms=128 + units)


@pytest.mark.parametrize("network", ["forward", "hold", "bidirectional under another"])
@pytest.mark.parametrize("steps", STEPS)
def test_several_long_sequences_are_cut_together(tmp_path, steps, network):
    """Three rows in the whole run, and three in each slice."""
    timesteps = 4 * LONG_SLICE
    case = make_case(tmp_path, network, 3, timesteps, [timesteps, 1500, 0])
    whole, _ = case.run(engine=steps)
    bytes_of_trace = sum(array.nbytes for array in whole.values())
    cut, _ = case.run(3 * bytes_of_trace // 4, engine=steps)
    assert_as_promised(steps, whole, cut)


def test_how_many_parts_are_computed_at_once_changes_no_bit(tmp_path):
    """Numpy steps too: each part of the batch is the product that it was."""
    case = make_case(tmp_path, "bidirectional under another", 7, 40, [40, 3, 0, 40, 17, 5, 30])
    at_once, _ = case.run(engine="numpy", threads=3)
    one_by_one, _ = case.run(engine="numpy", threads=3, workers=1)
    assert_same_bits(at_once, one_by_one)


@pytest.mark.parametrize("threads", [1, 2])
def test_sequences_of_many_lengths_are_cut_one_by_one(tmp_path, threads):
    case = make_case(tmp_path, "bidirectional within length", 4, 150, [150, 0, 70, 64])
    whole, _ = case.run(threads=threads)
    cut, _ = case.run(TINY, threads=threads)
    assert_close(whole, cut)


def test_what_needs_all_of_time_at_once_is_refused_and_says_what_to_do(tmp_path):
    second = make_layer(2)
    nodes = (
        Node("a", make_layer(1), ("x",)),
        Node("b", second.starting(InitialState.handed_over("cm", ["a"]), "graph"), ("x",)),
    )
    x = np.zeros((1, 200, FEATURES), np.float32)
    case = Case(tmp_path, nodes, x)
    with pytest.raises(InputError, match="memory budget") as caught:
        case.run(TINY)
    assert "memory" in caught.value.hint
    assert case.left() == []


def test_a_last_output_that_another_layer_reads_is_known_at_the_end(tmp_path):
    """It would be handed on at every step."""
    first = replace(make_layer(1), return_sequences=False)
    nodes = (
        Node("a", first, ("x",)),
        Node("b", BidirectionalMerge("sum"), ("a", "x")),
        Node("c", make_layer(2), ("b",)),
    )
    plan = Plan(nodes, frozenset("x"), (nodes[0], nodes[2]), frozenset("x"), ())
    assert needs_whole_time(plan) == (nodes[0], "what it hands on is known at its last step")
    alone = Plan(nodes[:1], frozenset("x"), nodes[:1], frozenset("x"), ())
    assert needs_whole_time(alone) is None


# Sequences go through in batches


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("rows", [1, 2, 3, 10, 36, 37])
@pytest.mark.parametrize("network", ["forward", "backward within length", "bidirectional"])
def test_any_budget_gives_the_same_states(tmp_path, monkeypatch, network, rows, threads):
    """To the limit above: the same bits wherever BLAS rounds a row as it does beside others."""
    lengths = [(7 * row) % 21 for row in range(37)]
    case = make_case(tmp_path, network, 37, 20, lengths)
    whole, result = case.run()
    monkeypatch.setattr(
        "rnnscope.running.runner.choose_slices", lambda *_, **__: SliceSize(rows, 20)
    )
    cut, found = case.run(threads=threads)
    assert_close(whole, cut)
    assert verdicts(found) == verdicts(result)


@needs_llvmlite
@pytest.mark.parametrize("lengths", [None, [(7 * row) % 21 for row in range(150)]])
def test_slices_that_threads_take_whole_have_the_bits_of_shared_ones(
    tmp_path, monkeypatch, lengths
):
    case = make_case(tmp_path, "bidirectional", 150, 20, lengths)
    monkeypatch.setattr(runner, "choose_slices", lambda *_, **__: SliceSize(32, 20))
    taken = []

    def watched(items, threads, *how):
        taken.append(threads)
        return side_by_side(items, threads, *how)

    monkeypatch.setattr(sliced_run, "side_by_side", watched)
    monkeypatch.setattr(runner, "processors", lambda: 8)
    shared, result = case.run(threads=2, engine="compiled")
    assert not taken
    monkeypatch.setattr(runner, "processors", lambda: 2)
    alone, found = case.run(threads=2, engine="compiled")
    assert taken == [2]
    assert_same_bits(shared, alone)
    assert verdicts(found) == verdicts(result)


def test_a_slice_and_those_in_flight_fit_the_budget(tmp_path):
    case = make_case(tmp_path, "forward", 500, 100)
    read_ahead_too = 2 * FEATURES
    per_sequence = 100 * 4 * (read_ahead_too + IN_FLIGHT * 2 * UNITS + FEATURES)
    for budget in (per_sequence, 3 * per_sequence, 100 * per_sequence, PLENTY):
        size = chosen_size(case, budget)
        assert size.steps == 100
        assert size.rows * per_sequence <= budget
        assert 1 <= size.rows <= 500
    assert chosen_size(case, per_sequence - 1).steps < 100


def chosen_size(case, budget):
    checkpoint = Checkpoint(Path("m"), "test", "TensorFlow", (), case._network)
    with open_input(str(case._input)) as source:
        plan = plan_run(checkpoint, source)
        shapes = {"a": (1, source.timesteps, UNITS)}
        return choose_slices(
            plan, shapes, source.sequences, source.timesteps, 4 * FEATURES,
            gates=False, masked=False, budget=budget,
        )  # fmt: skip


# What goes wrong leaves nothing


@contextmanager
def in_time():
    """Fail, with every thread's stack, what does not end."""
    import faulthandler

    faulthandler.dump_traceback_later(PATIENCE_SECONDS, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def failing(function, at, error):
    """A function that does what it did, until its call number `at`."""
    calls = iter(range(10**6))

    def call(*arguments, **named):
        if next(calls) == at:
            raise error
        return function(*arguments, **named)

    return call


@pytest.mark.parametrize("memory", [TINY, 20_000, PLENTY], ids=["long", "slices", "one slice"])
@pytest.mark.parametrize("at", [0, 1, 5])
def test_a_disk_that_is_full_ends_the_run_and_leaves_nothing(tmp_path, monkeypatch, memory, at):
    case = make_case(tmp_path, "bidirectional under another", 12, 200)
    full = OSError(28, "No space left on device")
    monkeypatch.setattr(Destination, "write", failing(Destination.write, at, full))
    with in_time(), pytest.raises(TraceError, match="cannot be written") as caught:
        case.run(memory)
    assert "No space left" in caught.value.found
    assert case.left() == []
    assert "trace writer" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.parametrize("error", [ValueError("wrong"), KeyboardInterrupt()])
@pytest.mark.parametrize("memory", [TINY, 20_000], ids=["long", "slices"])
@pytest.mark.parametrize("at", [0, 3])
def test_an_error_while_computing_ends_the_run_and_leaves_nothing(
    tmp_path, monkeypatch, memory, at, error
):
    from threadpoolctl import threadpool_info

    case = make_case(tmp_path, "stacked", 12, 200)
    before = threadpool_info()
    monkeypatch.setattr(LayerEngine, "run", failing(LayerEngine.run, at, error))
    with in_time(), pytest.raises(type(error)):
        case.run(memory, threads=2)
    assert case.left() == []
    assert threadpool_info() == before
    assert "trace writer" not in [thread.name for thread in threading.enumerate()]


def test_an_old_trace_survives_a_run_that_fails(tmp_path, monkeypatch):
    case = make_case(tmp_path, "forward", 12, 200)
    case.run()
    before = case.path.read_bytes()
    full = OSError(28, "No space left on device")
    monkeypatch.setattr(Destination, "write", failing(Destination.write, 3, full))
    with in_time(), pytest.raises(TraceError):
        case.run(20_000)
    assert case.path.read_bytes() == before
    assert case.left() == ["trace.h5"]


# The thread that writes


def test_jobs_are_done_in_order_and_all_of_them():
    done = []
    with in_time(), WritingThread() as thread:
        for number in range(20):
            thread.put(lambda number=number: done.append(number))
        thread.drain()
        assert done == list(range(20))
        thread.put(lambda: done.append(20))
    assert done == list(range(21))


def test_no_more_jobs_wait_than_may():
    """Memory is bounded: whoever computes has to wait for the disk."""
    go, handed_over = threading.Event(), []
    with in_time(), WritingThread(waiting=1) as thread:
        thread.put(go.wait)

        def hand_over():
            for number in range(3):
                thread.put(lambda: None)
                handed_over.append(number)

        other = threading.Thread(target=hand_over)
        other.start()
        time.sleep(0.2)
        assert len(handed_over) <= 1
        go.set()
        other.join()


def test_an_error_of_a_job_is_raised_once_and_stops_those_after_it():
    done, given_back = [], []

    def fail():
        raise OSError("disk")

    def hand_over():
        with WritingThread() as thread:
            thread.put(fail, after=lambda: given_back.append("failed"))
            for _ in range(5):
                thread.put(lambda: done.append(1), after=lambda: given_back.append("dropped"))

    with in_time(), pytest.raises(OSError, match="disk"):
        hand_over()
    assert done == []
    assert given_back[0] == "failed"


def test_an_error_of_the_last_job_is_raised_too():
    def fail():
        raise OSError("disk")

    with in_time(), pytest.raises(OSError, match="disk"), WritingThread() as thread:
        thread.put(fail)


def test_leaving_with_an_error_drops_what_has_not_begun():
    go, done = threading.Event(), []

    def leave():
        with WritingThread(waiting=2) as thread:
            thread.put(go.wait)
            thread.put(lambda: done.append(1))
            threading.Timer(0.1, go.set).start()
            raise KeyError

    with in_time(), pytest.raises(KeyError):
        leave()
    assert done == []


# Whole processes

MEASURED = """
import sys
from rnnscope.cli.main import run
code = run(sys.argv[1:])
with open("/proc/self/status") as status:
    print(next(line for line in status if line.startswith("VmHWM")).split()[1])
sys.exit(code)
"""
"""`rnnscope run` in a process that says its peak memory; a parent's count would hold its own."""

linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux' /proc")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A Keras-like layer of 16 features and 64 units, saved by torch's names."""
    folder = tmp_path_factory.mktemp("model")
    rng = np.random.default_rng(1)
    path = folder / "model.npz"

    def draw(*shape):
        return rng.uniform(-0.1, 0.1, shape).astype(np.float32)

    np.savez(path, **{
        "lstm.weight_ih_l0": draw(256, 16), "lstm.weight_hh_l0": draw(256, 64),
        "lstm.bias_ih_l0": draw(256), "lstm.bias_hh_l0": draw(256),
    })  # fmt: skip
    return path


def run_command(model, x, trace, *options):
    return ["run", str(model), str(x), "--layout", "torch", "-o", str(trace), "--quiet", *options]


def save_input(path, sequences, timesteps):
    x = np.lib.format.open_memmap(path, "w+", np.float32, (sequences, timesteps, 16))
    rng = np.random.default_rng(2)
    for rows in x.reshape(-1, 16 * 1000):
        rows[:] = rng.standard_normal(16 * 1000, np.float32)
    x.flush()
    return path


def peak_kib(folder, model, sequences, timesteps, *options):
    x, trace = save_input(folder / "x.npy", sequences, timesteps), folder / "trace.h5"
    command = run_command(model, x, trace, "--memory", "4MB", "--force", *options)
    made = subprocess.run(
        [sys.executable, "-c", MEASURED, *command], capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    trace.unlink()
    return int(made.stdout.split()[-1])


@linux
@pytest.mark.slow
@pytest.mark.parametrize("steps", STEPS)
def test_memory_is_the_same_for_ten_times_the_sequences(tmp_path, model, steps):
    few = peak_kib(tmp_path, model, 400, 100, "--engine", steps)
    many = peak_kib(tmp_path, model, 4000, 100, "--engine", steps)
    assert many <= 1.05 * few


@linux
@pytest.mark.slow
@pytest.mark.parametrize("steps", STEPS)
def test_memory_is_the_same_for_ten_times_the_timesteps(tmp_path, model, steps):
    short = peak_kib(tmp_path, model, 1, 16_000, "--engine", steps)
    long = peak_kib(tmp_path, model, 1, 160_000, "--engine", steps)
    assert long <= 1.05 * short


def limited(kilobytes):
    """A limit of the size of files, as a disk with little room; Python ignores its signal."""
    import resource

    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes << 10, kilobytes << 10))


@linux
def test_the_command_says_that_the_disk_is_full_and_leaves_nothing(tmp_path, model):
    x = save_input(tmp_path / "x.npy", 300, 100)
    out = tmp_path / "out"
    out.mkdir()
    made = subprocess.run(
        [sys.executable, "-m", "rnnscope", *run_command(model, x, out / "trace.h5")],
        capture_output=True, text=True, timeout=PATIENCE_SECONDS, preexec_fn=limited(4000),
        check=False,
    )  # fmt: skip
    assert made.returncode == 2
    assert made.stdout == ""
    assert "The trace cannot be written." in made.stderr
    assert "Traceback" not in made.stderr
    assert list(out.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="signals are sent otherwise elsewhere")
def test_ctrl_c_leaves_no_trace_and_what_resume_goes_on_from(tmp_path, model):
    """Nothing has the trace's name; the same command with --resume ends as if undisturbed."""
    x = save_input(tmp_path / "x.npy", 400, 500)
    out = tmp_path / "out"
    out.mkdir()
    # Slow enough, in slices small enough, to be interrupted after a commit on any machine.
    slowly = ["--engine", "reference", "--memory", "4MB"]
    # A shell that runs the tests in the background has its children ignore Ctrl-C.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = [sys.executable, "-c", f"{heed}; from rnnscope.cli import main; main()"]
    started = subprocess.Popen(
        [*command, *run_command(model, x, out / "trace.h5"), *slowly],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + PATIENCE_SECONDS
    while not (out / ".trace.h5.partial.json").exists():  # the first commit
        assert started.poll() is None, started.communicate()
        assert time.monotonic() < until
        time.sleep(0.001)
    started.send_signal(signal.SIGINT)
    try:
        stdout, stderr = started.communicate(timeout=PATIENCE_SECONDS)
    finally:
        started.kill()
    assert started.returncode == 130
    assert stdout == ""
    assert "interrupted" in stderr
    assert "Traceback" not in stderr
    assert not (out / "trace.h5").exists()
    assert all(path.name.startswith(".trace.h5.partial") for path in out.iterdir())
    resumed_command = [*command, *run_command(model, x, out / "trace.h5"), *slowly, "--resume"]
    subprocess.run(resumed_command, check=True)
    subprocess.run([*command, *run_command(model, x, out / "again.h5"), *slowly], check=True)
    assert sorted(path.name for path in out.iterdir()) == ["again.h5", "trace.h5"]
    with h5py.File(out / "trace.h5") as resumed, h5py.File(out / "again.h5") as whole:
        names: list[str] = []
        whole.visit(names.append)
        for name in names:
            if isinstance(whole[name], h5py.Dataset):
                np.testing.assert_array_equal(resumed[name][...], whole[name][...], err_msg=name)
