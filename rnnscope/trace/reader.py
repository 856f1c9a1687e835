"""Reading a trace back, in slices of sequences."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from rnnscope.cell import GATE_ORDER, Array
from rnnscope.checkpoints.safe_hdf5 import child, has_signature, open_h5
from rnnscope.checks.interface import LayerSlice
from rnnscope.engines.interface import LayerStates
from rnnscope.errors import TraceError
from rnnscope.inputs.hdf5 import check_storage, damaged
from rnnscope.trace.attributes import (
    CHECKS,
    KIND,
    LAYER,
    POSITION,
    RECURRENT,
    decode_header,
    decode_layer,
)
from rnnscope.trace.recognise import check_schema, no_trace
from rnnscope.trace.schema import (
    FINAL,
    GATES,
    INITIAL,
    INPUT_STEPS,
    INPUT_TIMESTEP,
    LENGTHS,
    MASK,
    OUTPUTS,
    SEQUENCE,
    STATE_M,
    TIMESTEP,
    LayerHeader,
)

EVERYTHING = slice(None)


class Trace:
    """An open trace; `Trace.open` makes one. Close it, or use ``with``.

    Attributes
    ----------
    path : Path
    header : TraceHeader
    layers : tuple of LayerHeader
        Recurrent layers in the order of the run.
    merges : tuple of LayerHeader
        Layers that have outputs and no states.
    sequences, timesteps : int
        The input's size.
    checks : str or None
        The findings of the checks as JSON.
    """

    def __init__(self, path: Path, file: Any) -> None:
        self.path = path
        self._file = file
        self._close = ExitStack()
        self.header = decode_header(dict(file.attrs))
        self.checks: str | None = file.attrs.get(CHECKS)
        self.sequences = int(self._length(SEQUENCE))
        self.timesteps = int(self._length(INPUT_TIMESTEP, TIMESTEP))
        groups = sorted(_layer_groups(file), key=lambda group: int(group.attrs[POSITION]))
        headers = [_read_header(group) for group in groups]
        self._groups = {header.name: group for header, group in zip(headers, groups, strict=True)}
        self.layers = tuple(header for header in headers if header.widths)
        self.merges = tuple(header for header in headers if not header.widths)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Trace:
        """Open a trace.

        Raises
        ------
        TraceError
            The file is missing, no trace, not finished, of a newer schema, or damaged.
        """
        place = Path(path)
        if place.is_file() and place.stat().st_size and not has_signature(place):
            raise no_trace(place, "no HDF5 file")
        with ExitStack() as opened:
            file = opened.enter_context(open_h5(place, error=TraceError))
            try:
                check_schema(place, file)
                trace = cls(place, file)
            except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
                raise damaged(place, error, TraceError) from error
            trace._close = opened.pop_all()
            return trace

    @property
    def lengths(self) -> Array | None:
        """Valid steps a sequence, int64 (sequence,); None if the run had no lengths."""
        return self._common(LENGTHS, EVERYTHING)

    @property
    def mask(self) -> Array | None:
        """The mask that was given, bool (sequence, timestep), or None."""
        mask = self._common(MASK, EVERYTHING)
        return None if mask is None else mask.astype(np.bool_)

    @property
    def input_steps(self) -> Array | None:
        """Steps up to the input's last row that is not all zero, int64 (sequence,)."""
        return self._common(INPUT_STEPS, EVERYTHING)

    def layer(self, name: str) -> LayerHeader:
        """The header of a layer.

        Raises
        ------
        TraceError
            There is none of that name; the message lists those that are.
        """
        for header in self.layers + self.merges:
            if header.name == name:
                return header
        raise TraceError(
            "The trace holds no such layer.",
            where=f"{self.path}: {name}",
            expected=", ".join(self._groups) or "a trace with layers",
            found="nothing of that name",
        )

    def read_layer(self, name: str, sequences: slice = EVERYTHING) -> LayerSlice:
        """Some sequences of a recurrent layer, all timesteps, with what goes with them.

        Raises
        ------
        TraceError
            There is no such layer, or its data are damaged.
        """
        header = self.layer(name)
        group = self._groups[name]
        first, stop, _ = sequences.indices(self.sequences)
        rows = slice(first, stop)
        arrays = {state: _read(group, state, rows) for state in header.widths}
        states = LayerStates(
            states=arrays,
            outputs=arrays[STATE_M] if header.outputs_are_m else _read(group, OUTPUTS, rows),
            initial=_read_all(group, INITIAL, tuple(header.widths), rows),
            final=_read_all(group, FINAL, tuple(header.widths), rows),
            gates=_read_all(group, GATES, header.gates, rows),
        )
        lengths = mask = None
        if header.timesteps == self.timesteps:  # else they tell of the input, not of this layer
            lengths, mask = self._common(LENGTHS, rows), self._common(MASK, rows)
        if mask is None and lengths is not None:
            mask = np.arange(self.timesteps) < lengths[:, None]
        return LayerSlice(
            facts=header.known_facts,
            states=states,
            lengths=lengths,
            mask=None if mask is None else mask.astype(np.bool_),
            input_steps=self._common(INPUT_STEPS, rows) if header.reads_input else None,
            first_sequence=first,
        )

    def read_outputs(self, name: str, sequences: slice = EVERYTHING) -> Array:
        """The outputs (sequence, timestep, output) of any layer."""
        self.layer(name)
        return _read(self._groups[name], OUTPUTS, sequences)

    def close(self) -> None:
        self._close.close()

    def __enter__(self) -> Trace:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _common(self, name: str, rows: slice) -> Array | None:
        return _read(self._file, name, rows) if name in self._file else None

    def _length(self, *names: str) -> int:
        found = next(item for name in names if (item := child(self._file, name, TraceError)))
        return int(found.shape[0])


