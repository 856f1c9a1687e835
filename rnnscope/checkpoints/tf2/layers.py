"""From tracked objects to layers, by the attributes that Keras and TensorFlow give theirs.

``cell/kernel`` and ``cell/recurrent_kernel`` are an RNN layer's, ``forward_layer`` and
``backward_layer`` a Bidirectional's, ``layer-0`` or ``_operations/0`` a model's. Which layer feeds
which is not stored: layers of one model are taken to feed each other in their order wherever
their widths fit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field, replace

from rnnscope.checkpoints.interface import LeftOut
from rnnscope.checkpoints.keras.weights import is_seed
from rnnscope.checkpoints.keras.weights_only.cells import keras_cell
from rnnscope.checkpoints.tf2.trackable import ObjectGraph, Tracked, TrackedVariable
from rnnscope.checkpoints.weights_only.cells import RecognisedCell, tf1_cell
from rnnscope.checkpoints.weights_only.layers import (
    INPUT,
    named_layer,
    separate_inputs,
    shared_scope,
)
from rnnscope.checkpoints.weights_only.variables import Bag, class_of, natural_key
from rnnscope.checkpoints.weights_only.wiring import Feed
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.layers import BidirectionalMerge, Embedding, Unsupported
from rnnscope.model.layers.deferred_table import DeferredTable
from rnnscope.model.network import Network, Node

NOT_LAYERS = {
    "optimizer", "keras_api", "signatures", "save_counter", "variables", "trainable_variables",
    "non_trainable_variables", "regularization_losses", "_all_variables", "metrics", "losses",
    "_metrics", "_compile_metrics", "_loss_tracker", "_compiled_trainable_state", "optimizers",
}  # fmt: skip
"""Attributes behind which there are no layers, or the same ones again."""

_NUMBERED = re.compile(r"layer-(\d+)|layer_with_weights-(\d+)|(\d+)")
_LISTS = ("_functional", "_operations", "_layers", "layers")
_CELL = re.compile(r"/(stacked_rnn_cells|(lstm|gru|simple_rnn)_cell)(_\d+)?(?=/|$)")
_TF1_ROLES = {
    "kernel": "kernel",
    "bias": "bias",
    "w_i_diag": "peephole_i",
    "w_f_diag": "peephole_f",
    "w_o_diag": "peephole_o",
    "projection/kernel": "projection",
    "gates/kernel": "gates_kernel",
    "gates/bias": "gates_bias",
    "candidate/kernel": "candidate_kernel",
    "candidate/bias": "candidate_bias",
}
"""Attributes of TensorFlow 1's cells, tracked by the names of their variables."""


