"""Variables of an object graph by the names that they had in their program.

A model exported by Keras 3 tracks its variables in one list, without the layers that own them;
``lstm/lstm_cell/kernel`` is then all that tells them apart.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from rnnscope.checkpoints.tf1.graph_model import GraphModel
from rnnscope.checkpoints.tf1.names import read_named_model
from rnnscope.checkpoints.tf2.trackable import ObjectGraph, TrackedVariable
from rnnscope.deferred_dataclass import dataclass
from rnnscope.files.tensorflow.bundle import VariableInfo
from rnnscope.model.cell import Array
from rnnscope.model.network import Node

COPIES = "_all_variables/"
"""Where an export of Keras 3 keeps its second copy of every variable."""


@dataclass(frozen=True, eq=False)
class FullNames:
    """The variables of an object graph by full name; implements `Variables`.

    Attributes
    ----------
    graph : ObjectGraph
    but : frozenset of str
        Keys of variables that are read already.
    """

    graph: ObjectGraph
    but: frozenset[str] = frozenset()

    @property
    def files(self) -> tuple[Path, ...]:
        return self.graph.bundle.files

    @cached_property
    def stored(self) -> dict[str, TrackedVariable]:
        """By full name, or by path where several share a name; of copies the first is taken."""
        there = [
            each.variable
            for _, each in self.graph.walk()
            if each.variable is not None
            and each.variable.key not in self.but
            and each.number not in self.graph.slots
        ]
        own = Counter(each.full_name for each in there if not each.key.startswith(COPIES))
        # Keras 3 exports every variable twice.
        there = [
            each for each in there if not (each.key.startswith(COPIES) and own[each.full_name] == 1)
        ]
        counts = Counter(each.full_name for each in there)
        return {
            each.full_name if each.full_name and counts[each.full_name] == 1 else each.path: each
            for each in there
        }

    def name_of(self, key: str) -> str | None:
        """The name that stands for a key here; a copy's is that of the variable it copies."""
        return self._names.get(key)

    @cached_property
    def _names(self) -> dict[str, str]:
        names = {each.key: name for name, each in self.stored.items()}
        for each in self.graph.objects:
            copy = each.variable
            if copy is not None and copy.key.startswith(COPIES) and copy.full_name in self.stored:
                names.setdefault(copy.key, copy.full_name)
        return names

    @cached_property
    def variables(self) -> dict[str, VariableInfo]:
        infos = self.graph.bundle.variables
        return {name: replace(infos[stored.key], name=name) for name, stored in self.stored.items()}

    def read(self, name: str) -> Array:
        """The values of a variable."""
        return self.graph.load(self.stored[name])


def read_full_names(graph: ObjectGraph, but: frozenset[str]) -> GraphModel:
    """The layers that full names tell; what is left out is named by its key in the file."""
    names = FullNames(graph, but)
    model = read_named_model(names)
    nodes = tuple(_by_key(node, names) for node in model.network.nodes)
    left_out = tuple(replace(entry, name=names.stored[entry.name].key) for entry in model.left_out)
    return GraphModel(replace(model.network, nodes=nodes), left_out, model.notes)


def _by_key(node: Node, names: FullNames) -> Node:
    """The node, its variables named by their keys in the file."""
    layer = node.recurrent
    if layer is None:
        return node
    keys = tuple(names.stored[name].key for name in layer.cell.variables)
    return replace(node, layer=replace(layer, cell=replace(layer.cell, variables=keys)))
