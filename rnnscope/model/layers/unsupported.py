"""The stand-in for a layer that rnnscope cannot compute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from rnnscope.errors import UnsupportedCellError
from rnnscope.model.network import Layer, Signal

OWN_OUTPUT = frozenset({"attention", "loop function"})
"""Kinds of stand-ins behind which a layer's x is made of its own last output: whatever is put in
their place, it is not the model's input."""


@dataclass(frozen=True)
class Unsupported(Layer):
    """A layer of the file that is known by name only; calling it is an error.

    It keeps its place in the network, so that every layer which does not read it still runs.

    Attributes
    ----------
    kind : str
        The class as the file names it: ``"Lambda"``, ``"GRU"``.
    name : str
        The layer's name.
    reason : str
        Why it is not computed: the end of the sentence "Layer 'x' of class Y …".
    """

    kind: str
    name: str
    reason: str = "is not computed by rnnscope"

    def __call__(self, *signals: Signal) -> NoReturn:  # noqa: ARG002 - it never gets to use them
        """Raise `UnsupportedCellError`, naming the layer and its class."""
        raise UnsupportedCellError(
            f"Layer '{self.name}' of class {self.kind} {self.reason}.",
            where=self.name,
            found=self.kind,
            hint="Give the input of the first recurrent layer behind it instead of the model's "
            "own input, or choose layers that do not read it.",
        )
