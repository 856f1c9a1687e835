"""``--dask`` and ``-j``: a cluster that does the work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rnnscope.clusters.dask_cluster import Cluster
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


@contextmanager
def opened_cluster(given: Mapping[str, Any]) -> Iterator[Cluster | None]:
    """The cluster that was named, opened; None if none was, and nothing of Dask is imported."""
    if given["dask"] is None:
        yield None
        return
    from rnnscope.clusters.connecting import maybe_cluster

    with maybe_cluster(given_cluster(given)) as cluster:
        yield cluster


def given_cluster(given: Mapping[str, Any]) -> ClusterAddress | None:
    """The cluster that was named, if one was.

    Raises
    ------
    OptionError
        It is none, or only the number of its workers is given.
    """
    from rnnscope.clusters.interface import ClusterAddress

    return ClusterAddress.maybe(given["dask"], given["jobs"])
