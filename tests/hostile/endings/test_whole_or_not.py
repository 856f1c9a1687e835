"""Texts that commands write: the new one whole, or the old one; where a link leads, if named."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rnnscope.states.saving import save_text

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits and pipes of POSIX")

OLD = b"old"

WRITERS = {
    "junit": "check t.h5 --quiet --junit out.xml",
    "page": "report t.h5 --quiet --force -o out.html",
    "picture": "report t.h5 other.h5 --quiet --force -o page.html --pictures .",
    "explanation": "explain t.h5 other.h5 -o out.json",
}


@pytest.fixture
def traces(files, rnnscope):
    """``t.h5`` and ``other.h5``, which differ."""
    for name, bias in (("t.h5", "1"), ("other.h5", "0")):
        command = f"run w.npz x.npy --layout tf1 --quiet --override --forget-bias {bias} -o {name}"
        assert rnnscope(*command.split()).code == 0


def target_of(command):
    return Path("B-other.svg" if "--pictures" in command else command.split()[-1])


@pytest.mark.parametrize("command", WRITERS.values(), ids=WRITERS)
def test_a_full_disk_keeps_the_old_file(traces, command):
    target = target_of(command)
    target.write_bytes(OLD)
    before = sorted(path.name for path in Path().iterdir())
    found = subprocess.run(
        [sys.executable, "-m", "rnnscope", *command.split()],
        capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},  # it would be cut off, and kept
    )  # fmt: skip
    assert found.returncode == 2
    assert "cannot be written" in found.stderr
    assert target.read_bytes() == OLD
    assert sorted(path.name for path in Path().iterdir()) == before


@pytest.mark.parametrize("command", WRITERS.values(), ids=WRITERS)
def test_a_link_that_the_user_names_stays_one(traces, rnnscope, command):
    target = target_of(command)
    Path("elsewhere").mkdir()
    kept = Path("elsewhere", f"kept{target.suffix}")
    kept.write_bytes(OLD)
    target.symlink_to(kept)
    assert rnnscope(*command.split()).code in (0, 1)
    assert target.is_symlink()
    assert len(kept.read_bytes()) > 100
    assert [path.name for path in Path("elsewhere").iterdir()] == [kept.name]


def test_a_pipe_is_written_to(tmp_path):
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    save_text(pipe, "a\nb", force=True, what="text")
    reader.join(timeout=30)
    assert got == [b"a\nb"]
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_without_force_nothing_is_replaced(tmp_path):
    from rnnscope.errors import TraceError

    (tmp_path / "t").write_bytes(OLD)
    with pytest.raises(TraceError, match=r"The note exists already\."):
        save_text(tmp_path / "t", "new", force=False, what="note")
    assert (tmp_path / "t").read_bytes() == OLD


def test_texts_are_utf8_whatever_the_locale(tmp_path):
    save_text(tmp_path / "t", "é😀\r\n", force=False, what="note")
    assert (tmp_path / "t").read_bytes() == "é😀\r\n".encode()
