"""Where work is spread, and what a task hands back."""

from __future__ import annotations

import os

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import (
    CheckpointError,
    EngineError,
    InputError,
    OptionError,
    RnnscopeError,
    TraceError,
    UnsupportedCellError,
    spell,
)

LOCAL = "local"

ERRORS = {
    error.__name__: error
    for error in (CheckpointError, UnsupportedCellError, InputError, OptionError, TraceError,
                  EngineError, RnnscopeError)
}  # fmt: skip


@dataclass(frozen=True)
class ClusterAddress:
    """Which cluster.

    Attributes
    ----------
    address : str
        ``"local"``, or that of a scheduler: ``tcp://host:8786``.
    workers : int
        Of a local one: processes; 0: one for each processor that this process may use.
    """

    address: str
    workers: int = 0

    @property
    def is_local(self) -> bool:
        return self.address == LOCAL

    @property
    def processes(self) -> int:
        """How many workers a local cluster has."""
        if self.workers:
            return self.workers
        allowed = getattr(os, "sched_getaffinity", None)
        return len(allowed(0)) if allowed else os.cpu_count() or 1

    @classmethod
    def maybe(cls, address: str | None, workers: int | None = None) -> ClusterAddress | None:
        """As `make`; None where no address is given.

        Raises
        ------
        OptionError
            As `make`, or only a number of workers is given.
        """
        if address is not None:
            return cls.make(address, workers)
        if workers is not None:
            raise OptionError(
                f"{spell('jobs')} says how many processes {spell('dask', LOCAL)} starts.",
                where=spell("jobs", str(workers)),
                expected=spell("dask", LOCAL),
                found="none",
                hint=f"threads of one process are {spell('threads')}",
            )
        return None

    @classmethod
    def make(cls, address: str, workers: int | None = None) -> ClusterAddress:
        """An address from what any surface gives.

        Raises
        ------
        OptionError
            It is none, or a number of workers is given for a cluster that others started.
        """
        if address != LOCAL and ("://" not in address and ":" not in address):
            raise OptionError(
                "The address of a cluster is not to be understood.",
                where=spell("dask", address),
                expected=f"{LOCAL}, or the address of a scheduler: tcp://host:8786",
                found=address or "nothing",
                hint="'dask scheduler' prints its address when it starts",
            )
        if workers is not None and address != LOCAL:
            raise OptionError(
                f"{spell('jobs')} is for a cluster that is started here.",
                where=spell("dask", address),
                expected=f"{spell('dask', LOCAL)}, or no {spell('jobs')}",
                found=spell("jobs", str(workers)),
                hint="a cluster has as many workers as were started",
            )
        return cls(address, workers or 0)


@dataclass(frozen=True)
class TaskResult:
    """What a task hands back: a value, or why it could not be done.

    An error comes as plain texts, so that it arrives whole; it is a recipe's own, and trying again
    would meet it again.

    Attributes
    ----------
    value : object
    error : dict of str to str or None
        ``type``, ``what`` and the parts of an `RnnscopeError`.
    """

    value: object = None
    error: dict[str, str | None] | None = None

    @classmethod
    def of_error(cls, error: RnnscopeError) -> TaskResult:
        """A task that ended in one of our errors."""
        parts = {
            name: getattr(error, name) for name in ("what", "where", "expected", "found", "hint")
        }
        kind = next(name for name, known in ERRORS.items() if isinstance(error, known))
        return cls(error={"type": kind, **parts})

    def unpacked(self) -> object:
        """The value.

        Raises
        ------
        RnnscopeError
            The task's own.
        """
        if self.error is None:
            return self.value
        parts = dict(self.error)
        error = ERRORS.get(str(parts.pop("type")), RnnscopeError)
        raise error(str(parts.pop("what")), **parts)
