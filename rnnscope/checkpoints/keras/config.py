"""A Keras model's configuration and weights as a `Network`; nested models are flattened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from types import MappingProxyType
from typing import Any, NamedTuple

from rnnscope.checkpoints.interface import LeftOut
from rnnscope.checkpoints.keras.accounting.known_keys import unknown_entry_key
from rnnscope.checkpoints.keras.accounting.layers import unaccounted_config
from rnnscope.checkpoints.keras.bidirectional import RECURRENT_BUILDERS
from rnnscope.checkpoints.keras.calls.arguments import unaccounted_argument
from rnnscope.checkpoints.keras.dialect import Dialect
from rnnscope.checkpoints.keras.functional import FunctionalModel
from rnnscope.checkpoints.keras.graph import Graph
from rnnscope.checkpoints.keras.layer_entry import (
    MODEL_CLASSES,
    LayerEntry,
    Scope,
    class_name,
    input_shape,
    is_foreign,
    read_entries,
)
from rnnscope.checkpoints.keras.layer_steps import (
    Builder,
    BuiltLayer,
    Findings,
    StoredLayer,
    plain,
    unsupported,
)
from rnnscope.checkpoints.keras.layer_tensor import LayerTensor, StateTensor
from rnnscope.checkpoints.keras.layers import PLAIN_BUILDERS
from rnnscope.checkpoints.keras.operations import operation_layer
from rnnscope.checkpoints.keras.weights import LayerWeights, is_seed
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError
from rnnscope.files.messages.json_config import ConfigView
from rnnscope.model.cell import Option
from rnnscope.model.layers import Unsupported
from rnnscope.model.network import Network
from rnnscope.model.recurrent_layer import PaddingRule, RecurrentLayer

BUILDERS = {**PLAIN_BUILDERS, **RECURRENT_BUILDERS}
"""Every Keras class that becomes something; any other becomes an `Unsupported` node."""

NO_ARGUMENTS: Mapping[str, Any] = MappingProxyType({})

MAX_NESTING = 16
"""Models within models, at most."""


class KerasNetwork(NamedTuple):
    """What a configuration says: the network, and the shapes of its inputs."""

    network: Network
    input_shapes: Mapping[str, tuple[int | None, ...]]


def _keeps_no_layers(model: ConfigView) -> bool:
    """Whether a class of somebody's own, whatever its name, stored no list of layers."""
    config = model.raw("config")
    return is_foreign(model) and not (isinstance(config, dict) and "layers" in config)


def read_network(
    model: ConfigView, weights: LayerWeights, dialect: Dialect, findings: Findings
) -> KerasNetwork:
    """The network of a stored model.

    Parameters
    ----------
    model : ConfigView
        ``{"class_name": "Sequential" | "Functional" | "Model", "config": …}``.
    weights : LayerWeights
        Of the whole model.
    dialect : Dialect
    findings : Findings
        Gets the notes and what was left out.

    Returns
    -------
    KerasNetwork
        Nodes are named as the file names the layers; layers of nested models as
        ``outer/inner``, the directions of a Bidirectional as ``bi/forward_lstm``, and every
        further call of a layer that is shared as ``name@2``.

    Raises
    ------
    CheckpointError
        The configuration is damaged, of a subclassed model, or does not fit the weights.
    """
    if class_name(model) not in MODEL_CLASSES or _keeps_no_layers(model):
        raise CheckpointError(
            "The file's configuration does not list the model's layers.",
            where=model.where,
            expected="class_name " + ", ".join(MODEL_CLASSES),
            found=f"class_name '{class_name(model)}'",
            hint="A subclassed model keeps its layers in Python code only: export it "
            "(model.export), or take model.weights.h5 out of the .keras file, which is a zip, and "
            "name that: its layers are read by name, and what feeds what is guessed.",
        )
    reader = _ModelReader(dialect, findings)
    reader.read_model(model, weights, Scope())
    return KerasNetwork(reader.graph.network(), reader.graph.input_shapes)


