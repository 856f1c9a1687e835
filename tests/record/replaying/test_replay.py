"""A trace is computed again as it was: whatever was given to its run, however it was given."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnnscope.api.check import check
from rnnscope.api.run import rerun, run
from rnnscope.api.trace import open_trace
from rnnscope.record.replaying.recomputation import open_recomputation
from rnnscope.record.replaying.replayed_recipe import Replay
from rnnscope.record.suites.case import do_case
from rnnscope.record.suites.suite_file import read_suite
from rnnscope.trace import Trace

SAMPLES = Path(__file__).resolve().parents[3] / "sample_data"
M = SAMPLES / "lstm_float64" / "model.ckpt"
X = np.load(SAMPLES / "lstm_float64" / "inputs.npz")["x"]
LAYER = "rnn/lstm_cell"
RNG = np.random.default_rng(3)
C0, M0 = RNG.normal(size=(2, 64)), RNG.uniform(-1, 1, size=(2, 64))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Everything that a run of M may be given, as files."""
    folder = tmp_path_factory.mktemp("files")
    np.save(folder / "x.npy", X)
    np.save(folder / "turned.npy", X.swapaxes(0, 1))
    np.save(folder / "square.npy", RNG.normal(size=(8, 8, 8)))
    np.save(folder / "c0.npy", C0)
    np.save(folder / "m0.npy", M0)
    mask = np.ones((2, 10), bool)
    mask[0, 3] = mask[1, 5:] = False
    np.save(folder / "mask.npy", mask)
    np.save(folder / "turned_mask.npy", mask.T)
    np.savez(folder / "named.npz", batch=X, other=X[:, :3], starts=np.array([0, 6, 16]),
             lengths=np.array([4, 9]))  # fmt: skip
    np.savez(folder / "flat.npz", x=X.reshape(20, 8), starts=np.array([0, 6, 14, 20]))
    return folder


def flags(options):
    words = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        words += [flag] if value is True else [flag, str(value)]
    return words


def states(path):
    with h5py.File(path) as file:
        found = {}
        file.visititems(
            lambda name, item: (
                found.update({name: item[...]}) if isinstance(item, h5py.Dataset) else None
            )
        )
        return found


def same_arrays(one, other):
    assert one.keys() == other.keys()
    for name, array in one.items():
        assert np.array_equal(array, other[name], equal_nan=True), name


# The wrong verdicts that were found


def test_initial_states_are_not_forgotten(rnnscope, files, tmp_path):
    trace = tmp_path / "a.h5"
    given_states = ["--lengths", "10,6", "--initial-c", files / "c0.npy"]
    given_states += ["--initial-m", files / "m0.npy"]
    assert rnnscope("run", M, files / "x.npy", *given_states, "-o", trace).code == 0
    for more in ((), ("--checkpoint", M, "--input", files / "x.npy")):
        result = rnnscope("check", trace, "--recompute", "--only", "padding-leak", *more)
        assert (result.code, result.stderr) == (0, "")
        assert "pass    padding-leak" in result.stdout


def test_initial_states_are_not_forgotten_by_another_engine(tf, rnnscope, files, tmp_path):
    trace = tmp_path / "a.h5"
    given_states = ["--initial-c", files / "c0.npy", "--initial-m", files / "m0.npy"]
    rnnscope("run", M, files / "x.npy", *given_states, "--lengths", "10,6", "-o", trace)
    result = rnnscope("check", trace, "--verify", "tensorflow", "--only", "framework-kernel")
    assert "pass    framework-kernel" in result.stdout


def test_initial_states_are_not_forgotten_by_a_suite(files, tmp_path):
    suite = tmp_path / "rnnscope.toml"
    suite.write_text(
        f"""[[case]]
        checkpoint = "{M}"
        input = "{files / "x.npy"}"
        recompute = true
        [case.run]
        lengths = [10, 6]
        initial_c = "{files / "c0.npy"}"
        initial_m = "{files / "m0.npy"}"
        """
    )
    (case,) = read_suite(suite)
    subject = do_case(case)
    assert subject.error == ""
    status = {one.check: one.status for one in subject.findings}
    assert status["padding-leak"] == "pass"


