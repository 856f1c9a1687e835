"""Variables of an object graph by the names that they had in their program.

A model exported by Keras 3 tracks its variables in one list, without the layers that own them;
``lstm/lstm_cell/kernel`` is then all that tells them apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from rnnscope.cell import Array
from rnnscope.checkpoints.tensor_bundle import VariableInfo
from rnnscope.checkpoints.tf1_model import Model
from rnnscope.checkpoints.tf1_names import read_named_model
from rnnscope.checkpoints.trackable import ObjectGraph, Stored
from rnnscope.network import Node


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
    def stored(self) -> dict[str, Stored]:
        """By full name; of copies with one name, the first that the root leads to."""
        found: dict[str, Stored] = {}
        for _, each in self.graph.walk():
            stored = each.variable
            if stored and stored.key not in self.but and each.number not in self.graph.slots:
                found.setdefault(stored.full_name or stored.key, stored)
        return found

    @cached_property
    def variables(self) -> dict[str, VariableInfo]:
        infos = self.graph.bundle.variables
        return {name: replace(infos[stored.key], name=name) for name, stored in self.stored.items()}

    def read(self, name: str) -> Array:
        """The values of a variable."""
        return self.graph.load(self.stored[name])


def read_full_names(graph: ObjectGraph, but: frozenset[str]) -> Model:
    """The layers that full names tell; what is left out is named by its key in the file."""
    names = FullNames(graph, but)
    model = read_named_model(names)
    nodes = tuple(_by_key(node, names) for node in model.network.nodes)
    left_out = tuple(replace(entry, name=names.stored[entry.name].key) for entry in model.left_out)
    return Model(replace(model.network, nodes=nodes), left_out, model.notes)


def _by_key(node: Node, names: FullNames) -> Node:
    """The node, its variables named by their keys in the file."""
    layer = node.recurrent
    if layer is None:
        return node
    keys = tuple(names.stored[name].key for name in layer.cell.variables)
    return replace(node, layer=replace(layer, cell=replace(layer.cell, variables=keys)))
