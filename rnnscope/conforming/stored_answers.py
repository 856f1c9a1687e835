"""Answers that another program left in a file: for engines that cannot be started from here."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from rnnscope.conforming.case import Answer, Case
from rnnscope.conforming.documents import answer_document, answer_of
from rnnscope.conforming.engines.interface import Failed
from rnnscope.errors import OptionError


class StoredAnswers:
    """Answers that another program left in a file, as an engine.

    Parameters
    ----------
    path : Path
        JSON lines, one for each case.

    Raises
    ------
    OptionError
        The file cannot be read, or holds no answer.
    """

    gives: ClassVar[str] = "what each answer holds"

    def __init__(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                self._answers = _answers(file)
        except OSError as error:
            raise OptionError(
                "The answers cannot be read.", where=path, found=error.strerror or str(error)
            ) from error
        if not self._answers:
            raise OptionError(
                "The file holds no answer.",
                where=path,
                expected="a JSON object in each line, with the key 'case'",
                found="no such line",
                hint="rnnscope help conforming says what an answer is",
            )
        self.version = str(path)

    def run(self, case: Case) -> Answer:
        """The answer that the file holds."""
        if case.name not in self._answers:
            raise Failed("the file has no answer to it", "no answer")
        return answer_of(case, self._answers[case.name])

    def close(self) -> None:
        """Nothing is open."""


def _answers(lines: Iterable[bytes]) -> dict[str, Any]:
    """Answers that a file holds, by the case that they are for; other lines are left out."""
    found: dict[str, Any] = {}
    for line in lines:
        with suppress(Failed):
            document = answer_document(line)
            found[str(document.get("case"))] = document
    return found
