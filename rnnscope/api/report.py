"""Writing a page about traces, from Python."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnscope.errors import OptionError, spell

if TYPE_CHECKING:
    from rnnscope.api.trace import StateTrace
    from rnnscope.checks.result import Subject
    from rnnscope.seeing.page.contents import OtherTrace
    from rnnscope.seeing.page.embed import PageRequest
    from rnnscope.seeing.page.result import PageReport
    from rnnscope.seeing.page.weight_blocks import WeightComparison
    from rnnscope.trace import Trace


PAGE_SUFFIXES = (".html", ".htm", ".xhtml")


def write_report(
    trace: str | os.PathLike[str] | StateTrace | None = None,
    /,
    *others: str | os.PathLike[str] | StateTrace,
    output: str | os.PathLike[str],
    weights: tuple[str | os.PathLike[str], str | os.PathLike[str]] | None = None,
    layers: Iterable[str] = (),
    sequences: Iterable[int] = (),
    labels: str | os.PathLike[str] | None = None,
    budget: float | None = None,
    title: str = "",
    pictures: str | os.PathLike[str] | None = None,
    force: bool = False,
) -> PageReport:
    """Write one HTML file to look at the states of a trace, and at how others differ.

    The file needs neither network nor server. It holds what the checks found, layers and options
    with their origins, the states to explore, and what `others` differ in.

    Parameters
    ----------
    trace : str, path or StateTrace, optional
        None: `weights` alone are compared.
    *others : str, path or StateTrace
        Traces, each of which is compared with the first.
    output : str or path
        The file to write.
    weights : (str or path, str or path), optional
        Two checkpoints: how their weights differ, gate by gate.
    layers : iterable of str
        Globs; none: all.
    sequences : iterable of int
        Those whose values the file is to hold; none: as many as there is room for.
    labels : str or path, optional
        Tokens for the timesteps: see `rnnscope.seeing.labels.read_labels`. Without it, those that
        the run's own input holds.
    budget : float, optional
        Megabytes that embedded values may take; 2 if not given. Larger arrays are rounded and
        binned, with the least and the greatest of each bin kept, and the page says so.
    title : str
        The page's heading; empty: the trace's name.
    pictures : str or path, optional
        A folder: for each of `others` that differs, a small SVG of where it parts first goes
        there, and replaces an older one.
    force : bool
        Replace `output`.

    Returns
    -------
    PageReport
        ``.path``, ``.size`` in bytes; ``.arrays`` says how each array is held.

    Raises
    ------
    RnnscopeError
        A file cannot be read, or `output` cannot be written; what was there is left then.

    Examples
    --------
    >>> import rnnscope
    >>> done = rnnscope.write_report("trace.h5", output="page.html")
    >>> done.layers, done.arrays[0].held, done.size < 3_000_000
    (('rnn/lstm_cell',), 'float64', True)
    """
    from rnnscope.report.page.document import render
    from rnnscope.seeing.page.embed import embed_trace, embed_weights
    from rnnscope.seeing.page.result import page_report
    from rnnscope.states.saving import save_text
    from rnnscope.trace import check_target

    if pictures is not None and not others:
        raise OptionError(f"{spell('pictures')} are of other traces, and there are none.")
    read = [trace, *others, *(weights or ())]
    files = [Path(one) for one in read if isinstance(one, (str, os.PathLike))]
    _check_page_name(output)
    target = check_target(output, force, files, what="page")
    request = page_request(layers, sequences, budget, title)
    checkpoints = None if weights is None else _compare_weights(*weights)
    drawn: dict[Path, str] = {}
    with ExitStack() as opened:
        if trace is not None:
            first = open_source(trace, opened)
            request = with_tokens(request, labels, first)
            compared = list(_compared(first, others, opened))
            found = checked(first, request)
            contents = embed_trace(first, request, found, compared, checkpoints)
            if pictures is not None:
                drawn = _pictures(Path(pictures), first, compared)
        elif checkpoints is not None:
            contents = embed_weights(checkpoints, title)
        else:
            raise OptionError(
                "There is nothing to make a page of.",
                expected=f"a trace, or two checkpoints ({spell('weights')})",
            )
    text = render(contents)
    save_text(target, text, force=force, what="page")
    for path, svg in drawn.items():
        save_text(path, svg, force=True, what="picture")
    return page_report(contents, Path(output), tuple(map(str, drawn)))


def _check_page_name(output: str | os.PathLike[str]) -> None:
    """Refuse the name of another kind of file, which no browser would open as a page."""
    suffix = Path(output).suffix
    if suffix and suffix.lower() not in PAGE_SUFFIXES:
        raise OptionError(
            "A page is an HTML file, and this is the name of another kind.",
            where=output,
            expected=", ".join(PAGE_SUFFIXES),
            found=suffix,
        )


def page_request(
    layers: Iterable[str],
    sequences: Iterable[int] = (),
    budget: float | None = None,
    title: str = "",
) -> PageRequest:
    """What a page is to show, from what the user said; tokens come once the trace is open.

    Raises
    ------
    OptionError
        The budget is none.
    """
    from rnnscope.seeing.page.budget import DEFAULT_BYTES
    from rnnscope.seeing.page.embed import PageRequest

    bytes_ = DEFAULT_BYTES if budget is None else budget * 1e6
    if not bytes_ > 0:
        raise OptionError(
            "A page needs some room for values.",
            where=spell("budget", str(budget)),
            expected="megabytes, more than 0",
        )
    return PageRequest(tuple(layers), tuple(sequences), budget=bytes_, title=title)


def open_source(source: Any, opened: ExitStack) -> Trace:
    """A trace; one that the caller has open stays open."""
    from rnnscope.api.trace import operand_of
    from rnnscope.trace import Trace

    trace = operand_of(source)
    return trace if isinstance(trace, Trace) else opened.enter_context(Trace.open(trace))


def with_tokens(
    request: PageRequest, spec: str | os.PathLike[str] | None, trace: Trace
) -> PageRequest:
    """The request with tokens from a file, or with those that the run's own input holds.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    from rnnscope.seeing.labels import input_labels, read_labels

    labels = input_labels(trace) if spec is None else read_labels(os.fspath(spec))
    return replace(request, labels=labels, labels_asked=spec is not None)


