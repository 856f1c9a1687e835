"""Reading a trace back, in slices of sequences."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.errors import TraceError
from rnnscope.files.hdf5.datasets import damaged
from rnnscope.files.hdf5.safe_hdf5 import child, has_signature, open_h5
from rnnscope.files.writing.closing import Closing
from rnnscope.model.cell import Array
from rnnscope.model.states import LayerSlice, LayerStates
from rnnscope.trace.attributes import (
    CHECKS,
    POSITION,
    SELECTION,
    decode_header,
    decode_texts,
)
from rnnscope.trace.groups import layer_groups, read_all, read_array, read_header, stored_shape
from rnnscope.trace.padding import padded, past_length
from rnnscope.trace.parts.joined import JoinedParts
from rnnscope.trace.parts.mark import read_mark
from rnnscope.trace.parts.table import FOLDER
from rnnscope.trace.recognise import check_offsets, check_schema, no_trace
from rnnscope.trace.schema import (
    FINAL,
    GATES,
    INITIAL,
    INPUT_STEPS,
    INPUT_TIMESTEP,
    INPUTS,
    LENGTHS,
    MASK,
    OFFSETS,
    OUTPUTS,
    STATE_M,
    TIMESTEP,
    LayerHeader,
)
from rnnscope.trace.structure import require_layer, require_structure

EVERYTHING = slice(None)

UNREADABLE = (
    *(OSError, RuntimeError, KeyError, ValueError, TypeError),
    *(AttributeError, IndexError, OverflowError, RecursionError),
)
"""What h5py and numpy raise on attributes of other types than a trace has."""


class Trace(Closing):
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
    selection : tuple of str
        What was kept, ``KEY=VALUE`` each; empty if everything was.
    offsets : ndarray of int64 (sequence + 1,) or None
        Of a ragged trace: where each sequence begins.
    part : PartMark or None
        Of a trace that is a part of a run: which one.
    parts : JoinedParts or None
        Of a trace whose values are in parts: these.
    first_sequence : int
        The number of its first sequence in the run; 0 but in a part.
    """

    def __init__(self, path: Path, file: Any) -> None:
        self.path = path
        self._file = file
        self._close = ExitStack()
        self._parts: JoinedParts | None = None
        if FOLDER in file.attrs:
            self._parts = JoinedParts(path, file, Trace.open)
        sizes = require_structure(path, file, is_joined=self._parts is not None)
        self.part = read_mark(file.attrs, sizes.sequences, path)
        self.first_sequence = 0 if self.part is None else self.part.place.rows.start
        self.header = decode_header(dict(file.attrs))
        self.checks: str | None = file.attrs.get(CHECKS)
        self.sequences, self.timesteps = sizes.sequences, sizes.timesteps
        self.selection = decode_texts(file.attrs.get(SELECTION, ()))
        self.offsets = self._common(OFFSETS, EVERYTHING)
        if self.offsets is not None:
            check_offsets(path, self.offsets, self.sequences, sizes.steps or 0)
        groups = list(layer_groups(file))
        for group in groups:
            require_layer(path, group, sizes)
        groups.sort(key=lambda group: int(group.attrs[POSITION]))
        headers = [read_header(group) for group in groups]
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
            except UNREADABLE as error:
                raise damaged(place, error, TraceError) from error
            if trace._parts is not None:
                opened.callback(trace._parts.close)
            trace._close = opened.pop_all()
            return trace

    def refuse_closed(self) -> None:
        """Refuse a trace that is closed: HDF5 would say of a closed file that it holds nothing.

        Raises
        ------
        TraceError
        """
        if not self._file:
            raise TraceError("The trace is closed.", where=self.path, hint="open it again")

    @property
    def parts(self) -> JoinedParts | None:
        return self._parts

    @property
    def has_lengths(self) -> bool:
        return LENGTHS in self._file

    @property
    def has_mask(self) -> bool:
        return MASK in self._file

    @property
    def lengths(self) -> Array | None:
        """Valid steps a sequence, int64 (sequence,); None if the run had no lengths."""
        return self._common(LENGTHS, EVERYTHING)

    @property
    def mask(self) -> Array | None:
        """The mask that was given, bool (sequence, kept timestep), or None."""
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

    @property
    def kept_timesteps(self) -> Array | None:
        """The input's timesteps that the trace holds, int64; None in a ragged one (`offsets`)."""
        if self.offsets is not None:
            return None
        name = INPUT_TIMESTEP if INPUT_TIMESTEP in self._file else TIMESTEP
        return read_array(self._file, name, EVERYTHING)

    def is_cut(self, name: str) -> bool:
        """Whether timesteps or units of a layer were left out by a selection."""
        header, group = self.layer(name), self._groups[name]
        widths = {**header.widths, OUTPUTS: header.output_size}
        ends = {f"{FINAL}/{state}": size for state, size in header.widths.items()}
        for array, size in (widths | ends).items():
            shape = stored_shape(group, array)
            if shape is not None and shape[-1] != size:
                return True
        over_time = [*widths, *(f"{GATES}/{gate}" for gate in header.gates)]
        shapes = [stored_shape(group, array) for array in over_time]
        return any(
            shape is not None and len(shape) == 3 and shape[1] != header.timesteps
            for shape in shapes
        )

    def read_layer(
        self, name: str, sequences: slice = EVERYTHING, *, only: Collection[str] | None = None
    ) -> LayerSlice:
        """Some sequences of a recurrent layer, all timesteps, with what goes with them.

        Of a layer that `is_cut` nothing is in the slice, so that checks are skipped rather than
        wrong; `read_states` reads what there is. Outputs that are not stored have no sequences.

        Parameters
        ----------
        name : str
        sequences : slice
        only : collection of str, optional
            Which of ``"c"``, ``"m"``, ``"outputs"`` to read over time; gates and inputs are left
            out then.

        Raises
        ------
        TraceError
            There is no such layer, or its data are damaged.
        """
        header = self.layer(name)
        first, stop, _ = sequences.indices(self.sequences)
        rows = slice(first, max(first, stop))
        nothing = np.empty((0, header.timesteps or 0, header.output_size), header.dtype)
        if self.is_cut(name):
            states = LayerStates({}, nothing, {}, {})
            return LayerSlice(
                header.known_facts, states, first_sequence=self.first_sequence + first
            )
        states = self.read_states(name, rows, only=only)
        lengths = mask = None
        if (
            header.timesteps == self.timesteps and not header.own_time
        ):  # else they tell of the input, not of this layer
            lengths, mask = self._common(LENGTHS, rows), self._common(MASK, rows)
        if mask is None and lengths is not None:
            mask = np.arange(self.timesteps) < lengths[:, None]
        told = header.reads_input and bool(states.states or len(states.outputs))
        return LayerSlice(
            facts=header.known_facts,
            states=states,
            lengths=lengths,
            mask=None if mask is None else mask.astype(np.bool_),
            input_steps=self._common(INPUT_STEPS, rows) if told else None,
            first_sequence=self.first_sequence + first,
        )

    def read_states(
        self, name: str, sequences: slice = EVERYTHING, *, only: Collection[str] | None = None
    ) -> LayerStates:
        """What is stored of a recurrent layer's states: the timesteps and units that were kept.

        Of a ragged trace the arrays are padded as they were: what a layer holds past the length of
        a sequence follows from its padding rule. Outputs that are not stored have no sequences.
        `only` is that of `read_layer`.

        Raises
        ------
        TraceError
            There is no such layer, or its data are damaged.
        """
        header = self.layer(name)
        group = self._groups[name]
        first, stop, _ = sequences.indices(self.sequences)
        rows = slice(first, max(first, stop))
        ends = {
            when: read_all(group, when, tuple(header.widths), rows, self._parts)
            for when in (INITIAL, FINAL)
        }
        wanted = only is None or OUTPUTS in only
        outputs_as = STATE_M if header.outputs_are_m and wanted else OUTPUTS
        arrays = {
            state: self._over_time(header, group, state, rows, ends)
            for state in header.widths
            if state in group and (only is None or state in only or state == outputs_as)
        }
        if outputs_as in arrays:
            outputs = arrays[outputs_as]
        elif OUTPUTS in group and wanted:
            outputs = self._over_time(header, group, OUTPUTS, rows, ends)
        else:
            outputs = np.empty((0, header.timesteps or 0, header.output_size), header.dtype)
        gates = {
            gate: self._over_time(header, group, f"{GATES}/{gate}", rows, ends)
            for gate in (header.gates if only is None else ())
        }
        inputs = None
        if header.input_size is not None and only is None:
            inputs = self._over_time(header, group, INPUTS, rows, ends)
        return LayerStates(arrays, outputs, ends[INITIAL], ends[FINAL], gates, inputs)

    def read_array(self, name: str, array: str, sequences: slice = EVERYTHING) -> Array:
        """One array of a layer, as it was before anything was left out for being known.

        Parameters
        ----------
        name : str
            The layer.
        array : str
            ``"c"``, ``"m"``, ``"outputs"``, ``"inputs"``, ``"gates/f"``, ``"initial/c"``,
            ``"final/m"``.
        sequences : slice

        Raises
        ------
        TraceError
            The trace does not hold it.
        """
        header, group = self.layer(name), self._groups[name]
        first, stop, _ = sequences.indices(self.sequences)
        rows = slice(first, max(first, stop))
        stored = STATE_M if array == OUTPUTS and header.outputs_are_m else array
        part, _, leaf = stored.rpartition("/")
        held = group if not part else child(group, part, TraceError)
        if held is None or leaf not in held:
            raise TraceError(
                "The trace does not hold this array.",
                where=f"{self.path}: {name}/{array}",
                expected=", ".join(sorted(group)),
                hint="run again with what keeps it: gates, or another selection",
            )
        if part in (INITIAL, FINAL):
            return read_array(held, leaf, rows, self._parts)
        ends = {
            when: read_all(group, when, tuple(header.widths) or (STATE_M,), rows, self._parts)
            for when in (INITIAL, FINAL)
        }
        return self._over_time(header, group, stored, rows, ends)

    def read_initial(self, name: str, sequences: slice = EVERYTHING) -> Mapping[str, Array]:
        """The states of a layer before its first step, (sequence, width) each."""
        header = self.layer(name)
        return read_all(self._groups[name], INITIAL, tuple(header.widths), sequences, self._parts)

    def read_outputs(self, name: str, sequences: slice = EVERYTHING) -> Array:
        """The outputs (sequence, timestep, output) of any layer, as far as they were kept."""
        header, group = self.layer(name), self._groups[name]
        array = STATE_M if header.outputs_are_m else OUTPUTS
        ends = {
            when: read_all(group, when, (array,), sequences, self._parts)
            for when in (INITIAL, FINAL)
        }
        return self._over_time(header, group, array, sequences, ends)

    def _over_time(
        self,
        header: LayerHeader,
        group: Any,
        name: str,
        sequences: slice,
        ends: Mapping[str, Mapping[str, Array]],
    ) -> Array:
        """An array (sequence, timestep, width); flat ones are padded."""
        if self.offsets is None or len(stored_shape(group, name) or ()) != 2:
            return read_array(group, name, sequences, self._parts)
        first, stop, _ = sequences.indices(self.sequences)
        offsets = self.offsets[first : max(first, stop) + 1]
        flat = read_array(group, name, slice(int(offsets[0]), int(offsets[-1])), self._parts)
        past = past_length(header, name, ends)
        return padded(flat, np.diff(offsets), self.timesteps, past)

    def valid_steps(self, name: str, sequences: slice = EVERYTHING) -> Array | None:
        """True at the valid steps among those kept, bool (sequence, kept timestep), in input order.

        None for a layer whose steps are not the input's, and where neither lengths nor a mask
        tell: every step was computed.
        """
        header = self.layer(name)
        if header.own_time or header.timesteps not in (None, self.timesteps):
            return None
        mask = self._common(MASK, sequences)
        if mask is not None:
            return mask.astype(np.bool_)
        lengths = self._common(LENGTHS, sequences)
        if lengths is None:
            return None
        kept = self.kept_timesteps
        valid: Array = (np.arange(self.timesteps) if kept is None else kept) < lengths[:, None]
        return valid

    def closing(self, function: Callable[[], object]) -> None:
        """Call a function, too, when the trace is closed."""
        self._close.callback(function)

    def close(self) -> None:
        self._close.close()

    def _common(self, name: str, rows: slice) -> Array | None:
        return read_array(self._file, name, rows, self._parts) if name in self._file else None
