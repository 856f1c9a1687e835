"""What is in a checkpoint, as text for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rnnscope.record.results.inspect_report import InspectReport
from rnnscope.record.results.model_report import LayerReport, LeftOutGroup
from rnnscope.report.console import text_of
from rnnscope.report.contents.layer_tables import checkpoint_words, layers_table, options_parts
from rnnscope.report.text_blocks import lines, pairs
from rnnscope.wording import shape, some

if TYPE_CHECKING:
    from rich.console import RenderableType


def render(report: InspectReport, *, width: int = 100, color: bool = False) -> str:
    """The report as text: layers, options, variables, wiring, what was left out."""
    return text_of(_inspect_parts(report), width=width, color=color)


def _inspect_parts(report: InspectReport) -> Iterator[RenderableType]:
    yield pairs([("checkpoint", checkpoint_words(report.checkpoint))])
    if report.layers:
        yield layers_table(report.layers)
        yield from options_parts(report.layers)
        yield lines("variables", [_variables(layer) for layer in report.layers])
        if report.findings:
            yield lines("weights", [f"{one.layer}: {one.message}" for one in report.findings])
    else:
        yield lines("layers", ["no recurrent layer was found"])
    if report.wiring:
        yield lines("wiring", report.wiring)
    if report.other_layers:
        others = [f"{layer.name}: {layer.kind}" for layer in report.other_layers]
        yield lines("other layers", others)
    if report.left_out:
        yield lines("left out", [_left_out(group) for group in report.left_out])
    if report.notes:
        yield lines("notes", report.notes)


def _variables(layer: LayerReport) -> str:
    order = layer.stored_gate_order
    gates = f" (gates stored as {order})" if order else ""
    return f"{layer.name}: {', '.join(layer.variables)}{gates}"


def _left_out(group: LeftOutGroup) -> str:
    names = [
        f"{entry.name} ({shape(entry.shape)})" if entry.shape else entry.name
        for entry in group.entries
    ]
    return f"{group.reason}: {some(names, most=4)}"
