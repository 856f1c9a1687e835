"""What comparing a layer with another engine's kernel gives, and what such an engine offers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.network import Node
from rnnscope.model.states import LayerStates


@dataclass(frozen=True)
class KernelDifference:
    """The largest difference of one state (c, m, outputs, final c …) against another engine.

    `kernel` is what computed it there, and why not a better one: ``"BlockLSTM"``.
    """

    layer: str
    state: str
    difference: float
    limit: float
    ok: bool
    kernel: str = ""


class Verifier(Protocol):
    """Another engine that computes the same layers, for comparison."""

    name: str

    def compare(
        self,
        node: Node,
        x: Array,
        mask: Array | None,
        initial: Mapping[str, Array],
        states: LayerStates,
    ) -> None:
        """Compute a slice of a layer anew and keep the largest difference."""

    def rows(self) -> tuple[KernelDifference, ...]:
        """What was found, layer by layer."""