@dataclass
class ObjectLayers:
    """Collects the layers of an object graph.

    Attributes
    ----------
    graph : ObjectGraph
    nodes : dict of str to Node
    used : set of str
        Keys of the variables that layers were made of.
    left_out : list of LeftOut
        What looked like a cell, and why it is none.
    """

    graph: ObjectGraph
    nodes: dict[str, Node] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    left_out: list[LeftOut] = field(default_factory=list)
    _seen: set[int] = field(default_factory=set)

    def read(self) -> Network:
        """The network of everything that the root leads to."""
        self._visit(self.graph.objects[0], Feed(), depth=0)
        return separate_inputs(Network((), tuple(self.nodes.values())).around_recurrent().nodes)

    def _visit(self, found: Tracked, feed: Feed, depth: int) -> Feed:
        """Add what an object holds; returns what a layer behind it may read."""
        if found.number in self._seen or depth > 32 or found.variable is not None:
            return feed
        self._seen.add(found.number)
        children = found.children
        if "forward_layer" in children and "backward_layer" in children:
            return self._bidirectional(found, feed)
        cell = self.graph.child(found, "cell")
        if cell is not None and self._is_cell(cell):
            return self._recurrent(found, cell, feed)
        if self._is_cell(found):
            return self._recurrent(found, found, feed)
        inside = self._sequence(found)
        if inside:
            for layer in inside:
                feed = self._visit(layer, feed, depth + 1)
            self._rest(found, depth)
            return feed
        own = self._plain(found, feed)
        if own is not None:
            return own
        return self._rest(found, depth) or feed

    def _rest(self, found: Tracked, depth: int) -> Feed | None:
        """What the other attributes hold; a subclassed model's layers are attributes."""
        last: Feed | None = None
        for name, number in found.children.items():
            if name in NOT_LAYERS or number in self.graph.slots:
                continue
            child = self.graph.objects[number]
            # A checkpoint's own attributes are models side by side.
            aside = depth == 0 and "save_counter" in found.children
            behind = self._visit(child, last if last and not aside else Feed(), depth + 1)
            last = behind if behind.name != INPUT else last
        return last

    def _sequence(self, found: Tracked) -> list[Tracked]:
        """The layers of a model in their order; empty for another object."""
        for name in _LISTS:
            inner = self.graph.child(found, name)
            if inner is not None and inner.children:
                inside = self._sequence(inner)
                if inside:
                    return inside
        matches = {name: _NUMBERED.fullmatch(name) for name in found.children}
        for group in (1, 2, 3):
            numbered = {
                int(match[group]): found.children[name]
                for name, match in matches.items()
                if match is not None and match[group] is not None
            }
            if numbered:
                layers = [self.graph.objects[numbered[number]] for number in sorted(numbered)]
                return [layer for layer in layers if layer.variable is None]
        return []

    def _is_cell(self, found: Tracked) -> bool:
        if "cells" in found.children or any(re.fullmatch(r"cell-\d+", n) for n in found.children):
            return True
        has = {name for name in found.children if self.graph.variable(found, name) is not None}
        if {"kernel", "recurrent_kernel"} <= has or "gates/kernel" in has:
            return True
        kernel = self.graph.variable(found, "kernel")
        scope = "" if kernel is None else kernel.full_name.rpartition("/")[0]
        told = class_of(scope) is not None or any(name.endswith("_diag") for name in has)
        return {"kernel", "bias"} <= has and told

    def _recurrent(self, owner: Tracked, cell: Tracked, feed: Feed) -> Feed:
        stack = self.graph.child(cell, "cells")
        inner = stack.children if stack is not None else {
            name: number for name, number in cell.children.items()
            if re.fullmatch(r"cell-\d+", name)
        }  # fmt: skip
        if not inner:
            return self._cell(owner, cell, feed)
        numbered = sorted((name for name in inner if name[-1].isdecimal()), key=natural_key)
        for name in numbered:
            each = self.graph.objects[inner[name]]
            feed = self._cell(each, each, feed)
        return feed

    def _cell(self, owner: Tracked, cell: Tracked, feed: Feed, *, direction: str = "") -> Feed:
        self._seen.update({owner.number, cell.number})
        name = self._name(owner, cell)
        made, keys = self._made(cell)
        if made.cell is None:
            kind = "recurrent cell"
            self.left_out += [
                LeftOut(key, f"'{name}' looks like a {kind}, but {made.reason}",
                        self.graph.bundle.variables[key].shape)
                for key in keys
            ]  # fmt: skip
            self.used.update(keys)
            return self._stand_in(name, kind, f"is not computed: {made.reason}", feed, None)
        self.used.update(keys)
        reads = self._reads(feed, made.cell.input_size)
        told = f"attribute {direction}_layer" if direction else "no attribute tells a direction"
        backward = direction == "backward" if direction else None
        layer = named_layer(made.cell, backward, told)
        self.nodes[name] = Node(name, layer, (reads,), wiring="guess")
        return Feed(name, made.cell.output_size)

    def _made(self, cell: Tracked) -> tuple[RecognisedCell, tuple[str, ...]]:
        """The cell that an object's variables make, and their keys."""
        graph = self.graph
        stored = {name: graph.variable(cell, name) for name in cell.children}
        there = {name: found for name, found in stored.items() if found is not None}
        if {"kernel", "recurrent_kernel"} <= there.keys():
            refused = self._refusal(cell, there)
            if refused:
                return RecognisedCell(None, refused), tuple(each.key for each in there.values())
            roles = [name for name in ("kernel", "recurrent_kernel", "bias") if name in there]
            keys = tuple(there[name].key for name in roles)
            arrays = [graph.load(there[name]) for name in roles]
            bias = arrays[2] if len(arrays) == 3 else None
            return keras_cell(arrays[0], arrays[1], bias, keys), keys
        roles_of = {_TF1_ROLES[name]: found for name, found in there.items() if name in _TF1_ROLES}
        keys = tuple(found.key for found in roles_of.values())
        bag = Bag("", {role: (found.key,) for role, found in roles_of.items()})
        scope = next(iter(there.values())).full_name.rpartition("/")[0] if there else ""
        return tf1_cell(bag, class_of(scope), graph.bundle.read), keys

    def _refusal(self, cell: Tracked, there: Mapping[str, TrackedVariable]) -> str:
        """Why kernels that have the shapes of a cell are not taken for one; empty if they are."""
        below = (
            (f"{name}/{inner}", found)
            for name, number in cell.children.items()
            if name not in NOT_LAYERS and number not in self._seen
            for inner in self.graph.objects[number].children
            if (found := self.graph.variable(self.graph.objects[number], inner)) is not None
        )
        known = {id(found) for found in there.values()}
        more = [name for name in there if name not in ("kernel", "recurrent_kernel", "bias")]
        more += [name for name, found in below if id(found) not in known and not is_seed(name)]
        if more:
            return f"it has '{more[0]}', which no cell of Keras has"
        parts = there["kernel"].full_name.split("/")[:-1]
        own = parts[-1] if parts else ""
        if re.search(r"_cell(_\d+)?$", own) and not _CELL.fullmatch(f"/{own}"):
            return f"its cell is named '{own}', which is none of Keras' own"
        shape = self.graph.bundle.variables[there["recurrent_kernel"].key].shape
        if re.fullmatch(r"rnn(_\d+)?", own) and len({*shape}) == 1:
            return "no name tells the class of its cell, and its shapes alone are those of many"
        return ""

    def _bidirectional(self, found: Tracked, feed: Feed) -> Feed:
        ends: list[Feed] = []
        for name, direction in (("forward_layer", "forward"), ("backward_layer", "backward")):
            layer = self.graph.objects[found.children[name]]
            cell = self.graph.child(layer, "cell") or layer
            if not self._is_cell(cell) or "cells" in cell.children:
                return self._stand_in(
                    self._path(found), "Bidirectional", "wraps a layer that is not read", feed, None
                )
            ends.append(self._cell(layer, cell, feed, direction=direction))
        name = self._unique(shared_scope(end.name for end in ends) or self._path(found))
        self.nodes[name] = Node(
            name, BidirectionalMerge("concat"), tuple(end.name for end in ends), wiring="guess"
        )
        widths = [end.width for end in ends if end.width is not None]
        return Feed(name, sum(widths) if len(widths) == 2 else None)

    def _plain(self, found: Tracked, feed: Feed) -> Feed | None:
        """A layer with weights that is no recurrent one; None for an object that is none."""
        table = self.graph.variable(found, "embeddings") or self.graph.variable(
            found, "_embeddings"
        )
        if table is not None:
            name = self._unique(_scope(table.full_name) or self._path(found))
            layer = Embedding(self._table(table), name=name)
            self.nodes[name] = Node(name, layer, (feed.name,), wiring="guess")
            return Feed(name, int(layer.table.shape[-1]))
        inner = self.graph.child(found, "layer")
        holder = inner if inner is not None else found
        for attribute in ("kernel", "_kernel"):
            kernel = self.graph.variable(holder, attribute)
            if kernel is not None:
                name = self._unique(_scope(kernel.full_name) or self._path(found))
                width = int(self.graph.bundle.variables[kernel.key].shape[-1])
                reason = "has an activation that the checkpoint does not hold"
                return self._stand_in(name, "Dense", reason, feed, width)
        if any(self.graph.variable(found, each) is not None for each in ("gamma", "beta")):
            name = self._unique(self._path(found))
            reason = "has options that the checkpoint does not hold"
            return self._stand_in(name, "normalization", reason, feed, feed.width)
        return None

    def _table(self, stored: TrackedVariable) -> Array | DeferredTable:
        """The table of an embedding, read when its rows are asked for."""
        known = self.graph.bundle.variables.get(stored.key)
        if known is None:
            return self.graph.load(stored)  # it says what is missing
        return DeferredTable(tuple(known.shape), lambda: self.graph.load(stored))

    def _stand_in(self, name: str, kind: str, reason: str, feed: Feed, width: int | None) -> Feed:
        self.nodes[name] = Node(name, Unsupported(kind, name, reason), (feed.name,), wiring="guess")
        return Feed(name, width)

    def _reads(self, feed: Feed, width: int) -> str:
        """What a layer of that input width reads: the layer before it, if its width may fit."""
        if feed.width in (None, width):
            return feed.name
        before = self.nodes.get(feed.name)
        merged = before is not None and isinstance(before.layer, BidirectionalMerge)
        if before is not None and merged and feed.width == 2 * width:
            # Both directions have the width of their merge: it adds or multiplies them.
            reason = "merges its directions in a way that the checkpoint does not hold"
            merge = Unsupported("Bidirectional", before.name, reason)
            self.nodes[feed.name] = replace(before, layer=merge)
            return feed.name
        return INPUT

    def _name(self, owner: Tracked, cell: Tracked) -> str:
        """The layer's name, from the names that its variables had; else its path."""
        for role in ("kernel", "gates/kernel"):
            kernel = self.graph.variable(cell, role)
            if kernel is not None and "/" in kernel.full_name:
                scope = _scope(kernel.full_name)
                own = scope if owner is cell else _CELL.sub("", scope)
                if self._shared_names(kernel.full_name) == 1 and own not in self.nodes:
                    return own
        return self._unique(self._path(owner))

    def _shared_names(self, full_name: str) -> int:
        """How many variables have a name: subclassed models may give all the same one."""
        return len({found.variable.key for found in self.graph.objects
                    if found.variable is not None
                    and found.number not in self.graph.slots
                    and found.variable.full_name == full_name
                    and not found.variable.key.startswith("_all_variables/")})  # fmt: skip

    def _path(self, found: Tracked) -> str:
        return self.graph.paths.get(found.number) or "layer"

    def _unique(self, name: str) -> str:
        number, taken = 2, name
        while taken in self.nodes:
            taken, number = f"{name}@{number}", number + 1
        return taken


def _scope(full_name: str) -> str:
    return full_name.rpartition("/")[0]
