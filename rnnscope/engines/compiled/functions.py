"""Activation functions in machine code: how vectors compute what `ACTIVATIONS` names.

The hyperbolic tangent of float32 is a rational function: with t = p / q = tanh(z / 2), tanh(z) is
2 p q / (p p + q q), one division. What t is wrong by is scaled down by (1 - t t) / (1 + t t), to
nothing where a gate saturates: there it is 1 to the last bit, so that a cell which keeps its c for
thousands of steps keeps it here, too. p is an odd polynomial of degree 7, q an even one of degree
4, fitted to tanh(z / 2) for |z| <= 9.02 (minimax by Lawson's iteration, weighted by that factor;
p = z / 2 and q = 1 at 0): 0.23 units in the last place before rounding. Beyond that z, tanh is 1 in
float32.

For float64 a rational function as good would have twice as many terms as what is taken: with
e = exp(-2 |z|) - 1, tanh(|z|) is -e / (2 + e). exp(z) - 1 is 2**k (1 + r + r r q(r)) - 1, where k
is the whole number nearest to z / log(2), and r what is left of z; q is a polynomial through the
Chebyshev nodes of |r| <= log(2) / 2, a tenth of a unit in the last place away at most.

The sigmoid is tanh(z / 2) / 2 + 1 / 2, as in the reference.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from rnnscope.model.activations import name_and_constants

if TYPE_CHECKING:  # llvmlite is loaded where something is compiled
    from llvmlite import ir

    from rnnscope.engines.compiled.vectors import Vector

P3, P5, P7 = 0.1134461835026741, 0.001230042427778244, -4.453414021554636e-06
Q2, Q4 = 0.4467792510986328, 0.016824163496494293
LARGEST = 9.02
"""Beyond it tanh is 1 in float32, as beyond `LARGEST_DOUBLE` in float64."""

LARGEST_DOUBLE = 22.0

LOG2 = {"float32": (0.693145751953125, 1.4286068203094172e-06),
        "float64": (0.6931471803691238, 1.9082149293851713e-10)}  # fmt: skip
"""log(2) in two parts, the first of few digits: k times it is exact."""

EXPM1 = {
    "float32": (0.5, 0.1666666716337204, 0.04166646674275398, 0.00833331048488617,
                0.0013933649752289057, 0.00019890991097781807),
    "float64": (0.5, 0.1666666666666667, 0.04166666666666667, 0.008333333333326124,
                0.0013888888888882827, 0.00019841269874857245, 2.480158732786949e-05,
                2.7557255355667583e-06, 2.75572714288707e-07, 2.5105234204137396e-08,
                2.091539269509956e-09),
}  # fmt: skip
"""q of (exp(r) - 1 - r) / r**2, lowest power first."""

LOG1P = {
    "float32": (0.3333333432674408, 0.19999852776527405, 0.142961785197258, 0.1085328757762909,
                0.11612164974212646),
    "float64": (0.3333333333333333, 0.20000000000000007, 0.1428571428571145, 0.11111111111616045,
                0.09090909045616394, 0.07692310050109122, 0.06666589775670692, 0.05883987050023153,
                0.052402342548893456, 0.04971326026948182, 0.031640338545443056,
                0.07623266691726505),
}  # fmt: skip
"""log(1 + u) is 2 s + 2 s**3 l(s**2) with s = u / (2 + u): l, lowest power first."""

UNDERFLOW = {"float32": -104.0, "float64": -746.0}
"""Below it exp is zero; above its negative, infinite."""


def tanh(z: Vector) -> Vector:
    """The hyperbolic tangent."""
    return _tanh_of_half(z.within(LARGEST) * 0.5) if z.real.bytes == 4 else _tanh_double(z)


def sigmoid(z: Vector) -> Vector:
    """The logistic function."""
    if z.real.bytes == 4:
        half = _tanh_of_half(z.within(2 * LARGEST) * 0.25)
    else:
        half = _tanh_double(z * 0.5)
    return half.fma(0.5, 0.5)


def _tanh_of_half(x: Vector) -> Vector:
    """tanh(2 x) for |x| <= LARGEST / 2, in float32."""
    s = x * x
    p = s.fma(P7, P5).fma(s, P3).fma(s, 1.0) * x
    q = s.fma(Q4, Q2).fma(s, 1.0)
    return (p + p) * q / p.fma(p, q * q)


def _tanh_double(z: Vector) -> Vector:
    less = expm1(z.absolute().at_most(LARGEST_DOUBLE) * -2.0)
    return (-less / (less + 2.0)).signed_as(z)


def expm1(z: Vector) -> Vector:
    """exp(z) - 1 for z from `UNDERFLOW` to 88 (float32) or 709."""
    grown, exponent = _reduced_exponential(z)
    scale = z.power_of_two(exponent)
    return grown.fma(scale, scale - 1.0)


def exponential(z: Vector) -> Vector:
    """exp(z); zero and infinite where it should be."""
    least = UNDERFLOW[z.real.name]
    grown, exponent = _reduced_exponential(z.within(-least))
    first, second = z.halves(exponent)
    return (grown + 1.0) * z.power_of_two(first) * z.power_of_two(second)


def _reduced_exponential(z: Vector) -> tuple[Vector, ir.Value]:
    """exp(r) - 1 and k, with z = r + k log(2) and |r| at most half of log(2)."""
    k, exponent = (z * (1 / math.log(2))).rounded()
    high, low = LOG2[z.real.name]
    r = k.fma(-low, k.fma(-high, z))
    return _polynomial(EXPM1[z.real.name], r).fma(r * r, r), exponent


def _polynomial(coefficients: tuple[float, ...], x: Vector) -> Vector:
    result = x.fma(coefficients[-1], coefficients[-2])
    for coefficient in coefficients[-3::-1]:
        result = result.fma(x, coefficient)
    return result


def _log1p(u: Vector) -> Vector:
    """log(1 + u) for 0 <= u <= 1."""
    s = u / (u + 2.0)
    w = s * s
    twice = s + s
    return (_polynomial(LOG1P[u.real.name], w) * w).fma(twice, twice)


def _expm1_below_zero(z: Vector) -> Vector:
    return expm1(z.between(UNDERFLOW[z.real.name] / 2, 0.0))


def _hard_sigmoid(z: Vector, slope: float = 0.2, offset: float = 0.5) -> Vector:
    return (z * slope + offset).between(0.0, 1.0)


def _hard_sigmoid_keras3(z: Vector) -> Vector:
    return (z + 3.0).between(0.0, 6.0) / 6.0


def _elu(z: Vector, alpha: float = 1.0) -> Vector:
    return z.where_above(0.0, _expm1_below_zero(z) * alpha)


def _selu(z: Vector) -> Vector:
    return _elu(z, 1.6732632423543772848170429916717) * 1.0507009873554804934193349852946


def _softplus(z: Vector) -> Vector:
    return z.at_least(0.0) + _log1p(exponential(-z.absolute()))


def _softsign(z: Vector) -> Vector:
    return z / (z.absolute() + 1.0)


def _swish(z: Vector) -> Vector:
    return z * sigmoid(z)


def _gelu_tanh(z: Vector) -> Vector:
    inner = (z * z * z * 0.044715 + z) * math.sqrt(2 / math.pi)
    return z * 0.5 * (tanh(inner) + 1.0)


def _scaled_tanh(z: Vector, alpha: float, beta: float) -> Vector:
    return tanh(z * beta) * alpha


def _affine(z: Vector, alpha: float, beta: float) -> Vector:
    return z * alpha + beta


def _leaky_relu(z: Vector, alpha: float) -> Vector:
    return z.where_above(0.0, z * alpha)


def _thresholded_relu(z: Vector, alpha: float) -> Vector:
    return z.where_above(alpha, z.constant(0.0))


FUNCTIONS: dict[str, Callable[..., Vector]] = {
    "tanh": tanh,
    "sigmoid": sigmoid,
    "hard_sigmoid": _hard_sigmoid,
    "hard_sigmoid_keras3": _hard_sigmoid_keras3,
    "relu": lambda z: z.at_least(0.0),
    "relu6": lambda z: z.between(0.0, 6.0),
    "linear": lambda z: z,
    "elu": _elu,
    "selu": _selu,
    "softplus": _softplus,
    "softsign": _softsign,
    "swish": _swish,
    "gelu_tanh": _gelu_tanh,
    "mish": lambda z: z * tanh(_softplus(z)),
    "exponential": exponential,
    "leaky_relu": _leaky_relu,
    "scaled_tanh": _scaled_tanh,
    "affine": _affine,
    "thresholded_relu": _thresholded_relu,
}
"""By the names of `rnnscope.model.activations`; those with constants take them behind z."""


def is_known(*names: str) -> bool:
    """Whether all of some activations can be compiled."""
    return all(name_and_constants(name)[0] in FUNCTIONS for name in names)


def function(name: str) -> Callable[[Vector], Vector]:
    """What writes the code of an activation."""
    base, constants = name_and_constants(name)
    known = FUNCTIONS[base]
    return partial(_with_constants, known, constants) if constants else known


def _with_constants(
    known: Callable[..., Vector], constants: tuple[float, ...], z: Vector
) -> Vector:
    return known(z, *constants)
