"""Which paths and addresses are zarr stores, and whether zarr is there."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from rnnscope.errors import OptionError

ZARR_SUFFIX = ".zarr"
ZARR_MARK = "zarr.json"
"""The file that makes a folder a group or an array of zarr v3."""


def is_zarr(path: Path) -> bool:
    """Whether a path is, or would be, a zarr store: by its mark, or by its name."""
    if (path / ZARR_MARK).is_file():
        return True
    return path.suffix.lower() == ZARR_SUFFIX and not path.is_file()


def require_zarr(where: object) -> None:
    """Refuse a zarr store where zarr is not installed.

    Raises
    ------
    OptionError
    """
    if sys.version_info < (3, 11):
        raise OptionError(
            "Zarr stores of version 3 need Python 3.11 or later.",
            where=where,
            expected="Python 3.11",
            found=f"Python {sys.version_info.major}.{sys.version_info.minor}",
            hint="write an HDF5 trace: -o NAME.h5",
        )
    if find_spec("zarr") is None:
        raise OptionError(
            "Zarr stores need the package zarr.",
            where=where,
            expected="zarr, version 3",
            found="it is not installed",
            hint="pip install 'rnnscope[zarr]', or write an HDF5 trace: -o NAME.h5",
        )
    from importlib.metadata import version

    if int(version("zarr").partition(".")[0]) < 3:
        raise OptionError(
            "Zarr stores of version 3 need zarr 3.",
            where=where,
            expected="zarr 3",
            found=f"zarr {version('zarr')}",
            hint="pip install -U 'rnnscope[zarr]'",
        )
