"""Items worked on side by side, each by one thread from its beginning to its end."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable
from contextvars import copy_context
from typing import Generic, TypeVar

from rnnscope.engines.own_processor import own_processor

Item = TypeVar("Item")
Begun = TypeVar("Begun")


class _Turns(Generic[Item, Begun]):
    """What the threads share: whose turn it is, and whether there are any more."""

    def __init__(
        self,
        items: Iterable[Item],
        begin: Callable[[Item], Begun],
        work: Callable[[Item, Begun], Callable[[], None]],
    ) -> None:
        self._items, self._begin, self._work = iter(items), begin, work
        self._taking = threading.Lock()
        self._turn = threading.Condition()
        self._taken = self._ended = 0
        self._stopped = False
        self.ended: queue.SimpleQueue[Item | BaseException | None] = queue.SimpleQueue()
        """Items in their order; an error, with which all ends; None of each thread at its end."""

    def run(self) -> None:
        """Take items until there is none."""
        while self._take_one():
            pass
        self.ended.put(None)

    def stop(self) -> None:
        """Begin nothing more, and end nothing whose turn has not come."""
        with self._turn:
            self._stopped = True
            self._turn.notify_all()

    def _take_one(self) -> bool:
        number = -1
        try:
            with self._taking:
                number = self._taken
                if self._stopped:
                    return False
                for item in self._items:
                    self._taken += 1
                    begun = self._begin(item)
                    break
                else:
                    return False
            with own_processor():
                end = self._work(item, begun)
            if not self._await(number):
                return False
            end()
        except BaseException as error:  # noqa: BLE001 - raised again by `side_by_side`
            # Items before this one end first, as if they had been alone.
            if self._await(number):
                self.stop()
                self.ended.put(error)
            return False
        self.ended.put(item)
        with self._turn:
            self._ended += 1
            self._turn.notify_all()
        return True

    def _await(self, number: int) -> bool:
        """Wait until all before have ended; False if that is not to be."""
        with self._turn:
            self._turn.wait_for(lambda: self._stopped or self._ended == number)
            return not self._stopped


def side_by_side(
    items: Iterable[Item],
    threads: int,
    begin: Callable[[Item], Begun],
    work: Callable[[Item, Begun], Callable[[], None]],
) -> Generator[Item, None, None]:
    """Work on items in several threads; each is yielded, in their order, when it has ended.

    Parameters
    ----------
    items : iterable
    threads : int
    begin : callable
        ``begin(item)``: called for one item after another, in their order.
    work : callable
        ``work(item, begun)``, side by side; it returns a function that ends the item. Those are
        called one after another, too, in the order of the items.

    Raises
    ------
    BaseException
        What one of them raised, once all items before are yielded; none after it ends.
    """
    turns = _Turns(items, begin, work)
    workers = [
        # With the limits of whoever asks, which a thread does not have by itself.
        threading.Thread(
            target=copy_context().run, args=(turns.run,), name=f"slices {number}", daemon=True
        )
        for number in range(threads)
    ]
    try:
        for worker in workers:
            worker.start()
        for _ in workers:
            while (ended := turns.ended.get()) is not None:
                if isinstance(ended, BaseException):
                    raise ended
                yield ended
    finally:
        turns.stop()
        for worker in workers:
            if worker.ident is not None:
                worker.join()
