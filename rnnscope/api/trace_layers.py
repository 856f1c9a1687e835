"""A layer of a trace that Python opened: arrays that are read when they are sliced."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnscope.model.cell import Array

if TYPE_CHECKING:
    from rnnscope.trace import LayerHeader, Trace


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
