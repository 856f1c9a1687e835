"""The text report: short tables for people, made with rich.

Everything that comes from a file goes through `printable` into a rich Text, which takes it
literally: no control characters, no markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import StringIO
from typing import TYPE_CHECKING

from rnnscope.errors import RnnscopeError
from rnnscope.record.results import (
    CheckpointReport,
    InspectReport,
    LayerReport,
    LeftOutGroup,
    RunReport,
)
from rnnscope.report.interface import AnyReport
from rnnscope.report.text_checks import checks_part, verify_part
from rnnscope.report.text_parts import heading, lines, pairs, table
from rnnscope.wording import option_value, plural, printable, shape, some

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text


LONGEST_VALUE = 20
LONGEST_NAME_IN_TABLE = 27
OPTION_COLUMN = len("recurrent_activation")


def render(report: AnyReport, *, width: int = 100, color: bool = False) -> str:
    """The report as text.

    Parameters
    ----------
    report : RunReport, InspectReport or PoolReport
    width : int
        Columns.
    color : bool
        Whether to write terminal colours; the words say the same without. ``NO_COLOR`` in the
        environment turns them off.

    Returns
    -------
    str
        Lines without trailing blanks, with a newline at the end.
    """
    console = _console(width, color=color)
    with console.capture() as capture:
        show(report, console)
    return "".join(line.rstrip() + "\n" for line in capture.get().splitlines())


def _console(width: int, *, color: bool) -> Console:
    from rich.console import Console

    return Console(
        file=StringIO(),
        width=width,
        force_terminal=color,
        color_system="standard" if color else None,
        legacy_windows=False,
    )


def show(report: AnyReport, console: Console) -> None:
    """Print the report on a console of rich."""
    for position, part in enumerate(_parts(report)):
        if position:
            console.print()
        console.print(part)


def _parts(report: AnyReport) -> Iterator[RenderableType]:
    if isinstance(report, RunReport):
        return _run_parts(report)
    if isinstance(report, InspectReport):
        return _inspect_parts(report)
    from rnnscope.report.text_pool import pool_parts

    return pool_parts(report)


def render_error(error: RnnscopeError, *, color: bool = False) -> str:
    """The error for stderr: ``error: what``, then a labelled, indented line for each part.

    Lines are not wrapped, so that paths stay whole.
    """
    text = _error_text(error)
    if not color:
        return f"{text.plain}\n"
    console = _console(80, color=True)
    with console.capture() as capture:
        console.print(text, soft_wrap=True)
    return capture.get()


def _error_text(error: RnnscopeError) -> Text:
    from rich.text import Text

    text = Text()
    text.append("error: ", style="bold red")
    text.append(printable(error.what))
    for label, part in error.parts():
        # A list of candidates may have lines of its own; they stay below their label.
        first, *rest = [printable(line) for line in part.splitlines()] or [""]
        text.append(f"\n  {label}: ", style="bold")
        text.append("\n    ".join([first, *rest]))
    return text


def _run_parts(report: RunReport) -> Iterator[RenderableType]:
    yield pairs(_run_head(report))
    if report.layers:
        yield layers_table(report.layers)
        yield from options_parts(report.layers)
    if len(report.wiring) > 1:
        yield lines("wiring", report.wiring)
    yield from checks_part(report.findings)
    if report.padding:
        verdicts = [f"{entry.layer}: {entry.verdict}" for entry in report.padding]
        yield lines("padding", verdicts)
    if report.verify:
        yield verify_part(report.verify, report.verified_by)
    if report.notes:
        yield lines("notes", report.notes)


def _run_head(report: RunReport) -> Iterator[tuple[str, str]]:
    yield "checkpoint", _checkpoint(report.checkpoint)
    given = report.input
    words = f"{given.name}: {shape(given.shape)}, {given.dtype}"
    yield "input", f"{words}, lengths {given.lengths}" if given.lengths else words
    engine = report.engine
    if report.seconds is not None:
        engine += f", {report.seconds:.2f} s"
    if report.steps_per_second is not None:
        engine += f", {report.steps_per_second:,.0f} steps/s"
    yield "engine", engine
    if report.trace is not None:
        yield "trace", report.trace


def _checkpoint(checkpoint: CheckpointReport) -> str:
    return f"{checkpoint.path} ({checkpoint.format}, {checkpoint.framework})"


def _inspect_parts(report: InspectReport) -> Iterator[RenderableType]:
    yield pairs([("checkpoint", _checkpoint(report.checkpoint))])
    if report.layers:
        yield layers_table(report.layers)
        yield from options_parts(report.layers)
        yield lines("variables", [_variables(layer) for layer in report.layers])
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


def layers_table(layers: Sequence[LayerReport]) -> RenderableType:
    """One row a layer: what it is and its widths; the output is as wide as the units, or projected.

    Long names stand in a list of their own, as they would leave the columns no room.
    """
    from rich.console import Group

    names = [layer.name for layer in layers]
    listed = max(map(len, names)) > LONGEST_NAME_IN_TABLE
    labels = [str(number) for number in range(1, len(names) + 1)] if listed else names
    rows = [
        [
            label,
            layer.cell,
            layer.direction,
            str(layer.input_size),
            str(layer.num_units),
            layer.dtype,
            _extras(layer),
        ]
        for label, layer in zip(labels, layers, strict=True)
    ]
    columns = ["layer", "cell", "direction", "input", "units", "dtype", "extras"]
    result = table(columns, rows, right={"input", "units"}, fold={"layer", "extras"})
    if not listed:
        return result
    numbered = [(f"layer {label}", name) for label, name in zip(labels, names, strict=True)]
    return Group(pairs(numbered), result)


def _extras(layer: LayerReport) -> str:
    extras = ["peepholes"] if layer.peepholes else []
    if layer.projection is not None:
        extras.append(f"projection to {layer.projection}")
    return ", ".join(extras) or "none"


def options_parts(layers: Sequence[LayerReport]) -> Iterator[RenderableType]:
    """The options of every group of layers that agree in all but the direction."""
    groups: dict[tuple[object, ...], list[LayerReport]] = {}
    for layer in layers:
        key = tuple(
            (option.name, option.value, option.origin)
            for option in layer.options
            if option.name != "direction"
        )
        groups.setdefault(key, []).append(layer)
    for group in groups.values():
        title = "options"
        if len(groups) > 1:
            title = "options of " + some([layer.name for layer in group])
        elif len(group) > 1:
            title = f"options of all {plural(len(group), 'layer')}"
        yield _options(group, title)


def _options(group: Sequence[LayerReport], title: str) -> RenderableType:
    from rich.console import Group

    rows, in_words = [], []
    for same in zip(*(layer.options for layer in group), strict=True):
        value = ", ".join(dict.fromkeys(option_value(option.value) for option in same))
        origin = ", ".join(dict.fromkeys(option.origin for option in same))
        read_from = some(list(dict.fromkeys(option.detail for option in same)), most=1)
        if len(value) <= LONGEST_VALUE:
            rows.append((same[0].name, value, origin, read_from))
        else:
            # A sentence would take the room of the column beside it.
            source = f"{origin}: {read_from}" if read_from else origin
            in_words.append((same[0].name, f"{value} ({source})"))
    options = table(["option", "value", "origin", "read from"], rows, fold={"read from"})
    parts = [heading(title), options]
    return (
        Group(*parts, pairs(in_words, bold=False, width=OPTION_COLUMN))
        if in_words
        else Group(*parts)
    )
