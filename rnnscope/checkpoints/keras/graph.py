"""Turns the steps of Keras layers into the nodes of a `Network`, named and wired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace

from rnnscope.checkpoints.keras.graph_starts import assembled, handed_over
from rnnscope.checkpoints.keras.layer_steps import BuiltLayer, LayerStep
from rnnscope.checkpoints.keras.layer_tensor import LayerTensor, StateTensor
from rnnscope.checkpoints.keras.left_states import goes_on
from rnnscope.checkpoints.keras.masks import MaskRoot
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError
from rnnscope.files.guarding.limits import check_time
from rnnscope.model.cell import Array, Option
from rnnscope.model.initial_state import (
    HandoverJoin,
)
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
    StoredMask,
    Unsupported,
)
from rnnscope.model.layers.convolution import Convolution, DepthwiseConvolution
from rnnscope.model.layers.pooling import Borders, GlobalPooling, Pooling
from rnnscope.model.lengths_source import LengthsSource
from rnnscope.model.network import Network, Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.signal import Layer

JOINS: dict[str, HandoverJoin] = {"Concatenate": "concat", "Add": "sum"}

_MASK_ENDS = (
    Borders,
    Convolution,
    DepthwiseConvolution,
    GlobalPooling,
    Pooling,
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

NO_MASK = LengthsSource("unused", "no mask reaches it")

MAX_NODES = 100_000
"""Models within models are laid open: few bytes can ask for many."""


@dataclass(eq=False)
class Graph:
    """A network while it grows."""

    inputs: list[str] = field(default_factory=list)
    nodes: dict[str, Node] = field(default_factory=dict)
    joined: dict[str, tuple[HandoverJoin, tuple[LayerTensor, ...]]] = field(default_factory=dict)
    """By node: the final states that a Concatenate or an Add joins, and how."""
    input_shapes: dict[str, tuple[int | None, ...]] = field(default_factory=dict)
    masked_by: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By node: the layers whose masks it hands on; absent where it hands on none."""

    def network(self) -> Network:
        """The finished network."""
        return Network(tuple(self.inputs), tuple(self.nodes.values()))

    def add_input(
        self, name: str, where: str, shape: tuple[int | None, ...] | None = None
    ) -> LayerTensor:
        """One of the model's own inputs."""
        self._claim(name, where)
        if shape is not None:
            self.input_shapes[name] = shape
        self.inputs.append(name)
        return LayerTensor(name)

    def add_layer(
        self,
        name: str,
        built: BuiltLayer,
        inputs: Sequence[LayerTensor],
        states: Sequence[StateTensor],
        where: str,
    ) -> tuple[LayerTensor, ...]:
        """The nodes of one call of a layer; returns the tensors that it makes."""
        for step in built.steps:
            self._add_step(name, step, inputs, states, where)
        return tuple(LayerTensor(name + output.suffix, output.state) for output in built.outputs)

    def _add_step(
        self,
        name: str,
        step: LayerStep,
        inputs: Sequence[LayerTensor],
        states: Sequence[StateTensor],
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
            if mine and not goes_on(layer.initial_state.value):
                start = handed_over(self, layer, mine) or assembled(self, full, layer, mine, where)
                layer = layer.starting(start, "config", "initial_state")
        self.nodes[full] = Node(full, layer, reads, wiring="config")
        mask = self._mask_after(full, layer, reads)
        if mask:
            self.masked_by[full] = mask

    def _read(self, tensor: LayerTensor, where: str) -> str:
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
    ) -> LayerTensor:
        """A node for what happens between two layers and is not computed."""
        self._claim(name, where)
        self.nodes[name] = Node(name, Unsupported(kind, name, reason), reads, wiring="config")
        return LayerTensor(name)

    def add_mask(
        self, name: str, mask: Array | None, tensor: LayerTensor, where: str
    ) -> LayerTensor:
        """A node for a mask that the file holds; None takes the mask away."""
        self._claim(name, where)
        read = self._read(tensor, where)
        self.nodes[name] = Node(name, StoredMask(mask), (read,), wiring="config")
        if mask is not None:
            self.masked_by[name] = (name,)
        return LayerTensor(name)

    def has_stored_mask(self, tensor: LayerTensor) -> bool:
        """Whether a mask that the file holds comes with a tensor."""
        return any(isinstance(self.nodes[source].layer, StoredMask)
                   for source in self.masked_by.get(tensor.node, ()))  # fmt: skip

    def mask_roots(self, tensor: LayerTensor) -> frozenset[MaskRoot]:
        """What the mask that comes with a tensor compares with what."""
        return frozenset(
            (self.nodes[source].reads[0], getattr(self.nodes[source].layer, "mask_value", 0.0))
            for source in self.masked_by.get(tensor.node, ())
        )

    def _claim(self, name: str, where: str) -> None:
        """A name must be new, and fit to be a group in the trace; there are not too many."""
        check_time(where, CheckpointError)
        if len(self.nodes) >= MAX_NODES:
            raise CheckpointError(
                "The model's configuration makes more layers than any model has.",
                where=where,
                expected=f"at most {MAX_NODES} layers, each call of a shared one counted",
                found="more",
            )
        parts = name.split("/")
        if name in self.nodes or name in self.inputs or any(part in ("", ".") for part in parts):
            raise CheckpointError(
                "A layer's name cannot be used.",
                where=where,
                expected="names that differ, none of them empty or '.'",
                found=f"'{name}'",
                hint="The file is damaged or was edited; save the model again.",
            )

    def _lengths(self, reads: Sequence[str]) -> Option[LengthsSource]:
        sources = self.masked_by.get(reads[0], ()) if reads else ()
        names = ", ".join(f"'{source}'" for source in sources)
        mask = LengthsSource("mask", f"mask of layer {names}") if names else NO_MASK
        return Option(mask, "config")

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
