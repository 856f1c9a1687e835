"""Parts of a run, made anywhere and in any order, tied to one trace."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import OptionError, TraceError, spell, spell_command
from rnnscope.printable import Printable
from rnnscope.record.parts.refusals import check_joinable
from rnnscope.record.run_checks import merged_summary
from rnnscope.trace import Trace, TraceHeader, check_target
from rnnscope.trace.parts import PartMark, parts_words
from rnnscope.trace.parts.place import PARTS_SUFFIX
from rnnscope.trace.parts.tie import PartFile, tie

COMPARED = {
    "checkpoint": "checkpoint_sha256",
    "input": "input_sha256",
    "decoder inputs": "decoder_input_sha256",
    "version of rnnscope": "rnnscope_version",
    "engine": "engine",
}
"""Fields of a header in which parts of one run are alike, and what messages call them."""


@dataclass(frozen=True)
class JoinReport(Printable):
    """What ``rnnscope join`` wrote.

    Attributes
    ----------
    command, trace : str
    parts, sequences : int
    layers : tuple of str
    bytes_of_parts, bytes_of_trace : int
    folder : str
        Where the values are; empty where they were copied into the trace.
    """

    report_kind: ClassVar[str] = "join"

    command: str
    trace: str
    parts: int
    sequences: int
    layers: tuple[str, ...]
    bytes_of_parts: int
    bytes_of_trace: int
    folder: str = ""


@dataclass(frozen=True)
class _Found:
    """A part that was looked at."""

    path: Path
    mark: PartMark
    header: TraceHeader
    layers: tuple[str, ...]
    steps: int


def join_parts(
    given: Iterable[Path], output: Path, *, force: bool = False, copy: bool = False,
    command: str = "",
) -> JoinReport:  # fmt: skip
    """Tie the parts of a run to one trace.

    Parameters
    ----------
    given : iterable of Path
        Parts, in any order, or folders of them.
    output : Path
        The trace; the folder of the parts is beside it.
    force : bool
        Replace a file that is there.
    copy : bool
        Copy the values into the trace, which then needs no parts, wherever they are.
    command : str

    Raises
    ------
    TraceError
        A file is no part, a part is missing, or two are not of the same run; nothing is written.
    """
    check_joinable(output)
    files = [*_files(given)]
    target = check_target(output, force, files)
    parts = _whole_set([_look_at(path, _whole_path(path, target)) for path in files], target, copy)
    first = parts[0]
    checks = merged_summary((part.mark.saved for part in parts), first.layers)
    tied = [PartFile(part.path, part.mark, part.steps) for part in parts]
    tie(tied, target, checks=checks, force=force, copy=copy)
    return JoinReport(
        command=command,
        trace=str(output),
        parts=len(parts),
        sequences=first.mark.place.sequences,
        layers=first.layers,
        bytes_of_parts=sum(part.path.stat().st_size for part in parts),
        bytes_of_trace=target.stat().st_size,
        folder="" if copy else str(output.parent / first.path.parent.name),
    )


def _files(given: Iterable[Path]) -> Iterable[Path]:
    none = True
    for path in given:
        none = False
        if not path.is_dir():
            yield path
            continue
        found = sorted(one for one in path.glob("*.h5") if not one.name.startswith("."))
        if not found:
            raise TraceError(
                "The folder holds no parts.",
                where=path,
                expected=f"files that runs with {spell('part', 'K/N')} wrote",
                found=", ".join(sorted(one.name for one in path.iterdir())[:5]) or "nothing",
                hint=f"make them first: the run with {spell('part', '1/64')}, and so on",
            )
        yield from found
    if none:
        raise OptionError(
            "There are no parts to join.",
            expected="parts, or the folder that they are in",
            hint=spell_command("join", "trace.h5.parts", output="trace.h5"),
        )


def _whole_path(path: Path, target: Path) -> Path:
    """A part with the whole path of its folder: by the name that is beside the trace, if one is."""
    folder = path.absolute().parent
    if folder.name != ".." and folder.parent.resolve() == target.parent:
        return target.parent / folder.name / path.name  # it may be a link to where the parts are
    return folder.resolve() / path.name


def _look_at(path: Path, whole: Path) -> _Found:
    with Trace.open(path) as trace:
        if trace.part is None or not trace.part.sha256:
            raise TraceError(
                "This trace is no part of a run.",
                where=path,
                expected=f"what a run with {spell('part', 'K/N')} wrote",
                found=f"a whole trace of {trace.sequences} sequences"
                if trace.part is None
                else "a part without a digest",
                hint=f"make parts: the same run with {spell('part', 'K/N')}",
            )
        names = tuple(header.name for header in trace.layers)
        steps = 0 if trace.offsets is None else int(trace.offsets[-1])
        return _Found(whole, trace.part, trace.header, names, steps)


def _whole_set(found: Sequence[_Found], target: Path, copy: bool) -> list[_Found]:
    """The parts in order, each once, none missing."""
    first = found[0]
    for other in found[1:]:
        _require_same_run(first, other)
    own = target.with_name(target.name + PARTS_SUFFIX)
    folder = own if any(part.path.parent == own for part in found) else first.path.parent
    by_number: dict[int, _Found] = {}
    for part in found:
        number = part.mark.place.number
        other = by_number.setdefault(number, part)
        if other.mark.sha256 != part.mark.sha256:
            raise TraceError(
                "Two files hold the same part, with other numbers.",
                where=str(part.mark.place),
                expected="one of both",
                found=f"{other.path}, {part.path}",
                hint="name the one that is right, or make it again with the others' options",
            )
        if part.path == folder / part.mark.place.file_name:
            by_number[number] = part
    of, sequences = first.mark.place.of, first.mark.place.sequences
    if missing := {*range(1, of + 1)} - by_number.keys():
        raise TraceError(
            "Parts are missing; nothing was joined.",
            where=f"missing: {parts_words(missing, of, sequences)}",
            expected=f"all {of} parts",
            found=f"{len(by_number)} of them",
            hint=f"make them: the same run with {spell('part', f'{min(missing)}/{of}')}"
            f" and {spell('output', target.name)}",
        )
    parts = [by_number[number] for number in range(1, of + 1)]
    if not copy:
        _require_beside(parts, folder, target)
    return parts


def _require_same_run(first: _Found, other: _Found) -> None:
    ours, theirs = first.mark.place, other.mark.place
    differ = [
        f"{words}: {str(getattr(first.header, name))[:16]}, {str(getattr(other.header, name))[:16]}"
        for words, name in COMPARED.items()
        if getattr(first.header, name) != getattr(other.header, name)
    ]
    if (ours.of, ours.sequences) != (theirs.of, theirs.sequences):
        differ.append(f"one of {ours.of} parts of {ours.sequences} sequences, "
                      f"one of {theirs.of} parts of {theirs.sequences}")  # fmt: skip
    if first.mark.run != other.mark.run and not differ:
        recipe = spell_command("open_trace", other.path)
        differ.append(f"other options (each tells its recipe: {recipe}), or a file that an option "
                      "names has another content")  # fmt: skip
    if first.layers != other.layers:
        differ.append(f"layers: {', '.join(first.layers)}; {', '.join(other.layers)}")
    if first.mark.threads != other.mark.threads:
        differ.append(f"threads, on which the last bits of this engine depend: "
                      f"{first.mark.threads}, {other.mark.threads}")  # fmt: skip
    if differ:
        raise TraceError(
            "Two parts are not of the same run.",
            where=f"{first.path}, {other.path}",
            expected="the same checkpoint, input, options and version of rnnscope",
            found="; ".join(differ),
            hint=f"make one of both again, for all with {spell('threads', '1')}"
            if first.mark.threads != other.mark.threads
            else "name the parts of one run, or make the others again",
        )


def _require_beside(parts: Sequence[_Found], folder: Path, target: Path) -> None:
    copied = f"copy the values with {spell('copy')}"
    if folder.parent != target.parent:
        raise TraceError(
            "The folder of the parts is not beside the trace.",
            where=folder,
            expected=f"a folder in {target.parent}",
            found=str(folder.parent),
            hint=f"name a trace beside it with {spell('output')}, or {copied}",
        )
    for part in parts:
        place = folder / part.mark.place.file_name
        if part.path != place:
            raise TraceError(
                "A part is not where a trace looks for it.",
                where=part.path,
                expected=str(place),
                found=part.path.name,
                hint=f"move it there, or {copied}",
            )
        if place.is_symlink():
            raise TraceError(
                "A part is a link, which a trace does not follow.",
                where=place,
                expected="a plain file",
                found=f"a link to {place.resolve()}",
                hint=f"move the file there (the folder itself may be a link), or {copied}",
            )
