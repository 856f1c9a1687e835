"""What ``rnnscope run`` is given as inputs: files, folders, stdin, or random numbers."""

from __future__ import annotations

import sys
from typing import Any

import click

from rnnscope.errors import InputError


def given_inputs(names: tuple[str, ...], *, is_random: bool) -> list[Any]:
    """The inputs of the runs: names of files, or an array that stdin holds.

    Raises
    ------
    RnnscopeError
        stdin or a folder holds no input.
    """
    from rnnscope.record.several_runs import inputs_in

    if not names and not is_random:
        raise click.UsageError("Missing argument 'INPUT...': a file, a folder, - or --random N,T.")
    if names == ("-",):
        return [_array_of_stdin()]
    return list(inputs_in(names)) or [""]


def _array_of_stdin() -> Any:
    """The array of an ``.npy`` on stdin."""
    import io

    import numpy as np

    if sys.stdin is None or sys.stdin.isatty():
        raise InputError(
            "INPUT - is what stdin holds, and stdin is a terminal.",
            expected="an .npy file: cat x.npy | rnnscope run CHECKPOINT - -o trace.h5",
        )
    data = sys.stdin.buffer.read()
    if not data.startswith(b"\x93NUMPY"):
        raise InputError(
            "What stdin holds is no .npy file.",
            where="stdin",
            expected="one array as numpy.save writes it",
            found=f"{len(data)} bytes that begin with {data[:8]!r}" if data else "nothing",
            hint="name the file: an .npz, .h5 or .csv is read from its place",
        )
    try:
        return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError, SyntaxError, TypeError) as error:
        raise InputError(
            "The .npy file on stdin cannot be read.",
            where="stdin",
            expected="a whole array of numbers, without pickled objects",
            found=str(error),
        ) from error
