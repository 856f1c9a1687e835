"""The checks and the verification in the text report.

The layer stands above its checks, not in a column: names such as
``bidirectional_rnn/fw/multi_rnn_cell/cell_0/basic_lstm_cell`` would leave no room for the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rnnscope.checks import merge
from rnnscope.checks.interface import STATUS_ORDER, Finding, index
from rnnscope.errors import spelled
from rnnscope.model.verification import KernelDifference
from rnnscope.report.check_words import check_named, measured
from rnnscope.report.text_blocks import STATUS_STYLES, heading, table
from rnnscope.wording import number, printable, some

if TYPE_CHECKING:
    from rich.console import RenderableType

BAD = {"warn", "fail"}


def checks_part(findings: Sequence[Finding]) -> Iterator[RenderableType]:
    """A table for each layer, what the findings that did not pass say, and the counts.

    Layers without a warning or failure that agree in every status share one table, in which
    stands the largest of what was measured.
    """
    from rich.console import Group

    groups = _layers_alike(findings)
    for layers, shown in groups:
        title = f"checks of {some(layers)}" if len(groups) > 1 else "checks"
        yield Group(heading(title), _table(shown))
    details = list(_details(findings))
    if details:
        yield Group(*details)


def _layers_alike(findings: Sequence[Finding]) -> list[tuple[list[str], list[Finding]]]:
    by_layer: dict[str, list[Finding]] = {}
    for finding in findings:
        by_layer.setdefault(finding.layer, []).append(finding)
    alike: dict[tuple[object, ...], list[str]] = {}
    for layer, of_layer in by_layer.items():
        key: tuple[object, ...] = tuple((finding.check, finding.status) for finding in of_layer)
        if any(finding.status in BAD for finding in of_layer):
            key = (layer,)
        alike.setdefault(key, []).append(layer)
    return [(layers, _largest([by_layer[layer] for layer in layers])) for layers in alike.values()]


def _largest(findings: Sequence[Sequence[Finding]]) -> list[Finding]:
    if len(findings) == 1:
        return list(findings[0])
    # No place: it would not say in which of the layers.
    anywhere = [
        Finding(finding.check, "", finding.status, finding.message, finding.measured, finding.limit)
        for layer in findings
        for finding in layer
    ]
    return merge(anywhere)


def _table(findings: Sequence[Finding]) -> RenderableType:
    rows = [
        [
            finding.status,
            finding.check,
            measured(finding),
            number(finding.limit),
            index(finding.place),
        ]
        for finding in findings
    ]
    columns = ["status", "check", "measured", "limit", "where"]
    return table(columns, rows, right={"measured", "limit"}, fold={"where"})


def _details(findings: Sequence[Finding]) -> Iterator[RenderableType]:
    """What failed or warned, with the place in words and advice; then why others were skipped."""
    everyone = len({finding.layer for finding in findings})
    by_words: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in sorted(findings, key=lambda f: -STATUS_ORDER.index(f.status)):
        if finding.status == "pass":
            continue
        # Skipped checks say the same for many layers; a failure has its own place.
        apart = finding.layer if finding.status in BAD else ""
        by_words.setdefault((finding.check, finding.message, apart), []).append(finding)
    for group in by_words.values():
        layers = [finding.layer for finding in group]
        yield _detail(group[0], "" if len(layers) == everyone else f" in {some(layers)}")


def _detail(finding: Finding, where: str) -> RenderableType:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    text = Text(f"{printable(finding.check)}{printable(where)}: {printable(finding.message)}")
    if finding.place is not None:
        text.append(f" ({finding.place})")
    check = check_named(finding.check)
    if check is not None and finding.status in BAD:
        text.append(f"\n{spelled(check.advice)}", style="italic")
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, min_width=6)
    grid.add_column(overflow="fold")
    grid.add_row(Text(finding.status, STATUS_STYLES[finding.status]), text)
    return Padding(grid, 0)


def verify_part(rows: Sequence[KernelDifference], engine: str | None) -> RenderableType:
    """The largest difference against another engine, for each layer and state."""
    from rich.console import Group

    body = [
        [
            "pass" if row.ok else "fail",
            row.state,
            number(row.difference),
            number(row.limit),
            row.kernel,
            row.layer,
        ]
        for row in rows
    ]
    columns = ["status", "state", "difference", "limit", "kernel", "layer"]
    right = {"difference", "limit"}
    title = f"verified with {engine}" if engine else "verified"
    return Group(heading(title), table(columns, body, right=right, fold={"kernel", "layer"}))