def _layer_groups(group: Any) -> Iterator[Any]:
    """The groups of layers; links to elsewhere are refused. Layers are never nested."""
    import h5py

    for name in group:
        item = child(group, name, TraceError)
        if not isinstance(item, h5py.Group):
            continue
        if LAYER in item.attrs:
            yield item
        else:
            yield from _layer_groups(item)


def _read_header(group: Any) -> LayerHeader:
    """A layer's header, from the attributes and arrays of its group."""
    attributes = dict(group.attrs)
    outputs: Any = child(group, OUTPUTS, TraceError)
    final: Any = child(group, FINAL, TraceError) if attributes[KIND] == RECURRENT else None
    gates: Any = child(group, GATES, TraceError)
    widths = {state: int(group[state].shape[2]) for state in final or ()}
    stored = tuple(sorted(gates or (), key=_gate_position))
    header = decode_layer(attributes, widths, (outputs.shape[2], outputs.shape[1]), stored)
    # Two names of one array: h5py compares objects by their place in the file.
    return replace(header, outputs_are_m=child(group, STATE_M, TraceError) == outputs)


def _gate_position(gate: str) -> tuple[int, str]:
    """Sorts into `GATE_ORDER`; gates that an LSTM has not come after, by name."""
    return (GATE_ORDER.index(gate) if gate in GATE_ORDER else len(GATE_ORDER), gate)


def _read(group: Any, name: str, rows: slice) -> Array:
    dataset = child(group, name, TraceError)
    if dataset is None:
        raise TraceError("The trace lacks an array.", where=f"{group.name}/{name}")
    check_storage(dataset, TraceError)
    try:
        return np.asarray(dataset[rows])
    except (OSError, RuntimeError) as error:
        raise damaged(f"{group.file.filename}::{dataset.name}", error, TraceError) from error


def _read_all(group: Any, part: str, names: tuple[str, ...], rows: slice) -> dict[str, Array]:
    """The arrays of a subgroup by name; those that are not stored are left out."""
    found = child(group, part, TraceError)
    return (
        {} if found is None else {name: _read(found, name, rows) for name in names if name in found}
    )
