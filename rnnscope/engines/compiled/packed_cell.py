"""A cell whose steps are compiled: known at once, packed and compiled when it is needed."""

from __future__ import annotations

from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import CellSpec

if TYPE_CHECKING:
    from rnnscope.engines.compiled.panels import Panels

_one_at_a_time = Lock()


@dataclass(frozen=True)
class PackedCell:
    """A cell's weights as compiled steps read them.

    Attributes
    ----------
    spec : CellSpec
        One that `is_compiled`.
    gates : bool
        Whether gates are kept.
    sequences : int
        How many there are to run together, about: what suits one suits many less. It changes no
        bit.
    """

    spec: CellSpec
    gates: bool = False
    sequences: int = 32

    @cached_property
    def panels(self) -> Panels:
        """The weights in panels."""
        from rnnscope.engines.compiled.panels import Panels

        return Panels.of(self.spec, gates=self.gates, sequences=self.sequences)

    def compile(self) -> None:
        """Pack the weights and make the code, once; threads that come meanwhile wait for it."""
        with _one_at_a_time:  # from Python 3.12 on a cached property has no lock of its own
            self.panels.code  # noqa: B018, made where it is asked for
