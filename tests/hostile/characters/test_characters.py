"""Names of any script on streams of any encoding."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from fuzz.samples import safetensors_bytes, some_weights

NAME = "😀é"


@pytest.fixture
def emoji(files):
    arrays = {f"{NAME}.{name}": array for name, array in some_weights().items()}
    (files / "m.safetensors").write_bytes(safetensors_bytes(arrays))


def run(encoding, *arguments):
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    return subprocess.run(
        [sys.executable, "-m", "rnnscope", *arguments],
        capture_output=True, env=environment, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii", "utf-8"])
def test_a_layer_of_any_name_is_printed(emoji, encoding):
    found = run(encoding, "inspect", "m.safetensors")
    assert found.returncode == 0
    # click takes ASCII for a mistake of the system, and writes UTF-8.
    shown = NAME.encode("utf-8" if encoding == "ascii" else encoding, "backslashreplace")
    assert shown in found.stdout
    found = run(encoding, "run", "m.safetensors", "x.npy", "-o", "t.h5")
    assert found.returncode == 0
    for arguments in ("check t.h5 --github", "diff t.h5 t.h5", "check t.h5 --format json"):
        found = run(encoding, *arguments.split())
        assert found.returncode == 0
        assert b"Traceback" not in found.stderr


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_an_error_that_names_it_is_printed(files, encoding):
    found = run(encoding, "inspect", NAME)
    assert found.returncode == 2
    assert NAME.encode(encoding, "backslashreplace") in found.stderr
