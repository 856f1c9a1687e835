"""Turns the steps of Keras layers into the nodes of a `Network`, named and wired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from rnnscope.checkpoints.keras.layer_steps import Built, Step
from rnnscope.checkpoints.keras.masks import MaskRoot
from rnnscope.errors import CheckpointError
from rnnscope.model.cell import Option
from rnnscope.model.layers import (
    Embedding,
    Flatten,
    GetItem,
    Join,
    LastOutput,
    Masking,
    Merge,
    Operation,
    Permute,
    RepeatVector,
    Reshape,
    Unsupported,
)
from rnnscope.model.network import HandoverJoin, Layer, Network, Node, RecurrentLayer

_MASK_ENDS = (
    Flatten,
    GetItem,
    Join,
    LastOutput,
    Operation,
    Permute,
    RepeatVector,
    Reshape,
    Unsupported,
)

JOINS: dict[str, HandoverJoin] = {"Concatenate": "concat", "Add": "sum"}


@dataclass(frozen=True)
class Tensor:
    """What flows between layers: a node's outputs, or one of its final states."""

    node: str
    state: str = ""
    """Empty, or ``"h"`` or ``"c"``."""

    @property
    def words(self) -> str:
        return f"{self.state} of layer '{self.node}'" if self.state else f"layer '{self.node}'"


