"""``--dask`` and ``-j``: a cluster that does the work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rnnscope.errors import OptionError, spell

if TYPE_CHECKING:
    from rnnscope.clusters.interface import ClusterAddress

F = TypeVar("F", bound=Callable[..., Any])


def dask_option(function: F) -> F:
    """``--dask``: which cluster."""
    return click.option(
        "--dask",
        metavar="ADDRESS|local",
        help="Spread the work over a Dask cluster: tcp://HOST:8786, or one started here.",
    )(function)


def cluster_options(function: F) -> F:
    """``--dask``, and ``-j`` for a local cluster."""
    function = click.option(
        "-j",
        "--jobs",
        type=click.IntRange(min=1),
        metavar="N",
        help="With --dask local: processes that compute [default: one a processor].",
    )(function)
    return dask_option(function)


def given_cluster(given: Mapping[str, Any]) -> ClusterAddress | None:
    """The cluster that was named, if one was.

    Raises
    ------
    OptionError
        It is none, or only the number of its workers is given.
    """
    if given["dask"] is None:
        if given["jobs"] is not None:
            raise OptionError(
                f"{spell('jobs')} says how many processes {spell('dask', 'local')} starts.",
                where=spell("jobs", str(given["jobs"])),
                expected=spell("dask", "local"),
                found="none",
                hint=f"threads of one process are {spell('threads')}",
            )
        return None
    from rnnscope.clusters.interface import ClusterAddress

    return ClusterAddress.make(given["dask"], given["jobs"])
