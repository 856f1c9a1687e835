"""The pytest plugin: assertions that say where, and a fixture that runs a checkpoint."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from rnnscope.testing import assert_all_checks_pass, assert_last_output_is_m, assert_states_close

pytest_plugins = ["pytester"]

SAMPLE = Path(__file__).resolve().parents[1] / "sample_data" / "lstm_float64"
LAYER = "rnn/lstm_cell"


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    from rnnscope.cli.main import run

    path = tmp_path_factory.mktemp("sample") / "trace.h5"
    arguments = ["run", SAMPLE / "model.ckpt", SAMPLE / "inputs.npz", "-o", path, "--quiet"]
    assert run([str(argument) for argument in arguments]) == 0
    return path


@pytest.fixture
def damaged(sample, tmp_path):
    path = shutil.copyfile(sample, tmp_path / "damaged.h5")
    with h5py.File(path, "r+") as file:
        file[LAYER]["c"][1, 3, 7] = 5.0
        file[LAYER]["outputs"][1, 5, 2] = 0.75
    return path


def test_equal_states_pass(sample):
    assert_states_close(sample, sample)
    assert_states_close(sample, SAMPLE / "truth.npz", atol=1e-12)


def test_a_difference_names_its_place_and_both_values(sample, damaged):
    with h5py.File(sample) as file:
        c = file[LAYER]["c"][1, 3, 7]
    with pytest.raises(AssertionError) as caught:
        assert_states_close(sample, damaged, atol=1e-6)
    message = str(caught.value)
    assert message.startswith("states differ: ")
    assert (
        f"layer '{LAYER}', c at sequence 1, timestep 3, unit 7: {c:.9g} is not 5 "
        "(1 values beyond atol 1e-06, rtol 0, largest difference "
    ) in message


def test_arrays_by_name():
    c = np.linspace(0, 1, 24).reshape(2, 4, 3)
    given = {"c": c, "encoder/final/m": c[:, -1]}
    assert_states_close(given, {name: array.copy() for name, array in given.items()})
    other = {"c": c, "encoder/final/m": c[:, -1] + np.eye(2, 3)}
    with pytest.raises(AssertionError, match=r"layer 'encoder', final/m at sequence 0, unit 0"):
        assert_states_close(given, other)
    with pytest.raises(AssertionError, match="nan"):
        assert_states_close({"c": c}, {"c": np.where(c == 0, np.nan, c)})
    holes = {"c": np.where(c == 0, np.nan, c)}
    assert_states_close(holes, dict(holes), equal_nan=True)


def test_arrays_that_are_no_states_are_refused():
    """A misspelt name would otherwise be compared with nothing, and pass."""
    c = np.linspace(0, 1, 24).reshape(2, 4, 3)
    with pytest.raises(AssertionError, match="no states by their names: attention"):
        assert_states_close({"c": c, "attention": c}, {"c": c})


def test_the_last_output_of_a_trace(sample, damaged):
    assert_last_output_is_m(sample)
    with h5py.File(sample) as file:
        m = file[LAYER]["m"][1, 5, 2]
    with pytest.raises(AssertionError) as caught:
        assert_last_output_is_m(damaged)
    assert str(caught.value) == (
        f"layer '{LAYER}', sequence 1, timestep 5, unit 2: the output is 0.75, m is {m:.9g}"
    )


def test_the_last_output_of_arrays():
    outputs = np.array([[0.25, 0.5], [0.75, 0.125], [0, 0]], np.float32)
    assert_last_output_is_m(outputs=outputs, m=outputs[1], lengths=2)
    assert_last_output_is_m(outputs=outputs[None], m=outputs[2:])
    with pytest.raises(AssertionError) as caught:
        assert_last_output_is_m(outputs=outputs, m=outputs[0], lengths=2)
    assert str(caught.value) == (
        "layer 'outputs', sequence 0, timestep 1, unit 0: the output is 0.75, m is 0.25"
    )
    with pytest.raises(AssertionError, match="do not fit"):
        assert_last_output_is_m(outputs=outputs, m=outputs[0, :1])
    with pytest.raises(AssertionError, match="nothing could be judged: no sequence has a valid"):
        assert_last_output_is_m(outputs=outputs, m=outputs[0], lengths=0)
    with pytest.raises(TypeError, match="give a trace, or outputs and m"):
        assert_last_output_is_m()


TESTS = """
import numpy as np
import pytest
from rnnscope.errors import OptionError, RnnscopeError
from rnnscope.testing import assert_all_checks_pass, assert_last_output_is_m, assert_states_close
from rnnscope.trace import Trace

MODEL, INPUTS = {model!r}, {inputs!r}

def test_good(rnnscope_run):
    trace = rnnscope_run(MODEL, INPUTS, gates=True, lengths=[10, 3])
    assert_last_output_is_m(trace)
    with Trace.open(trace) as opened:
        assert opened.lengths.tolist() == [10, 3]

def test_bad(rnnscope_run):
    one = rnnscope_run(MODEL, INPUTS)
    other = rnnscope_run(MODEL, INPUTS, forget_bias=0.5, override=True)
    assert_states_close(one, other)

def test_unknown(rnnscope_run):
    with pytest.raises(OptionError, match="Did you mean 'forget_bias'"):
        rnnscope_run(MODEL, INPUTS, forget_bia=0.5)

