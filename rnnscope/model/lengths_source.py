"""Where a stored model takes the lengths or the mask of its sequences from."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array

LengthsKind = Literal["unused", "input", "computed", "stored", "mask", "unknown"]
"""``unused``: it takes none, every step is computed. ``input``: whoever runs the model gives them.
``computed``: by ops of the graph that rnnscope does not compute. ``stored``: a constant.
``mask``: a layer of the model makes a mask, which rnnscope computes. ``unknown``: the file does not
say, and those that are given are used."""


@dataclass(frozen=True)
class LengthsSource:
    """Where a layer's lengths or mask come from.

    Attributes
    ----------
    kind : LengthsKind
    words : str
        The same in the file's own terms, for people: ``"sequence_length from placeholder 'n'"``.
    values : ndarray of int (sequence,) or None
        The lengths themselves, where they are stored.
    input : str
        The model's input that takes them, where whoever runs the model gives them under a name.
    """

    kind: LengthsKind
    words: str
    values: Array | None = field(default=None, compare=False)
    input: str = ""

    def __str__(self) -> str:
        return self.words


LENGTHS_UNUSED = LengthsSource("unused", "not used")
LENGTHS_NOT_STORED = LengthsSource("unknown", "not stored: those given are used")
"""What files of weights alone say."""
