"""Tokens for the time axis: from a file that the user names, or out of the run's own input."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import InputError, RnnscopeError, spell
from rnnscope.files.arrays.reference import split_reference
from rnnscope.files.arrays.stored_array import LoadedArray
from rnnscope.files.containers.npz import NpzFile
from rnnscope.files.guarding.hashing import files_sha256
from rnnscope.seeing.state_view import StateView
from rnnscope.trace import Trace
from rnnscope.wording import plural, printable

MAX_BYTES = 64 * 2**20
"""The largest file of tokens that is read."""

NAMES = ("tokens", "words", "characters", "text", "labels")
"""What an array of tokens may be called in an input, in the order of asking."""

Rows = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class TokenLabels:
    """The tokens of each sequence.

    Attributes
    ----------
    source : str
        Where they are from, for messages.
    rows : tuple of tuple of str
        A row for each sequence, or one for all of them.
    shared : bool
        True if the one row is that of every sequence.
    """

    source: str
    rows: Rows
    shared: bool = False

    def of(self, view: StateView, sequence: int) -> tuple[str, ...]:
        """A token for each step of a view; empty ones for padding that has none.

        Raises
        ------
        InputError
            There are not as many tokens as the sequence has timesteps, or valid ones.
        """
        if not self.shared and len(self.rows) != view.sequences:
            raise self._misfit(plural(view.sequences, "sequence"), len(self.rows))
        row = self.rows[0 if self.shared else sequence]
        timesteps = view.layer.timesteps or view.trace.timesteps
        valid = view.trace.valid_steps(view.layer.name, slice(sequence, sequence + 1))
        lengths = view.trace.lengths
        steps = timesteps
        if valid is not None:
            steps = int(valid.sum()) if lengths is None else int(lengths[sequence])
        if len(row) not in (timesteps, steps):
            wanted = f"{timesteps} tokens" + ("" if steps == timesteps else f", or {steps}")
            raise self._misfit(f"{wanted} for sequence {sequence}", len(row))
        padded = (*row, *[""] * (timesteps - len(row)))
        return tuple(padded[step] for step in view.input_steps(sequence))

    def _misfit(self, expected: str, found: int) -> InputError:
        return InputError(
            "The tokens do not fit the trace.",
            where=self.source,
            expected=expected,
            found=str(found),
            hint="a line for each timestep; or for each sequence, tokens apart by blanks",
        )


def read_labels(spec: str) -> TokenLabels:
    """The tokens in a file.

    Parameters
    ----------
    spec : str
        Text in UTF-8: a token a line, the same for every sequence; or a sequence a line, its tokens
        apart by blanks. ``.json``: a list of texts, or a list of such lists. ``FILE.npz::NAME``: an
        array of texts (timestep,) or (sequence, timestep).

    Raises
    ------
    InputError
        The file cannot be read, or holds something else.
    """
    path, name = split_reference(spec)
    if name is not None:
        return _of_rows(spec, _npz_rows(path, name))
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _unreadable(spec, f"{path.stat().st_size} bytes, more than {MAX_BYTES}")
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(spec, getattr(error, "strerror", None) or str(error)) from error
    if path.suffix.lower() == ".json":
        return _of_rows(spec, _json_rows(spec, text))
    lines = text.splitlines()
    if any(len(line.split()) > 1 for line in lines):
        return _of_rows(spec, [line.split() for line in lines])
    return _of_rows(spec, [line.strip() for line in lines])


def input_labels(trace: Trace) -> TokenLabels | None:
    """The texts that the run's own input holds beside its numbers; None where there are none.

    They are an array of texts in an ``.npz``, called as in `NAMES`. The file is looked for where
    the recipe says, and beside the trace; it must be the one that was run, by its digest.
    """
    spec = _recipe_input(trace)
    if spec is None:
        return None
    file, _ = split_reference(spec)
    places = (file, trace.path.parent / file, trace.path.parent / file.name)
    found = (_labels_inside(path, trace) for path in places if path.suffix.lower() == ".npz")
    return next((labels for labels in found if labels is not None), None)


def _recipe_input(trace: Trace) -> str | None:
    """The input's path as the run was given it; None for arrays, and for older traces."""
    try:
        held = json.loads(trace.header.recipe or "{}").get("input")
    except (ValueError, AttributeError):
        return None
    return held if isinstance(held, str) else None


def _labels_inside(path: Path, trace: Trace) -> TokenLabels | None:
    """The tokens of an archive; nobody asked for it, so what cannot be read has none."""
    try:
        if not path.is_file():
            return None
        name = next((name for name in NAMES if name in NpzFile(path).names), None)
        if name is None or files_sha256([path]) != trace.header.input_sha256:
            return None
        return _of_rows(f"{path.name}::{name}", _npz_rows(path, name))
    except (RnnscopeError, OSError):
        return None


def _npz_rows(path: Path, name: str) -> Sequence[object]:
    archive = NpzFile(path)
    where = f"{path}::{name}"
    try:
        if name not in archive.names:
            raise _unreadable(where, f"arrays {', '.join(archive.names)}")
        array = archive.array(name)
        whole = array.array if isinstance(array, LoadedArray) else array.read()
    finally:
        archive.close()
    if whole.dtype.kind not in "US" or whole.ndim not in (1, 2):
        raise _unreadable(where, f"shape {whole.shape}, {whole.dtype}")
    if whole.dtype.kind == "S":
        whole = np.char.decode(whole, "utf-8", "replace")
    rows: list[object] = whole.tolist()
    return rows


def _json_rows(spec: str, text: str) -> Sequence[object]:
    try:
        held = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unreadable(spec, str(error)) from error
    if not isinstance(held, list):
        raise _unreadable(spec, type(held).__name__)
    return held


def _of_rows(source: str, rows: Sequence[object]) -> TokenLabels:
    """Labels of texts, for all sequences; or of lists of texts, one a sequence."""
    if rows and all(isinstance(row, str) for row in rows):
        return TokenLabels(source, (tuple(map(printable, rows)),), shared=True)
    if rows and all(isinstance(row, list) and all(isinstance(t, str) for t in row) for row in rows):
        lists = [row for row in rows if isinstance(row, list)]
        return TokenLabels(source, tuple(tuple(map(printable, row)) for row in lists))
    raise _unreadable(source, "nothing" if not rows else "something else than texts")


def _unreadable(source: str, found: str) -> InputError:
    return InputError(
        "The tokens cannot be read.",
        where=source,
        expected="a text file, a .json of texts, or FILE.npz::NAME",
        found=found,
        hint=f"see 'rnnscope help seeing' for what {spell('labels')} takes",
    )