def test_a_square_input_is_not_taken_the_other_way_round(rnnscope, files, tmp_path):
    trace = tmp_path / "a.h5"
    arguments = ["--time-major", "--lengths", "8,7,6,5,4,3,2,1"]
    assert rnnscope("run", M, files / "square.npy", *arguments, "-o", trace).code == 0
    result = rnnscope("check", trace, "--checkpoint", M, "--input", files / "square.npy")
    assert result.code == 0
    assert "pass    padding-leak" in result.stdout


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("named.npz", {"inputs": "batch"}),
        ("named.npz", {"inputs": "batch", "lengths": "none"}),
        ("flat.npz", {"offsets": "starts"}),
        ("x.npy", {"feed": LAYER}),
    ],
)
def test_what_says_where_the_input_is_and_goes_is_replayed(
    rnnscope, files, tmp_path, name, options
):
    trace = tmp_path / "a.h5"
    result = rnnscope("run", M, files / name, *flags(options), "-o", trace)
    assert result.code == 0, result.stderr
    result = rnnscope("check", trace, "--recompute", "--only", "padding-leak")
    assert (result.code, result.stderr) == (0, "")
    assert rnnscope("rerun", trace).stdout.startswith("same: ")


def test_a_padding_rule_called_none_is_no_absent_value(rnnscope, files, tmp_path):
    trace = tmp_path / "a.h5"
    arguments = ["--lengths", "10,6", "--padding", "none", "--override"]
    assert rnnscope("run", M, files / "x.npy", *arguments, "-o", trace).code == 0
    with open_trace(trace) as opened:
        assert opened.layers[LAYER].options["padding"] == "none"
        assert opened.layers[LAYER].options["cell_clip"] is None
    result = rnnscope("check", trace, "--verify", "onnxruntime", "--only", "framework-kernel")
    assert "fail" not in result.stdout


# Whatever was given

options_of_m = st.fixed_dictionaries(
    {},
    optional={
        "lengths": st.sampled_from(["10,6", "3,9", "auto", "0,1"]),
        "initial_c": st.just("c0.npy"),
        "initial_m": st.just("m0.npy"),
        "forget_bias": st.sampled_from(["0.25", "rnn/*=2"]),
        "cell_clip": st.sampled_from(["0.5", "none"]),
        "activation": st.sampled_from(["relu", "softsign"]),
        "padding": st.sampled_from(["zeros", "hold", "none"]),
        "go_backwards": st.just(True),
        "backward": st.just("rnn/*"),
        "gates": st.just(True),
        "engine": st.sampled_from(["numpy", "reference"]),
        "threads": st.sampled_from([1, 2]),
        "layers": st.just("rnn/*"),
        "feed": st.just(LAYER),
    },
)
inputs_of_m = st.sampled_from([
    ("x.npy", {}),
    ("x.npy", {"mask": "mask.npy"}),
    ("turned.npy", {"time_major": True}),
    ("turned.npy", {"time_major": True, "mask": "turned_mask.npy"}),
    ("named.npz", {"inputs": "batch"}),
    ("named.npz", {"inputs": "batch", "lengths": "none"}),
])  # fmt: skip

FLAGS = {"layers": "layer"}


