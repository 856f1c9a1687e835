"""What most changes of a setup have in common: of every layer that they mean something to."""

from __future__ import annotations

from collections.abc import Callable

from rnnscope.explaining.computing.setup import DrivenLayer, Setup

ChangeLayer = Callable[[DrivenLayer], DrivenLayer | None]
ChangeSetup = Callable[[Setup], Setup | None]


LEAST = 1e-12
"""Of a factor or a bound: what is nearer to zero makes everything zero, and explains nothing."""


def every_layer(change: ChangeLayer, kind: str | None = None) -> ChangeSetup:
    """A change of every layer that is stepped in stacks; of one kind of cell, where it is given."""

    def of_layer(driven: DrivenLayer) -> DrivenLayer | None:
        meant = driven.stackable and kind in (None, driven.cell.kind)
        return change(driven) if meant else None

    return lambda setup: setup.changed(of_layer)


def number_words(number: float) -> str:
    """A number as the value of a deviation: short where it is short."""
    for digits in (1, 2, 3, 4, 6):
        short = float(f"{number:.{digits}g}")
        if abs(short - number) <= 2e-6 * max(abs(number), 1e-3):
            return f"{short:.6g}"
    return f"{number:.6g}"


def capitalised(sentence: str) -> str:
    """A sentence with a capital at its beginning, whatever stands after it."""
    return sentence[:1].upper() + sentence[1:]
