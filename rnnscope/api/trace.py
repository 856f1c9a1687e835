"""A trace, opened: lazy arrays of every layer, and what was run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnscope.errors import EngineError, RnnscopeError
from rnnscope.files.writing.closing import Closing
from rnnscope.model.cell import Array

if TYPE_CHECKING:
    from rnnscope.record.recipe import Recipe
    from rnnscope.record.results import RunReport
    from rnnscope.seeing.picture import Picture
    from rnnscope.trace import LayerHeader, Trace


OVER_TIME = ("sequence", "timestep")


class LazyArray:
    """An array of a trace; indexing reads just the sequences that are asked for.

    Attributes
    ----------
    shape : tuple of int
    dtype : dtype
    """

    def __init__(self, trace: Trace, layer: str, name: str) -> None:
        self._trace, self._layer, self._name = trace, layer, name
        found = trace.read_array(layer, name, slice(0, 0))
        self.shape: tuple[int, ...] = (trace.sequences, *found.shape[1:])
        self.dtype: np.dtype[Any] = found.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        parts = key if isinstance(key, tuple) else (key,)
        first, rest = parts[0] if parts else slice(None), tuple(parts[1:])
        if isinstance(first, (int, np.integer)):
            row = range(self.shape[0])[int(first)]  # IndexError as numpy raises it
            inner = (0, *rest)
            return self._read(slice(row, row + 1))[inner]
        if isinstance(first, slice):
            rows = range(self.shape[0])[first]
            if rows.step == 1 or len(rows) <= 1:
                start = rows.start if len(rows) else 0
                inner = (slice(None), *rest)
                return self._read(slice(start, start + len(rows)))[inner]
        return self._read(slice(None))[key]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        array = self._read(slice(None))
        return array if dtype is None else array.astype(dtype)

    def _read(self, rows: slice) -> Array:
        return self._trace.read_array(self._layer, self._name, rows)

    def __repr__(self) -> str:
        return f"<{self._name} of {self._layer}: {self.shape}, {self.dtype}>"


class LayerView:
    """One layer of a trace.

    Attributes
    ----------
    name : str
    options : mapping of str to value
        As the layer was run; `origins` says where each comes from.
    origins : mapping of str to str
    backward : bool
        True if it read the sequence from its end: its final state is that of timestep 0.
    evidence : str
        How it is known that this is what the layer computes, in words; empty in older traces.
    """

    def __init__(self, trace: Trace, header: LayerHeader) -> None:
        self._trace, self._header = trace, header
        self.name: str = header.name
        self.options: Mapping[str, Any] = {
            name: value for name, (value, _) in header.options.items()
        }
        self.origins: Mapping[str, str] = {
            name: origin for name, (_, origin) in header.options.items()
        }
        self.backward: bool = header.known_facts.backward
        self.evidence: str = header.evidence

    @property
    def c(self) -> LazyArray:
        """Cell state (sequence, timestep, num_units)."""
        return self._array("c")

    @property
    def m(self) -> LazyArray:
        """Output state (sequence, timestep, output), which frameworks call h."""
        return self._array("m")

    @property
    def outputs(self) -> LazyArray:
        """What the framework returns for every step (sequence, timestep, output)."""
        return self._array("outputs")

    @property
    def inputs(self) -> LazyArray:
        """The x of every step, where the layer's own outputs made it (a loop function)."""
        return self._array("inputs")

    @cached_property
    def gates(self) -> Mapping[str, LazyArray]:
        """``i f g o`` (sequence, timestep, num_units); empty where the run kept none."""
        return {gate: self._array(f"gates/{gate}") for gate in self._header.gates}

    @cached_property
    def initial(self) -> Mapping[str, LazyArray]:
        """The state before the first step, (sequence, width) by name."""
        return {state: self._array(f"initial/{state}") for state in self._header.widths}

    @cached_property
    def final(self) -> Mapping[str, LazyArray]:
        """The state after the last valid step, (sequence, width) by name."""
        return {state: self._array(f"final/{state}") for state in self._header.widths}

    def _array(self, name: str) -> LazyArray:
        return LazyArray(self._trace, self.name, name)

    def __repr__(self) -> str:
        states = ", ".join(self._header.widths) or "outputs"
        return f"<layer {self.name}: {self._header.source_class or 'merge'}, {states}>"