@pytest.mark.parametrize("options", [
    dict(threads=1), dict(memory="1MB"), dict(select=["states=c"]), dict(compress="gzip"),
    dict(ragged=True), dict(verify="onnxruntime"), dict(ids=False), dict(engine="reference"),
])
def test_every_option_of_a_run(rnnscope_run, options):
    assert rnnscope_run(MODEL, INPUTS, **options).exists()

@pytest.mark.parametrize("options, words", [
    (dict(decoder_steps=3), "which layer is the decoder"),
    (dict(loop_function="identity"), "which layer is"), (dict(decoder="dec"), "decoder"),
    (dict(encoder="enc"), "encoder"), (dict(decoder_inputs="none.npy"), "none.npy"),
    (dict(trust_model=True), "trust_model|trust-model"),
])
def test_options_that_this_model_has_no_use_for_are_understood(rnnscope_run, options, words):
    with pytest.raises(RnnscopeError, match=words):
        rnnscope_run(MODEL, INPUTS, **options)

def test_an_array_in_place_of_a_file(rnnscope_run):
    with np.load(INPUTS) as given:
        trace = rnnscope_run(MODEL, given["x"], lengths=given["lengths"])
    assert_states_close(trace, rnnscope_run(MODEL, INPUTS))
"""


def test_the_fixture_runs_a_checkpoint(pytester):
    """A failing test shows where, and hides the plugin's own frames."""
    model, inputs = str(SAMPLE / "model.ckpt"), str(SAMPLE / "inputs.npz")
    pytester.makepyfile(TESTS.format(model=model, inputs=inputs))
    result = pytester.runpytest("-p", "rnnscope.testing", "-p", "no:randomly")
    result.assert_outcomes(passed=17, failed=1)
    result.stdout.fnmatch_lines(
        [
            "E*AssertionError: states differ: *",
            "E*layer 'rnn/lstm_cell', c at sequence 0, timestep 1, unit *",
        ]
    )
    result.stdout.no_fnmatch_line("*raise AssertionError*")


def test_the_plugin_imports_next_to_nothing():
    """Every pytest of the environment loads it."""
    code = (
        "import sys, pytest; before = set(sys.modules); import rnnscope.testing; "
        "print(sorted(name for name in set(sys.modules) - before if '.' not in name))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['rnnscope']"


IMPORTS = """
import sys
from importlib.machinery import SourceFileLoader

import rnnscope.model.cell
import test_helper

def test_ours_are_imported_as_they_are():
    assert type(rnnscope.model.cell.__loader__) is SourceFileLoader
    assert type(sys.modules[__name__].__loader__) is not SourceFileLoader
    assert type(test_helper.__loader__) is not SourceFileLoader
"""


def test_pytest_rewrites_none_of_our_modules(pytester):
    """Two threads that parse at once for a rewrite can fail; what is another's is rewritten."""
    before = list(sys.meta_path)
    pytester.makeconftest("import pytest; pytest.register_assert_rewrite('rnnscope')")
    pytester.makepyfile(test_imports=IMPORTS, test_helper="")
    result = pytester.runpytest_subprocess("-p", "rnnscope.testing", "-p", "no:randomly")
    result.assert_outcomes(passed=1)
    pytester.runpytest_inprocess("-p", "rnnscope.testing", "--collect-only")
    assert sys.meta_path == before


def test_all_checks_pass_or_say_which_does_not(sample, damaged):
    assert_all_checks_pass(sample)
    assert_all_checks_pass(SAMPLE / "model.ckpt")
    with pytest.raises(AssertionError) as caught:
        assert_all_checks_pass(damaged)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(f"fail last-output-is-m, layer '{LAYER}': the output of the last ")
    assert lines[1].startswith("  Look for a wrapper between cell and outputs")
    with pytest.raises(AssertionError, match="fail weights-spectral-radius"):
        assert_all_checks_pass(SAMPLE / "model.ckpt", limits={"weights-spectral-radius": 1})
    with pytest.raises(AssertionError, match="nothing could be judged"):
        assert_all_checks_pass(sample, only=["golden"])


ERRORS = """
import numpy as np
import rnnscope

def test_error():
    rnnscope.run({model!r}, np.ones((2, 3, 5)))

def test_error_of_the_fixture(rnnscope_run):
    rnnscope_run({model!r}, "none.npy")
"""


def test_an_error_shows_its_lines_and_none_of_our_code(pytester):
    pytester.makepyfile(ERRORS.format(model=str(SAMPLE / "model.ckpt")))
    result = pytester.runpytest("-p", "rnnscope.testing", "-p", "no:randomly")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            ">   *rnnscope.run(*",
            "E*InputError: The input has the wrong number of features.",
            "E         where: array in memory",
            "E         expected: 8 (layer 'rnn/lstm_cell')",
            "E         found: 5 features: 2 sequences x 3 timesteps x 5",
        ]
    )
    result.stdout.no_fnmatch_line("*Parameters*")
    result.stdout.no_fnmatch_line("*raise InputError*")
    result.stdout.no_fnmatch_line("*plan_recipe*")


def test_the_assertions_need_no_pytest(sample):
    code = (
        "import sys; sys.modules['pytest'] = None\n"
        "from rnnscope.testing import assert_all_checks_pass, assert_states_close\n"
        f"assert_states_close({str(sample)!r}, {str(sample)!r})\n"
        f"assert_all_checks_pass({str(sample)!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
