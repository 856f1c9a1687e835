"""Weights that a file lists by name: whose they are is told by the names and by their order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import accumulate, pairwise

from rnnscope.checkpoints.keras.weights import LayerKey, LayerWeights, StoredVariable
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError


@dataclass(frozen=True, eq=False)
class ListedWeights(ABC):
    """The weights of one layer, or of a model; implements `LayerWeights`.

    Attributes
    ----------
    names : tuple of str
        In Keras' order: ``"bi/forward_lstm/lstm_cell/kernel:0"``.
    """

    names: tuple[str, ...]

    @property
    @abstractmethod
    def where(self) -> str:
        """The place in the file, for messages."""

    @abstractmethod
    def variable(self, name: str) -> StoredVariable:
        """The variable of a name."""

    @abstractmethod
    def of(self, names: tuple[str, ...]) -> ListedWeights:
        """Those of some of the names."""

    def variables(self) -> tuple[StoredVariable, ...]:
        """All of them, in order."""
        return tuple(self.variable(name) for name in self.names)

    def left_states(self) -> tuple[StoredVariable, ...]:
        """None: such a file has no states."""
        return ()

    def everything(self) -> tuple[StoredVariable, ...]:
        """All of them: those of what lies inside the layer are listed with its own."""
        return self.variables()

    def parts(
        self, *attributes: str, sizes: Sequence[int] | None = None
    ) -> tuple[LayerWeights, ...]:
        """By their order, each as many as it holds; see `LayerWeights.parts`."""
        share, rest = divmod(len(self.names), len(attributes))
        shares = [share] * len(attributes)
        if sizes is not None and len({*sizes}) > 1:
            shares, rest = [*sizes], len(self.names) - sum(sizes)
        if rest:
            each = ", ".join(
                f"{size} for {name}" for name, size in zip(attributes, shares, strict=True)
            )
            raise CheckpointError(
                "A layer's weights cannot be shared out among the layers inside it.",
                where=self.where,
                expected=f"{sum(shares)} weights: {each}",
                found=f"{len(self.names)} weights",
            )
        # What training leaves as it is comes last, whichever direction that is.
        names = self.names
        if "backward_layer" in attributes:
            names = tuple(sorted(names, key=_is_backward))
        ends = [0, *accumulate(shares)]
        return tuple(self.of(names[start:end]) for start, end in pairwise(ends))

    def layers(self, keys: Sequence[LayerKey]) -> tuple[LayerWeights, ...]:
        """By name: the trainable variables of all layers come before the others of all."""
        below, numbered = self._scopes()
        claimed = {name for key in keys for name in below.get(key.name, ())}
        others = tuple(name for name in self.names if name not in claimed)
        found: list[LayerWeights] = []
        for key in keys:
            names = below.get(key.name, ()) or tuple(
                name for name in numbered.get(key.name, ()) if name not in claimed
            )
            # Variables of a nested model need not bear its name.
            if not names and key.is_model:
                names = others
            found.append(self.of(names))
        return tuple(found)

    def _scopes(self) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
        """The variables below every scope, and those below a scope with a number behind its name.

        TensorFlow 1 makes a name that was taken unique: ``lstm_1`` for ``lstm``.
        """
        below: dict[str, list[str]] = {}
        numbered: dict[str, dict[str, None]] = {}
        for name in self.names:
            for scope in dict.fromkeys(name.split("/")[:-1]):
                below.setdefault(scope, []).append(name)
                base, line, number = scope.rpartition("_")
                if line and number.isdecimal():
                    numbered.setdefault(base, {})[name] = None
        return ({scope: tuple(names) for scope, names in below.items()},
                {scope: tuple(names) for scope, names in numbered.items()})  # fmt: skip


def _is_backward(name: str) -> bool:
    """Whether a variable's name has the prefix that Bidirectional gives its second direction."""
    return any(part.startswith("backward_") for part in name.split("/"))
