"""Keras models in a SavedModel: the configuration that tf.keras stored, and the weights for it.

tf.keras keeps each layer's configuration as JSON: in the object graph of ``saved_model.pb`` until
TensorFlow 2.4, in ``keras_metadata.pb`` since 2.5. Keras 3 keeps none.

References
----------
tensorflow/core/protobuf/saved_object_graph.proto; keras/saving/legacy/saved_model/save.py and
keras/protobuf/saved_metadata.proto of Keras 2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rnnscope.checkpoints.keras.config import read_network
from rnnscope.checkpoints.keras.dialect import Dialect, number_of
from rnnscope.checkpoints.keras.layer_entry import MODEL_CLASSES
from rnnscope.checkpoints.keras.layer_steps import Findings
from rnnscope.checkpoints.keras.weights import LayerKey, LayerWeights, NoWeights, StoredVariable
from rnnscope.checkpoints.tf1.graph_model import GraphModel
from rnnscope.checkpoints.tf2.trackable import ObjectGraph, Tracked
from rnnscope.checkpoints.weights_only.variables import natural_key
from rnnscope.deferred_dataclass import dataclass
from rnnscope.files.messages.json_config import ConfigView, parse_config
from rnnscope.files.tensorflow.protos import parse

METADATA = "keras_metadata.pb"


_TRACKED_AGAIN = frozenset(
    {"keras_api", "variables", "trainable_variables", "non_trainable_variables", "states",
     "regularization_losses", "losses", "metrics", "_metrics"}
)  # fmt: skip
"""Attributes behind which the same variables are found again, or what a stateful layer left."""


@dataclass(frozen=True, eq=False)
class KerasObject:
    """What Keras noted of one object: its number in the object graph, and its configuration."""

    number: int
    view: ConfigView

    @property
    def name(self) -> str:
        value = self.view.raw("name")
        return value if isinstance(value, str) else ""


@dataclass(frozen=True, eq=False)
class ObjectWeights:
    """The weights of an object of the graph; implements `LayerWeights`.

    Attributes
    ----------
    graph : ObjectGraph
    found : Tracked
    names : dict of int to str
        The names of layers, by the number of their object.
    """

    graph: ObjectGraph
    found: Tracked
    names: dict[int, str]

    @property
    def where(self) -> str:
        return f"{self.graph.bundle.prefix}: {self.graph.paths.get(self.found.number, '')}"

    def variables(self) -> tuple[StoredVariable, ...]:
        """The variables that the object itself tracks, in that order."""
        there: list[StoredVariable] = []
        for name in self.found.children:
            stored = self.graph.variable(self.found, name)
            if stored is not None:
                shape = self.graph.bundle.variables[stored.key].shape
                role = name.lstrip("_")
                # The last part tells the role, which a path such as variables/0 does not.
                label = stored.path
                label = label if label.endswith(f"/{role}") else f"{label}/{role}"
                there.append(StoredVariable(label, shape, partial(self.graph.load, stored)))
        return tuple(there)

    def left_states(self) -> tuple[StoredVariable, ...]:
        """A SavedModel has them, and is loaded with them."""
        for path in ("states", "keras_api/states"):
            held = self.graph.follow(self.found, path)
            numbers = [] if held is None else sorted(filter(str.isdecimal, held.children), key=int)
            if held is not None and numbers:
                listed = replace(self, found=replace(held, children={
                    number: held.children[number] for number in numbers
                }))  # fmt: skip
                return listed.variables()
        return ()

    def everything(self) -> tuple[StoredVariable, ...]:
        """The variables of the layer and of what its attributes hold, each once.

        Keras tracks them a second time below ``keras_api`` and in lists of its own.
        """
        found = {variable.name: variable for variable in self.variables()}
        seen, waiting = {self.found.number}, [self]
        keys = {self.graph.variable(self.found, name) for name in self.found.children}
        while waiting:
            here = waiting.pop()
            for name, number in here.found.children.items():
                child = self.graph.objects[number]
                if number in seen or name in _TRACKED_AGAIN or child.variable is not None:
                    continue
                seen.add(number)
                inner = replace(here, found=child)
                waiting.append(inner)
                for attribute, variable in zip(
                    (each for each in child.children if self.graph.variable(child, each)),
                    inner.variables(),
                    strict=True,
                ):
                    stored = self.graph.variable(child, attribute)
                    if stored not in keys:
                        keys.add(stored)
                        found[variable.name] = variable
        return tuple(found.values())

    def parts(
        self,
        *attributes: str,
        sizes: Sequence[int] | None = None,  # noqa: ARG002
    ) -> tuple[LayerWeights, ...]:
        return tuple(self._part(attribute, place) for place, attribute in enumerate(attributes))

    def _part(self, attribute: str, place: int) -> LayerWeights:
        container, _, name = attribute.partition("/")
        found = self.graph.child(self.found, container)
        if found is not None and name:
            # Cells go by numbers here, whatever their classes are called: cells/0, cells/1.
            numbered = sorted((key for key in found.children if key.isdecimal()), key=int)
            if place >= len(numbered):
                return NoWeights()
            found = self.graph.child(found, numbered[place])
        return NoWeights() if found is None else replace(self, found=found)

    def layers(self, keys: Sequence[LayerKey]) -> tuple[LayerWeights, ...]:
        there: dict[str, Tracked] = {}
        for attribute in sorted(self.found.children, key=natural_key):
            number = self.found.children[attribute]
            if number in self.names and attribute.startswith("layer"):
                there.setdefault(self.names[number], self.graph.objects[number])
        return tuple(
            replace(self, found=there[key.name]) if key.name in there else NoWeights()
            for key in keys
        )


def read_keras_model(
    folder: Path, meta: Any, graph: ObjectGraph
) -> tuple[GraphModel, Dialect] | None:
    """The network of the Keras model that a SavedModel holds; None where it notes none.

    Parameters
    ----------
    folder : Path
    meta : MetaGraphDef message
    graph : ObjectGraph
    """
    noted = [each for each in _noted(folder, meta) if each.number < len(graph.objects)]
    model = next((each for each in noted if _is_model(each.view)), None)
    if model is None:
        return None
    versions = (number_of(each.view.raw("keras_version")) for each in noted)
    version = next(filter(None, versions), "")
    dialect = Dialect(version or _version_of(meta))
    findings = Findings()
    names = {each.number: each.name for each in noted if each.name}
    weights = ObjectWeights(graph, graph.objects[model.number], names)
    network, _ = read_network(model.view, weights, dialect, findings)
    return GraphModel(network, tuple(findings.left_out), tuple(findings.notes)), dialect


def _version_of(meta: Any) -> str:
    """The Keras of a TensorFlow, where the file states the latter alone."""
    version = str(meta.meta_info_def.tensorflow_version)
    return "2.2.4-tf" if version.startswith(("1.", "2.0", "2.1", "2.2.")) else version or "2.4.0"


def _is_model(view: ConfigView) -> bool:
    config = view.raw("config")
    return (
        view.raw("class_name") in MODEL_CLASSES
        and isinstance(config, dict)
        and isinstance(config.get("layers"), list)
    )


def _noted(folder: Path, meta: Any) -> Iterator[KerasObject]:
    """What Keras noted, from either place, the model itself before its parts."""
    path = folder / METADATA
    if path.is_file():
        for node in parse("SavedMetadata", path.read_bytes(), path).nodes:
            yield from _object(node.node_id, node.metadata, f"{path}: {node.node_path}")
        return
    for number, node in enumerate(meta.object_graph_def.nodes):
        if node.HasField("user_object") and node.user_object.metadata:
            where = f"{folder / 'saved_model.pb'}: object {number}"
            yield from _object(number, node.user_object.metadata, where)


def _object(number: int, text: str, where: str) -> Iterator[KerasObject]:
    if text.lstrip().startswith("{") and number >= 0:
        view = parse_config(text.encode(), where)
        yield KerasObject(number, ConfigView(_plain(view.data), where))


def _plain(value: Any) -> Any:
    """A configuration with Keras' spelling of tuples and shapes taken out."""
    if isinstance(value, dict):
        if value.get("class_name") in ("__tuple__", "TensorShape") and "items" in value:
            return _plain(value["items"])
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
