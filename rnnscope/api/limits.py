"""What reading files may take, from Python."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rnnscope.errors import OptionError


@contextmanager
def limits(
    *,
    max_bytes: int | str | None = None,
    max_seconds: float | None = None,
    allow_outside: bool | None = None,
) -> Iterator[None]:
    """Other limits for the files that a block reads.

    They hold in this thread, or this task of asyncio, and for what a run in it does beside; other
    threads keep theirs. Blocks may stand in one another: what is left out stays as it is outside.

    Parameters
    ----------
    max_bytes : int or str, optional
        What compressed data of one file may unpack to, in bytes or such as ``"4GB"``. By default
        256 MiB, or 100 times the file if that is more.
    max_seconds : float, optional
        Seconds that one file may be read for, as this thread computes; 60 by default.
    allow_outside : bool, optional
        Follow a ``checkpoint`` file or a suite that names a file outside its own folder.

    Raises
    ------
    OptionError
        A size or time is none, or not above 0.

    Examples
    --------
    >>> import rnnscope
    >>> with rnnscope.limits(max_bytes="1GB", max_seconds=5):
    ...     model = rnnscope.open_model("sample_data/lstm_float64/model.ckpt")
    """
    from rnnscope.files.guarding.limits import limited

    with limited(
        max_bytes=None if max_bytes is None else _bytes(max_bytes),
        max_seconds=None if max_seconds is None else _seconds(max_seconds),
        allow_outside=allow_outside,
    ):
        yield


def _bytes(given: int | str) -> int:
    from rnnscope.options.kinds import bytes_of

    try:
        return bytes_of(str(given))
    except ValueError as error:
        raise OptionError(
            "The limit of bytes is no size.", where="max_bytes", expected=error, found=repr(given)
        ) from error


def _seconds(given: float) -> float:
    number = isinstance(given, (int, float)) and not isinstance(given, bool)
    if not number or not given > 0:
        raise OptionError(
            "The limit of seconds is no time.",
            where="max_seconds", expected="a number above 0", found=repr(given),
        )  # fmt: skip
    return float(given)
