"""Turns the steps of Keras layers into the nodes of a `Network`, named and wired."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from rnnscope.checkpoints.keras.calls.constants import ConstantArray
from rnnscope.checkpoints.keras.layer_steps import BuiltLayer, LayerStep
from rnnscope.checkpoints.keras.left_states import goes_on
from rnnscope.checkpoints.keras.masks import MaskRoot
from rnnscope.errors import CheckpointError
from rnnscope.files.guarding.limits import check_time
from rnnscope.model.cell import Array, Option
from rnnscope.model.cells import CELLS
from rnnscope.model.initial_state import (
    HandoverJoin,
    InitialState,
    OutsideState,
    StatePart,
    StoredState,
    UncomputedState,
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

STATES = {"h": "m", "c": "c"}
"""Our names of the states that Keras calls so, in the order of `initial_state`."""

CONSTANT = "a constant of the configuration"

JOINS: dict[str, HandoverJoin] = {"Concatenate": "concat", "Add": "sum"}


@dataclass(frozen=True)
class LayerTensor:
    """What flows between layers: a node's outputs, or one of its final states."""

    node: str
    state: str = ""
    """Empty, or ``"h"`` or ``"c"``."""

    @property
    def words(self) -> str:
        return f"{self.state} of layer '{self.node}'" if self.state else f"layer '{self.node}'"


StateTensor = LayerTensor | ConstantArray
"""What a layer may start from: a tensor, or an array of the configuration."""


def _start_words(states: Sequence[StateTensor]) -> str:
    return ", ".join(
        f"{name} from {state.words if isinstance(state, LayerTensor) else CONSTANT}"
        for name, state in zip(STATES, states, strict=False)
    )


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
                start = self._handed_over(layer, mine) or self._assembled(full, layer, mine, where)
                layer = layer.starting(start, "config", "initial_state")
        self.nodes[full] = Node(full, layer, reads, wiring="config")
        mask = self._mask_after(full, layer, reads)
        if mask:
            self.masked_by[full] = mask

    def _handed_over(
        self, layer: RecurrentLayer, given: Sequence[StateTensor]
    ) -> InitialState | None:
        """The start of a layer that takes all of other layers' final state; None for another."""
        kinds = {"lstm": ["h", "c"]}.get(layer.cell.kind, ["h"])
        states = [state for state in given if isinstance(state, LayerTensor)]
        if len(states) < len(given):
            return None
        # What is joined is joined alike for each state, from the same layers.
        parts = [self.joined.get(t.node, ("concat", (t,))) for t in states]
        hows = {how for how, _ in parts}
        sources = [[tensor.node for tensor in tensors] for _, tensors in parts]
        found = [[tensor.state for tensor in tensors] for _, tensors in parts]
        if len(hows) != 1 or any(source != sources[0] for source in sources):
            return None
        if found != [[kind] * len(sources[0]) for kind in kinds]:
            return None
        (how,) = hows
        if not self._fits(layer, sources[0], how):
            return None
        words = _start_words(states) if len(sources[0]) == 1 else ""
        return InitialState.handed_over(
            map(STATES.__getitem__, kinds), sources[0], how, words=words, listed=sources[0]
        )

    def _assembled(
        self, name: str, layer: RecurrentLayer, states: Sequence[StateTensor], where: str
    ) -> InitialState:
        """The start of a layer that takes inputs, constants, or what is not computed."""
        words = _start_words(states)
        tensors = [state for state in states if isinstance(state, LayerTensor)]
        makers = tuple(tensor.node for tensor in tensors)
        names = [*CELLS[layer.cell.kind].widths(layer.cell)]
        reason = self._uncomputed(layer, states, makers, words)
        if reason is None:
            parts = {STATES[kind]: self._part(state)
                     for kind, state in zip(STATES, states, strict=False)}  # fmt: skip
            return InitialState(parts, words, makers)
        # It keeps the layer from running, which would start from zeros without a word.
        stand_in = f"{name}[initial state]"
        self.add_stand_in(stand_in, "initial state", reason, makers, where)
        blocked = UncomputedState(stand_in)
        known = {STATES[kind]: state for kind, state in zip(STATES, states, strict=False)}
        outside = {
            state: self._part(known[state]) if self._is_input(known.get(state)) else blocked
            for state in names
        }
        return InitialState(outside, words, (stand_in,))

    def _is_input(self, state: StateTensor | None) -> bool:
        return isinstance(state, LayerTensor) and state.node in self.inputs

    def _part(self, state: StateTensor) -> StatePart:
        if isinstance(state, ConstantArray):
            return StoredState(state.values, CONSTANT)
        return OutsideState("model input", state.node)

    def _uncomputed(
        self,
        layer: RecurrentLayer,
        states: Sequence[StateTensor],
        makers: Collection[str],
        words: str,
    ) -> str | None:
        """Why the states that a call gives cannot be taken; None if they can."""
        widths = CELLS[layer.cell.kind].widths(layer.cell)
        if len(states) != len(widths):
            return f"is {words}: {len(states)} where the cell has {len(widths)}"
        for kind, state in zip(STATES, states, strict=False):
            width = widths[STATES[kind]]
            if isinstance(state, ConstantArray) and state.values.shape[1:] != (width,):
                return f"is a constant of shape {state.values.shape}, where {kind} is {width} wide"
        return None if set(makers) <= set(self.inputs) else f"is {words}, which is not computed"

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
