"""Reading a trace back, in slices of sequences."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from rnnscope.errors import TraceError, called
from rnnscope.files.hdf5.datasets import damaged
from rnnscope.files.remote.addresses import as_address
from rnnscope.files.writing.closing import Closing
from rnnscope.model.cell import Array
from rnnscope.model.resets import ResetState
from rnnscope.model.states import LayerSlice, LayerStates
from rnnscope.trace.attributes import (
    CHECKS,
    POSITION,
    SELECTION,
    decode_header,
    decode_texts,
)
from rnnscope.trace.groups import layer_groups, read_array, read_header
from rnnscope.trace.parts.digest import numbers_sha256
from rnnscope.trace.parts.joined import JoinedParts
from rnnscope.trace.parts.mark import read_mark
from rnnscope.trace.parts.table import FOLDER
from rnnscope.trace.recognise import check_offsets, check_schema
from rnnscope.trace.schema import (
    INPUT_STEPS,
    INPUT_TIMESTEP,
    LENGTHS,
    MASK,
    OFFSETS,
    RESET_STATE,
    RESETS,
    TIMESTEP,
    LayerHeader,
)
from rnnscope.trace.stored_layer import StoredLayer
from rnnscope.trace.stores.hdf5_nodes import Hdf5Group
from rnnscope.trace.stores.interface import GroupNode
from rnnscope.trace.stores.opening import open_store
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

    def __init__(self, path: Path, root: GroupNode) -> None:
        self.path = path
        self._root = root
        self._close = ExitStack()
        self._parts: JoinedParts | None = None
        if FOLDER in root.attributes and isinstance(root, Hdf5Group):
            self._parts = JoinedParts(path, root.group_, Trace.open)
            self._root = root = root.with_values(self._parts)
        sizes = require_structure(path, root)
        self.part = read_mark(root.attributes, sizes.sequences, path)
        self.first_sequence = 0 if self.part is None else self.part.place.rows.start
        self.header = decode_header(dict(root.attributes))
        self.checks: str | None = root.attributes.get(CHECKS)
        self.sequences, self.timesteps = sizes.sequences, sizes.timesteps
        self.selection = decode_texts(root.attributes.get(SELECTION, ()))
        self.offsets = self._common(OFFSETS, EVERYTHING)
        if self.offsets is not None:
            check_offsets(path, self.offsets, self.sequences, sizes.steps or 0)
        groups = list(layer_groups(root))
        for group in groups:
            require_layer(path, group, sizes)
        groups.sort(key=lambda group: int(group.attributes[POSITION]))
        version = int(root.attributes["schema_version"])
        headers = [read_header(group, version) for group in groups]
        self._groups = {header.name: group for header, group in zip(headers, groups, strict=True)}
        self.layers = tuple(header for header in headers if header.widths)
        self.merges = tuple(header for header in headers if not header.widths)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Trace:
        """Open a trace: an HDF5 file or a zarr store, by a path or a URL.

        Raises
        ------
        TraceError
            It is missing, no trace, not finished, of a newer schema, or damaged.
        """
        place = as_address(path)
        with ExitStack() as opened:
            root = opened.enter_context(open_store(place))
            try:
                check_schema(place, root)
                trace = cls(as_address(called(str(place))), root)
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
        if not self._root.is_open:
            raise TraceError("The trace is closed.", where=self.path, hint="open it again")

    @property
    def parts(self) -> JoinedParts | None:
        return self._parts

    @property
    def has_lengths(self) -> bool:
        return LENGTHS in self._root

    @property
    def has_mask(self) -> bool:
        return MASK in self._root

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
    def resets(self) -> Array | None:
        """Steps before which the state is reset, bool (sequence, kept timestep), or None."""
        resets = self._common(RESETS, EVERYTHING)
        return None if resets is None else resets.astype(np.bool_)

    @property
    def reset_state(self) -> ResetState:
        """What the state returns to where it is reset."""
        array = self._root.array(RESETS)
        held = None if array is None else array.attributes.get(RESET_STATE)
        return "zeros" if isinstance(held, str) and held == "zeros" else "initial"

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
        name = INPUT_TIMESTEP if INPUT_TIMESTEP in self._root else TIMESTEP
        return read_array(self._root, name, EVERYTHING)

    def is_cut(self, name: str) -> bool:
        """Whether timesteps or units of a layer were left out by a selection."""
        return self._layer(name).is_cut()

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
        rows = self._rows(sequences)
        first = rows.start
        nothing = np.empty((0, header.timesteps or 0, header.output_size), header.dtype)
        if self.is_cut(name):
            states = LayerStates({}, nothing, {}, {})
            return LayerSlice(
                header.known_facts, states, first_sequence=self.first_sequence + first
            )
        states = self.read_states(name, rows, only=only)
        lengths = mask = resets = None
        if (
            header.timesteps == self.timesteps and not header.own_time
        ):  # else they tell of the input, not of this layer
            lengths, mask = self._common(LENGTHS, rows), self._common(MASK, rows)
            resets = self._common(RESETS, rows)
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
            resets=None if resets is None else resets.astype(np.bool_),
            reset_state=self.reset_state,
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
        return self._layer(name).states(self._rows(sequences), only)

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
        where = f"{self.path}: {name}/{array}"
        return self._layer(name).array(array, self._rows(sequences), where)

    def read_initial(self, name: str, sequences: slice = EVERYTHING) -> Mapping[str, Array]:
        """The states of a layer before its first step, (sequence, width) each."""
        return self._layer(name).initial(sequences)

    def read_outputs(self, name: str, sequences: slice = EVERYTHING) -> Array:
        """The outputs (sequence, timestep, output) of any layer, as far as they were kept."""
        return self._layer(name).outputs(sequences)

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

    def numbers_sha256(self) -> str:
        """SHA-256 over all numbers of an HDF5 trace: what a part says of its own."""
        assert isinstance(self._root, Hdf5Group)  # a store of another kind is no part
        return numbers_sha256(self._root.group_, self.path)

    def closing(self, function: Callable[[], object]) -> None:
        """Call a function, too, when the trace is closed."""
        self._close.callback(function)

    def close(self) -> None:
        self._close.close()

    def _layer(self, name: str) -> StoredLayer:
        header = self.layer(name)
        return StoredLayer(header, self._groups[name], self.timesteps, self.offsets)

    def _rows(self, sequences: slice) -> slice:
        """The sequences in rising order, within those that there are."""
        first, stop, _ = sequences.indices(self.sequences)
        return slice(first, max(first, stop))

    def _common(self, name: str, rows: slice) -> Array | None:
        return read_array(self._root, name, rows) if name in self._root else None
