"""What the reports of a conversion say, sentence by sentence."""

from __future__ import annotations

from collections.abc import Iterator

from rnnscope.converting.result import ConversionReport, ConvertedLayer
from rnnscope.wording import plural


def headline(report: ConversionReport) -> str:
    """What was written where."""
    layers = plural(len(report.layers), "recurrent layer")
    if not report.target:
        return f"dry run: {layers} can be written as {report.format}; nothing was kept"
    return f"wrote {report.target} ({report.format}, {layers})"


def layer_words(layer: ConvertedLayer) -> str:
    """One direction of a layer, and how it was held to its source."""
    sizes = f"{layer.input_size} inputs, {layer.num_units} units"
    if layer.output_size != layer.num_units:
        sizes += f", projected to {layer.output_size}"
    gap = (
        "states equal bit for bit"
        if layer.largest_difference == 0
        else f"states within {layer.largest_difference:.2g}"
    )
    return (
        f"{layer.name} -> {layer.written_as}: {layer.kind}, {sizes}, {layer.dtype}; "
        f"kernels equal bit for bit, {gap}"
    )


def proof_words(report: ConversionReport) -> str:
    """How it was proved, and what to expect elsewhere."""
    return (
        f"{report.proof}: largest difference {report.largest_difference:.2g}. {report.computed_by} "
        f"sums in another order: expect its states to differ by about {report.limit:g} of the "
        "largest value or less"
    )


def remarks(report: ConversionReport) -> Iterator[tuple[str, str]]:
    """What was folded, left out and is to be known, each with its label."""
    yield from (("folded", text) for text in report.folded)
    yield from (("left out", text) for text in report.left_out)
    yield from (("note", text) for text in report.notes)
