"""Holding other engines to the corpus, from Python."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnnscope.conforming.conform import Progress
    from rnnscope.conforming.result import ConformReport

TIME_LIMIT = 60.0


def conform(
    engine: str | Sequence[str] | os.PathLike[str] | Callable[[dict[str, Any]], Mapping[str, Any]],
    /,
    *,
    seed: int = 0,
    only: str = "*",
    time_limit: float = TIME_LIMIT,
    progress: Progress | None = None,
) -> ConformReport:
    """Run an engine over the corpus of recurrent cases, and hold every state to the truth.

    Parameters
    ----------
    engine : str, list of str, path or callable
        A name (``"torch"``, ``"onnxruntime"``, ``"onnx-reference"``, ``"tensorflow"``,
        ``"keras"``, ``"rnnscope"``); a command, which gets cases as JSON lines; the path of a file
        of answers; or a function from a case's document to an answer's.
    seed : int
        Of the cases' numbers.
    only : str
        A pattern of a case or family: ``"lstm/lengths*"``.
    time_limit : float
        Seconds for each case of a command.
    progress : callable, optional
        ``progress(case, number, of)``.

    Returns
    -------
    ConformReport
        ``.verdict`` is ``"agree"``, ``"differ"`` or ``"nothing offered"``; ``.families`` is the
        table, ``.cases`` has each verdict with where it is first wrong.

    Raises
    ------
    RnnscopeError
        No case has such a name, the engine is unknown or not installed, or cannot be started.

    Examples
    --------
    >>> import rnnscope
    >>> rnnscope.conform("rnnscope", only="gru/initial").verdict
    'agree'
    """
    from rnnscope.conforming.conform import conform as run

    running = _engine(engine, time_limit)
    try:
        return run(running, seed=seed, only=only, progress=progress)
    finally:
        running.close()


def conform_cases(*, seed: int = 0, only: str = "*") -> Iterator[dict[str, Any]]:
    """The cases of the corpus as documents, as a command gets them.

    Parameters
    ----------
    seed : int
    only : str
        A pattern of a case or family.

    Returns
    -------
    iterator of dict
        JSON's own types; ``rnnscope help conforming`` describes them.

    Raises
    ------
    OptionError
        No case has such a name, or the seed is negative.

    Examples
    --------
    >>> import rnnscope
    >>> case = next(rnnscope.conform_cases(only="lstm/sizes"))
    >>> case["case"], case["units"], sorted(case["directions"][0]["weights"]["kernel"])
    ('lstm/sizes/units-1', 1, ['f', 'g', 'i', 'o'])
    """
    from rnnscope.conforming.conform import case_documents

    return case_documents(seed, only)


def _engine(engine: Any, time_limit: float) -> Any:
    from rnnscope.conforming.engines import ENGINES, make_engine
    from rnnscope.options.interface import accept
    from rnnscope.options.kinds import Choice

    if isinstance(engine, str):
        return make_engine(accept(Choice(names=tuple(ENGINES)), engine, called="engine"))
    if isinstance(engine, os.PathLike):
        from rnnscope.conforming.stored_answers import StoredAnswers

        return StoredAnswers(Path(engine))
    if callable(engine):
        from rnnscope.conforming.engines.function_engine import FunctionEngine

        return FunctionEngine(engine)
    from rnnscope.conforming.engines.command_engine import CommandEngine

    return CommandEngine([str(word) for word in engine], time_limit)
