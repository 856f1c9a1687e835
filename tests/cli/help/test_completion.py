"""Completion in shells: the scripts, and what is offered for a line that is half typed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rnnscope as api

SAMPLES = Path(__file__).parents[3] / "sample_data"
CKPT, STACK = SAMPLES / "lstm_float64/model.ckpt", SAMPLES / "keras_stack/model.h5"


def offered(*words):
    """What bash is offered for the last of these words, by the process that it asks."""
    line = " ".join(["rnnscope", *map(str, words)])
    done = subprocess.run(
        [sys.executable, "-c", "from rnnscope.cli import main; main()"],
        capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "_RNNSCOPE_COMPLETE": "bash_complete", "COMP_WORDS": line,
             "COMP_CWORD": str(len(words)), "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.stderr == ""
    return [entry.partition(",")[2] for entry in done.stdout.splitlines() if entry]


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    path = tmp_path_factory.mktemp("trace") / "trace.h5"
    api.run(STACK, SAMPLES / "keras_stack/inputs.npz", output=path).close()
    return path


def test_commands_and_formats():
    assert offered("ins") == ["inspect"]
    assert offered("check", "--format", "j") == ["json", "junit"]
    assert offered("export", "t.h5", "--to", "kera") == ["keras-bidirectional", "keras"]
    assert offered("diff", "a", "b", "--b-format", "single:") == [
        "single:m", "single:c", "single:outputs",
    ]  # fmt: skip


def test_layers_of_the_named_checkpoint(trace):
    assert offered("run", CKPT, "x.npz", "--layer", "rnn") == ["rnn/lstm_cell"]
    names = list(api.open_model(STACK).layers)
    assert len(names) > 1
    assert offered("run", STACK, "x.npz", "--feed", "l") == names
    for command in ("check", "pool", "show", "view"):
        assert offered(command, trace, "--layer", "l") == names
    assert offered("run", "nothere.ckpt", "x.npz", "--layer", "l") == []


def test_values_of_layers():
    assert offered("run", CKPT, "x", "--padding", "h") == ["hold"]
    assert offered("run", CKPT, "x", "--padding", "rnn") == ["rnn/lstm_cell="]
    assert offered("run", CKPT, "x", "--padding", "rnn/lstm_cell=z") == ["rnn/lstm_cell=zeros"]


def test_checks_and_their_limits(trace):
    assert offered("check", trace, "--only", "pad") == ["padding-leak"]
    assert offered("check", trace, "--only", "finite,weights-s") == [
        "finite,weights-size", "finite,weights-saturated-bias", "finite,weights-spectral-radius",
    ]  # fmt: skip
    assert offered("check", trace, "--limit", "satu") == ["saturation=0.5"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_scripts(rnnscope, shell):
    done = rnnscope("help", "completion", shell)
    assert (done.code, done.stderr) == (0, "")
    assert f"_RNNSCOPE_COMPLETE={shell}_complete" in done.stdout
    assert f"rnnscope help completion {shell} > " in rnnscope("help", "completion").stdout
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=done.stdout, text=True, check=True)


def test_bash_completes_with_the_script(rnnscope, tmp_path):
    """As a shell does it: the script is read, its function called."""
    (tmp_path / "script").write_text(rnnscope("help", "completion", "bash").stdout)
    (tmp_path / "rnnscope").write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -c "from rnnscope.cli import main; main()" "$@"\n'
    )
    (tmp_path / "rnnscope").chmod(0o755)
    line = ("source script; COMP_WORDS=(rnnscope insp); COMP_CWORD=1; "
            '_rnnscope_completion rnnscope; echo "${COMPREPLY[@]}"')  # fmt: skip
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}",
             "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.stdout == "inspect\n", done.stderr


def test_a_shell_with_another_topic(rnnscope):
    done = rnnscope("help", "padding", "bash")
    assert done.code == 2
    assert done.stderr.startswith("error: A shell goes with the topic completion.\n")
