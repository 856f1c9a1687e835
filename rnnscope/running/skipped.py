"""Layers that were asked for and are not run: each with one reason, recorded where it is known."""

from __future__ import annotations

from typing import Literal

from rnnscope.deferred_dataclass import dataclass

SkipReason = Literal[
    "width",
    "ids",
    "no input",
    "not fed",
    "own output",
    "decoder inputs",
    "initial state",
    "start",
    "reads",
    "lengths",
]
"""``width``: the input has another number of features. ``ids``: the input holds ids, and no
embedding stands in front. ``no input``: the file does not say what the layer reads. ``not fed``:
the input goes to other layers alone. ``own output``: its x is made of its own output in a way that
is not computed. ``decoder inputs``: they were not given. ``initial state``: the state that it
starts from is not computed. ``start``: the layers that it starts from are not run. ``reads``: what
it reads is not computed. ``lengths``: the model computes them of what is not given."""


@dataclass(frozen=True)
class SkippedLayer:
    """A recurrent layer that is not run.

    Attributes
    ----------
    name : str
    reason : SkipReason
    words : str
        A sentence for the notes.
    """

    name: str
    reason: SkipReason
    words: str
