"""The stand-in for a layer that rnnscope cannot compute."""

from __future__ import annotations

from typing import NoReturn

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import UnsupportedCellError
from rnnscope.model.signal import Layer, Signal


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
    recurrent : bool
        Whether it stands for a recurrent layer: the run's input never takes its place.
    """

    kind: str
    name: str
    reason: str = "is not computed by rnnscope"
    recurrent: bool = False
    computed = False

    @property
    def of_own_output(self) -> bool:
        """Attention and loop functions make the next x of the last output."""
        return self.kind in ("attention", "loop function")

    def __call__(self, *signals: Signal) -> NoReturn:  # noqa: ARG002 - it never gets to use them
        """Raise `UnsupportedCellError`, naming the layer and its class."""
        raise UnsupportedCellError(
            f"Layer '{self.name}' of class {self.kind} {self.reason}.",
            where=self.name,
            found=self.kind,
            hint="Give the input of the first recurrent layer behind it instead of the model's "
            "own input, or choose layers that do not read it.",
        )
