"""Pooling states from Python: one value a unit instead of one a timestep."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rnnscope.api.trace import StateTrace
    from rnnscope.model.cell import Array
    from rnnscope.pooling.result import PoolReport


class PooledStates(Mapping[str, "Array"]):
    """Pooled arrays by name; of one state and one method by the layer's name, too.

    Attributes
    ----------
    report : PoolReport
        What ``rnnscope pool`` prints; ``str`` of this object is the same.
    """

    def __init__(self, arrays: Mapping[str, Array], report: PoolReport) -> None:
        self._arrays, self.report = dict(arrays), report
        layers = [one.layer for one in report.pooled]
        plain = zip(layers, self._arrays, strict=True) if len(set(layers)) == len(layers) else ()
        self._of_layer = dict(plain)

    def __getitem__(self, name: str) -> Array:
        return self._arrays[self._of_layer.get(name, name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def render(self, format_name: str = "text", *, width: int = 100, color: bool = False) -> str:
        """The report in a format of `rnnscope.printable.REPORTS`."""
        return self.report.render(format_name, width=width, color=color)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON has it."""
        return self.report.to_dict()

    def __str__(self) -> str:
        return str(self.report)


def pool(
    trace: str | os.PathLike[str] | StateTrace,
    method: str | Iterable[str] = "mean",
    /,
    *,
    state: str | Iterable[str] = "m",
    layers: Iterable[str] = (),
    direction: Literal["forward", "backward", "concat", "sum"] | None = None,
    edge: Literal["input", "final"] = "input",
    naive: bool = False,
    output: str | os.PathLike[str] | None = None,
    store: bool = False,
    force: bool = False,
    dask: str | None = None,
    jobs: int | None = None,
) -> PooledStates:
    """Pool the states of a trace over the valid steps of each sequence.

    Parameters
    ----------
    trace : str, path or StateTrace
    method : str or iterable of str
        ``"sum"``, ``"mean"``, ``"max"``, ``"argmax"``, ``"last"``, ``"first"``, or ``"all"``.
    state : str or iterable of str
        Of ``"m"``, ``"c"``, ``"outputs"``.
    layers : iterable of str
        Names or globs; none: all.
    direction : str, optional
        What to take of bidirectional layers; None: each direction as a layer of its own.
    edge : str
        ``"final"``: first and last are those of each direction's own way through time.
    naive : bool
        Say by how much ignoring the padding would differ.
    output : str or path, optional
        An ``.npy`` or ``.npz`` to write, too.
    store : bool
        Add the arrays to the trace file, too, under ``/pooled``.
    force : bool
        Replace what is there.
    dask : str, optional
        The address of a Dask scheduler, or ``"local"``: its workers pool a trace that they see.
    jobs : int, optional
        With ``dask="local"``: processes.

    Returns
    -------
    PooledStates
        Arrays (sequence, unit), ``pooled["LAYER/STATE/METHOD"]``; of one state and method also
        ``pooled["LAYER"]``.

    Raises
    ------
    RnnscopeError
        No layer fits, or none has the state; the file cannot be written.

    Examples
    --------
    >>> import rnnscope
    >>> pooled = rnnscope.pool("trace.h5", "mean")
    >>> pooled["rnn/lstm_cell"].shape
    (2, 64)
    """
    from rnnscope.api.trace import operand_of
    from rnnscope.clusters.interface import ClusterAddress
    from rnnscope.pooling.pool_states import PoolRequest, PoolTarget, pool_states
    from rnnscope.trace import Trace

    request = PoolRequest.make(
        state, method, layers=layers, direction=direction, edge=edge, naive=naive
    )
    place = None if output is None else Path(output)
    target = PoolTarget(place, store=store, keep=True, force=force)
    source = operand_of(trace)
    address = ClusterAddress.maybe(dask, jobs)
    with ExitStack() as stack:
        opened = source
        if not isinstance(source, Trace):
            opened = stack.enter_context(Trace.open(source))
        cluster = None
        if address is not None:
            from rnnscope.clusters.connecting import maybe_cluster

            cluster = stack.enter_context(maybe_cluster(address))
        report, arrays = pool_states(opened, request, target, "rnnscope.pool", cluster)
    return PooledStates(arrays, report)
