"""What reports say of a model: where it comes from, its layers, and what was left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import called
from rnnscope.model.evidence import Evidence
from rnnscope.model.network import Node
from rnnscope.model.recurrent_layer import RecurrentLayer

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
class LeftOutReport:
    """A stored variable that is no part of the computation; `shape` is empty if unknown."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class LeftOutGroup:
    """All that was left out for one reason."""

    reason: str
    entries: tuple[LeftOutReport, ...]


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
