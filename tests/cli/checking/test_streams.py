"""Where the report goes: closed or full streams, colours that are asked for or refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CKPT = Path(__file__).parents[3] / "sample_data/lstm_float64/model.ckpt"
KNOWN = {key: value for key, value in os.environ.items()
         if key not in ("NO_COLOR", "FORCE_COLOR", "TERM")}  # fmt: skip
ESCAPE = b"\x1b["


def shell(line, **env):
    """A line of a shell in which ``rnnscope`` is ours."""
    return subprocess.run(
        ["sh", "-c", f'rnnscope() {{ "{sys.executable}" -m rnnscope "$@"; }}; {line}'],
        capture_output=True, check=False, env={**KNOWN, **env}, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (f"inspect {CKPT}", b"error: The report could not be printed.\n"),
        ("--help", b"error: Nothing could be printed.\n"),
        ("help padding", b"error: Nothing could be printed.\n"),
    ],
)
def test_a_closed_stdout_ends_in_a_sentence(arguments, said):
    done = shell(f"rnnscope {arguments} >&-")
    assert done.returncode == 2  # 1 would be a verdict
    assert done.stderr.startswith(said)
    assert b"Traceback" not in done.stderr


def test_a_closed_stderr_leaves_the_exit_code():
    assert shell("rnnscope inspect nothere 2>&-").returncode == 2
    done = shell(f"rnnscope inspect {CKPT} 2>&-")
    assert done.returncode == 0
    assert done.stdout.startswith(b"checkpoint  ")


@pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="the system has no device that is always full"
)
@pytest.mark.parametrize("arguments", [f"inspect {CKPT}", "--help", "--version"])
def test_a_full_device_ends_in_a_sentence(arguments):
    done = shell(f"rnnscope {arguments} > /dev/full")
    assert done.returncode == 2
    assert b"found: No space left on device\n" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("env", "coloured"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "0"}, False),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": ""}, True),
    ],
)
def test_colours_in_a_pipe(env, coloured):
    done = shell(f"rnnscope inspect {CKPT} | cat; rnnscope inspect nothere", **env)
    assert (ESCAPE in done.stdout) == coloured
    assert (ESCAPE in done.stderr) == coloured


@pytest.mark.parametrize(
    ("env", "coloured"), [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False)]
)
def test_colours_on_a_terminal(env, coloured):
    pty = pytest.importorskip("pty")
    main, other = pty.openpty()
    subprocess.run(
        [sys.executable, "-m", "rnnscope", "inspect", str(CKPT)],
        stdout=other, stderr=other, check=True, env={**KNOWN, **env}, timeout=120,
    )  # fmt: skip
    os.close(other)
    text = b""
    try:
        while part := os.read(main, 65536):
            text += part
    except OSError:  # Linux says so where nobody writes any more
        pass
    os.close(main)
    assert b"rnn/lstm_cell" in text
    assert (ESCAPE in text) == coloured