class StateTrace(Closing):
    """A whole trace, in a file or in memory; close it, or use ``with``.

    Attributes
    ----------
    layers : mapping of str to LayerView
        Recurrent layers in the order of the run, then joins of two directions.
    path : Path or None
        None for a trace in memory.
    report : RunReport or None
        What ``rnnscope run`` prints, of a trace that `rnnscope.run` made just now.
    """

    def __init__(
        self,
        trace: Trace,
        report: RunReport | None = None,
        recipe: Recipe | None = None,
        *,
        in_memory: bool = False,
    ) -> None:
        self._trace, self._recipe = trace, recipe
        self.report = report
        self.path: Path | None = None if in_memory else trace.path
        self.layers: Mapping[str, LayerView] = {
            header.name: LayerView(trace, header) for header in (*trace.layers, *trace.merges)
        }

    @property
    def stored(self) -> Trace:
        """The trace as the library's own functions read it."""
        return self._trace

    @property
    def sequences(self) -> int:
        return self._trace.sequences

    @property
    def timesteps(self) -> int:
        return self._trace.timesteps

    @property
    def lengths(self) -> Array | None:
        """Valid steps of each sequence, int64 (sequence,); None if every step was computed."""
        return self._trace.lengths

    @property
    def valid(self) -> Array:
        """True at valid steps, bool (sequence, timestep)."""
        mask, lengths = self._trace.mask, self._trace.lengths
        if mask is not None:
            return mask
        steps = np.arange(self.timesteps)
        if lengths is None:
            return np.ones((self.sequences, self.timesteps), np.bool_)
        return steps < lengths[:, None]

    @property
    def recipe(self) -> Recipe:
        """What was run: checkpoint, input and every option."""
        from rnnscope.record.replay import recipe_of

        return self._recipe or recipe_of(self._trace)

    def to_xarray(self) -> Any:
        """The trace as an ``xarray.DataTree``, a node for each layer, all arrays in memory.

        A node has the arrays of its layer by name, ``m``, ``c``, ``outputs``, ``gate_i`` …,
        ``initial_c``, ``final_m``, with the run's own numbers of timesteps and units as
        coordinates, and the options with their origins as attributes. Its path is the layer's name
        with slashes as nodes; where that cannot be (`rnnscope help schema`), the attribute
        ``layer`` has the name.

        Raises
        ------
        EngineError
            xarray is not installed. ``xarray.open_datatree(path)`` opens a trace file lazily.

        Examples
        --------
        >>> import rnnscope
        >>> with rnnscope.open_trace("trace.h5") as trace:
        ...     tree = trace.to_xarray()
        >>> tree["rnn/lstm_cell/c"].sel(sequence=1, timestep=5).shape, tree["lengths"].values
        ((64,), array([10,  6]))
        """
        from rnnscope.trace.stored_arrays import layer_paths

        try:
            import xarray
        except ImportError as error:
            raise EngineError(
                "The package xarray is not installed.", hint="pip install xarray"
            ) from error
        valid, kept = self.valid, self._trace.kept_timesteps
        if kept is not None and valid.shape[1] != len(kept):
            valid = valid[:, kept]
        root: dict[str, Any] = {"valid": (OVER_TIME, valid)}
        if self.lengths is not None:
            root["lengths"] = ("sequence", self.lengths)
        groups = {"/": xarray.Dataset(root if self._time_is_shared() else {})}
        for name, path in layer_paths(self._trace).items():
            variables = dict(_variables(self._trace, self.layers[name]))
            groups[f"/{path}"] = xarray.Dataset(variables, attrs=_attributes(self.layers[name]))
        return xarray.DataTree.from_dict(groups)

    def _time_is_shared(self) -> bool:
        """Whether every layer has the input's timesteps, so that one dimension does for all."""
        headers = (*self._trace.layers, *self._trace.merges)
        return all(header.timesteps in (None, self.timesteps) for header in headers)

    def plot(self, kind: str = "heatmap", **options: Any) -> Picture:
        """Draw the states; a notebook shows what comes back, ``.save(path)`` writes it.

        Parameters
        ----------
        kind : str
            ``"heatmap"``, ``"units"``, ``"gates"``, ``"saturation"``, ``"norm"``, or ``"diff"``
            with `other`.
        **options
            As of `rnnscope.plot`.

        Raises
        ------
        RnnscopeError
            The trace lacks what was asked for, or matplotlib is not installed.
        """
        from rnnscope.seeing.drawing import draw

        if "other" in options:
            options["other"] = operand_of(options["other"])
        return draw(self._trace, kind=kind, **options)

    def close(self) -> None:
        """Close the file, or give the memory back."""
        self._trace.close()

    def __str__(self) -> str:
        return repr(self) if self.report is None else str(self.report)

    def __repr__(self) -> str:
        where = self.path or "in memory"
        size = f"{self.sequences} sequences x {self.timesteps} timesteps"
        return f"<trace {where}: {size}; {', '.join(self.layers)}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: layers to unfold, arrays, options, a small heatmap of each.

        Of a trace that is closed or damaged it is the one line of ``repr``.
        """
        from html import escape

        from rnnscope.report.contents.trace_html import trace_html

        try:
            return trace_html(self._trace)
        except (RnnscopeError, OSError, RuntimeError, ValueError, KeyError):
            return f"<pre>{escape(repr(self))}</pre>"


def _variables(trace: Trace, layer: LayerView) -> Iterator[tuple[str, tuple[Any, Array]]]:
    """The arrays of a layer that the trace holds, with their dimensions, and coordinates."""
    from rnnscope.trace.stored_arrays import time_arrays

    header = layer._header  # noqa: SLF001  # the two classes are one thing
    kept: dict[str, Array] = {}
    for name, one in time_arrays(trace, header).items():
        width = _width_dimension(header, name)
        kept |= {"timestep": one.steps, width: one.units}
        short = name.replace("gates/", "gate_")
        yield short, ((*OVER_TIME, width), trace.read_array(header.name, name))
    for part, arrays in (("initial", layer.initial), ("final", layer.final)):
        for state, array in arrays.items():
            yield f"{part}_{state}", (("sequence", header.state_dimension(state)),
                                      np.asarray(array))  # fmt: skip
    for dimension, places in kept.items():
        yield dimension, (dimension, places)


def _width_dimension(header: LayerHeader, name: str) -> str:
    if name in header.widths:
        return header.state_dimension(name)
    if name.startswith("gates/"):
        return "unit"
    return "input" if name == "inputs" else "output"


def _attributes(layer: LayerView) -> dict[str, Any]:
    options = {f"option_{name}": "" if value is None else value
               for name, value in layer.options.items()}  # fmt: skip
    origins = {f"option_{name}_origin": origin for name, origin in layer.origins.items()}
    return {"layer": layer.name} | options | origins


def operand_of(value: Any) -> Any:
    """What the library's own functions take for a trace that Python opened; all else as it is."""
    return value.stored if isinstance(value, StateTrace) else value


def open_trace(path: str | os.PathLike[str]) -> StateTrace:
    """Open a trace that a run wrote.

    Raises
    ------
    TraceError
        The file is missing, no trace, not finished, of a newer schema, or damaged.

    Examples
    --------
    >>> import rnnscope
    >>> with rnnscope.open_trace("trace.h5") as trace:
    ...     layer = trace.layers["rnn/lstm_cell"]
    ...     print(layer.c.shape, layer.c[1, :6].shape, trace.lengths, trace.valid[1].sum())
    (2, 10, 64) (6, 64) [10  6] 6
    """
    from rnnscope.trace import Trace

    return StateTrace(Trace.open(path))
