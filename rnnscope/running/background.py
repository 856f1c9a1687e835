"""Functions called in threads of their own while the caller goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, wait
from contextvars import copy_context
from functools import partial
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def background_call(function: Callable[[], Result]) -> Future[Result]:
    """Call a function in a thread of its own, which keeps nobody who leaves early waiting."""
    future: Future[Result] = Future()

    def work() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001 - raised again where the result is asked for
            future.set_exception(error)

    # With the limits of whoever asks, which a thread does not have by itself.
    work_here = copy_context().run
    threading.Thread(target=work_here, args=(work,), name="background", daemon=True).start()
    return future


def prefetch(
    items: Iterable[Item], function: Callable[[Item], Result]
) -> Generator[tuple[Item, Result], None, None]:
    """Each item and what a function makes of it, made while the one before is in use.

    Calls follow one another: what the function reads from need not be made for threads.
    """
    begun: tuple[Item, Future[Result]] | None = None
    try:
        for item in items:
            if begun is None:
                begun = item, background_call(partial(function, item))
                continue
            before, made = begun[0], begun[1].result()
            begun = item, background_call(partial(function, item))
            yield before, made
        if begun is not None:
            yield begun[0], begun[1].result()
    finally:
        if begun is not None:
            wait([begun[1]])  # what it reads from may be closed next
