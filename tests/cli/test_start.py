"""What is settled before anything is imported, and how the process ends."""

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


ENDINGS = {
    "what was registered is done": ("import atexit; atexit.register(print, 'done')", "done"),
    "a thread is waited for": (
        "import threading; threading.Timer(0.3, print, ['done']).start()", "done"
    ),
    "a thread that nobody waits for is not": (
        "import threading, time\n"
        "threading.Thread(target=lambda: (time.sleep(60), print('late')), daemon=True).start()",
        "",
    ),
    "a debugger sees the end": ("sys.settrace(lambda *_: None)", "seen"),
}  # fmt: skip


@pytest.mark.parametrize(("before", "said"), ENDINGS.values(), ids=ENDINGS)
def test_the_process_ends_with_all_that_was_to_be_done(before, said):
    """Nothing is taken apart; what waits to be printed, registered or joined is not lost."""
    code = f"""
import sys
{before}
sys.argv = ["rnnscope", "--version"]
from rnnscope.cli import main
try:
    main()
finally:
    if sys.gettrace():
        print("seen")
"""
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, timeout=50
    )
    lines = found.stdout.splitlines()
    assert lines[0].startswith("rnnscope, version ")
    assert "".join(lines[1:]) == said


def test_a_caller_in_python_goes_on():
    """With arguments of its own, `main` raises SystemExit like any other."""
    code = """
from rnnscope.cli import main
try:
    main(["--version"])
except SystemExit as stop:
    print("code", stop.code)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert found.stdout.splitlines()[1] == "code 0"
