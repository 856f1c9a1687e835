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
    same = layer.largest_difference == 0
    states = "equal bit for bit" if same else f"within {layer.largest_difference:.2g}"
    return (
        f"{layer.name} -> {layer.written_as}: {layer.kind}, {sizes}, {layer.dtype}; states {states}"
    )


def remarks(report: ConversionReport) -> Iterator[tuple[str, str]]:
    """How it was proved, what was folded, left out and is to be known, each with its label."""
    kernels = "kernels equal bit for bit; " if _kernels_equal(report) else ""
    gap = f"{report.largest_difference:.2g}"
    yield "proof", f"{kernels}{report.proof}. Largest difference: {gap}"
    within = f"about {report.limit:g} of the largest value"
    yield (
        f"expect in {report.computed_by}",
        f"the same within {within}; it sums in another order",
    )
    yield from (("folded", text) for text in report.folded)
    yield from (("left out", text) for text in report.left_out)
    yield from (("note", text) for text in report.notes)


def _kernels_equal(report: ConversionReport) -> bool:
    return all(layer.kernels_equal for layer in report.layers)
