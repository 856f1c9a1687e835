"""Writing while computing: a thread that does one job after another."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextvars import copy_context
from types import TracebackType

Job = Callable[[], None]


class WritingThread:
    """Runs jobs in order in a thread of its own; use ``with``.

    A job that fails stops those after it, and its error is raised from the next `put` or at the
    end. Leaving with an error of one's own drops the jobs that have not begun.

    Parameters
    ----------
    waiting : int
        Jobs that may wait; `put` blocks beyond that, so that memory stays bounded.
    """

    def __init__(self, waiting: int = 1) -> None:
        self._jobs: queue.Queue[tuple[Job, Job | None] | None] = queue.Queue(waiting)
        self._error: BaseException | None = None
        self._dropping = False
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._work,), name="trace writer", daemon=True
        )

    def __enter__(self) -> WritingThread:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._dropping = kind is not None
        self._jobs.put(None)
        self._thread.join()
        if kind is None:
            self._raise()

    def put(self, job: Job, after: Job | None = None) -> None:
        """Hand over a job; it may begin at once.

        Parameters
        ----------
        job : callable
        after : callable, optional
            Called when the job is done, has failed or was dropped: to give back what it used.
        """
        self._raise()
        self._jobs.put((job, after))

    def drain(self) -> None:
        """Wait until every job handed over is done."""
        done = threading.Event()
        self._jobs.put((_nothing, done.set))
        done.wait()
        self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            self._dropping = True
            raise error

    def _work(self) -> None:
        while (given := self._jobs.get()) is not None:
            job, after = given
            try:
                if not self._dropping and self._error is None:
                    job()
            except BaseException as error:  # noqa: BLE001 - raised again where the run can see it
                self._error = error
            finally:
                if after is not None:
                    after()


def _nothing() -> None:
    pass
