"""Compiled steps of an LSTM: everything between two matrix products in one pass.

Imported only when numba is installed and the work pays for its start-up. The kernels take one
cell only: sigmoid gates and tanh, float32; peepholes and a clip of c are optional. Their tanh is
a rational approximation that compilers can vectorise; what it costs in accuracy is tested
against the reference.

The tanh: with t = p / q = tanh(z / 2), tanh(z) is 2 p q / (p p + q q), one division. What t is
wrong by is scaled down by (1 - t t) / (1 + t t), to nothing where a gate saturates: there it is 1
to the last bit, so that a cell which keeps its c for thousands of steps keeps it here, too. p is an
odd polynomial of degree 7, q an even one of degree 4, fitted to tanh(z / 2) for |z| <= 9.02
(minimax by Lawson's iteration, weighted by that factor; p = z / 2 and q = 1 at 0): 0.23 units in
the last place before rounding. Beyond that z, tanh is 1 in float32.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

F = np.float32
# contract: fused multiply-adds. nsz and arcp do not apply to what the results depend on. Without
# nnan, NaN goes through as it came.
FAST = {"contract", "nsz"}

P3, P5, P7 = F(0.1134461835026741), F(0.001230042427778244), F(-4.453414021554636e-06)
Q2, Q4 = F(0.4467792510986328), F(0.016824163496494293)
LARGEST = F(9.02)
HALF, ONE = F(0.5), F(1)


@numba.njit(fastmath=FAST, inline="always", error_model="numpy")
def _tanh(z: Any) -> Any:
    x = HALF * min(max(z, -LARGEST), LARGEST)
    s = x * x
    p = (((P7 * s + P5) * s + P3) * s + ONE) * x
    q = (Q4 * s + Q2) * s + ONE
    return (p + p) * q / (p * p + q * q)


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
