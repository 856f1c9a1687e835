"""How the process ends when something outside ends it: signals, memory, threads, full disks."""

from __future__ import annotations

import atexit
import errno
import gc
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import NoReturn, TextIO

from rnnscope.errors import RnnscopeError

AS_INTERRUPT = ("SIGTERM", "SIGHUP")
"""Signals that end a command as Ctrl-C does: what it began is tidied up first."""

LEAST_ADDRESSES = 240 * 2**20
ADDRESSES_A_THREAD = 40 * 2**20
"""What a start takes, measured; OpenBLAS makes a thread and a buffer for each CPU."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Ended(KeyboardInterrupt):
    """A signal asked the process to end.

    Attributes
    ----------
    number : int
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Raise `Ended` in the main thread where a signal would end the process at once."""
    before: dict[int, object] = {}
    if threading.current_thread() is threading.main_thread():
        for name in AS_INTERRUPT:
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            # One that is ignored stays so: that is what nohup asks for.
            if number is not None and signal.getsignal(number) == signal.SIG_DFL:
                before[number] = signal.signal(number, _end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]


def _end(number: int, _: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)  # a second one ends the process at once
    raise Ended(number)


def code_of_interrupt(error: BaseException) -> int:
    """What shells say of a process that a signal ended: 130 for Ctrl-C, 143 for SIGTERM."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, Ended):
            return 128 + cause.number
        cause = cause.__cause__ or cause.__context__
    return 128 + signal.SIGINT


def named(error: BaseException) -> RnnscopeError | None:
    """What the machine refused, as an error that says what to do; None for anything else."""
    if isinstance(error, MemoryError):
        return RnnscopeError(
            "The memory is not enough.",
            found=str(error) or "the system gave no more",
            hint="--memory 200MB takes less at a time and --threads 1 less beside each other; "
            "nothing was kept",
        )
    if isinstance(error, RuntimeError) and "new thread" in str(error):
        return RnnscopeError(
            "The system allows no more threads.",
            found=str(error),
            hint="--threads 1 needs the fewest, and OPENBLAS_NUM_THREADS=1 beside it",
        )
    if isinstance(error, OSError):
        return _of_system(error)
    return None


def _of_system(error: OSError) -> RnnscopeError:
    what = "The system refused to read or write a file."
    hint = None
    if error.errno == errno.EBADF and error.filename is None:
        what, hint = "Nothing could be printed.", "stdout is closed: leave out '>&-'"
    elif error.errno in FULL:
        what, hint = "There is no room to write to.", "free some space, and run it again"
    elif error.errno in (errno.EMFILE, errno.ENFILE):
        what, hint = "The system allows no more open files.", "raise the limit: ulimit -n 1024"
    elif error.errno == errno.ENAMETOOLONG:
        what, hint = "A file's name is too long.", "choose a shorter one"
    where = None if error.filename is None else os.fsdecode(error.filename)
    return RnnscopeError(what, where=where, found=error.strerror or str(error), hint=hint)


def too_few_addresses() -> bool:
    """Whether a limit leaves too few addresses; then it is said.

    OpenBLAS ends the process itself where it gets none, with code 1, which would be a verdict.
    """
    try:
        import resource
    except ImportError:  # Windows
        return False
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    wanted = LEAST_ADDRESSES + (os.cpu_count() or 1) * ADDRESSES_A_THREAD
    if limit == resource.RLIM_INFINITY or limit >= wanted:
        return False
    tell(
        "error: The limit of addresses is too low for what numpy takes at its start.\n"
        f"  expected: {wanted // 2**20} MB\n"
        f"  found: {limit // 2**20} MB\n"
        f"  next: ulimit -v {wanted // 2**10}, or OPENBLAS_NUM_THREADS=1 and less\n"
    )
    return True


def leave_at_once(code: int) -> None:
    """End the process here where HDF5 was in use: after trouble nothing is left to be done.

    A file that could not be written, or that is damaged, makes HDF5 crash when it tidies up at the
    end of a process, and the exit code would be that of the crash.
    """
    if "h5py" not in sys.modules:
        return
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    fetching = sys.modules.get("rnnscope.files.remote.fetching")
    if fetching is not None:
        fetching.drop_copies()
    os._exit(code)


def leave(code: int) -> NoReturn:
    """End the process, and take nothing apart: the system frees it all in half of the time.

    What was registered for the end is done first. Where more hangs on the way that Python ends, a
    thread, a debugger, output that could not be written, it ends that way.
    """
    watched = sys.flags.interactive or sys.gettrace() or sys.getprofile()
    others = [thread for thread in threading.enumerate()
              if not thread.daemon and thread is not threading.current_thread()]  # fmt: skip
    if not (watched or others):
        # Of the standard library itself: there is no other way to do what `atexit` was told.
        atexit._run_exitfuncs()  # noqa: SLF001
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    # Looking for garbage in all that was imported would take as long as --help.
    gc.freeze()
    sys.exit(code)


def drop_remarks_of_h5py() -> None:
    """Do not print what h5py remarks while it drops objects of a file that it could not write.

    The error itself is raised, and told.
    """
    unraisable, uncaught = sys.unraisablehook, sys.excepthook

    def ignored(remark: sys.UnraisableHookArgs) -> None:
        if "h5py" not in str(remark.object):
            unraisable(remark)

    def printed(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        frame = traceback and traceback.tb_frame.f_code.co_filename
        if not (frame and frame.startswith("h5py")):
            uncaught(kind, error, traceback)

    sys.unraisablehook, sys.excepthook = ignored, printed


def open_closed_streams() -> None:
    """Put something in the place of standard streams that the caller has closed.

    The next file that is opened would take the place of a closed stdout, and what is printed would
    be written into it. What stands there instead takes nothing, so that printing fails with a
    message.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # noqa: PERF203  # three rounds
            os.open(os.devnull, os.O_WRONLY if number == 2 else os.O_RDONLY)
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))


def any_character() -> None:
    """Let both streams write what their encoding lacks with backslashes, not fail at it.

    A name out of a file may be in any script, and what is redirected on Windows takes 256
    characters.
    """
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            with suppress(OSError, ValueError):
                reconfigure(errors="backslashreplace")


def tell(text: str) -> None:
    """Write to stderr; where that takes nothing, the exit code alone says it."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError):
        let_go_of(sys.stderr)


def let_go_of(stream: TextIO) -> None:
    """Drop what a stream would not take: Python would try once more at exit, and exit with 120."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
