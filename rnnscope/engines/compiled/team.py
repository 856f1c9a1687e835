"""Threads that run the same steps side by side, as many as are free."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock

from rnnscope.engines.own_processor import own_processor

PATIENCE = 0.002
"""Seconds that threads of the pool have to come; without them the work is done all the same."""


def run_together(
    pool: ThreadPoolExecutor, most: int, decided: Callable[[int], None], work: Callable[[int], None]
) -> None:
    """Call ``work(party)`` in this thread and in others at the same time.

    Parties may wait for one another inside, so nobody is counted who has not come: a pool whose
    threads are taken, by others who wait in the same way perhaps, holds up nothing.

    Parameters
    ----------
    pool : ThreadPoolExecutor
    most : int
        Parties at most, this thread with them.
    decided : callable
        ``decided(parties)``, once and before any work: how many there are.
    work : callable
        For parties from 0, this thread's, on. It must not raise: others would wait for it.
    """
    lock, here, begin = Lock(), Event(), Event()
    come: list[int] = []
    closed = agreed = False

    def help_out() -> None:
        with lock:
            if closed:
                return
            come.append(len(come) + 1)
            party = come[-1]
            if party == most - 1:
                here.set()
        begin.wait()
        if agreed:
            with own_processor(most):
                work(party)

    jobs = [pool.submit(help_out) for _ in range(most - 1)]
    try:
        here.wait(PATIENCE)
        with lock:
            closed = True
        decided(1 + len(come))
        agreed = True
    finally:  # an interrupt here leaves no thread of the pool waiting for ever
        begin.set()
    with own_processor():
        work(0)
    for job in jobs:
        if not job.cancel():  # those that have not begun are not waited for
            job.result()
