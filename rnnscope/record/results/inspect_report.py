"""What ``rnnscope inspect`` reports of a saved model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from rnnscope.checks.interface import Finding
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import called
from rnnscope.model.network import Network
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.wiring_words import wiring_lines
from rnnscope.printable import Printable

if TYPE_CHECKING:
    # Reports on traces must not load the readers of checkpoints.
    from rnnscope.checkpoints.interface import Checkpoint
from rnnscope.record.results.model_report import (
    CheckpointReport,
    LayerReport,
    LeftOutGroup,
    checkpoint_report,
    layer_report,
    left_out_groups,
)


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
