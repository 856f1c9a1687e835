"""Pooling states from Python: one value a unit instead of one a timestep."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from rnnscope.api.trace import StateTrace
    from rnnscope.model.cell import Array
    from rnnscope.pooling import PoolPlan
    from rnnscope.pooling.interface import Sink
    from rnnscope.pooling.result import PoolReport
    from rnnscope.trace import Trace
    from rnnscope.trace.pooled import PooledHeader


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

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON has it."""
        return self.report.to_dict()

    def __str__(self) -> str:
        return str(self.report)


class _Memory:
    """Keeps pooled arrays, and hands them on where they are written, too."""

    def __init__(self, sequences: int, further: Sink | None) -> None:
        self.arrays: dict[str, Array] = {}
        self._sequences, self._further = sequences, further

    def write(self, header: PooledHeader, values: Array, sequences: slice) -> None:
        name = f"{header.layer}/{header.state}/{header.method}"
        if name not in self.arrays:
            self.arrays[name] = np.empty((self._sequences, *values.shape[1:]), values.dtype)
        self.arrays[name][sequences] = values
        if self._further is not None:
            self._further.write(header, values, sequences)

    def place(self, header: PooledHeader) -> str:
        if self._further is not None:
            return self._further.place(header)
        return f"{header.layer}/{header.state}/{header.method}"


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
    from rnnscope.api.trace import StateTrace
    from rnnscope.errors import OptionError, spell
    from rnnscope.pooling import POOLINGS, plan_pool, pool_trace
    from rnnscope.pooling.notes import pool_notes, valid_steps_words
    from rnnscope.pooling.result import PoolReport
    from rnnscope.trace import Trace

    methods = [method] if isinstance(method, str) else list(method)
    states = [state] if isinstance(state, str) else list(state)
    for unknown in (name for name in methods if name not in (*POOLINGS, "all")):
        raise OptionError(
            f"{spell('method')} does not understand its value.",
            expected=f"one of {', '.join((*POOLINGS, 'all'))}",
            found=unknown,
        )
    with ExitStack() as opened:
        if isinstance(trace, StateTrace):
            stored = trace.stored
        else:
            stored = opened.enter_context(Trace.open(trace))
        plan = plan_pool(
            stored,
            states,
            list(POOLINGS) if "all" in methods else methods,
            layers=tuple(layers),
            direction=direction,
            edge=edge,
        )
        place = None if output is None else Path(output)
        further = opened.enter_context(_written(stored, plan, place, store, force))
        memory = _Memory(stored.sequences, further)
        results = pool_trace(stored, plan, memory, naive=naive)
        report = PoolReport(
            command="rnnscope.pool",
            trace=str(stored.path),
            sequences=stored.sequences,
            timesteps=stored.timesteps,
            valid=valid_steps_words(stored),
            written=str(place or (f"{stored.path}::/pooled" if store else "in memory")),
            pooled=results,
            naive=naive,
            notes=(*plan.notes, *pool_notes(results)),
        )
    return PooledStates(memory.arrays, report)


def _written(
    stored: Trace, plan: PoolPlan, output: Path | None, store: bool, force: bool
) -> AbstractContextManager[Any]:
    if output is not None:
        from rnnscope.pooling.files import ArrayFile

        return ArrayFile(output, plan.headers, stored.sequences, force=force, inputs=(stored.path,))
    if store:
        from rnnscope.trace.pooled import PooledWriter

        return PooledWriter(stored.path, plan.headers, force=force)
    return nullcontext()