@dataclass(eq=False)
class Graph:
    """A network while it grows."""

    inputs: list[str] = field(default_factory=list)
    nodes: dict[str, Node] = field(default_factory=dict)
    joined: dict[str, tuple[HandoverJoin, tuple[Tensor, ...]]] = field(default_factory=dict)
    """By node: the final states that a Concatenate or an Add joins, and how."""
    masked_by: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By node: the layers whose masks it hands on; absent where it hands on none."""

    def network(self) -> Network:
        """The finished network."""
        return Network(tuple(self.inputs), tuple(self.nodes.values()))

    def add_input(self, name: str, where: str) -> Tensor:
        """One of the model's own inputs."""
        self._claim(name, where)
        self.inputs.append(name)
        return Tensor(name)

    def add_layer(
        self,
        name: str,
        built: Built,
        inputs: Sequence[Tensor],
        states: Sequence[Tensor],
        where: str,
    ) -> tuple[Tensor, ...]:
        """The nodes of one call of a layer; returns the tensors that it makes."""
        for step in built.steps:
            self._add_step(name, step, inputs, states, where)
        return tuple(Tensor(name + output.suffix, output.state) for output in built.outputs)

    def _add_step(
        self,
        name: str,
        step: Step,
        inputs: Sequence[Tensor],
        states: Sequence[Tensor],
        where: str,
    ) -> None:
        full = name + step.suffix
        self._claim(full, where)
        if step.reads is None:
            reads = tuple(self._read(tensor, where) for tensor in inputs)
        else:
            reads = tuple(name + suffix for suffix in step.reads)
        layer = step.layer
        if isinstance(layer, Merge) and step.reads is None and all(t.state for t in inputs):
            how = JOINS.get(layer.kind)
            if how is not None and layer.axis in (-1, 1):
                self.joined[full] = how, tuple(inputs)
        if isinstance(layer, RecurrentLayer):
            layer = replace(layer, lengths=self._lengths(reads))
            mine = states[slice(*step.states)]
            if mine:
                layer = self._started(layer, mine)
                # A state is read from the node that makes it; the words say which state it is.
                makers = layer.handed_by or tuple(tensor.node for tensor in mine)
                if layer.initial_from is None and not set(makers) <= set(self.inputs):
                    # Kept from running: it would start from zeros without a word.
                    reason = f"is {layer.initial_state.value}, which is not computed"
                    name = f"{full}[initial state]"
                    makers = (self.add_stand_in(name, "initial state", reason, makers, where).node,)
                reads += makers
        self.nodes[full] = Node(full, layer, reads, wiring="config")
        mask = self._mask_after(full, layer, reads)
        if mask:
            self.masked_by[full] = mask

    def _started(self, layer: RecurrentLayer, states: Sequence[Tensor]) -> RecurrentLayer:
        """A layer that starts from tensors; all of one layer's final state is told as such."""
        text = ", ".join(f"{what} from {t.words}" for what, t in zip("hc", states, strict=False))
        layer = replace(layer, initial_state=Option(text, "config", "initial_state"))
        kinds = {"lstm": ["h", "c"]}.get(layer.cell.kind, ["h"])
        # What is joined is joined alike for each state, from the same layers.
        parts = [self.joined.get(t.node, ("concat", (t,))) for t in states]
        hows = {how for how, _ in parts}
        sources = [[tensor.node for tensor in tensors] for _, tensors in parts]
        told = [[tensor.state for tensor in tensors] for _, tensors in parts]
        if len(hows) != 1 or any(source != sources[0] for source in sources):
            return layer
        if told != [[kind] * len(sources[0]) for kind in kinds]:
            return layer
        (how,) = hows
        if not self._fits(layer, sources[0], how):
            return layer
        first, *beside = sources[0]
        if beside:
            names = ", ".join(f"'{name}'" for name in sources[0])
            words = "side by side" if how == "concat" else "added up"
            start: Option[str] = Option(
                f"final states of layers {names}, {words}", "config", "initial_state"
            )
            layer = replace(layer, initial_state=start)
        return replace(layer, initial_from=first, initial_beside=tuple(beside), initial_join=how)

    def _fits(self, layer: RecurrentLayer, sources: list[str], how: HandoverJoin) -> bool:
        """Whether layers are of the same kind, and their states together as wide, as one's own."""
        cells = [node.recurrent.cell for node in map(self.nodes.get, sources)
                 if node is not None and node.recurrent is not None]  # fmt: skip
        if len(cells) != len(sources) or any(cell.kind != layer.cell.kind for cell in cells):
            return False
        units = [cell.num_units for cell in cells]
        if how == "sum":
            return set(units) == {layer.cell.num_units}
        return sum(units) == layer.cell.num_units

    def _read(self, tensor: Tensor, where: str) -> str:
        """The node to read; a final state read as an input is a node of its own."""
        if not tensor.state:
            return tensor.node
        name = f"{tensor.node}[{tensor.state}]"
        if name in self.nodes:
            return name
        layer = self.nodes[tensor.node].recurrent
        if tensor.state == "h" and layer is not None:
            if not layer.return_sequences:
                # What such a layer returns is its final h.
                return tensor.node
            self._claim(name, where)
            first = layer.backward.value and layer.outputs_in_input_order
            last = LastOutput(first=first, masked=layer.padding.value != "none")
            self.nodes[name] = Node(name, last, (tensor.node,), wiring="config")
            return name
        reason = f"hands on {tensor.words} as an input, which is not computed yet"
        self.add_stand_in(name, "final state", reason, (tensor.node,), where)
        return name

    def add_stand_in(
        self, name: str, kind: str, reason: str, reads: tuple[str, ...], where: str
    ) -> Tensor:
        """A node for what happens between two layers and is not computed."""
        self._claim(name, where)
        self.nodes[name] = Node(name, Unsupported(kind, name, reason), reads, wiring="config")
        return Tensor(name)

    def mask_roots(self, tensor: Tensor) -> frozenset[MaskRoot]:
        """What the mask that comes with a tensor compares with what."""
        return frozenset(
            (self.nodes[source].inputs[0], getattr(self.nodes[source].layer, "mask_value", 0.0))
            for source in self.masked_by.get(tensor.node, ())
        )

    def _claim(self, name: str, where: str) -> None:
        """A name must be new, and fit to be a group in the trace."""
        parts = name.split("/")
        if name in self.nodes or name in self.inputs or any(part in ("", ".") for part in parts):
            raise CheckpointError(
                "A layer's name cannot be used.",
                where=where,
                expected="names that differ, none of them empty or '.'",
                found=f"'{name}'",
                hint="The file is damaged or was edited; save the model again.",
            )

    def _lengths(self, reads: Sequence[str]) -> Option[str]:
        sources = self.masked_by.get(reads[0], ()) if reads else ()
        names = ", ".join(f"'{source}'" for source in sources)
        return Option(f"mask of layer {names}" if names else "no mask reaches it", "config")

    def _mask_after(
        self, name: str, layer: RecurrentLayer | Layer, reads: Sequence[str]
    ) -> tuple[str, ...]:
        if isinstance(layer, Masking) or (isinstance(layer, Embedding) and layer.mask_zero):
            return (name,)
        ends = isinstance(layer, (Embedding, *_MASK_ENDS))
        if ends or (isinstance(layer, RecurrentLayer) and not layer.return_sequences):
            return ()
        masks = [self.masked_by.get(read, ()) for read in reads]
        if not isinstance(layer, Merge):
            return next((mask for mask in masks if mask), ())
        if layer.kind != "Concatenate" and layer.mask_rule == "any" and () in masks:
            return ()
        return tuple(dict.fromkeys(source for mask in masks for source in mask))
