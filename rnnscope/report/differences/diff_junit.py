"""A comparison as JUnit XML: a case for each array, and for each other difference."""

from __future__ import annotations

from collections.abc import Iterator

from rnnscope.comparing.reduction_words import headline as reduction_headline
from rnnscope.comparing.result import ArrayDiff, DiffResult, LayerDiff
from rnnscope.comparing.wording import COLUMNS, details, headline, operand, outputs_alone, row
from rnnscope.report.junit import JUnitCase, JUnitSuite, render_junit


def render(result: DiffResult, *, width: int = 100, color: bool = False) -> str:  # noqa: ARG001
    """The comparison as JUnit XML; `width` and `color` change nothing."""
    properties = {
        "verdict": headline(result),
        "A": operand(result.a),
        "B": operand(result.b),
        "tolerance": result.tolerance,
        "command": result.command,
    }
    if result.reduced is not None:
        properties["reduced"] = reduction_headline(result.reduced)
        properties["case"] = result.reduced.case
    suite = JUnitSuite("rnnscope diff", tuple(_cases(result)), properties)
    return render_junit([suite], "rnnscope diff")


def _cases(result: DiffResult) -> Iterator[JUnitCase]:
    for layer in result.layers:
        for array in layer.arrays:
            yield _array_case(layer, array)
        for option in layer.options:
            words = f"{option.a} ({option.a_origin}) in A, {option.b} ({option.b_origin}) in B"
            yield JUnitCase(f"option {option.name}", _group(layer), "failed", words)
        for lone in layer.one_sided:
            yield JUnitCase(str(lone), _group(layer), "skipped", "only one side has it")
    for side, names in (("A", result.only_a), ("B", result.only_b)):
        for name in names:
            yield JUnitCase("layer", name, "failed", f"only in {side}")
    for words in result.differences:
        yield JUnitCase(words.partition(":")[0], "diff", "failed", words)
    for words in outputs_alone(result):
        yield JUnitCase("layer", "diff", "skipped", words)
    for name, report in (("A", result.a), ("B", result.b)):
        for left in report.not_read:
            why = left.reason or "its name is no state's"
            yield JUnitCase(left.label, name, "skipped", f"not read: {why}")


def _array_case(layer: LayerDiff, array: ArrayDiff) -> JUnitCase:
    numbers = "\n".join(
        f"{name}: {value}" for name, value in zip(COLUMNS, row(array), strict=True) if value
    )
    if array.verdict == "same":
        return JUnitCase(array.name, _group(layer), details=numbers)
    sentences = details(array)
    more = "\n".join([*sentences, *layer.hints, numbers])
    return JUnitCase(
        array.name, _group(layer), "failed", sentences[0] if sentences else "differs", more
    )


def _group(layer: LayerDiff) -> str:
    return layer.a or layer.b or "layer"
