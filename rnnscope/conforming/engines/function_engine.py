"""A Python function as an engine: a case's document in, an answer's document out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from rnnscope.conforming.case import Answer, Case
from rnnscope.conforming.documents import answer_of, case_document
from rnnscope.conforming.engines.interface import Failed, NotOffered

Function = Callable[[dict[str, Any]], Mapping[str, Any]]


class FunctionEngine:
    """A function that answers cases.

    Parameters
    ----------
    function : callable
        It is given what `case_document` makes, and returns the answer; arrays may be numpy's. A
        NotImplementedError says that it does not offer a case.
    """

    gives: ClassVar[str] = "what each answer holds"

    def __init__(self, function: Function) -> None:
        self._function = function
        self.version = getattr(function, "__qualname__", repr(function))

    def run(self, case: Case) -> Answer:
        """The function's answer."""
        try:
            document = self._function(case_document(case))
        except NotImplementedError as error:
            raise NotOffered(str(error) or "not implemented") from error
        except Exception as error:
            raise Failed(f"{type(error).__name__}: {error}"[:200], "error") from error
        if not isinstance(document, Mapping):
            raise Failed(f"it returned {type(document).__name__}, not a mapping", "no JSON")
        return answer_of(case, {"case": case.name, **document})

    def close(self) -> None:
        """Nothing runs beside this process."""
