"""A trace, opened: lazy arrays of every layer, and what was run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnscope.api.trace_dataset import OVER_TIME, attributes_of, variables_of
from rnnscope.api.trace_layers import LayerView
from rnnscope.errors import EngineError, RnnscopeError
from rnnscope.files.writing.closing import Closing
from rnnscope.model.cell import Array

if TYPE_CHECKING:
    from rnnscope.record.recipes.recipe import Recipe
    from rnnscope.record.results.run_report import RunReport
    from rnnscope.seeing.picture import Picture
    from rnnscope.trace import Trace


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
    def is_own(self) -> bool:
        """Whether this process ran it just now: its recipe is then what you said."""
        return self._recipe is not None

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
    def resets(self) -> Array | None:
        """True at steps before which the state is reset, bool (sequence, timestep), or None."""
        return self._trace.resets

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
        from rnnscope.record.replaying.replayed_recipe import recipe_of

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
            variables = dict(variables_of(self._trace, self.layers[name]))
            groups[f"/{path}"] = xarray.Dataset(variables, attrs=attributes_of(self.layers[name]))
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


def operand_of(value: Any) -> Any:
    """What the library's own functions take for a trace that Python opened; all else as it is."""
    return value.stored if isinstance(value, StateTrace) else value


def open_trace(path: str | os.PathLike[str]) -> StateTrace:
    """Open a trace that a run wrote.

    Parameters
    ----------
    path : str or path
        An HDF5 file or a zarr store; also an address, ``s3://bucket/states.zarr``. An HDF5 file at
        an address is fetched first.

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
