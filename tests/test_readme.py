"""The README holds what the program prints, the table of formats is READERS, its Python runs.

``python tests/test_readme.py`` writes the README's outputs and its table anew.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from rnnscope.checkpoints import readers

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"

CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PYCON = re.compile(r"^```pycon\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FORMATS = re.compile(r"(?<=<!-- formats -->\n).*?(?=<!-- /formats -->)", re.DOTALL)
CI_LINE = re.compile(r"^<!-- ci: (\w+) -->\n```console\n\$ (.*)$", re.MULTILINE)
TIMING = re.compile(r"[\d.,]+ s, [\d.,]+ steps/s")
FOLDERS = re.compile(r"\.venv/bin/")


def formats_table() -> str:
    """READERS as a table in Markdown."""
    rows = [("format", "what is read", "what is not")]
    rows += [(reader.title, reader.reads, reader.does_not_read) for reader in readers()]
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join([lines[0], "|---|---|---|", *lines[1:], ""])


def refreshed(text: str, folder: Path) -> str:
    """A README's text with its table of formats and the output of its commands made anew.

    Commands are run in a folder that holds ``sample_data``. Of a line that also installs, only
    the last part is run. What is no ``rnnscope`` command keeps its output.
    """
    text = FORMATS.sub(lambda _: formats_table(), text)
    return CONSOLE.sub(lambda block: f"```console\n{_session(block[1], folder)}```", text)


def _session(block: str, folder: Path) -> str:
    shown, code = [], 0
    for line, before in re.findall(r"^(\$ .*\n)((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
        words = shlex.split(FOLDERS.sub("", line[2:].split("&&")[-1]))
        if words[0] == "rnnscope":
            done = _run(words[1:], folder)
            output, code = done.stdout, done.returncode
            assert "Traceback" not in output, output
            same = TIMING.sub("", output) == TIMING.sub("", before)
            shown.append(line + (before if same else output))
        else:
            shown.append(line + (f"{code}\n" if words == ["echo", "$?"] else before))
    return "".join(shown)


def _run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rnnscope", *arguments],
        cwd=folder,
        env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sample_data").symlink_to(ROOT / "sample_data", target_is_directory=True)
    return tmp_path


def test_outputs_and_formats_are_the_programs_own(folder):
    text = README.read_text(encoding="utf-8")
    assert refreshed(text, folder) == text, "python tests/test_readme.py writes it anew"


def test_python_examples_run_as_written(folder, monkeypatch):
    text = README.read_text(encoding="utf-8")
    first = CI_LINE.search(text)
    assert first is not None
    _run(shlex.split(first[2].split("&&")[-1])[1:], folder)
    monkeypatch.chdir(folder)
    examples = "\n".join(PYCON.findall(text))
    assert examples
    test = doctest.DocTestParser().get_doctest(examples, {}, "README.md", str(README), 0)
    assert doctest.DocTestRunner().run(test).failed == 0


def test_two_lines_set_everything_up():
    """`.ci/run` takes its first two commands from these marks."""
    lines = dict(CI_LINE.findall(README.read_text(encoding="utf-8")))
    assert list(lines) == ["run", "test"]
    for line in lines.values():
        assert line.startswith("python3 -m venv .venv && .venv/bin/pip install ")
    assert ".venv/bin/rnnscope run sample_data/" in lines["run"]
    assert lines["test"].endswith(".venv/bin/pytest")


def test_named_samples_exist():
    said = CONSOLE.sub("", README.read_text(encoding="utf-8"))
    for name in set(re.findall(r"sample_data/[\w./]+\w", said)):
        assert (ROOT / name).exists() or (ROOT / f"{name}.index").exists(), name


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        (place / "sample_data").symlink_to(ROOT / "sample_data", target_is_directory=True)
        README.write_text(refreshed(README.read_text("utf-8"), place), encoding="utf-8")
