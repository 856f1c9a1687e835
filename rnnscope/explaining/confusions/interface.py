"""What a family of deviations is given, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from rnnscope.deferred_dataclass import dataclass
from rnnscope.explaining.compared.subject import Subject
from rnnscope.explaining.computing.setup import DrivenLayer, Setup
from rnnscope.explaining.readings.deviations import Deviation, Unknown, View
from rnnscope.model.cell import Array


@dataclass(frozen=True, eq=False)
class Facts:
    """What deviations are made from.

    Attributes
    ----------
    subject : Subject
    views : sequence of View
        The ways to read the reference.
    """

    subject: Subject
    views: Sequence[View]

    @property
    def setup(self) -> Setup:
        return self.subject.setup

    @property
    def layers(self) -> list[DrivenLayer]:
        return list(self.setup.layers.values())

    @property
    def stackable(self) -> list[DrivenLayer]:
        """The layers that may be stepped in stacks."""
        return [one for one in self.layers if one.stackable]

    def some(self, kind: str) -> list[DrivenLayer]:
        """The layers of a kind of cell that may be stepped in stacks."""
        return [one for one in self.layers if one.cell.kind == kind and one.stackable]

    def reference_arrays(self, *keys: str) -> list[Array]:
        """What the reference says of a result, over all its readings."""
        return [t.values for view in self.views for t in view.targets if t.key in keys]


@dataclass(frozen=True)
class Confusion:
    """One entry of CONFUSIONS.

    Attributes
    ----------
    id : str
        A key of `IDS`.
    deviations : callable
        ``deviations(facts) -> iterable of Deviation or Unknown``: those that mean something.
    """

    id: str
    deviations: Callable[[Facts], Iterable[Deviation | Unknown]]
