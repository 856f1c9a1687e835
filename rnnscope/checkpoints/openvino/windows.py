"""OpenVINO's convolutions and poolings in ONNX's operators."""

from __future__ import annotations

from collections.abc import Sequence

from rnnscope.checkpoints.openvino.interface import IrScope, Operator
from rnnscope.checkpoints.openvino.ir_graph import IrLayer
from rnnscope.checkpoints.translated.messages import NotTranslated

PADDING = {"explicit": None, "same_upper": "SAME_UPPER", "same_lower": "SAME_LOWER",
           "valid": "VALID"}  # fmt: skip


def _window(layer: IrLayer) -> dict[str, object]:
    """Strides and padding, which both operators share."""
    how = layer.data.get("auto_pad", "explicit").lower()
    if how not in PADDING:
        raise NotTranslated(f"pads by the rule '{how}'")
    pads = [*layer.ints("pads_begin"), *layer.ints("pads_end")]
    return {
        "strides": layer.ints("strides") or None,
        "auto_pad": PADDING[how],
        "pads": pads if how == "explicit" and pads else None,
    }


def _convolution(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    window = _window(layer) | {"dilations": layer.ints("dilations") or None}
    return [scope.made.one("Conv", inputs[:2], layer.name, **window)]


def _grouped(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    """Filters (group, out, in, *size), which ONNX has as (group · out, in, *size)."""
    groups, out, *rest = layer.inputs[1].dims or (-1, -1)
    if min(groups, out, *rest) < 0:
        raise NotTranslated("has groups whose number is open")
    shape = scope.made.ints([groups * out, *rest])
    filters = scope.made.one("Reshape", [inputs[1], shape], f"{layer.name}/filters")
    window = _window(layer) | {"dilations": layer.ints("dilations") or None, "group": groups}
    return [scope.made.one("Conv", [inputs[0], filters], layer.name, **window)]


def _pool(op: str) -> Operator:
    def write(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
        if any(one != 1 for one in layer.ints("dilations")):
            raise NotTranslated("pools windows with gaps")
        whole = layer.data.get("rounding_type", "floor").lower()
        if whole not in ("floor", "ceil"):
            raise NotTranslated(f"rounds by the rule '{whole}'")
        if whole == "ceil" and any([*layer.ints("pads_begin"), *layer.ints("pads_end")]):
            raise NotTranslated("rounds sizes up beside padding")
        counts = None if op == "MaxPool" else int(not layer.true("exclude-pad"))
        key = scope.made.one(
            op, inputs[:1], layer.name, kernel_shape=layer.ints("kernel"),
            ceil_mode=int(whole == "ceil"), count_include_pad=counts,
            **_window(layer),
        )  # fmt: skip
        return [key]

    return write


WINDOWS: dict[str, Operator] = {
    "Convolution": _convolution,
    "GroupConvolution": _grouped,
    "MaxPool": _pool("MaxPool"),
    "AvgPool": _pool("AveragePool"),
}
"""By type. MaxPool's second output, where the largest lay, is not made."""
