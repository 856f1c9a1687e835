"""Writing a trace slice by slice, under another name until it is whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import numpy as np

from rnnscope.files.remote.addresses import as_address
from rnnscope.model.cell import Array
from rnnscope.model.resets import ResetState
from rnnscope.model.states import LayerStates
from rnnscope.trace.attributes import CHECKS, encode_header
from rnnscope.trace.identity import AskIdentity
from rnnscope.trace.layer_writing import WrittenArrays
from rnnscope.trace.layout import TraceLayout
from rnnscope.trace.memory import MemoryFile
from rnnscope.trace.options import check_ragged, check_storing
from rnnscope.trace.partial import fingerprint_of
from rnnscope.trace.parts.digest import numbers_sha256
from rnnscope.trace.parts.mark import SAVED, SHA256, PartMark
from rnnscope.trace.schema import (
    INPUT_STEPS,
    LENGTHS,
    MASK,
    RESETS,
    SCHEMA,
    SCHEMA_VERSION,
    LayerHeader,
    TraceHeader,
    storable_text,
)
from rnnscope.trace.selection import Selection
from rnnscope.trace.storage import Compression
from rnnscope.trace.stores.drafts import DraftRequest, make_draft
from rnnscope.trace.stores.hdf5_nodes import Hdf5Group
from rnnscope.trace.stores.interface import ALL, Draft
from rnnscope.trace.target import check_target, disk_errors

MOMENT = 2.0
"""Seconds that an interrupted run waits for its identity, without which nothing can be kept."""


class TraceWriter:
    """Writes one trace; use ``with``. Leaving it normally publishes the file, an exception none.

    Parameters
    ----------
    path : str, path or MemoryFile
        The trace to make: an HDF5 file, a zarr store (``NAME.zarr``, also by its URL), or in
        memory.
    header : TraceHeader
    layers : sequence of LayerHeader
        In the order of the run.
    sequences, timesteps : int
        The input's size.
    has_lengths, has_mask : bool
        Whether `write_common` will be given them.
    resets : ResetState, optional
        What the state returns to where it is reset; `write_common` will be given where.
    force : bool
        Replace an existing file, when the new one is whole.
    inputs : iterable of Path
        Files that the run reads; they are never replaced.
    resume : bool
        Take up what an interrupted run has committed. Without, a partial file that was left is
        replaced; it commits for a later one all the same.
    fingerprint : str
        Of the run that is taken up: checkpoint, input, and the options that its numbers depend on.
        The layout of the trace and the version of rnnscope are added to it.
    identity : callable, optional
        Tells fingerprint and digests where they are not known at the beginning: only with
        ``resume`` are they waited for then. Before they are known nothing is committed, and the
        trace is published with them.
    selection : Selection, optional
        What is kept; the write methods are given everything all the same, and drop the rest.
    compress : {"gzip", "lzf", "zstd"}, optional
        States hardly shrink, and packing takes its time. Not together with ``resume``: what a
        killed process leaves of a compressed file may not open.
    ragged : ndarray of int (sequence,), optional
        The lengths of all sequences: only valid steps are stored, one sequence after another. The
        write methods are given padded arrays all the same.
    part : PartMark, optional
        What is written is a part of a run; `sequences` are those of the part, `ragged` all.
    confirm : callable, optional
        ``confirm(whole)`` is called before each commit, and with True before the trace is
        published: what it raises ends the run, and nothing is kept.

    Attributes
    ----------
    path : Path
    done : int
        Sequences that an earlier run has written and this one need not; 0 before ``with``.
    saved_state : str or None
        What the earlier run gave to `commit` with them.
    kept_partial : Path or None
        After an interrupt: the file that ``resume`` would take up. An interrupt is what is no
        `Exception`: KeyboardInterrupt, SystemExit. Errors keep nothing, they would come again.

    Raises
    ------
    TraceError
        The target cannot be written (`rnnscope.trace.target.check_target`), at once. On entering
        ``with``: another process writes it, or what was left is of another run.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | MemoryFile,
        header: TraceHeader,
        layers: Sequence[LayerHeader],
        sequences: int,
        timesteps: int,
        *,
        has_lengths: bool = False,
        has_mask: bool = False,
        resets: ResetState | None = None,
        force: bool = False,
        inputs: Iterable[Path] = (),
        resume: bool = False,
        fingerprint: str = "",
        identity: AskIdentity | None = None,
        selection: Selection | None = None,
        compress: Compression | None = None,
        ragged: Array | None = None,
        part: PartMark | None = None,
        confirm: Callable[[bool], None] | None = None,
    ) -> None:
        check_storing(path, compress, resume=resume)
        if isinstance(path, MemoryFile):
            self.path = path.path
        else:
            self.path = check_target(as_address(path), force, inputs)
        rows = slice(None) if part is None else part.place.rows
        self._part, self._saved_state = part, ""
        self._layout = TraceLayout(
            list(layers),
            sequences,
            timesteps,
            has_lengths=has_lengths,
            has_mask=has_mask,
            resets=resets,
            selection=selection or Selection(),
            offsets=None if ragged is None else np.concatenate([[0], np.cumsum(ragged[rows])]),
            first_sequence=rows.start or 0,
            first_step=0 if ragged is None else int(ragged[: rows.start or 0].sum()),
        )
        if ragged is not None:
            check_ragged(self._layout)
        self.done = 0
        self.saved_state: str | None = None
        self.kept_partial: Path | None = None
        lengths = b"" if ragged is None else ragged.tobytes()
        self._run_parts = (header.rnnscope_version, self._layout, lengths)
        self._fingerprint, self._identity, self._resume = fingerprint, identity, resume
        self._can_commit = compress is None
        request = DraftRequest(force, resume, compress, self._layout.array_count)
        self._draft: Draft = (
            path if isinstance(path, MemoryFile) else make_draft(self.path, request)
        )
        self._header = header
        self._confirm = confirm or (lambda _: None)
        self._layers = list(layers)
        self._arrays: WrittenArrays

    def __enter__(self) -> TraceWriter:
        try:
            self._learn_fingerprint(None if self._resume else 0)
            with disk_errors(self.path):
                self._open()
        except BaseException:  # an interrupt, too: what an earlier run committed is not lost
            self._draft.abandon(keep=True)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._abandon(kind)
            return
        try:
            self._arrays.require_whole()
            self._confirm(True)
            identity = self._identity(None) if self._identity else None
            with disk_errors(self.path):
                for name, digest in identity.digests.items() if identity else ():
                    self._draft.root.set_attribute(name, digest)
                self._finish_part()
                self._draft.finish()
        except BaseException as trouble:
            self._abandon(type(trouble))
            raise

    def commit(self, done: int, state: str = "") -> None:
        """Make sure of what is written, so that a run killed later can continue from here.

        With ``compress`` nothing happens.

        Parameters
        ----------
        done : int
            The first so many sequences are written, in all layers.
        state : str
            What the later run will find in `saved_state`.
        """
        self._confirm(False)
        self._saved_state = state
        self._learn_fingerprint(0)
        with disk_errors(self.path):
            self._draft.write_commit(done, state)

    def write_common(
        self,
        sequences: slice,
        lengths: Array | None = None,
        mask: Array | None = None,
        input_steps: Array | None = None,
        resets: Array | None = None,
    ) -> None:
        """Write what all layers share, for some sequences.

        Parameters
        ----------
        sequences : slice
        lengths, input_steps : ndarray of int (sequence,), optional
        mask, resets : ndarray of bool (sequence, timestep), optional
            Ignored by a writer that was made without ``has_mask``; lengths and resets likewise.
        """
        given = {LENGTHS: lengths, MASK: mask, INPUT_STEPS: input_steps, RESETS: resets}
        with disk_errors(self.path):
            for name, array in given.items():
                if array is not None and name in self._arrays.shared:
                    self._arrays.shared[name].write(array, sequences)

    def write_layer(
        self, name: str, states: LayerStates, sequences: slice, steps: slice = ALL
    ) -> None:
        """Write some sequences of a layer, and of these all timesteps or some.

        Parameters
        ----------
        name : str
        states : LayerStates
            C-contiguous arrays are written without a copy. Where `steps` are only some, `initial`
            is kept of the steps that are processed first, `final` of those processed last.
        sequences, steps : slice
            Where the arrays belong in the whole run, in input time order; each part once.
        """
        with disk_errors(self.path):
            self._arrays.write_layer(name, states, sequences, steps)

    def write_outputs(self, name: str, array: Array, sequences: slice, steps: slice = ALL) -> None:
        """Write outputs (sequence, timestep, output) of a layer that has no states."""
        with disk_errors(self.path):
            self._arrays.write_outputs(name, array, sequences, steps)

    def keeps_outputs(self, name: str) -> bool:
        """Whether `read_outputs` can read a layer's outputs: a selection may have left some out."""
        return self._arrays.keeps_outputs(name)

    def read_outputs(self, name: str, sequences: slice, steps: slice = ALL) -> Array:
        """Read outputs back that have been written; what has not is undefined.

        So a layer can read another one's outputs where they are too long to be held in memory.

        Parameters
        ----------
        name : str
        sequences, steps : slice
            As `write_layer` or `write_outputs` was given them: steps are in input time order.

        Returns
        -------
        ndarray (sequence, timestep, output)
            In the order in which the outputs are stored: that of processing, for a layer whose
            ``outputs_in_input_order`` is False.
        """
        with disk_errors(self.path):
            return self._arrays.read_outputs(name, sequences, steps)

    def set_checks(self, json_text: str) -> None:
        """Keep the findings of the checks, as JSON."""
        with disk_errors(self.path):
            self._draft.root.set_attribute(CHECKS, storable_text(json_text))

    def _finish_part(self) -> None:
        """Keep what the checks found of a part, and the digest of its numbers."""
        if self._part is None:
            return
        root = self._draft.root
        assert isinstance(root, Hdf5Group)  # `record` makes parts of HDF5 traces alone
        root.set_attribute(SAVED, storable_text(self._saved_state))
        root.group_.file.flush()
        root.set_attribute(SHA256, numbers_sha256(root.group_, self.path))

    def _open(self) -> None:
        left = self._draft.open()
        try:
            if not left:
                self._lay_out()
            self._arrays = WrittenArrays(self._draft.root, self._layout, self._layers)
            self._require_fitting_commit()
        except KeyError:  # the file that was left is damaged
            self._draft.restart()
            self._lay_out()
            self._arrays = WrittenArrays(self._draft.root, self._layout, self._layers)
        commit = self._draft.commit
        if commit is not None:
            self.done, self.saved_state = commit.done, commit.state
            self._saved_state = commit.state
            self._arrays.begin_after(commit.done)

    def _require_fitting_commit(self) -> None:
        commit = self._draft.commit
        if commit is not None and commit.done > self._layout.sequences:
            raise KeyError(commit.done)

    def _lay_out(self) -> None:
        """Fill the empty store with all it will ever hold but numbers."""
        root = self._draft.root
        attributes = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, "complete": 0}
        if self._part is not None:
            attributes |= self._part.attributes()
        for name, value in (attributes | encode_header(self._header)).items():
            root.set_attribute(name, value)
        self._layout.create(root)
        self._draft.laid_out()

    def _learn_fingerprint(self, seconds: float | None) -> None:
        """Let the draft know of which run it is, as soon as that is known."""
        if not self._can_commit or self._draft.fingerprint is not None:
            return
        identity = self._identity(seconds) if self._identity else None
        if identity is None and self._identity is not None:
            return
        told = self._fingerprint if identity is None else identity.fingerprint
        self._draft.fingerprint = fingerprint_of(told, *self._run_parts)

    def _abandon(self, kind: type[BaseException]) -> None:
        """Leave nothing behind; but after an interrupt, what has been committed."""
        keep = not issubclass(kind, Exception)
        if keep:
            with suppress(Exception):
                self._learn_fingerprint(MOMENT)
        self._draft.abandon(keep)
        kept = self._draft.kept if keep else None
        self.kept_partial = None if kept is None else Path(kept)
