"""What is settled before anything is imported."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

NAME = "OPENBLAS_THREAD_TIMEOUT"
CODE = f"""
import os, sys
import rnnscope.cli
early = "numpy" in sys.modules
try:
    rnnscope.cli.main(["--version"])
finally:
    print(early, os.environ["{NAME}"])
"""


@pytest.mark.parametrize(("given", "expected"), [(None, "22"), ("26", "26")])
def test_an_idle_thread_of_openblas_sleeps_soon_unless_the_user_says_otherwise(given, expected):
    """It is said before numpy is imported, which reads it then."""
    env = {key: value for key, value in os.environ.items() if key != NAME}
    env |= {} if given is None else {NAME: given}
    found = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, check=True, env=env, text=True
    )
    assert found.stdout.split("\n")[1] == f"False {expected}"
