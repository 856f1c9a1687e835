"""Writing a trace slice by slice, in a partial file until it is whole."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import numpy as np

from rnnscope.errors import TraceError, spell
from rnnscope.model.cell import Array
from rnnscope.model.states import LayerStates
from rnnscope.trace.arrays import layer_arrays, layer_parts, outputs_place
from rnnscope.trace.attributes import CHECKS, encode_header
from rnnscope.trace.blocks import ALL, Destination
from rnnscope.trace.layout import TraceLayout
from rnnscope.trace.memory import MemoryFile
from rnnscope.trace.options import check_compression, check_ragged
from rnnscope.trace.partial import PartialFile, fingerprint_of
from rnnscope.trace.parts.digest import numbers_sha256
from rnnscope.trace.parts.mark import SAVED, SHA256, PartMark
from rnnscope.trace.schema import (
    INPUT_STEPS,
    LENGTHS,
    MASK,
    OUTPUTS,
    SCHEMA,
    SCHEMA_VERSION,
    STATE_M,
    TIMESTEP,
    LayerHeader,
    TraceHeader,
    storable_text,
)
from rnnscope.trace.selection import Selection
from rnnscope.trace.storage import CACHE_BYTES, Compression
from rnnscope.trace.target import check_target


class TraceWriter:
    """Writes one trace; use ``with``. Leaving it normally publishes the file, an exception none.

    Parameters
    ----------
    path : str, path or MemoryFile
        The trace to make, on disk or in memory.
    header : TraceHeader
    layers : sequence of LayerHeader
        In the order of the run.
    sequences, timesteps : int
        The input's size.
    has_lengths, has_mask : bool
        Whether `write_common` will be given them.
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
        force: bool = False,
        inputs: Iterable[Path] = (),
        resume: bool = False,
        fingerprint: str = "",
        selection: Selection | None = None,
        compress: Compression | None = None,
        ragged: Array | None = None,
        part: PartMark | None = None,
        confirm: Callable[[bool], None] | None = None,
    ) -> None:
        if isinstance(path, MemoryFile):
            self.path = path.path
        else:
            self.path = check_target(path, force, inputs)
        rows = slice(None) if part is None else part.place.rows
        self._part, self._saved_state = part, ""
        self._layout = TraceLayout(
            list(layers),
            sequences,
            timesteps,
            has_lengths=has_lengths,
            has_mask=has_mask,
            selection=selection or Selection(),
            compress=compress,
            offsets=None if ragged is None else np.concatenate([[0], np.cumsum(ragged[rows])]),
            first_sequence=rows.start or 0,
            first_step=0 if ragged is None else int(ragged[: rows.start or 0].sum()),
        )
        if compress is not None:
            check_compression(compress, resume=resume)
        if ragged is not None:
            check_ragged(self._layout)
        self.done = 0
        self.saved_state: str | None = None
        self.kept_partial: Path | None = None
        lengths = b"" if ragged is None else ragged.tobytes()
        run = fingerprint_of(fingerprint, header.rnnscope_version, self._layout, lengths)
        cache = CACHE_BYTES if compress else None
        self._partial: PartialFile | MemoryFile
        if isinstance(path, MemoryFile):
            self._partial = path
        else:
            kept = None if compress else run
            self._partial = PartialFile(self.path, force, kept, resume, cache)
        self._partial.libver = self._layout.libver
        self._header = header
        self._confirm = confirm or (lambda _: None)
        self._layers = {layer.name: layer for layer in layers}
        self._written: Counter[str] = Counter()
        self._shared: dict[str, Destination] = {}
        self._datasets: dict[str, dict[str, Destination]] = {}

    def __enter__(self) -> TraceWriter:
        try:
            with self._disk_errors():
                self._open()
        except BaseException:  # an interrupt, too: what an earlier run committed is not lost
            self._partial.abandon(keep=True)
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
            self._require_whole()
            self._confirm(True)
            with self._disk_errors():
                self._finish_part()
                self._partial.file.attrs["complete"] = 1
                self._partial.finish()
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
        with self._disk_errors():
            self._partial.write_commit(done, state)

    def write_common(
        self,
        sequences: slice,
        lengths: Array | None = None,
        mask: Array | None = None,
        input_steps: Array | None = None,
    ) -> None:
        """Write what all layers share, for some sequences.

        Parameters
        ----------
        sequences : slice
        lengths, input_steps : ndarray of int (sequence,), optional
        mask : ndarray of bool (sequence, timestep), optional
            Ignored by a writer that was made without ``has_mask``; lengths likewise.
        """
        given = {LENGTHS: lengths, MASK: mask, INPUT_STEPS: input_steps}
        with self._disk_errors():
            for name, array in given.items():
                if array is not None and name in self._shared:
                    self._shared[name].write(array, sequences)

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
        header = self._layers[name]
        if name in self._datasets:  # else not selected
            self._write_states(header, states, sequences, steps)
        self._written[name] += int(np.prod(states.outputs.shape[:2]))

    def _write_states(
        self, header: LayerHeader, states: LayerStates, sequences: slice, steps: slice
    ) -> None:
        timesteps = self._layout.sizes(header)[TIMESTEP]
        parts = layer_parts(header, states, timesteps, steps)
        datasets = self._expected(header, parts.keys())
        with self._disk_errors():
            for path, dataset in datasets.items():
                if parts[path].belongs:
                    dataset.write(parts[path].array, sequences, parts[path].steps)

    def write_outputs(self, name: str, array: Array, sequences: slice, steps: slice = ALL) -> None:
        """Write outputs (sequence, timestep, output) of a layer that has no states."""
        if name in self._datasets:
            with self._disk_errors():
                self._datasets[name][OUTPUTS].write(array, sequences, steps)
        self._written[name] += int(np.prod(array.shape[:2]))

    def keeps_outputs(self, name: str) -> bool:
        """Whether `read_outputs` can read a layer's outputs: a selection may have left some out."""
        return self._outputs(name) is not None

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
        dataset = self._outputs(name)
        if dataset is None:
            raise TraceError(
                "A layer needs outputs that the selection leaves out.",
                where=f"outputs of layer {name}",
                expected="all units and timesteps of them: the run is too long to hold them",
                found=spell("select", str(" ".join(self._layout.selection.texts()))),
                hint=(
                    f"select the outputs of that layer as well, or run with more {spell('memory')}"
                ),
            )
        header = self._layers[name]
        at = outputs_place(header, self._layout.sizes(header)[TIMESTEP], steps)
        with self._disk_errors():
            return dataset.read(sequences, at)

    def _outputs(self, name: str) -> Destination | None:
        datasets = self._datasets.get(name, {})
        twin = datasets.get(STATE_M) if self._layers[name].outputs_are_m else None
        dataset = datasets.get(OUTPUTS, twin)
        return dataset if dataset is not None and dataset.is_whole else None

    def set_checks(self, json_text: str) -> None:
        """Keep the findings of the checks, as JSON."""
        with self._disk_errors():
            self._partial.file.attrs[CHECKS] = storable_text(json_text)

    def _finish_part(self) -> None:
        """Keep what the checks found of a part, and the digest of its numbers."""
        if self._part is None:
            return
        file = self._partial.file
        file.attrs[SAVED] = storable_text(self._saved_state)
        file.flush()
        file.attrs[SHA256] = numbers_sha256(file, self.path)

    def _open(self) -> None:
        left = self._partial.open()
        try:
            if not left:
                self._lay_out()
            found = self._layout.find(self._partial.file)
            self._require_fitting_commit()
        except KeyError:  # the file that was left is damaged
            self._partial.restart()
            self._lay_out()
            found = self._layout.find(self._partial.file)
        self._shared, self._datasets = found
        commit = self._partial.commit
        if commit is not None:
            self.done, self.saved_state = commit.done, commit.state
            self._saved_state = commit.state
            for name, header in self._layers.items():
                self._written[name] = commit.done * self._layout.sizes(header)[TIMESTEP]

    def _require_fitting_commit(self) -> None:
        commit = self._partial.commit
        if commit is not None and commit.done > self._layout.sequences:
            raise KeyError(commit.done)

    def _lay_out(self) -> None:
        """Fill the empty file with all it will ever hold but numbers."""
        file = self._partial.file
        attributes = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, "complete": 0}
        if self._part is not None:
            attributes |= self._part.attributes()
        for name, value in (attributes | encode_header(self._header)).items():
            file.attrs[name] = value
        self._layout.create(file)
        # From here on only numbers are written, each to its place: killed at any time, the file
        # can be opened again.
        file.flush()

    def _expected(self, header: LayerHeader, given: AbstractSet[str]) -> dict[str, Destination]:
        """The layer's datasets: each must be given, and nothing that the header does not have."""
        datasets = self._datasets[header.name]
        if wrong := (datasets.keys() - given) | (given - layer_arrays(header).keys()):
            names = ", ".join(sorted(wrong))
            raise ValueError(f"layer {header.name}: missing, or not in the header: {names}")
        return datasets

    def _require_whole(self) -> None:
        for name, header in self._layers.items():
            steps = self._layout.sequences * self._layout.sizes(header)[TIMESTEP]
            if self._written[name] != steps:
                raise TraceError(
                    "The trace is not whole, and was not kept.",
                    where=f"layer {name}",
                    expected=f"{steps} steps",
                    found=f"{self._written[name]} steps written",
                    hint="this is a bug in rnnscope, please report it",
                )

    def _abandon(self, kind: type[BaseException]) -> None:
        """Leave nothing behind; but after an interrupt, what has been committed."""
        keep = not issubclass(kind, Exception)
        self._partial.abandon(keep)
        if keep and self._partial.commit and self._partial.path.exists():
            self.kept_partial = self._partial.path

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        # h5py turns what HDF5 cannot write into either, depending on the call.
        except (OSError, RuntimeError) as error:
            raise TraceError(
                "The trace cannot be written.",
                where=self.path,
                expected="room on the disk, and permission to write",
                found=str(error),
                hint=(
                    "nothing was kept; free some space, or "
                    f"name another place with {spell('output')}"
                ),
            ) from error
