"""WEIGHT_FORMATS: what recurrent layers can be written as. Adding one is one file and one line."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from rnnscope.errors import OptionError, spell

if TYPE_CHECKING:
    from rnnscope.converting.interface import WeightFormat

WEIGHT_FORMATS = {
    "torch": "torch_format",
    "safetensors": "safetensors_format",
    "npz": "npz_format",
    "keras": "keras_format",
    "onnx": "onnx_format",
    "tf1": "tf1_format",
    "flax": "flax_format",
    "tfjs": "tfjs_format",
}
"""Modules of this package that hold a ``WEIGHT_FORMAT``, by its name; imported when asked for."""


def weight_format(name: str) -> WeightFormat:
    """The format of a name.

    Raises
    ------
    OptionError
        It is not written; the message lists those that are.
    """
    if name not in WEIGHT_FORMATS:
        raise OptionError(
            f"Models are not written as '{name}'.",
            where=spell("to", name),
            expected=", ".join(WEIGHT_FORMATS),
            found=name,
        )
    found: WeightFormat = import_module(f"{__name__}.{WEIGHT_FORMATS[name]}").WEIGHT_FORMAT
    return found


def weight_formats() -> tuple[WeightFormat, ...]:
    """Every format, in the order of the table."""
    return tuple(map(weight_format, WEIGHT_FORMATS))
