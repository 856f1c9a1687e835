"""What the report of ``rnnscope pool`` is made from: plain data, no arrays."""

from __future__ import annotations

from typing import ClassVar

from rnnscope.deferred_dataclass import dataclass
from rnnscope.pooling.interface import PooledResult
from rnnscope.printable import Printable


@dataclass(frozen=True)
class PoolReport(Printable):
    """What ``rnnscope pool`` made.

    Attributes
    ----------
    command, trace : str
        As given.
    sequences, timesteps : int
    valid : str
        Which steps count, in words: ``"lengths 10, 6"``.
    written : str
        The file that holds the arrays: the trace itself, or another.
    pooled : tuple of PooledResult
    naive : bool
        Whether each result says what ignoring the padding would give.
    notes : tuple of str
    """

    report_kind: ClassVar[str] = "pool"

    command: str
    trace: str
    sequences: int
    timesteps: int
    valid: str
    written: str
    pooled: tuple[PooledResult, ...]
    naive: bool = False
    notes: tuple[str, ...] = ()
