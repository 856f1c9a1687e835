"""All checks of a trace, in slices of sequences: memory does not grow with their number."""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rnnscope.checks.interface import GoldenDiff
from rnnscope.checks.result import Subject
from rnnscope.checks.settings import CheckSettings
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import TraceError, spell
from rnnscope.options.table import OF_THE_MODEL
from rnnscope.options.unread import refuse_unread
from rnnscope.record.checking.checks_on_cluster import check_on_cluster
from rnnscope.record.checking.slice_checks import SliceChecks, slices_of
from rnnscope.trace import Trace

if TYPE_CHECKING:
    from rnnscope.clusters.dask_cluster import Cluster

    # Neither checkpoints nor the comparison of states is loaded unless it is asked for.
    from rnnscope.comparing.result import DiffResult
    from rnnscope.comparing.tolerance import Tolerances
    from rnnscope.record.replaying.recomputation import Recomputation
    from rnnscope.record.replaying.replayed_recipe import Replay

RECOMPUTED = frozenset({"padding-leak", "float-drift", "framework-kernel"})
BY_ITSELF = "the run is computed again by the engine numpy, and no trace is written"


@dataclass(frozen=True)
class Comparison:
    """What a trace is compared with.

    Attributes
    ----------
    replay : Replay or None
        How the run is done again, for the checks that do so; None: they are skipped.
    golden : Path or None
        A stored trace.
    tolerances : Tolerances or None
        Of the comparison with it; None: those of ``rnnscope diff``.
    picture : Path or None
        An ``.svg`` to write where the two part over time, in place of one that is there.
    """

    replay: Replay | None = None
    golden: Path | None = None
    tolerances: Tolerances | None = None
    picture: Path | None = None


def check_trace(
    path: str | os.PathLike[str] | Trace,
    settings: CheckSettings | None = None,
    against: Comparison | None = None,
    cluster: Cluster | None = None,
) -> Subject:
    """Check a trace; of one in parts every part, to its last number, too.

    Parameters
    ----------
    path : path or Trace
        A trace that is open stays open.
    settings : CheckSettings, optional
    against : Comparison, optional
    cluster : Cluster, optional
        Its workers do the work, on a trace that they see; nothing is recomputed then.

    Returns
    -------
    Subject

    Raises
    ------
    RnnscopeError
        The trace, or what it is compared with, cannot be read.
    """
    settings, against = settings or CheckSettings(), against or Comparison()
    ids = settings.ids()
    with ExitStack() as opened:
        trace = path if isinstance(path, Trace) else opened.enter_context(Trace.open(path))
        settings.check_layers(header.name for header in trace.layers)
        golden, picture = None, ""
        if against.golden is not None and "golden" in ids:
            golden, picture = _golden(trace, against, settings, cluster)
        again = None
        if against.replay is not None and ids & RECOMPUTED:
            from rnnscope.record.replaying.recomputation import open_recomputation

            refuse_unread(against.replay.options, OF_THE_MODEL, BY_ITSELF)
            again = opened.enter_context(open_recomputation(trace, against.replay))
        checks = SliceChecks(trace, settings, ids, again, golden)
        if cluster is not None:
            check_on_cluster(trace, settings, checks, cluster)
        else:
            if trace.parts is not None:
                for place in trace.parts.places:
                    trace.parts.require_numbers(place)
            for rows in slices_of(trace):
                checks.take(rows)
        return Subject(
            name=str(trace.path),
            checkpoint=trace.header.checkpoint,
            input=trace.header.input,
            findings=checks.findings(),
            padding=checks.padding(),
            notes=_notes(trace, again),
            picture=picture,
        )


def _golden(
    trace: Trace, against: Comparison, settings: CheckSettings, cluster: Cluster | None = None
) -> tuple[dict[str, GoldenDiff], str]:
    """How each layer compares with a stored trace, and the picture of where they part first.

    The stored trace must not have other layers, unless the user names those that count.
    """
    from rnnscope.comparing import DiffSettings, Tolerances, diff_states
    from rnnscope.states.interface import ReadOptions
    from rnnscope.states.recognise import recognise

    options = ReadOptions("trace")
    one, other = recognise((trace, str(against.golden)), (options, options))
    with one.states, other.states:
        how = DiffSettings(against.tolerances or Tolerances(), hints=False)
        measured = None
        if cluster is not None:
            from rnnscope.comparing.on_cluster import measure_on_cluster

            paths = (str(trace.path.absolute()), str(Path(against.golden or "").absolute()))
            measured = measure_on_cluster(
                *paths, (options, options), how, trace.sequences, one.states.stored_bytes, cluster
            )
        result = diff_states(one, other, how, measured=measured)
    alone = [f"layer '{name}' is in the stored trace alone" for name in result.only_b]
    differences = (*result.differences, *(() if settings.layers else alone))
    compared = {layer.a: GoldenDiff(layer, differences) for layer in result.layers}
    kept = tuple(layer for layer in result.layers if settings.keeps(layer.a))
    return compared, _picture(trace, against, replace(result, layers=kept))


def _picture(trace: Trace, against: Comparison, result: DiffResult) -> str:
    """The name of the picture that was written; empty where none was asked for, or none differs.

    Raises
    ------
    TraceError
        It cannot be written.
    """
    if against.picture is None or against.golden is None or result.verdict == "same":
        return ""
    from rnnscope.seeing.divergence import first_divergence
    from rnnscope.seeing.divergence_svg import divergence_svg
    from rnnscope.states.saving import save_text

    found = first_divergence(trace, result)
    if found is None:
        return ""
    with Trace.open(against.golden) as stored:
        svg = divergence_svg(trace, stored, found)
    save_text(against.picture, svg, force=True, what="picture", option="pictures")
    return str(against.picture)


def picture_path(folder: Path, name: str) -> Path:
    """Where the picture of a trace or case goes: a name of its own that every system takes.

    Raises
    ------
    TraceError
        The folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TraceError(
            "The folder for pictures cannot be made.", where=folder, found=error.strerror
        ) from error
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name)[:80].strip(".")
    if plain != name:
        plain += "-" + hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:8]
    return folder / f"{plain}.svg"


def _notes(trace: Trace, again: Recomputation | None) -> tuple[str, ...]:
    notes = list(again.notes) if again is not None else []
    if trace.selection:
        notes.append(f"The trace keeps {', '.join(trace.selection)} alone ({spell('select')}).")
    return tuple(notes)
