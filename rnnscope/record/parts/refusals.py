"""What cannot be run in parts, refused before anything is computed."""

from __future__ import annotations

from pathlib import Path

from rnnscope.errors import OptionError, spell, spell_command
from rnnscope.files.remote.addresses import url_of
from rnnscope.record.recipes.recipe import Recipe
from rnnscope.trace.stores.naming import is_zarr
from rnnscope.trace.target import check_trace_name


def refuse_parts_alone(parts: int | None, dask: str | None) -> None:
    """Refuse a number of parts for a run that nothing divides.

    Raises
    ------
    OptionError
    """
    if parts is not None and dask is None:
        raise OptionError(
            f"{spell('parts')} says into how many parts {spell('dask')} divides a run.",
            where=spell("parts", str(parts)),
            expected=spell("dask", "ADDRESS"),
            found="none",
            hint=f"a single part is {spell('part', 'K/N')}",
        )


def check_joinable(trace: Path) -> None:
    """Refuse a name under which parts cannot be tied: HDF5 ties files that lie beside it.

    Raises
    ------
    TraceError, OptionError
    """
    check_trace_name(trace)
    if is_zarr(trace) or url_of(trace) is not None:
        raise OptionError(
            "Parts are tied by an HDF5 file beside them.",
            where=spell("output", str(trace)),
            expected="a file NAME.h5 in a folder that every part is written to",
            found="a zarr store" if is_zarr(trace) else "an address",
            hint="run into NAME.h5, then: "
            + spell_command("export", "NAME.h5", to="zarr", path="NAME.zarr"),
        )


def refuse_verifying(recipe: Recipe) -> None:
    """Refuse a run in parts that another engine is to verify on the way.

    Raises
    ------
    OptionError
    """
    if recipe["verify"] is not None:
        raise OptionError(
            f"{spell('verify')} is not for runs in parts.",
            expected="a run on one machine",
            found=f"{spell('verify', recipe['verify'])} with {spell('part')} or {spell('dask')}",
            hint="verify the trace when its parts are joined: "
            + spell_command("check", "TRACE", verify=recipe["verify"]),
        )
