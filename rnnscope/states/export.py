"""From a set of states to a file in another format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import ClassVar

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import InputError, OptionError, spell
from rnnscope.files.arrays.stored_array import StoredArray
from rnnscope.printable import Printable
from rnnscope.states import state_format
from rnnscope.states.interface import Steps, WriteOptions
from rnnscope.states.operands import Operand, open_operand
from rnnscope.states.saving import (
    check_arrays_target,
    check_folder,
    save_arrays,
    save_file,
    save_folder,
)
from rnnscope.states.state_set import StateSet, UnreadArray, with_final
from rnnscope.trace import check_target
from rnnscope.trace.target import check_trace_name


@dataclass(frozen=True)
class ExportRequest:
    """What to write, and where.

    Attributes
    ----------
    to : str
        A key of STATE_FORMATS.
    target : Path
    steps : "all" or "final"
    layers : tuple of str
        Patterns; empty: every layer.
    time_major : bool or None
    ids : Operand or None
        For LSTMVis: word ids; a file, ``FILE::NAME``, or the array itself.
    words : Path, mapping of int to str, or None
        For LSTMVis: the word of each id, or a file of lines of a word and its id.
    force : bool
        Replace what is there.
    """

    to: str
    target: Path
    steps: Steps = "all"
    layers: tuple[str, ...] = ()
    time_major: bool | None = None
    ids: Operand | None = None
    words: Path | Mapping[int, str] | None = None
    force: bool = False


@dataclass(frozen=True)
class ExportArray:
    """One array as it was written."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class ExportResult(Printable):
    """What was written.

    Attributes
    ----------
    source, format : str
    target : str
    arrays : tuple of ExportArray
    lost, notes : tuple of str
        What the format cannot hold; and what else is to be known.
    not_read : tuple of UnreadArray
        What the source holds and no state was read from.
    """

    report_kind: ClassVar[str] = "export"

    source: str
    format: str
    target: str
    arrays: tuple[ExportArray, ...]
    lost: tuple[str, ...]
    notes: tuple[str, ...]
    not_read: tuple[UnreadArray, ...] = ()


def export_states(states: StateSet, request: ExportRequest) -> ExportResult:
    """Write states in a format; the target appears when it is whole.

    Raises
    ------
    OptionError
        The format cannot hold these layers, a pattern fits none, or an option is of another format.
    TraceError
        The target cannot be written.
    InputError
        The ids or words do not fit.
    """
    entry = state_format(request.to)
    if (request.ids is not None or request.words) and entry.name != "lstmvis":
        raise OptionError(
            f"{spell('ids')} and {spell('words')} are for LSTMVis.",
            found=spell("to", str(request.to)),
        )
    chosen = _chosen(with_final(states), request.layers)
    left_out: tuple[str, ...] = ()
    if not request.layers and not entry.holds_outputs_alone:
        chosen, left_out = _without_outputs_alone(chosen)
    with ExitStack() as opened:
        ids = None if request.ids is None else opened.enter_context(_word_ids(request.ids))
        words = request.words if isinstance(request.words, Mapping) else read_words(request.words)
        options = WriteOptions(request.steps, request.time_major, ids, words)
        written = entry.write(chosen, options)
        source = Path(states.name.partition("::")[0])
        if written.folder is not None:
            target = check_folder(request.target, force=request.force)
            save_folder(target, written.folder)
        elif written.file is not None:
            check_trace_name(request.target)
            target = check_target(request.target, request.force, (source,))
            save_file(target, written.file, force=request.force)
        else:
            target = check_arrays_target(request.target, force=request.force, inputs=(source,))
            save_arrays(target, written.arrays, force=request.force)
    arrays = tuple(
        ExportArray(name, tuple(array.shape), str(array.dtype))
        for name, array in written.arrays.items()
    )
    return ExportResult(
        states.name,
        entry.name,
        str(request.target),
        arrays,
        (*left_out, *written.lost),
        written.notes,
        states.not_read,
    )


def _chosen(states: StateSet, patterns: tuple[str, ...]) -> StateSet:
    """The layers that fit a pattern; without patterns all."""
    names = [layer.name for layer in states.layers]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise OptionError(
                f"{spell('layers')} fits no layer.",
                expected=f"one of {', '.join(names)}",
                found=pattern,
            )
    fits: Callable[[str], bool] = lambda name: any(fnmatchcase(name, p) for p in patterns)  # noqa: E731
    kept = tuple(layer for layer in states.layers if not patterns or fits(layer.name))
    return replace(states, layers=kept)


def _without_outputs_alone(states: StateSet) -> tuple[StateSet, tuple[str, ...]]:
    """The layers that have states, if any has, and what is said of the others."""
    kept = tuple(layer for layer in states.layers if layer.has_states)
    if not kept:
        return states, ()
    left_out = [layer.name for layer in states.layers if not layer.has_states]
    losses = (f"layers that have outputs alone: {', '.join(left_out)}",) if left_out else ()
    return replace(states, layers=kept), losses


@contextmanager
def _word_ids(operand: Operand) -> Iterator[StoredArray]:
    held = open_operand(operand, "ids")
    try:
        if len(held.names) != 1:
            raise InputError(
                "The ids are one array.",
                where=held.label,
                expected="FILE::NAME",
                found=", ".join(held.names),
            )
        yield held.array(held.names[0])
    finally:
        held.close()


def read_words(path: Path | None) -> dict[int, str]:
    """The word of each id: lines of a word and a number, as LSTMVis has them; none without a path.

    Raises
    ------
    InputError
        A line is something else; it names it.
    """
    words: dict[int, str] = {}
    if path is None:
        return words
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("The words cannot be read.", where=path, found=str(error)) from error
    for number, line in enumerate(lines, 1):
        parts = line.split()
        if not parts:
            continue
        if len(parts) != 2 or not parts[1].isdecimal():
            raise InputError(
                "A line of the words is not to be understood.",
                where=f"{path}, line {number}",
                expected="a word and its id, with a blank between",
                found=line[:60],
            )
        words[int(parts[1])] = parts[0]
    return words
