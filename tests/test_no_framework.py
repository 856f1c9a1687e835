"""What a default run must not do: import a framework, or execute anything that a file holds."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rnnscope.checkpoints import READER_MODULES, SIGNATURES

SAMPLES = Path(__file__).resolve().parents[1] / "sample_data"

# Runs the command line in a fresh interpreter, with an ear on everything that could execute a
# file's content, and tells at exit what was imported and what was heard.
PROBE = """
import atexit, json, sys

heard, told = [], sys.argv.pop(1)

def listen(event, arguments):
    # Importing compiles and executes modules; what a model file holds arrives as a string or as
    # code without a file of its own.
    if event == "pickle.find_class":
        heard.append([event, repr(arguments)])
    elif event in ("compile", "exec"):
        name = arguments[1] if event == "compile" else arguments[0].co_filename
        made_up = str(name).startswith("<") and not str(name).startswith("<frozen")
        frame, callers = sys._getframe(), []
        while frame is not None:
            callers.append(frame.f_globals.get("__name__", ""))
            frame = frame.f_back
        # namedtuple, dataclass and their kin make their methods with exec, at import; ours, of the
        # names of its own fields, when the first instance is made.
        makers = ("rnnscope.deferred_dataclass",)
        own = any(
            caller.startswith("rnnscope.") and caller not in makers for caller in callers[:2]
        )
        if made_up and own:
            heard.append([event, str(name)])

sys.addaudithook(listen)

def tell():
    roots = {name.partition(".")[0] for name in sys.modules}
    with open(told, "w") as file:
        readers = [name.partition(".checkpoints.")[2] for name in sys.modules]
        json.dump({"modules": sorted(roots), "heard": heard, "readers": readers}, file)

atexit.register(tell)

import pickle
def refuse(*arguments, **named):
    heard.append(["pickle", repr(arguments)[:80]])
    raise AssertionError("pickle")
for name in ("load", "loads", "Unpickler", "_Unpickler"):
    setattr(pickle, name, refuse)

from rnnscope.cli import main
main()
"""

FRAMEWORKS = {"tensorflow", "keras", "tf_keras", "torch", "jax", "onnxruntime"}


def probe(tmp_path, *arguments):
    """The exit code of a command, and what the probe told."""
    told = tmp_path / "told.json"
    result = subprocess.run(
        [sys.executable, "-c", PROBE, told, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in result.stderr, result.stderr
    return result, json.loads(told.read_text())


def samples():
    """Every sample checkpoint with its input; a folder of bare arrays has none."""
    for folder in sorted(SAMPLES.iterdir()):
        if folder.is_dir():
            files = [*folder.glob("*.index"), *folder.glob("*.h5"), *folder.glob("*.keras")]
            if files:
                yield pytest.param(files[0], folder / "inputs.npz", id=folder.name)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["run", "--help"], ["inspect", "--help"]]
)
def test_help_imports_no_framework(tmp_path, arguments):
    result, told = probe(tmp_path, *arguments)
    assert result.returncode == 0
    assert not FRAMEWORKS & set(told["modules"])
    # Nor what only a run needs.
    assert not {"h5py", "google", "rich"} & set(told["modules"])


@pytest.mark.parametrize(("checkpoint", "inputs"), list(samples()))
def test_inspect_imports_no_framework_and_executes_nothing(tmp_path, checkpoint, inputs):
    result, told = probe(tmp_path, "inspect", checkpoint)
    assert result.returncode == 0
    assert not FRAMEWORKS & set(told["modules"])
    assert told["heard"] == []


@pytest.mark.parametrize(("checkpoint", "inputs"), list(samples()))
def test_run_imports_no_framework_and_executes_nothing(tmp_path, checkpoint, inputs):
    trace = tmp_path / "trace.h5"
    result, told = probe(tmp_path, "run", checkpoint, inputs, "-o", trace)
    assert result.returncode == 0, result.stderr
    assert trace.exists()
    assert not FRAMEWORKS & set(told["modules"])
    assert told["heard"] == []


def test_a_reader_that_a_file_begins_like_is_asked_before_others_are_loaded(tmp_path):
    checkpoint = next(SAMPLES.glob("*/*.h5"))
    result, told = probe(tmp_path, "inspect", checkpoint)
    assert result.returncode == 0
    loaded = set(told["readers"])
    assert "keras.h5_file" in loaded
    assert not loaded & {
        "tf2.saved_model", "tf1.saver", "tf1.frozen_graph", "onnx.onnx_file", "torch.torch_file"
    }  # fmt: skip


def test_readers_asked_first_are_asked_in_the_order_of_the_table():
    for names in SIGNATURES.values():
        places = [READER_MODULES.index(name) for name in names]
        assert places == sorted(places)


def test_a_pickled_array_is_refused_unopened(tmp_path):
    """``np.load(allow_pickle=True)`` would run whatever the file says."""
    import numpy as np

    class Evil:
        def __reduce__(self):
            return (Path(tmp_path / "owned").touch, ())

    folder = tmp_path / "model"
    shutil.copytree(SAMPLES / "lstm_float32", folder)
    for name, save in (
        ("x.npy", lambda path, array: np.save(path, array, allow_pickle=True)),
        ("x.npz", lambda path, array: np.savez(path, x=array)),
    ):
        save(tmp_path / name, np.array([Evil()], dtype=object))
        trace = tmp_path / "trace.h5"
        result, told = probe(tmp_path, "run", folder, tmp_path / name, "-o", trace)
        assert result.returncode == 2
        assert "error:" in result.stderr
        assert told["heard"] == []
        assert not (tmp_path / "owned").exists()
        assert not trace.exists()


@pytest.mark.parametrize(
    "deed", ["pickle.loads(b'')", """exec("eval('1 + 1')", {"__name__": "rnnscope.somewhere"})"""]
)
def test_the_probe_hears(tmp_path, deed):
    """So that silence means something."""
    told = tmp_path / "told.json"
    code = PROBE.replace("main()", deed)
    subprocess.run([sys.executable, "-c", code, told], capture_output=True, check=False)
    assert json.loads(told.read_text())["heard"]
