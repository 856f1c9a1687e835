"""Names in pickles that no saved model has a use for."""

from __future__ import annotations

from rnnscope.checkpoints.torch.pickled_values import (
    Name,
)

REFUSED_MODULES = frozenset(
    {"os", "posix", "nt", "posixpath", "ntpath", "subprocess", "sys", "shutil", "socket", "ctypes",
     "importlib", "runpy", "pty", "code", "codeop", "commands", "webbrowser", "pickle", "_pickle",
     "marshal", "urllib", "requests", "http", "ftplib", "asyncio", "multiprocessing", "threading",
     "signal", "platform", "pip", "pdb", "bdb", "timeit", "cProfile", "profile", "trace"}
)  # fmt: skip
"""Packages that no saved model has a use for: nothing would be executed, but such a file is no
checkpoint, and whoever opens it elsewhere should know."""


REFUSED_NAMES = frozenset(
    {Name("builtins", name)
     for name in ("eval", "exec", "compile", "__import__", "open", "input", "breakpoint",
                  "execfile", "exit", "quit", "apply", "file", "globals", "locals", "vars")}
    | {Name("torch", "load"), Name("torch.serialization", "load"), Name("torch.jit", "load"),
       Name("torch.hub", "load"), Name("numpy", "load"), Name("joblib", "load")}
)  # fmt: skip


def is_refused(name: Name) -> bool:
    """Whether a name has no place in any saved model."""
    return name.module.split(".")[0] in REFUSED_MODULES or name in REFUSED_NAMES
