"""The engine of mutants as a function in this process: no program has to be started."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("engine_of_mutants.py")


def engine_in_python(fault=""):
    """The function of the script, with a fault."""
    spec = importlib.util.spec_from_file_location("engine_of_mutants", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.FAULT = fault
    return module.answer


def command(fault=""):
    return [sys.executable, str(SCRIPT), fault]
