"""What ``rnnscope run`` reports: of a whole run, of a part, of a run in parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rnnscope.checks.interface import STATUS_ORDER, Finding, Status
from rnnscope.checks.padding_verdict import PaddingVerdict
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.verification import KernelDifference
from rnnscope.printable import Printable

if TYPE_CHECKING:
    # Reports on traces must not load the readers of checkpoints.
    pass
from rnnscope.record.results.model_report import CheckpointReport, LayerReport, LeftOutGroup


@dataclass(frozen=True)
class InputReport:
    """The input array as it was computed on; `lengths` shows the lengths, or their source.

    `unread` names the arrays of the input file that nothing reads.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    lengths: str = ""
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class PartReport:
    """Which part of a run was recorded.

    Attributes
    ----------
    number, of : int
        The first is 1.
    first_sequence, sequences : int
        The first of its sequences, from 0, and how many it holds.
    kept : bool
        It was there already, and whole.
    """

    number: int
    of: int
    first_sequence: int
    sequences: int
    kept: bool = False


@dataclass(frozen=True)
class PartsReport:
    """The parts that a run was done in.

    Attributes
    ----------
    of : int
    kept : int
        So many were there already, and whole.
    workers : int
        Processes that computed when the run began.
    """

    of: int
    kept: int
    workers: int


@dataclass(frozen=True)
class RunReport(Printable):
    """What ``rnnscope run`` found.

    Attributes
    ----------
    command : str
        As given.
    wiring, notes : tuple of str
        One sentence each.
    verify : tuple of KernelDifference
        Empty when nothing was verified; `verified_by` names the other engine.
    trace : str or None
        Where the trace was written.
    seconds : float or None
        Wall-clock time of the steps.
    steps_per_second : float or None
        Timesteps of single sequences, over all layers.
    left_out : tuple of LeftOutGroup
        What the file holds beside that is no part of the layers, by reason.
    dry_run : bool
        Nothing was computed and nothing written: this is what would be.
    bytes_of_states : int or None
        What the states of a dry run would take, in bytes.
    part : PartReport or None
        Where only a part of the run was recorded.
    parts : PartsReport or None
        Where the run was done in parts.
    """

    report_kind: ClassVar[str] = "run"
    json_properties: ClassVar[tuple[str, ...]] = ("status",)

    command: str
    checkpoint: CheckpointReport
    input: InputReport
    layers: tuple[LayerReport, ...]
    findings: tuple[Finding, ...] = ()
    padding: tuple[PaddingVerdict, ...] = ()
    wiring: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    verify: tuple[KernelDifference, ...] = ()
    verified_by: str | None = None
    trace: str | None = None
    engine: str = "numpy"
    seconds: float | None = None
    steps_per_second: float | None = None
    left_out: tuple[LeftOutGroup, ...] = ()
    dry_run: bool = False
    bytes_of_states: int | None = None
    part: PartReport | None = None
    parts: PartsReport | None = None

    @property
    def status(self) -> Status:
        """The worst status of all findings; ``"fail"`` too where a verification went wrong."""
        if not all(row.ok for row in self.verify):
            return "fail"
        statuses = [finding.status for finding in self.findings]
        return max(statuses, key=STATUS_ORDER.index, default="skip")
