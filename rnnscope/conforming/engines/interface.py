"""What an engine is to the corpus: what it cannot say, and what it computes."""

from __future__ import annotations

from typing import ClassVar, Literal, Protocol

from rnnscope.conforming.case import Answer, Case


class NotOffered(Exception):  # noqa: N818 - no fault: the engine says that it does not do this
    """An engine cannot express a case, or says itself that it does not compute such; why."""


Failure = Literal["no answer", "no JSON", "no numbers", "wrong shape", "error"]
"""What was wrong with an answer before any of its numbers was looked at.

``"no answer"``: none came in time, or it is to another case. ``"error"``: the engine raised one.
"""


class Failed(Exception):  # noqa: N818 - it ends no program: it is what the case is told to be
    """An engine did not give an answer to a case that it should have.

    Parameters
    ----------
    seen : str
        What was seen instead.
    kind : Failure
    """

    def __init__(self, seen: str, kind: Failure) -> None:
        super().__init__(seen)
        self.kind: Failure = kind


class Engine(Protocol):
    """An engine that cases can be run with.

    Attributes
    ----------
    version : str
        The engine and its version.
    gives : str
        What of the states it returns, in words.
    """

    version: str
    gives: ClassVar[str] = ""

    def run(self, case: Case) -> Answer:
        """What the engine computes.

        Raises
        ------
        NotOffered
            It cannot express the case, or refuses it in words of its own.
        Failed
            There is no answer, or none of the right shapes.
        """

    def close(self) -> None:
        """Let go of what runs beside this process."""
