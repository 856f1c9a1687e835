"""Where a new trace is written until it is whole: which draft serves which target."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from rnnscope.errors import OptionError, spell, spell_command
from rnnscope.trace.partial import PartialFile
from rnnscope.trace.storage import Compression
from rnnscope.trace.stores.interface import Draft
from rnnscope.trace.stores.naming import is_zarr, require_zarr

ZARR_CODECS = {"gzip": "gzip", "zstd": "zstd"}
"""What ``compress`` is called in zarr; ``lzf`` is HDF5's alone."""


class DraftRequest(NamedTuple):
    """How a new trace is written.

    Attributes
    ----------
    force : bool
        Replace what is there, when the new one is whole.
    resume : bool
        Take up what an earlier run left.
    compress : Compression or None
    array_count : int
        How many arrays the layers have.
    """

    force: bool
    resume: bool
    compress: Compression | None
    array_count: int


def make_draft(target: Path, request: DraftRequest) -> Draft:
    """The draft of a trace for a target that was checked."""
    if is_zarr(target):
        from rnnscope.trace.stores.zarr_draft import ZarrDraft

        return ZarrDraft(target, request.force, request.compress)
    return PartialFile(
        target,
        request.force,
        request.resume,
        request.compress,
        request.array_count,
    )


def check_zarr_options(path: Path, compress: Compression | None, *, resume: bool) -> None:
    """Refuse what a zarr store does not do.

    Raises
    ------
    OptionError
    """
    require_zarr(path)
    if resume:
        raise OptionError(
            "A run into a zarr store cannot be continued.",
            where=f"{spell('resume')} with {path}",
            expected="an HDF5 trace, which keeps what is committed",
            found="a zarr store, of which an interrupted run leaves nothing",
            hint=f"run into NAME.h5 with {spell('resume')}, then: "
            + spell_command("export", "NAME.h5", to="zarr", path="NAME.zarr"),
        )
    if compress is not None and compress not in ZARR_CODECS:
        raise OptionError(
            "A zarr store has no such compression.",
            where=spell("compress", compress),
            expected=" or ".join(ZARR_CODECS),
            found=compress,
        )