@dataclass(eq=False)
class _ModelReader:
    dialect: Dialect
    findings: Findings
    graph: Graph = field(default_factory=Graph)
    built: dict[str, BuiltLayer] = field(default_factory=dict)
    """By the layer's name in the file: a layer that is called twice is read once."""

    def read_model(
        self, model: ConfigView, weights: LayerWeights, scope: Scope
    ) -> tuple[LayerTensor, ...]:
        """Add a model's layers to the graph; returns its outputs."""
        if scope.depth > MAX_NESTING:
            raise CheckpointError(
                "The model's configuration nests models too deep.",
                where=model.where,
                expected=f"at most {MAX_NESTING} models within models",
                found="more",
            )
        entries = read_entries(model, weights, self.dialect)
        if class_name(model) == "Sequential":
            return self._read_sequential(entries, scope, model.where)
        by_name = {entry.name: entry for entry in entries}
        if len(by_name) < len(entries):
            raise CheckpointError("Two layers of the model have one name.", where=model.where)
        config = model.view("config")
        functional = FunctionalModel(config, by_name, scope, self.dialect, self.graph, self._place)
        return functional.read()

    def _read_sequential(
        self, entries: list[LayerEntry], scope: Scope, where: str
    ) -> tuple[LayerTensor, ...]:
        layers = [entry for entry in entries if entry.class_name != "InputLayer"]
        if scope.given is not None:
            tensors = tuple(scope.given[:1])
        else:
            names = [entry.name for entry in entries if entry.class_name == "InputLayer"]
            # Without an input layer in the file Keras makes one, of this name.
            names = names or [f"{entry.name}_input" for entry in layers[:1]]
            if not names:
                raise CheckpointError("The model has no layers.", where=where, found="none")
            shape = input_shape(entries[0].view)
            tensors = (self.graph.add_input(names[0], where, shape),)
        for entry in layers:
            tensors = self._place(entry, scope, 0, tensors[:1])
        return tensors

    def _place(
        self,
        entry: LayerEntry,
        scope: Scope,
        call: int,
        inputs: tuple[LayerTensor, ...],
        states: tuple[StateTensor, ...] = (),
        *,
        spelt_mask: bool = False,
        arguments: Mapping[str, Any] = NO_ARGUMENTS,
    ) -> tuple[LayerTensor, ...]:
        name = scope.prefix + entry.name
        suffix = scope.suffix if call == 0 else f"{scope.suffix}@{call + 1}"
        refusal = self._refused_call(entry, name, arguments)
        if refusal is not None:
            entry.open_ended = True
            return self.graph.add_layer(name + suffix, refusal, inputs, (), entry.view.where)
        if entry.is_model:
            inner = Scope(f"{name}/", suffix, scope.depth + 1, inputs)
            return self.read_model(entry.view, entry.weights, inner)
        built = self._operation(entry, call) or self._build(entry, name)
        if entry.class_name in RECURRENT_BUILDERS and not states:
            # RNN layers take their initial state as further inputs in Keras 1 and 2.
            inputs, states = inputs[:1], inputs[1:]
        if states and built.takes_no_states:
            built = self._stand_in(entry, name, built.takes_no_states)
        if states and not spelt_mask and self.dialect.number >= (3,):
            built = _unmasked(built)
        entry.open_ended = isinstance(built.steps[-1].layer, Unsupported)
        return self.graph.add_layer(name + suffix, built, inputs, states, entry.view.where)

    def _operation(self, entry: LayerEntry, call: int) -> BuiltLayer | None:
        """An operation that is computed; each of its calls has numbers of its own."""
        calls = entry.view.raw("inbound_nodes")
        if not entry.is_operation or not isinstance(calls, list):
            return None
        config = entry.view.view("config")
        layer = operation_layer(entry.class_name, config, calls[call], self.dialect)
        return plain(layer) if layer is not None else None

    def _build(self, entry: LayerEntry, name: str) -> BuiltLayer:
        if name not in self.built:
            known = not (entry.is_operation or is_foreign(entry.view))
            builder = BUILDERS.get(entry.class_name) if known else None
            stored = StoredLayer(
                name,
                entry.class_name,
                entry.view.view("config"),
                entry.weights,
                self.dialect,
                self.findings,
            )
            self.built[name] = (
                unsupported(stored) if builder is None else self._accounted(entry, stored, builder)
            )
        return self.built[name]

    def _accounted(self, entry: LayerEntry, stored: StoredLayer, builder: Builder) -> BuiltLayer:
        """The layer if everything that the file holds for it is accounted for."""
        reason = unknown_entry_key(entry.view.data) or unaccounted_config(stored)
        if reason is not None:
            return unsupported(stored, reason)
        before = len(self.findings.left_out)
        built = builder(stored)
        used = {found.name for found in self.findings.left_out[before:]}
        for step in built.steps:
            if isinstance(step.layer, RecurrentLayer):
                used.update(step.layer.cell.variables)
            elif isinstance(step.layer, Unsupported):
                return built
        unread = [variable for variable in stored.weights.everything()
                  if variable.name not in used and not is_seed(variable.name)]  # fmt: skip
        if not unread:
            return built
        names = ", ".join(f"'{variable.name}' {variable.shape}" for variable in unread[:3])
        return unsupported(stored, f"holds {names}, which nothing that rnnscope computes uses")

    def _refused_call(
        self, entry: LayerEntry, name: str, arguments: Mapping[str, Any]
    ) -> BuiltLayer | None:
        """A stand-in for a layer that is called in a way that is not computed."""
        if entry.is_operation or not arguments:
            return None
        config = entry.view.raw("config")
        reason = unaccounted_argument(
            entry.class_name,
            config if isinstance(config, dict) else {},
            arguments,
            is_model=entry.is_model,
        )
        if reason is None:
            return None
        return self._stand_in(entry, name, reason)

    def _stand_in(self, entry: LayerEntry, name: str, reason: str) -> BuiltLayer:
        self.findings.left_out.append(LeftOut(name, f"{entry.class_name}: {reason}"))
        return plain(Unsupported(entry.class_name, name, reason))


def _unmasked(built: BuiltLayer) -> BuiltLayer:
    """Keras 3 hands on a mask by itself only to a layer that is called on one tensor."""
    rule: Option[PaddingRule] = Option(
        "none", "class default", "Keras 3 gives no mask to a layer called with initial_state"
    )
    steps = (
        replace(step, layer=replace(step.layer, padding=rule))
        if isinstance(step.layer, RecurrentLayer)
        else step
        for step in built.steps
    )
    return replace(built, steps=tuple(steps))
