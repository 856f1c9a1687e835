"""Operators that compute each element by itself."""

from __future__ import annotations

import numpy as np

from rnnscope.checkpoints.tflite.translation.site import Site, Tell
from rnnscope.checkpoints.translated.messages import NUMBERS, NotTranslated


def _plain(op: str) -> Tell:
    return lambda site: site.end(op, site.every())


def _bounded(low: float, high: float) -> Tell:
    return lambda site: site.end("Clip", [site.x(0), site.number(low), site.number(high)])


def _rsqrt(site: Site) -> None:
    site.end("Reciprocal", [site.add("Sqrt", [site.x(0)])])


def _square(site: Site) -> None:
    site.end("Mul", [site.x(0), site.x(0)])


def _squared_difference(site: Site) -> None:
    made = site.add("Sub", site.every())
    site.end("Mul", [made, made])


def _cast(site: Site) -> None:
    dtype = site.result().dtype
    if dtype is None or np.dtype(dtype).kind == "c" or np.dtype(dtype) not in NUMBERS:
        raise NotTranslated(f"to values of type {site.result().kind}")
    site.end("Cast", [site.x(0)], to=NUMBERS[np.dtype(dtype)])


def _softmax(site: Site) -> None:
    x = site.x(0)
    if site.options.beta != 1:
        x = site.add("Mul", [x, site.number(site.options.beta)])
    site.end("Softmax", [x], axis=-1)


def _select(site: Site) -> None:
    chosen, one = site.tensor(0), site.tensor(1)
    where = site.x(0)
    if site.op.op == "SELECT" and len(chosen.shape) == 1 < len(one.shape):
        where = site.add("Unsqueeze", [where], axes=list(range(1, len(one.shape))))
    site.end("Where", [where, site.x(1), site.x(2)])


def _quantize(site: Site) -> None:
    """Floats to whole numbers: here, the floats that these stand for."""
    grid = site.result()
    if site.tensor(0).is_quantised:
        if site.tensor(0).same_grid(grid):
            site.alias(site.x(0))
            return
        raise NotTranslated("of whole numbers")
    site.alias(on_grid(site, site.x(0)))


def on_grid(site: Site, x: str) -> str:
    """A value as its result's whole numbers have it."""
    grid = site.result()
    dtype = grid.dtype
    if grid.scale.size != 1 or dtype is None or dtype.kind not in "iu":
        raise NotTranslated("with several scales")
    bounds = np.iinfo(dtype)
    return site.add(
        "OnGrid", [x], domain="tflite", scale=float(grid.scale[0]), zero=int(grid.zero[0]),
        low=int(bounds.min), high=int(bounds.max),
    )  # fmt: skip


def _dequantize(site: Site) -> None:
    site.alias(site.x(0))


ELEMENTWISE: dict[str, Tell] = {
    "ABS": _plain("Abs"), "ADD": _plain("Add"), "ADD_N": _plain("Sum"), "CAST": _cast,
    "CEIL": _plain("Ceil"), "COS": _plain("Cos"), "DEQUANTIZE": _dequantize, "DIV": _plain("Div"),
    "ELU": _plain("Elu"), "EQUAL": _plain("Equal"), "EXP": _plain("Exp"), "FLOOR": _plain("Floor"),
    "GREATER": _plain("Greater"), "GREATER_EQUAL": _plain("GreaterOrEqual"),
    "HARD_SWISH": _plain("HardSwish"),
    "LEAKY_RELU": lambda site: site.end("LeakyRelu", [site.x(0)], alpha=float(site.options.alpha)),
    "LESS": _plain("Less"), "LESS_EQUAL": _plain("LessOrEqual"), "LOG": _plain("Log"),
    "LOGICAL_AND": _plain("And"), "LOGICAL_NOT": _plain("Not"), "LOGICAL_OR": _plain("Or"),
    "LOGISTIC": _plain("Sigmoid"),
    "LOG_SOFTMAX": lambda site: site.end("LogSoftmax", [site.x(0)], axis=-1),
    "MAXIMUM": _plain("Max"), "MINIMUM": _plain("Min"), "MUL": _plain("Mul"), "NEG": _plain("Neg"),
    "NOT_EQUAL": lambda site: site.end("Not", [site.add("Equal", site.every())]),
    "POW": _plain("Pow"), "QUANTIZE": _quantize, "RELU": _plain("Relu"), "RELU6": _bounded(0, 6),
    "RELU_0_TO_1": _bounded(0, 1), "RELU_N1_TO_1": _bounded(-1, 1), "ROUND": _plain("Round"),
    "RSQRT": _rsqrt, "SELECT": _select, "SELECT_V2": _select, "SIGN": _plain("Sign"),
    "SIN": _plain("Sin"), "SOFTMAX": _softmax, "SQRT": _plain("Sqrt"), "SQUARE": _square,
    "SQUARED_DIFFERENCE": _squared_difference, "SUB": _plain("Sub"), "TANH": _plain("Tanh"),
}  # fmt: skip
"""By operator."""
