"""The command line. Only this package touches stdout, stderr, the terminal and exit codes."""

from __future__ import annotations

from typing import NoReturn


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 fine, 1 a verdict, 2 trouble of any kind.

    Parameters
    ----------
    arguments : list of str, optional
        Those of the process if not given.
    """
    import os
    import sys

    # A thread of OpenBLAS that has nothing to do looks for work for a tenth of a second (2**28
    # ticks), after numpy's import and after each product: on two processors another thread's time.
    # It is read when numpy is imported.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "22")
    try:
        from rnnscope.cli.main import main as run
    except BaseException:  # noqa: BLE001 - not even importing went well, and 1 would be a verdict
        _print_traceback()
        sys.exit(2)
    run(arguments)


def _print_traceback() -> None:
    from contextlib import suppress

    with suppress(BaseException):  # no memory, no files: then there is nothing to say
        import traceback

        traceback.print_exc()


__all__ = ["main"]
