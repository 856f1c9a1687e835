"""What is open, and closed where its ``with`` ends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from typing_extensions import Self


T = TypeVar("T", bound="Closing")


class Closing(ABC):
    """A context manager of itself, whose end is `close`."""

    @abstractmethod
    def close(self) -> None:
        """Give back what is held open; a second time does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
