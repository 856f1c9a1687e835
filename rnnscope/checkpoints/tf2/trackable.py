"""The object graph of a TensorFlow 2 checkpoint: Python objects, their attributes, variables.

``tf.train.Checkpoint`` stores no scopes. A variable's key is the path of attributes by which it
was first reached, which may lead through an optimizer; the object graph, stored beside the
variables, tells every other path to it.

References
----------
tensorflow/core/protobuf/trackable_object_graph.proto;
tensorflow/python/checkpoint/graph_view.py.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import field
from functools import cached_property

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError
from rnnscope.files.tensorflow.bundle import TensorBundle
from rnnscope.files.tensorflow.protos import parse
from rnnscope.model.cell import Array

GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
VALUE = "VARIABLE_VALUE"
"""The attribute that holds a variable's values."""

KERAS_3 = frozenset(
    {"_operations", "_functional", "_losses_override", "_tracked", "_trainable_variables_indices"}
)
"""Attributes that only Keras 3 tracks."""

OPTIMIZERS = frozenset({"optimizer", "optimizers", "_optimizer"})


@dataclass(frozen=True)
class TrackedVariable:
    """A variable: its key in the bundle, and the name it had in its program."""

    key: str
    full_name: str

    @property
    def path(self) -> str:
        """The attributes that lead to it, as the key has them."""
        return self.key.removesuffix(f"/.ATTRIBUTES/{VALUE}")


@dataclass(frozen=True, eq=False)
class Tracked:
    """One object of the graph.

    Attributes
    ----------
    number : int
    children : dict of str to int
        The numbers of the objects that its attributes hold.
    variable : TrackedVariable or None
    """

    number: int
    children: Mapping[str, int]
    variable: TrackedVariable | None = None


@dataclass(frozen=True, eq=False)
class ObjectGraph:
    """The objects of a checkpoint, and the bundle that holds their variables.

    Attributes
    ----------
    bundle : TensorBundle
    objects : tuple of Tracked
        The first is the root.
    slots : frozenset of int
        Numbers of the variables that belong to an optimizer.
    """

    bundle: TensorBundle
    objects: tuple[Tracked, ...]
    slots: frozenset[int] = field(default_factory=frozenset)

    @classmethod
    def read(cls, bundle: TensorBundle) -> ObjectGraph:
        """Read the object graph of a bundle.

        Raises
        ------
        CheckpointError
            If it has none, or one that refers to objects or variables which are not there.
        """
        where = f"{bundle.prefix}, {GRAPH_KEY}"
        text = bundle.read(GRAPH_KEY).reshape(-1)
        if text.size != 1 or not isinstance(text[0], bytes):
            raise _damaged(where, "one serialized message", f"{text.dtype} {text.shape}")
        nodes = parse("TrackableObjectGraph", text[0], where).nodes
        objects: list[Tracked] = []
        slots: set[int] = set()
        for number, node in enumerate(nodes):
            children = {child.local_name: child.node_id for child in node.children}
            for name, child in children.items():
                if not 0 <= child < len(nodes):
                    raise _damaged(where, f"objects below {len(nodes)}", f"{child} as '{name}'")
            stored = [
                TrackedVariable(attribute.checkpoint_key, attribute.full_name)
                for attribute in node.attributes
                if attribute.name == VALUE and attribute.checkpoint_key in bundle.variables
            ]
            objects.append(Tracked(number, children, stored[0] if stored else None))
            slots.update(slot.slot_variable_node_id for slot in node.slot_variables)
        if not objects:
            raise _damaged(where, "a root object", "none")
        return cls(bundle, tuple(objects), frozenset(slots))

    def child(self, parent: Tracked, name: str) -> Tracked | None:
        """What an attribute holds."""
        number = parent.children.get(name)
        return None if number is None else self.objects[number]

    def follow(self, start: Tracked, path: str) -> Tracked | None:
        """What a path of attributes leads to: ``"cell/cells/0"``."""
        found: Tracked | None = start
        for name in path.split("/"):
            found = None if found is None else self.child(found, name)
        return found

    def variable(self, parent: Tracked, name: str) -> TrackedVariable | None:
        """The variable that an attribute holds."""
        found = self.child(parent, name)
        return None if found is None else found.variable

    def load(self, stored: TrackedVariable) -> Array:
        """The values of a variable, 16-bit floats widened."""
        return np.asarray(self.bundle.read(stored.key))

    def walk(self) -> Iterator[tuple[str, Tracked]]:
        """Every object once, with the shortest path of attributes that leads to it.

        Paths through an optimizer, which tracks the variables that it trains, come last.
        """
        pending, later = deque([("", 0)]), deque[tuple[str, int]]()
        seen: set[int] = set()
        while pending or later:
            if not pending:
                pending, later = later, deque()
            path, number = pending.popleft()
            if number in seen:
                continue
            seen.add(number)
            yield path, self.objects[number]
            for name, child in self.objects[number].children.items():
                queue = later if name in OPTIMIZERS else pending
                queue.append((f"{path}/{name}" if path else name, child))

    @cached_property
    def paths(self) -> dict[int, str]:
        """The shortest path to every object by its number."""
        return {found.number: path for path, found in self.walk()}

    @cached_property
    def is_keras_3(self) -> bool:
        """Whether Keras 3 wrote it, as attributes tell that it alone tracks, or never tracks.

        The RNN layers of tf.keras track a ``state_spec`` beside their cell.
        """
        return any(
            KERAS_3 & found.children.keys() or found.children.keys() == {"cell"}
            for found in self.objects[1:]
        )


def _damaged(where: str, expected: str, found: str) -> CheckpointError:
    return CheckpointError(
        "The object graph of a checkpoint is damaged.",
        where=where,
        expected=expected,
        found=found,
        hint="copy the checkpoint again from where it was written",
    )
