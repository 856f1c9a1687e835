"""Work on a trace cut into pieces for a cluster, and the results put in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import Any

from rnnscope import __version__
from rnnscope.clusters.dask_cluster import Cluster, require_same_version
from rnnscope.clusters.interface import TaskResult
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import RnnscopeError, Spelling, spell_as, spelling_in_use
from rnnscope.files.guarding.limits import limited, limits

PIECES_A_WORKER = 4
"""So that none waits long for the last."""

LEAST_PIECES = 32
"""Of large traces, however few workers there are: what a lost one has to do again stays small."""

PIECE_BYTES = 32 * 2**20
"""Less is not worth a task."""


def pieces(count: int, size: int, cluster: Cluster) -> list[slice]:
    """So many things in runs, for the workers of a cluster.

    Parameters
    ----------
    count : int
    size : int
        Bytes that are read for all of them.
    cluster : Cluster
    """
    most = max(LEAST_PIECES, PIECES_A_WORKER * len(cluster.workers))
    wanted = min(count, most, max(1, size // PIECE_BYTES))
    cuts = [number * count // wanted for number in range(wanted + 1)] if wanted else [0]
    return [slice(first, stop) for first, stop in pairwise(cuts)]


def in_order(
    cluster: Cluster, function: Callable[..., Any], calls: Sequence[tuple[object, ...]]
) -> Iterator[Any]:
    """The results of calls that workers do, in the order of the calls.

    What is done before its turn is kept until then.

    Parameters
    ----------
    cluster : Cluster
    function : callable
        At the top of a module; its `RnnscopeError` is raised here.
    calls : sequence of tuple

    Raises
    ------
    RnnscopeError
    """
    early: dict[int, Any] = {}
    turn = 0
    for number, value in as_done(cluster, function, calls):
        early[number] = value
        while turn in early:
            yield early.pop(turn)
            turn += 1


def as_done(
    cluster: Cluster,
    function: Callable[..., Any],
    calls: Sequence[tuple[object, ...]],
    shared: Mapping[str, object] | None = None,
) -> Iterator[tuple[int, Any]]:
    """The results of calls that workers do, as they come: which call, and its value.

    Parameters
    ----------
    cluster, function, calls
        As of `in_order`.
    shared : mapping of str to object, optional
        Keywords of every call, of Python's own types: sent once, and not with each.

    Raises
    ------
    RnnscopeError
        That of a call, or of the cluster.
    """
    surface = Surface(__version__, {**asdict(limits()), "probe_always": False}, spelling_in_use())
    yield from cluster.run(guarded, [(surface, function, call) for call in calls], shared)


@dataclass(frozen=True)
class Surface:
    """What a worker takes over from whoever asks.

    Attributes
    ----------
    version : str
        Of rnnscope.
    limits : dict
        Of reading files.
    spelling : Spelling
        What options and commands are called in messages.
    """

    version: str
    limits: dict[str, Any]
    spelling: Spelling


def guarded(
    surface: Surface,
    function: Callable[..., Any],
    call: tuple[object, ...],
    shared: Mapping[str, Any] | None = None,
) -> TaskResult:
    """A call on a worker, its error as a value."""
    before = spelling_in_use()
    spell_as(surface.spelling)
    try:
        require_same_version(surface.version)
        with limited(**surface.limits):
            return TaskResult(function(*call, **(shared or {})))
    except RnnscopeError as error:
        return TaskResult.of_error(error)
    finally:
        spell_as(before)