def _whole_run(files, name, options):
    """The options of a run with files by their whole paths, always able to override."""
    given_options = {**options, "override": True}
    for key in ("mask", "initial_c", "initial_m"):
        if key in given_options:
            given_options[key] = str(files / given_options[key])
    return files / name, given_options


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(inputs_of_m, options_of_m)
def test_every_way_to_run_a_recipe_gives_the_same_trace(
    rnnscope, files, tmp_path_factory, where, more
):
    """The command line, a suite and Python; run, rerun and recomputation; bit for bit."""
    name, fixed = where
    if "mask" in fixed:
        more = {key: value for key, value in more.items() if key != "lengths"}
    inputs, options = _whole_run(files, name, {**more, **fixed})
    folder = tmp_path_factory.mktemp("run")
    words = flags({FLAGS.get(key, key): value for key, value in options.items()})
    result = rnnscope("run", M, inputs, *words, "-o", folder / "cli.h5")
    assert result.code in (0, 1), result.stderr
    ran = states(folder / "cli.h5")

    with run(M, inputs, output=folder / "python.h5", **options):
        same_arrays(states(folder / "python.h5"), ran)
    with run(M, inputs, **options) as trace:
        assert np.array_equal(np.asarray(trace.layers[LAYER].c), ran[f"{LAYER}/c"])
        recipe = trace.recipe

    written = "\n".join(
        f"{key} = {str(value).lower() if isinstance(value, bool) else repr(value)}"
        for key, value in options.items()
    )
    written = written.replace("layers = 'rnn/*'", "layers = ['rnn/*']")
    written = written.replace(f"feed = '{LAYER}'", f"feed = ['{LAYER}']")
    (folder / "suite.toml").write_text(
        f"[[case]]\ncheckpoint = '{M}'\ninput = '{inputs}'\n[case.run]\n{written}\n"
    )
    (case,) = read_suite(folder / "suite.toml")
    assert (case.recipe.options, case.recipe.input) == (recipe.options, recipe.input)
    with open_trace(folder / "cli.h5") as stored:
        assert stored.recipe == recipe

    with rerun(folder / "cli.h5", output=folder / "again.h5"):
        same_arrays(states(folder / "again.h5"), ran)
    with Trace.open(folder / "cli.h5") as stored, open_recomputation(stored) as again:
        assert again.notes == ()
        computed = again.again(slice(0, stored.sequences))[LAYER].states
        limit = 1e-12 * max(1.0, float(np.abs(ran[f"{LAYER}/c"]).max()))
        for state in ("c", "m"):
            off = np.abs(computed.states[state] - ran[f"{LAYER}/{state}"]).max()
            assert off <= limit, state
    report = check(folder / "cli.h5", only=["framework-kernel"], verify="onnxruntime")
    assert report.status in ("pass", "skip"), report.subjects[0].findings


def test_files_that_moved_are_found_beside_the_trace_or_asked_for(
    rnnscope, files, tmp_path, monkeypatch
):
    work = tmp_path / "work"
    work.mkdir()
    np.save(work / "x.npy", X)
    monkeypatch.chdir(work)
    assert rnnscope("run", M, "x.npy", "-o", "t.h5", "--quiet").code == 0
    monkeypatch.chdir(tmp_path)
    assert rnnscope("rerun", "work/t.h5").code == 0
    assert rnnscope("check", "work/t.h5", "--recompute", "--only", "padding-leak").code == 0
    (work / "x.npy").rename(work / "y.npy")
    result = rnnscope("rerun", "work/t.h5")
    assert (result.code, result.stdout) == (2, "")
    assert "The input of the run is not there any more." in result.stderr
    assert "say where it is now: --input" in result.stderr
    assert rnnscope("rerun", "work/t.h5", "--input", "work/y.npy").code == 0


def test_a_recipe_over_another_input_is_named(files, tmp_path):
    with run(M, files / "x.npy", lengths=[10, 6], output=tmp_path / "a.h5"):
        pass
    changed = X + 1.0
    np.save(tmp_path / "other.npy", changed)
    with Trace.open(tmp_path / "a.h5") as stored:
        replay = Replay(inputs=str(tmp_path / "other.npy"))
        with open_recomputation(stored, replay) as again:
            assert again.notes == ("other.npy is not the input of the trace: its SHA-256 differs.",)


def test_a_million_lengths_are_told_by_their_digest(tmp_path):
    """HDF5 keeps no attribute of 64 KiB; the trace has the lengths as an array of its own."""
    x = np.zeros((30_000, 1, 8))
    with run(M, x, lengths=[1] * 30_000, output=tmp_path / "a.h5") as trace:
        assert trace.recipe["lengths"] == (1,) * 30_000
    with open_trace(tmp_path / "a.h5") as trace:
        assert trace.recipe["lengths"].shape == (30_000,)
        assert check(trace, only=["padding-leak"], input=x).status == "pass"


def test_states_in_memory_are_checked_with_what_they_were_run_on():
    with run(M, X, lengths=[10, 6], initial_c=C0, initial_m=M0) as trace:
        report = check(trace, recompute=True)
    found = {one.check: one.status for one in report.subjects[0].findings}
    assert found["padding-leak"] == "pass"
