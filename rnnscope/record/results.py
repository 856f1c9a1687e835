"""What reports are made from: plain data, no arrays, so that every format says the same.

The field names are the keys of the JSON report, and so are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from rnnscope.checks.interface import STATUS_ORDER, Finding, Status
from rnnscope.checks.padding_verdict import PaddingVerdict
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import called
from rnnscope.model.evidence import Evidence
from rnnscope.model.network import Network, Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.verification import KernelDifference
from rnnscope.model.wiring_words import wiring_lines
from rnnscope.printable import Printable

if TYPE_CHECKING:
    # Reports on traces must not load the readers of checkpoints.
    from rnnscope.checkpoints.interface import Checkpoint


@dataclass(frozen=True)
class OptionReport:
    """An option of a layer: its value, where that comes from, and the node or key it was in."""

    name: str
    value: str | float | bool | None
    origin: str
    detail: str = ""


@dataclass(frozen=True)
class LayerReport:
    """One direction of one recurrent layer; the sizes are widths of one timestep.

    Attributes
    ----------
    cell, kind : str
        The class that made it (``"BasicLSTMCell"``), and the key of CELLS (``"lstm"``).
    projection : int or None
        Width of the projected m.
    reads : tuple of str
        The nodes or inputs it reads.
    wiring : str
        How these are known: ``"graph"``, ``"config"`` or ``"guess"``.
    options : tuple of OptionReport
        The cell's, then direction, padding, lengths, initial_state and state_format.
    evidence : Evidence
        How it is known that this is what the layer computes.
    """

    name: str
    cell: str
    kind: str
    direction: str
    input_size: int
    num_units: int
    output_size: int
    projection: int | None
    peepholes: bool
    dtype: str
    stored_gate_order: str
    variables: tuple[str, ...]
    reads: tuple[str, ...]
    wiring: str
    options: tuple[OptionReport, ...]
    evidence: Evidence


@dataclass(frozen=True)
class CheckpointReport:
    """The checkpoint: its path, the reader that took it, and who wrote it."""

    path: str
    format: str
    framework: str


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
class LeftOutReport:
    """A stored variable that is no part of the computation; `shape` is empty if unknown."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class LeftOutGroup:
    """All that was left out for one reason."""

    reason: str
    entries: tuple[LeftOutReport, ...]


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


@dataclass(frozen=True)
class OtherLayer:
    """A layer without a state over time."""

    name: str
    kind: str
    reads: tuple[str, ...]


@dataclass(frozen=True)
class InspectReport(Printable):
    """What ``rnnscope inspect`` found; the layers are in an order that can be run.

    `findings` are those of the quick checks of weights that did not pass.
    """

    report_kind: ClassVar[str] = "inspect"

    checkpoint: CheckpointReport
    files: tuple[str, ...]
    inputs: tuple[str, ...]
    layers: tuple[LayerReport, ...]
    other_layers: tuple[OtherLayer, ...] = ()
    wiring: tuple[str, ...] = ()
    left_out: tuple[LeftOutGroup, ...] = ()
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


def checkpoint_report(checkpoint: Checkpoint) -> CheckpointReport:
    """What reports say of where a model comes from."""
    return CheckpointReport(called(str(checkpoint.path)), checkpoint.format, checkpoint.framework)


def layer_report(node: Node) -> LayerReport:
    """What reports say of a recurrent node."""
    layer = node.recurrent
    if layer is None:
        raise TypeError(f"{node.name} is not recurrent")
    cell = layer.cell
    return LayerReport(
        name=node.name,
        cell=cell.source_class,
        kind=cell.kind,
        direction=_direction(layer),
        input_size=cell.input_size,
        num_units=cell.num_units,
        output_size=cell.output_size,
        projection=cell.num_proj,
        peepholes=cell.peepholes,
        dtype=cell.dtype.name,
        stored_gate_order=cell.stored_gate_order,
        variables=cell.variables,
        reads=node.listed_inputs,
        wiring=node.wiring,
        options=_options(layer),
        evidence=layer.evidence,
    )


def _direction(layer: RecurrentLayer) -> str:
    return "backward" if layer.backward.value else "forward"


def _options(layer: RecurrentLayer) -> tuple[OptionReport, ...]:
    return tuple(
        OptionReport("direction", _direction(layer), option.origin, option.detail)
        if name == "backward"
        else OptionReport(name, option.value, option.origin, option.detail)
        for name, option in layer.options()
    )


def inspect_report(checkpoint: Checkpoint) -> InspectReport:
    """What ``rnnscope inspect`` says of a checkpoint."""
    network = checkpoint.network
    return InspectReport(
        checkpoint=checkpoint_report(checkpoint),
        files=tuple(called(str(path)) for path in checkpoint.files),
        inputs=network.inputs,
        layers=tuple(layer_report(node) for node in network.recurrent),
        other_layers=tuple(
            OtherLayer(node.name, node.layer.kind, node.listed_inputs)
            for node in network.nodes
            if not isinstance(node.layer, RecurrentLayer)
        ),
        wiring=wiring_lines(network),
        left_out=left_out_groups(checkpoint),
        notes=checkpoint.notes,
        findings=tuple(_suspicious(network)),
    )


def _suspicious(network: Network) -> Iterator[Finding]:
    """What is wrong with weights, as far as a look tells."""
    from rnnscope.checks.weights import WEIGHT_CHECKS, check_weights

    quick: dict[str, float | None] = {
        name: None for name, check in WEIGHT_CHECKS.items() if check.is_quick
    }
    for node in network.recurrent:
        if node.recurrent is not None:
            found = check_weights(node.name, node.recurrent.cell, quick)
            yield from (one for one in found if one.status in ("warn", "fail"))


def left_out_groups(checkpoint: Checkpoint) -> tuple[LeftOutGroup, ...]:
    """What a file holds that is no part of the recurrent computation, by reason."""
    reasons = dict.fromkeys(entry.reason for entry in checkpoint.left_out)
    return tuple(
        LeftOutGroup(
            reason,
            tuple(
                LeftOutReport(entry.name, entry.shape)
                for entry in checkpoint.left_out
                if entry.reason == reason
            ),
        )
        for reason in reasons
    )
