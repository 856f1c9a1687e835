"""Compiled steps of an LSTM: everything between two matrix products in one pass.

Imported only when numba is installed and the work pays for its start-up. The kernels take one
cell only: sigmoid gates and tanh, float32; peepholes and a clip of c are optional. Their tanh is
a rational approximation that compilers can vectorise; what it costs in accuracy is tested
against the reference.

References
----------
The coefficients are those of the minimax approximation of tanh in Eigen
(Eigen/src/Core/MathFunctionsImpl.h, ``generic_fast_tanh_float``), also used by TensorFlow's and
XLA's CPU kernels: an odd polynomial of degree 13 over an even one of degree 6, for
|z| <= 7.9053; beyond that tanh is 1 in float32.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

F = np.float32
# contract: fused multiply-adds. nsz and arcp do not apply to what the results depend on. Without
# nnan, NaN goes through as it came.
FAST = {"contract", "nsz"}

P1, P3, P5, P7 = (
    F(4.89352455891786e-03),
    F(6.37261928875436e-04),
    F(1.48572235717979e-05),
    F(5.12229709037114e-08),
)
P9, P11, P13 = F(-8.60467152213735e-11), F(2.00018790482477e-13), F(-2.76076847742355e-16)
Q0, Q2, Q4, Q6 = (
    F(4.89352518554385e-03),
    F(2.26843463243900e-03),
    F(1.18534705686654e-04),
    F(1.19825839466702e-06),
)
LARGEST = F(7.90531110763549805)
SMALLEST = F(4e-4)
"""Below this |z|, tanh(z) is z to the last bit of float32, and the quotient is not."""
HALF = F(0.5)


@numba.njit(fastmath=FAST, inline="always", error_model="numpy")
def _tanh(z: Any) -> Any:
    x = min(max(z, -LARGEST), LARGEST)
    s = x * x
    p = ((((((P13 * s + P11) * s + P9) * s + P7) * s + P5) * s + P3) * s + P1) * x
    q = ((Q6 * s + Q4) * s + Q2) * s + Q0
    y = p / q
    return z if abs(z) < SMALLEST else y


@numba.njit(fastmath=FAST, nogil=True, error_model="numpy", cache=True)
def step(z, z_x, forget_bias, peepholes, clip, c, m, all_c, all_m, rows, times):  # type: ignore[no-untyped-def]
    """One step for every row of z; z holds ``m_prev @ recurrent``, gates i, f, o halved.

    Shapes: z, z_x (row, 4·unit); peepholes (3, unit), halved; c, m (row, unit), replaced;
    all_c, all_m (sequence, timestep, unit), written at (rows[r], times[r]).
    """
    units = c.shape[1]
    for r in range(z.shape[0]):
        zr, zx, cr, mr = z[r], z_x[r], c[r], m[r]
        c_out, m_out = all_c[rows[r], times[r]], all_m[rows[r], times[r]]
        for u in range(units):
            before = cr[u]
            i = HALF * _tanh(zx[u] + zr[u] + peepholes[0, u] * before) + HALF
            f = (
                HALF * _tanh(zx[units + u] + zr[units + u] + forget_bias + peepholes[1, u] * before)
                + HALF
            )
            g = _tanh(zx[2 * units + u] + zr[2 * units + u])
            new = min(max(f * before + i * g, -clip), clip)
            o = HALF * _tanh(zx[3 * units + u] + zr[3 * units + u] + peepholes[2, u] * new) + HALF
            out = o * _tanh(new)
            cr[u] = new
            c_out[u] = new
            mr[u] = out
            m_out[u] = out


@numba.njit(fastmath=FAST, nogil=True, error_model="numpy", cache=True)
def step_to(z, z_x, forget_bias, peepholes, clip, c, wide, all_c, rows, times):  # type: ignore[no-untyped-def]
    """`step` for a projected cell: o * tanh(c) goes to `wide` (row, unit), to be projected."""
    units = c.shape[1]
    for r in range(z.shape[0]):
        zr, zx, cr, out = z[r], z_x[r], c[r], wide[r]
        c_out = all_c[rows[r], times[r]]
        for u in range(units):
            before = cr[u]
            i = HALF * _tanh(zx[u] + zr[u] + peepholes[0, u] * before) + HALF
            f = (
                HALF * _tanh(zx[units + u] + zr[units + u] + forget_bias + peepholes[1, u] * before)
                + HALF
            )
            g = _tanh(zx[2 * units + u] + zr[2 * units + u])
            new = min(max(f * before + i * g, -clip), clip)
            o = HALF * _tanh(zx[3 * units + u] + zr[3 * units + u] + peepholes[2, u] * new) + HALF
            cr[u] = new
            c_out[u] = new
            out[u] = o * _tanh(new)


@numba.njit(fastmath=FAST, nogil=True, error_model="numpy", cache=True)
def plain_step(z, z_x, forget_bias, c, m, all_c, all_m, rows, times):  # type: ignore[no-untyped-def]
    """`step` for a cell without peepholes and clip: a third fewer operations."""
    units = c.shape[1]
    for r in range(z.shape[0]):
        zr, zx, cr, mr = z[r], z_x[r], c[r], m[r]
        c_out, m_out = all_c[rows[r], times[r]], all_m[rows[r], times[r]]
        for u in range(units):
            i = HALF * _tanh(zx[u] + zr[u]) + HALF
            f = HALF * _tanh(zx[units + u] + zr[units + u] + forget_bias) + HALF
            g = _tanh(zx[2 * units + u] + zr[2 * units + u])
            o = HALF * _tanh(zx[3 * units + u] + zr[3 * units + u]) + HALF
            new = f * cr[u] + i * g
            out = o * _tanh(new)
            cr[u] = new
            c_out[u] = new
            mr[u] = out
            m_out[u] = out


@numba.njit(fastmath=FAST, nogil=True, error_model="numpy", cache=True)
def sequence(z_x, recurrent, forget_bias, peepholes, clip, c, m, all_c, all_m, row, times):  # type: ignore[no-untyped-def]
    """All steps of one sequence, products included: for batches too small for a matrix product.

    Shapes: z_x (timestep, 4·unit); recurrent (unit, 4·unit), unit a multiple of 4, gates i, f, o
    halved; c, m (unit,), replaced; all_c, all_m as in `step`, written at (row, times[t]).
    """
    units = c.shape[0]
    z = np.empty(4 * units, np.float32)
    for t in range(z_x.shape[0]):
        zx = z_x[t]
        for j in range(4 * units):
            z[j] = F(0)
        for k in range(0, units, 4):
            m0, m1, m2, m3 = m[k], m[k + 1], m[k + 2], m[k + 3]
            r0, r1, r2, r3 = recurrent[k], recurrent[k + 1], recurrent[k + 2], recurrent[k + 3]
            for j in range(4 * units):
                z[j] += m0 * r0[j] + m1 * r1[j] + m2 * r2[j] + m3 * r3[j]
        c_out, m_out = all_c[row, times[t]], all_m[row, times[t]]
        for u in range(units):
            before = c[u]
            i = HALF * _tanh(zx[u] + z[u] + peepholes[0, u] * before) + HALF
            f = (
                HALF * _tanh(zx[units + u] + z[units + u] + forget_bias + peepholes[1, u] * before)
                + HALF
            )
            g = _tanh(zx[2 * units + u] + z[2 * units + u])
            new = min(max(f * before + i * g, -clip), clip)
            o = HALF * _tanh(zx[3 * units + u] + z[3 * units + u] + peepholes[2, u] * new) + HALF
            out = o * _tanh(new)
            c[u] = new
            c_out[u] = new
            m[u] = out
            m_out[u] = out
