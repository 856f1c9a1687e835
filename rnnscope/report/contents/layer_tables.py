"""Layers and their options as tables, for every report that shows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rnnscope.model.evidence import Evidence
from rnnscope.record.results.model_report import CheckpointReport, LayerReport
from rnnscope.report.text_blocks import heading, pairs, table
from rnnscope.wording import option_value, plural, some

if TYPE_CHECKING:
    from rich.console import RenderableType

LONGEST_VALUE = 20
LONGEST_NAME_IN_TABLE = 27
OPTION_COLUMN = len("recurrent_activation")


def checkpoint_words(checkpoint: CheckpointReport) -> str:
    """Path, reader and who wrote it."""
    return f"{checkpoint.path} ({checkpoint.format}, {checkpoint.framework})"


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
    """The options of every group of layers that agree in all but the direction.

    How they are known counts as one, though not how small the differences are.
    """
    groups: dict[tuple[object, ...], list[LayerReport]] = {}
    for layer in layers:
        key = (
            layer.evidence.kind,
            *(
                (option.name, option.value, option.origin)
                for option in layer.options
                if option.name != "direction"
            ),
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
            # A sentence would leave the next column no room.
            source = f"{origin}: {read_from}" if read_from else origin
            in_words.append((same[0].name, f"{value} ({source})"))
    in_words.append(("evidence", str(Evidence.of_all(layer.evidence for layer in group))))
    options = table(["option", "value", "origin", "read from"], rows, fold={"read from"})
    return Group(heading(title), options, pairs(in_words, bold=False, width=OPTION_COLUMN))
