"""How the layers of a file feed each other: nodes in order, recurrent and other.

A `Network` is a list of nodes in which every node comes after the nodes it reads and starts from.
A node's operation is a recurrent layer (`RecurrentLayer`) or one of the plain layers of
`rnnscope.model.layers`. What flows between nodes is a `Signal`. Every walk over a network is a
method here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.signal import Layer


@dataclass(frozen=True, eq=False)
class Node:
    """A named layer and the nodes it reads.

    Attributes
    ----------
    name : str
        As the file gives it; unique in the network. A recurrent node's name becomes its group in
        the trace. The two directions of a Keras Bidirectional layer ``b`` are ``b/forward_…`` and
        ``b/backward_…``, and ``b`` is the merge of both.
    layer : RecurrentLayer or Layer
    reads : tuple of str
        Names of earlier nodes, or of entries of `Network.inputs`, whose values it reads step by
        step; a recurrent node has one at most.
    wiring : Origin-like str
        ``"graph"``, ``"config"``, ``"guess"`` or ``"flag"``: how `reads` is known.
    """

    name: str
    layer: RecurrentLayer | Layer
    reads: tuple[str, ...]
    wiring: str = "graph"

    @property
    def recurrent(self) -> RecurrentLayer | None:
        return self.layer if isinstance(self.layer, RecurrentLayer) else None

    @property
    def starts_from(self) -> tuple[str, ...]:
        """The nodes that the state before its first step is made of; none for most."""
        return self.recurrent.initial_state.value.nodes if self.recurrent else ()

    @property
    def listed_inputs(self) -> tuple[str, ...]:
        """What reports and traces list: what it reads, then initial states that the file lists."""
        listed = self.recurrent.initial_state.value.listed if self.recurrent else ()
        return (*self.reads, *listed)


@dataclass(frozen=True, eq=False)
class Network:
    """Every layer of a file that rnnscope can compute, in an order that can be run.

    Attributes
    ----------
    inputs : tuple of str
        The model's own inputs.
    nodes : tuple of Node
        Each after all that it reads and starts from.
    """

    inputs: tuple[str, ...]
    nodes: tuple[Node, ...]

    @cached_property
    def recurrent(self) -> tuple[Node, ...]:
        """The nodes that are recurrent layers."""
        return tuple(node for node in self.nodes if node.recurrent)

    @cached_property
    def by_name(self) -> Mapping[str, Node]:
        """The nodes by name, in order."""
        return {node.name: node for node in self.nodes}

    def node(self, name: str) -> Node:
        """The node of a name; `KeyError` where there is none."""
        return self.by_name[name]

    def replaced(self, nodes: Mapping[str, Node], *, inputs: Iterable[str] = ()) -> Network:
        """The network with other nodes in the places of some, by name, and with more inputs."""
        changed = tuple(nodes.get(node.name, node) for node in self.nodes)
        return Network((*self.inputs, *inputs), changed)

    def upstream_of(self, names: Iterable[str], *, until: Collection[str] = ()) -> frozenset[str]:
        """All whose values reach some nodes step by step, nodes and inputs, and these themselves.

        What the names in `until` read is not followed.
        """
        pending, found = [*names], set[str]()
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                known = name in self.by_name and name not in until
                pending.extend(self.by_name[name].reads if known else ())
        return frozenset(found)

    def downstream_of(self, names: Iterable[str], *, until: Collection[str] = ()) -> frozenset[str]:
        """All nodes that the values of some nodes or inputs reach step by step, and these.

        The nodes in `until`, and what reads only them, are left out.
        """
        found = set(names)
        for node in self.nodes:
            if node.name not in until and found & {*node.reads}:
                found.add(node.name)
        return frozenset(found)

    def needed_by(self, names: Iterable[str]) -> frozenset[str]:
        """The nodes that have to be computed for some: what they read or start from, and these."""
        pending, found = [*names], set[str]()
        while pending:
            name = pending.pop()
            if name in self.by_name and name not in found:
                found.add(name)
                pending.extend((*self.by_name[name].reads, *self.by_name[name].starts_from))
        return frozenset(found)

    def with_merges(self, names: Collection[str]) -> frozenset[str]:
        """Some nodes, and the joins of two directions that are both among them."""
        return frozenset(names) | {
            node.name
            for node in self.nodes
            if not isinstance(node.layer, RecurrentLayer)
            and node.layer.joins_directions
            and {*names}.issuperset(node.reads)
        }

    def around_recurrent(self, also: Iterable[str] = ()) -> Network:
        """The recurrent layers, the joins of their directions, and all that these need.

        Nodes named in `also` stay with what they need; inputs that no node reads do not stay.
        """
        recurrent = [node.name for node in self.recurrent]
        kept = self.with_merges(self.needed_by([*recurrent, *also]))
        nodes = tuple(node for node in self.nodes if node.name in kept)
        read = {name for node in nodes for name in (*node.reads, *node.listed_inputs)}
        return Network(tuple(name for name in self.inputs if name in read), nodes)

    def inputs_behind(self, name: str) -> frozenset[str]:
        """The model's inputs whose values reach a node step by step."""
        return self.upstream_of([name]) - self.by_name.keys()

    def recurrent_below(self, node: Node) -> tuple[str, ...]:
        """The nearest recurrent layers that feed a node, through plain layers or straight."""
        found: dict[str, None] = {}
        seen, waiting = set[str](), [*node.reads]
        while waiting:
            below = self.by_name.get(waiting.pop(0))
            if below is None or below.name in seen:
                continue
            seen.add(below.name)
            if below.recurrent:
                found[below.name] = None
            else:
                waiting.extend(below.reads)
        return tuple(found)

    def other_direction(self, node: Node) -> Node | None:
        """The one recurrent node that reads the same the other way round."""
        if node.recurrent is None:
            return None
        alike = [other for other in self.recurrent if other.reads == node.reads]
        directions = [other.recurrent.backward.value for other in alike if other.recurrent]
        if sorted(directions) != [False, True]:
            return None
        return next(other for other in alike if other is not node)

    def decodes(self, node: Node) -> bool:
        """Whether a layer reads inputs of its own that go with another layer's final state."""
        layer = node.recurrent
        if layer is None or not layer.starts_from_layers:
            return False
        if layer.feedback is not None:
            return True
        encoders = (self.inputs_behind(name) for name in layer.starts_from_layers)
        return not self.inputs_behind(node.name) & frozenset().union(*encoders)

    def uncomputed_start(self, node: Node) -> Node | None:
        """The stand-in for an initial state of a layer that is not computed."""
        stand_ins = node.recurrent.initial_state.value.stand_ins if node.recurrent else ()
        return next((self.by_name[name] for name in stand_ins if name in self.by_name), None)

    def own_output_before(self, node: Node) -> Node | None:
        """The stand-in that a layer reads its own last output through, in a way not computed."""
        before = self.by_name.get(node.reads[0]) if node.reads else None
        if before is None or isinstance(before.layer, RecurrentLayer):
            return None
        return before if before.layer.of_own_output else None

    def in_order(self, names: Iterable[str] | None = None) -> Network:
        """The network with each node after what it needs, where the nodes make no circle.

        Parameters
        ----------
        names : iterable of str, optional
            Only these nodes and what they need, in their order; all nodes if left out.
        """
        order: dict[str, Node] = {}
        # Not by calling itself: a chain of layers may be longer than Python's stack.
        waiting = list(self.by_name if names is None else names)[::-1]
        begun: set[str] = set()
        while waiting:
            name = waiting.pop()
            node = self.by_name.get(name)
            if node is None or name in order:
                continue
            before = [one for one in (*node.reads, *node.starts_from) if one not in begun]
            if name in begun or not before:
                begun.add(name)
                order[name] = node
                continue
            begun.add(name)
            waiting += [name, *before[::-1]]
        return replace(self, nodes=tuple(order.values()))

    def circle(self) -> tuple[str, ...]:
        """Nodes each of which needs the next, the first again at the end; empty if none do."""
        done: set[str] = set()
        for first in self.by_name:
            # A path of names, each with the needed ones that are not looked at yet.
            path: dict[str, Iterator[str]] = {first: self._reads_or_starts_from(first)}
            while path and first not in done:
                name = next(reversed(path))
                before = next((one for one in path[name] if one not in done), None)
                if before is None:
                    done.add(name)
                    del path[name]
                elif before in path:
                    names = [*path]
                    return (*names[names.index(before) :], before)
                else:
                    path[before] = self._reads_or_starts_from(before)
        return ()

    def _reads_or_starts_from(self, name: str) -> Iterator[str]:
        node = self.by_name.get(name)
        return iter(() if node is None else (*node.reads, *node.starts_from))
