"""Threads that compute at the same time, each on a processor of its own.

A system may wake a thread on the processor of the one that woke it, though another has nothing to
do, and leave both there for some milliseconds or for tens of them: as long as many a call takes,
which then is as slow as with one thread. (Seen on two virtual processors, Linux 6.18.) So a thread
that is about to compute looks where the others do, and moves away from them; and where there is a
thread for every processor, each waits for its next work on one of its own, so that it is woken
there. None is bound to a processor while it computes: the system may move it at any time.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from functools import cache

_computing: dict[int, int] = {}
"""The processor where each computing thread was last seen, by the thread's own number."""

_waiting: dict[int, tuple[int, set[int]]] = {}
"""Of threads that wait for work: the processor that each is bound to, and those it may use."""

_one_at_a_time = threading.Lock()


@contextmanager
def own_processor(threads: int = 0) -> Generator[None, None, None]:
    """While this thread computes beside others; entered once more by the same, it looks again.

    Without a processor that none of them is on, or on a system that does not tell, nothing is
    moved.

    Parameters
    ----------
    threads : int
        Of a thread of a pool, which waits for work behind it: how many the pool has.
    """
    this = threading.get_ident()
    with _one_at_a_time:
        outermost = this not in _computing
        here = _where()
        if here is not None:
            others = {processor for thread, processor in _computing.items() if thread != this}
            _computing[this] = _moved_apart(here, others)
    try:
        yield
    finally:
        if outermost:
            with _one_at_a_time:
                _computing.pop(this, None)
                if threads and this not in _waiting:
                    _bind(this, threads)


def free_to_move() -> None:
    """Let the system move this thread from now on: what follows takes long, and needs no lock.

    Until then it stays where it waited for its work: who waits for Python's lock is woken by the
    one that lets go of it, too.
    """
    bound = _waiting.pop(threading.get_ident(), None)
    if bound is not None:
        with suppress(OSError):  # processors were taken away meanwhile: the system has moved it
            os.sched_setaffinity(0, bound[1])


def _moved_apart(here: int, others: set[int]) -> int:
    """The processor that this thread is on, after it has moved away from those of others."""
    if here not in others:
        return here
    this = threading.get_ident()
    allowed = _waiting[this][1] if this in _waiting else os.sched_getaffinity(0)
    free = allowed - others
    if not free:
        return here
    _waiting.pop(this, None)
    try:
        os.sched_setaffinity(0, free)  # the system moves it before this returns
        os.sched_setaffinity(0, allowed)
    except OSError:  # some containers do not allow it
        return here
    now = _where()
    return here if now is None else now


def _bind(this: int, threads: int) -> None:
    """Have this thread wait on a processor where no other of its kind waits."""
    here = _where()
    if here is None:
        return
    allowed = os.sched_getaffinity(0)
    if not 1 < len(allowed) <= threads:
        return
    living = {thread.ident for thread in threading.enumerate()}
    for ended in _waiting.keys() - living:  # with their pools
        del _waiting[ended]
    free = allowed - {processor for processor, _ in _waiting.values()}
    if not free:
        return
    chosen = here if here in free else min(free)
    with suppress(OSError):
        os.sched_setaffinity(0, {chosen})
        _waiting[this] = chosen, allowed


def _where() -> int | None:
    """The processor that this thread is on; None where the system does not tell."""
    ask = _asking()
    found = -1 if ask is None else ask()
    return found if found >= 0 else None


@cache
def _asking() -> Callable[[], int] | None:
    if not hasattr(os, "sched_setaffinity"):
        return None
    try:
        # `PyDLL` keeps Python's lock, which is cheaper than what is asked.
        function: Callable[[], int] = ctypes.PyDLL(None).sched_getcpu
    except (OSError, AttributeError):
        return None
    return function
