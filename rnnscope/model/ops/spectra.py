"""Fourier transforms, which stand in front of recurrent layers that hear sound."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnscope.model.cell import Array
from rnnscope.model.ops.interface import EvaluationError, Operation, check_size


def _as_complex(x: Array) -> Any:
    """(…, 1 or 2), real and imaginary parts, as complex numbers (…)."""
    return x[..., 0] if x.shape[-1] == 1 else x[..., 0] + 1j * x[..., 1]


def _as_parts(values: Any, dtype: Any) -> Any:
    return np.stack([values.real, values.imag], axis=-1).astype(dtype)


def fourier(
    x: Array, length: int | None = None, *, axis: int = 1, one_sided: bool = False,
    inverse: bool = False,
) -> Any:  # fmt: skip
    """The discrete Fourier transform along an axis of (…, real and imaginary part)."""
    values = _as_complex(x)
    half = inverse and one_sided
    whole = 2 * (values.shape[axis] - 1) if half else values.shape[axis]
    size = whole if length is None else int(length)
    others = values.size // max(1, values.shape[axis])
    check_size((others, size), np.complex128)
    if half:  # the other half mirrors it, and the result is real
        return np.fft.irfft(values, size, axis=axis)[..., None].astype(x.dtype)
    made = (np.fft.ifft if inverse else np.fft.fft)(values, size, axis=axis)
    if one_sided:
        made = np.take(made, range(size // 2 + 1), axis=axis)
    return _as_parts(made, x.dtype)


def short_time_fourier(
    x: Array, step: int, window: Array | None, length: int, *, one_sided: bool = True
) -> Any:
    """Transforms of windows of a signal (batch, sample, 1 or 2): (batch, window, bin, 2)."""
    values = _as_complex(x)
    if length < 1 or step < 1 or values.shape[1] < length:
        raise EvaluationError(f"windows of {length} do not fit {values.shape[1]} samples")
    seen = np.lib.stride_tricks.sliding_window_view(values, length, axis=1)[:, ::step]
    check_size((*seen.shape, 2), x.dtype)
    framed = seen if window is None else seen * window
    made = np.fft.fft(framed, axis=-1)
    return _as_parts(made[..., : length // 2 + 1] if one_sided else made, x.dtype)


def window(
    size: int, *, coefficients: tuple[float, ...], periodic: bool = True, dtype: Any = np.float32
) -> Any:
    """A sum of cosines over `size` places: Hann, Hamming and Blackman windows."""
    (count,) = check_size((size,), np.float64)
    angles = 2 * np.pi * np.arange(count) / max(1, count if periodic else count - 1)
    made = sum(
        (-1) ** order * factor * np.cos(order * angles) for order, factor in enumerate(coefficients)
    )
    return np.asarray(made, dtype)


SPECTRA: dict[str, Operation] = {
    "fourier": fourier,
    "short_time_fourier": short_time_fourier,
    "window": window,
}
"""Fourier transforms, by name."""
