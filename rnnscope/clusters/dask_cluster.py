"""Tasks on the workers of a Dask cluster: one started here, or one that others keep.

References
----------
https://distributed.dask.org/en/stable/resilience.html (what happens when workers are lost)
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import pkgutil
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rnnscope import __version__
from rnnscope.clusters.interface import ClusterAddress, TaskResult
from rnnscope.errors import EngineError, RnnscopeError, spell
from rnnscope.files.remote.addresses import url_of

ASK_SECONDS = 60
"""For workers to answer a question."""

LOOK_SECONDS = 2
"""How often it is looked whether there are workers at all."""

ALONE_SECONDS = 120
"""So long a run waits for a worker where none is left."""

CANCELLED = (asyncio.CancelledError, concurrent.futures.CancelledError)
"""One is not the other, and which it is depends on the version of Dask."""

Call = tuple[object, ...]
"""The arguments of one task."""


class Cluster:
    """A connection to a cluster; `rnnscope.clusters.connecting.open_cluster` makes one.

    Attributes
    ----------
    address : ClusterAddress
    """

    def __init__(self, client: Any, address: ClusterAddress) -> None:
        self._client, self.address = client, address

    @property
    def workers(self) -> list[str]:
        """The addresses of the workers that are there."""
        return sorted(self._client.scheduler_info(n_workers=-1)["workers"])

    def require_version(self) -> None:
        """Refuse workers that have no rnnscope, or another version.

        Raises
        ------
        EngineError
            It names them.
        """
        # What is asked is in the standard library, so that a worker without rnnscope can answer.
        found = self._ask(pkgutil.resolve_name, "rnnscope:__version__")
        wrong = {
            worker: "no rnnscope" if not isinstance(version, str) else f"rnnscope {version}"
            for worker, version in found.items()
            if version != __version__
        }
        if wrong:
            raise EngineError(
                "Workers of the cluster do not have this version of rnnscope.",
                where=_listed(wrong),
                expected=f"rnnscope {__version__}, as here",
                found=", ".join(sorted({*wrong.values()})),
                hint="install the same version where the workers run, and start them again",
            )

    def require_folder(self, folder: Path) -> None:
        """Refuse workers that do not see a folder of this machine, or may not write there.

        Raises
        ------
        EngineError
            It names them.
        """
        mark = folder / f".seen-by-workers-{secrets.token_hex(8)}"
        mark.touch()
        try:
            seen = self._ask(os.path.isfile, str(mark))
            writable = self._ask(os.access, str(folder), os.W_OK)
        finally:
            mark.unlink()
        blind = {worker for worker, found in seen.items() if found is not True}
        if blind:
            raise EngineError(
                "Workers of the cluster do not see the folder of the trace.",
                where=_listed(blind),
                expected=f"{folder} at the same place on a file system that all share",
                found="no such folder there, or another one",
                hint=f"name a shared folder with {spell('output')}; without one, record parts with "
                f"{spell('part', 'K/N')} and copy them together",
            )
        barred = {worker for worker, found in writable.items() if found is not True}
        if barred:
            raise EngineError(
                "Workers of the cluster may not write into the folder of the trace.",
                where=_listed(barred),
                expected=f"permission to write into {folder}",
                found="none",
                hint="let the user that the workers run as write there",
            )

    def require_files(self, files: Sequence[Path]) -> None:
        """Refuse workers that do not see what is read; what is at an address they ask for.

        Raises
        ------
        EngineError
            It names the file and the workers.
        """
        for file in files:
            if url_of(file) is not None:
                continue
            found = self._ask(os.path.exists, str(file))
            blind = {worker for worker, seen in found.items() if seen is not True}
            if blind:
                raise EngineError(
                    "Workers of the cluster do not see a file that is to be read.",
                    where=_listed(blind),
                    expected=f"{file} at the same place on a file system that all share",
                    found="no such file there",
                    hint="put it where all machines see it",
                )

    def run(
        self,
        function: Callable[..., TaskResult],
        calls: Sequence[Call],
        shared: Mapping[str, object] | None = None,
    ) -> Iterator[tuple[int, object]]:
        """Run a function once for each tuple of arguments; results come as they are done.

        A task whose worker is lost is run again elsewhere. The first task that fails ends all, and
        so does whoever stops asking for results: what has not begun is not begun any more.

        Parameters
        ----------
        function : callable
            At the top of a module that workers have.
        calls : sequence of tuple
        shared : mapping of str to object, optional
            The last argument of every call, of Python's own types. The scheduler keeps it once,
            however many calls there are, and workers hand it to each other.

        Yields
        ------
        int, object
            Which call, and its value.

        Raises
        ------
        RnnscopeError
            The task's own; or the scheduler or all workers are gone.
        """
        import distributed

        wait: Any = distributed.wait
        # A task and not scattered data: what lost workers had of it is made again. `dict` needs no
        # rnnscope, so that a worker without one fails in a call, which is told, and not before it.
        last = () if shared is None else (self._client.submit(dict, {**shared}, pure=False),)
        # Not pure: the same call later is to be computed again, not to be taken from before.
        futures = {
            self._client.submit(function, *call, *last, pure=False): number
            for number, call in enumerate(calls)
        }
        waiting, alone_since = set(futures), 0.0
        try:
            while waiting:
                # A scheduler that is gone cancels what it was asked for: `_value` tells.
                with suppress(TimeoutError, *CANCELLED):
                    wait(waiting, timeout=LOOK_SECONDS, return_when="FIRST_COMPLETED")
                done = {future for future in waiting if future.done()}
                for future in sorted(done, key=futures.__getitem__):
                    waiting.discard(future)
                    yield futures[future], self._value(future)
                    future.release()
                if done or self._has_workers():
                    alone_since = 0.0
                    continue
                alone_since = alone_since or time.monotonic()
                if time.monotonic() - alone_since > ALONE_SECONDS:
                    raise self._gone("no worker is left", f"none for {ALONE_SECONDS} s")
        finally:
            with suppress(Exception):
                self._client.cancel([*waiting, *last], force=True)

    def _value(self, future: Any) -> object:
        if future.status == "cancelled":
            raise self._gone("the scheduler gave the work up", "it was stopped, or started anew")
        error = None
        with suppress(Exception):
            error = future.exception(timeout=ASK_SECONDS)
        if error is None and future.status == "finished":
            try:
                result = future.result(timeout=ASK_SECONDS)
            except (OSError, TimeoutError, *CANCELLED) as ended:  # it ends as its result is fetched
                raise self._gone("the scheduler does not answer", str(ended)) from ended
            assert isinstance(result, TaskResult)
            return result.unpacked()
        if isinstance(error, ImportError):
            self.require_version()  # it names the worker, which came when the work had begun
        if type(error).__name__ == "KilledWorker":
            raise EngineError(
                "Workers were lost again and again with the same part of the work.",
                where=self.address.address,
                expected="workers that live as long as a task",
                found=str(error).splitlines()[0] if str(error) else "lost workers",
                hint="look into their logs: too little memory is the usual reason",
            )
        if isinstance(error, RnnscopeError):
            raise error
        raise EngineError(
            "A task failed on a worker of the cluster.",
            where=self.address.address,
            found=f"{type(error).__name__}: {error}" if error else "no result",
            hint="the worker's log has more",
        ) from error

    def _has_workers(self) -> bool:
        try:
            return bool(self.workers)
        except (OSError, TimeoutError, ValueError) as error:
            raise self._gone("the scheduler does not answer", str(error)) from error

    def _gone(self, what: str, found: str) -> EngineError:
        return EngineError(
            f"The cluster is gone: {what}.",
            where=self.address.address,
            expected="a scheduler and workers until the work is done",
            found=found,
            hint=f"what is finished is kept: the same command with {spell('resume')} goes on",
        )

    def _ask(self, function: Callable[..., object], *arguments: object) -> dict[str, object]:
        found: dict[str, object] = self._client.run(
            function, *arguments, on_error="return", workers=self.workers
        )
        return found


def _listed(workers: Any) -> str:
    names = sorted(workers)
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def require_same_version(version: str) -> None:
    """Refuse, on a worker, the work of another version: the worker may have come late.

    Raises
    ------
    EngineError
        It names the worker.
    """
    if version == __version__:
        return
    worker = "a worker"
    with suppress(Exception):
        from distributed import get_worker

        worker = str(get_worker().address)
    raise EngineError(
        "A worker that joined later does not have this version of rnnscope.",
        where=worker,
        expected=f"rnnscope {version}",
        found=f"rnnscope {__version__}",
        hint="install the same version where it runs, and start it again",
    )
