"""The action and the hooks that users copy: their lines are commands that there are."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CI = files("rnnscope") / "record" / "suites" / "ci"
ACTION = (CI / "action.yml").read_text("utf-8")
HOOKS = (CI / "pre-commit-hooks.yaml").read_text("utf-8")


@pytest.mark.parametrize(("topic", "text"), [("action", ACTION), ("pre-commit", HOOKS)])
def test_help_prints_them_as_they_are(rnnscope, topic, text):
    done = rnnscope("help", topic)
    assert (done.code, done.stdout, done.stderr) == (0, text, "")


@pytest.mark.parametrize("text", [ACTION, HOOKS])
def test_the_address_stands_once(text):
    assert text.count("git+") == 1


def test_they_are_yaml_of_the_right_keys():
    yaml = pytest.importorskip("yaml")
    action, hooks = yaml.safe_load(ACTION), yaml.safe_load(HOOKS)
    assert action["runs"]["using"] == "composite"
    used = set(re.findall(r"inputs\.(\w+)", ACTION))
    assert used == set(action["inputs"])
    assert [hook["id"] for hook in hooks] == ["rnnscope-check", "rnnscope-weights"]
    for hook in hooks:
        assert hook["additional_dependencies"] == ["rnnscope @ git+URL"]


def test_the_line_of_the_action_does_its_work(tmp_path):
    """In a shell, with the variables that its step sets."""
    line = re.search(r"run: (rnnscope check .*)", ACTION)[1]
    for file in (ROOT / "sample_data/lstm_float64").iterdir():
        shutil.copy(file, tmp_path)
    (tmp_path / "s.toml").write_text('[[case]]\ncheckpoint = "model.ckpt"\ninput = "inputs.npz"\n')
    given = {"SUITE": "s.toml", "JOBS": "1", "JUNIT": "states.xml"}
    done = subprocess.run(
        ["bash", "-c", f'rnnscope() {{ "{sys.executable}" -m rnnscope "$@"; }}; {line}'],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, **given, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "states.xml").read_text().startswith("<?xml")


@pytest.mark.parametrize("entry", re.findall(r"entry: rnnscope (.*)", HOOKS))
def test_the_hooks_call_what_there_is(rnnscope, entry):
    done = rnnscope(*entry.split(), ROOT / "sample_data/lstm_float64/model.ckpt")
    assert (done.code, done.stdout, done.stderr) == (0, "", "")
