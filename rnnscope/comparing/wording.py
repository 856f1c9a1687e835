"""A comparison's parts as words, the same in every report."""

from __future__ import annotations

from math import isfinite, log10

from rnnscope.comparing.result import ArrayDiff, DiffResult, Divergence, LayerDiff, OperandReport
from rnnscope.wording import number, plural, printable, shape, some

BLOCKS = "▁▂▃▄▅▆▇█"
ZERO = "·"
LEVELS_PER_DECADE = 2
"""Each level of a block is half a power of ten, so that drift climbs and a bug stands."""


def growth_line(values: tuple[float, ...]) -> str:
    """Differences over time as blocks: the tallest is the largest, a dot is exactly none."""
    largest = max((value for value in values if isfinite(value)), default=0.0)
    return "".join(_block(value, largest) for value in values)


def _block(value: float, largest: float) -> str:
    if value == 0:
        return ZERO
    if not isfinite(value) or largest == 0:
        return BLOCKS[-1]
    level = len(BLOCKS) - 1 - int(LEVELS_PER_DECADE * log10(largest / value))
    return BLOCKS[max(0, level)]


def headline(result: DiffResult) -> str:
    """The verdict in one line, with what was not compared and not read."""
    left = [f"not compared: {'; '.join(words)}"] if (words := uncompared(result)) else []
    left += [
        f"not read: {some([array.label for array in side.not_read])} (in {name})"
        for name, side in (("A", result.a), ("B", result.b))
        if side.not_read
    ]
    return "; ".join([_verdict(result), *left])


def uncompared(result: DiffResult) -> list[str]:
    """Arrays and layers that were compared with nothing, put together by the reason."""
    by_reason: dict[str, list[str]] = {}
    for layer in result.layers:
        for array in layer.one_sided:
            by_reason.setdefault(array.why, []).append(array.name)
    for side, names in (("A", result.outputs_alone_a), ("B", result.outputs_alone_b)):
        if names:
            by_reason[f"outputs alone, in {side}"] = list(names)
    return [f"{some(list(dict.fromkeys(names)))} ({why})" for why, names in by_reason.items()]


def outputs_alone(result: DiffResult) -> list[str]:
    """A sentence for each layer without states that is compared with nothing."""
    return [
        f"{name} of {side} has outputs alone: not compared"
        for side, names in (("A", result.outputs_alone_a), ("B", result.outputs_alone_b))
        for name in names
    ]


def unread(result: DiffResult) -> list[str]:
    """``B: foo``, with the reason where there is one, for each array that was not read."""
    return [
        f"{side}: {array}"
        for side, operand in (("A", result.a), ("B", result.b))
        for array in operand.not_read
    ]


def _verdict(result: DiffResult) -> str:
    arrays = [array for layer in result.layers for array in layer.arrays]
    wrong = [array for array in arrays if array.verdict == "differ"]
    if result.verdict == "same":
        values = sum(array.compared for array in arrays)
        layers = plural(len(result.layers), "layer")
        return f"same: {plural(len(arrays), 'array')} of {layers}, {values:,} values"
    parts = [f"{len(wrong)} of {plural(len(arrays), 'array')}"] if wrong else []
    if missing := len(result.only_a) + len(result.only_b):
        parts.append(f"{plural(missing, 'layer')} without a partner")
    options = sum(len(layer.options) for layer in result.layers)
    if options:
        parts.append(plural(options, "option"))
    parts += [word.partition(":")[0] for word in result.differences]
    return f"differ: {', '.join(parts)}"


def operand(side: OperandReport) -> str:
    """How an operand was read, and why so."""
    words = f"{side.format}: {side.words}" if side.words else side.format
    return f"{side.name} ({words})" + (f": {side.reason}" if side.reason else "")


def layer_title(layer: LayerDiff) -> str:
    """``encoder`` or ``lstm <> 0``, and how the two came together."""
    a, b = layer.a or "the only layer", layer.b or "the only layer"
    names = a if a == b else f"{a} <> {b}"
    return f"{printable(names)} (matched {layer.matched})"


def at(array: ArrayDiff, place: tuple[int, ...]) -> str:
    """``sequence 1, timestep 3, unit 2``."""
    return ", ".join(f"{axis} {value}" for axis, value in zip(array.axes, place, strict=False))


def first_words(array: ArrayDiff, first: Divergence) -> str:
    """The first place beyond the tolerance, both values, and the gate it comes from."""
    gate = f"; {first.gate}" if first.gate else ""
    return f"first at {at(array, first.place)}: A {first.a:.9g}, B {first.b:.9g}{gate}"


def details(array: ArrayDiff) -> list[str]:
    """What is to be said of an array that differs, a line each."""
    sentences = list(array.problems)
    if array.shape_a != array.shape_b:
        sentences.append(f"shape {shape(array.shape_a)} in A, {shape(array.shape_b)} in B")
    if array.first is not None:
        sentences.append(first_words(array, array.first))
    if array.worst and array.exceed and array.first and array.worst != array.first.place:
        sentences.append(f"largest at {at(array, array.worst)}")
    if array.nonfinite_a or array.nonfinite_b:
        sentences.append(f"NaN or infinite: {array.nonfinite_a} in A, {array.nonfinite_b} in B")
    if array.signs_differ:
        sentences.append(
            f"signs differ at {plural(array.signs_differ, 'value')}: ULP would say nothing"
        )
    if array.growth and array.exceed:
        sentences.append(f"over time {growth_line(array.growth)}")
    if not array.complete:
        sentences.append("stopped at the first difference: the numbers are of what was read")
    elif array.exceed:
        sentences.append(
            f"would pass at {array.passes_at or 'no tolerance: not all values are finite'}"
        )
    return sentences


def dtypes(array: ArrayDiff) -> str:
    """The dtype, or both where they are not the same."""
    if array.dtype_a == array.dtype_b:
        return array.dtype_a
    return f"{array.dtype_a} <> {array.dtype_b}"


def ulps(array: ArrayDiff, value: int | None) -> str:
    """A distance in ULP; large ones by their power of ten, none across different signs."""
    if array.signs_differ:
        return "-"
    if value is None:
        return "none"
    return str(value) if value < 10**6 else f"{float(value):.1e}"


def decibels(value: float) -> str:
    """A ratio of signal to noise, one digit after the point."""
    return f"{value:.1f}" if isfinite(value) else ("inf" if value > 0 else "-inf")


def row(array: ArrayDiff) -> tuple[str, ...]:
    """The numbers of an array, in the order of `COLUMNS`."""
    if not array.axes:
        return (array.verdict, array.name, *[""] * (len(COLUMNS) - 3), array.tolerance)
    return (
        array.verdict,
        array.name,
        number(array.max_abs),
        number(array.abs_99),
        number(array.mean_abs),
        number(array.max_rel),
        decibels(array.snr_db),
        ulps(array, array.ulp_max),
        ulps(array, array.ulp_99),
        f"{array.exceed} of {array.compared}",
        array.tolerance,
    )


COLUMNS = ("verdict", "array", "max abs", "99% abs", "mean abs", "max rel", "snr dB", "max ulp",
           "99% ulp", "beyond", "tolerance")  # fmt: skip
NUMBERS = frozenset(COLUMNS[2:-1])
RELATIVE = "max rel is |a - b| / max(|a|, |b|); ulp are those of the narrower dtype"