def checked(trace: Trace, request: PageRequest) -> Subject:
    """What the checks find in the layers that are shown; nothing is computed again."""
    from glob import escape

    from rnnscope.checks.settings import CheckSettings
    from rnnscope.record.checking.trace_checks import check_trace

    recurrent = {header.name for header in trace.layers}
    names = [escape(name) for name in request.choose_layers(trace) if name in recurrent]
    return check_trace(trace, CheckSettings(layers=tuple(names)))


def _compared(
    trace: Trace, others: Iterable[Any], opened: ExitStack
) -> Iterator[tuple[OtherTrace, Trace]]:
    from rnnscope.seeing.divergence import diff_traces, first_divergence
    from rnnscope.seeing.page.contents import OtherTrace

    for number, source in enumerate(others):
        other = open_source(source, opened)
        result = diff_traces(trace, other)
        name = _letter(number + 1)
        yield OtherTrace(name, str(other.path), result, first_divergence(trace, result)), other


def _pictures(
    folder: Path, trace: Trace, others: Iterable[tuple[OtherTrace, Trace]]
) -> dict[Path, str]:
    """A small SVG for each trace that differs, by the file that it is to be."""
    from rnnscope.record.checking.trace_checks import picture_path
    from rnnscope.seeing.divergence_svg import divergence_svg

    return {
        picture_path(folder, f"{other.name}-{opened.path.stem}"): divergence_svg(
            trace, opened, other.first
        )
        for other, opened in others
        if other.first is not None
    }


def _letter(number: int) -> str:
    """``B`` for 1, and so on to ``Z``; ``B1`` after it."""
    turn, place = divmod(number - 1, 25)
    return chr(ord("B") + place) + (str(turn) if turn else "")


def _compare_weights(a: str | os.PathLike[str], b: str | os.PathLike[str]) -> WeightComparison:
    from rnnscope.checkpoints import read_checkpoint
    from rnnscope.comparing.weights import diff_weights
    from rnnscope.seeing.page.weight_blocks import WeightComparison

    one, other = read_checkpoint(Path(a)), read_checkpoint(Path(b))
    return WeightComparison(one, other, diff_weights(one, other))
