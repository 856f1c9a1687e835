"""A checkpoint without its graph: cells, order and directions from names and shapes alone.

Nothing here is certain, and all of it is said: options have the origin ``class default`` or
``guess``, the wiring is ``guess``, and a note tells how the layers were ordered.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import field, replace

from rnnscope.checkpoints.interface import LeftOut
from rnnscope.checkpoints.keras.weights_only.cells import keras_cell
from rnnscope.checkpoints.tf1.graph_model import (
    MOVING_AVERAGE,
    OPTIMIZER_SLOT,
    GraphModel,
    Variables,
    reason_left_out,
)
from rnnscope.checkpoints.weights_only.cells import RecognisedCell, tf1_cell
from rnnscope.checkpoints.weights_only.layers import (
    INPUT,
    named_layer,
    separate_inputs,
    shared_scope,
)
from rnnscope.checkpoints.weights_only.variables import (
    Bag,
    class_of,
    group_by_scope,
    looks_recurrent,
    natural_key,
    unsupported_class,
)
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import spell
from rnnscope.model.cell import CellSpec
from rnnscope.model.layers import Embedding, Merge
from rnnscope.model.layers.deferred_table import DeferredTable
from rnnscope.model.network import Node

_KERAS_SLOT = re.compile(
    r"(^|/)(training(_\d+)?/)?(Adam|AdamW|Adamax|Nadam|RMSprop|SGD|Adagrad|Adadelta|Adafactor|Ftrl|Lion|"
    r"TFOptimizer|LossScaleOptimizer)(_\d+)?/"
)
_STACK = re.compile(r"multi_?rnn_?cell|stack", re.IGNORECASE)
_LEVEL = re.compile(r"cell_?(\d+)|(?:lstm|gru|simple_rnn)_cell(?:_(\d+))?", re.IGNORECASE)
_FORWARD = re.compile(r"fw|forward(_.*)?", re.IGNORECASE)
_BACKWARD = re.compile(r"bw|backward(_.*)?", re.IGNORECASE)


@dataclass(frozen=True)
class ScopePlace:
    """Where in a stack a scope lies, as far as its name tells.

    Attributes
    ----------
    stack : str
        The scope around the stack; empty for a layer that is in none.
    level : int
        Its number in the stack.
    backward : bool or None
        None where the name does not speak of directions.
    """

    stack: str = ""
    level: int = 0
    backward: bool | None = None


def read_named_model(stored: Variables) -> GraphModel:
    """The layers of a checkpoint of which only the variables are there.

    Parameters
    ----------
    stored : Variables

    Returns
    -------
    GraphModel
        With no layers where no name and shape is that of a cell; what looked like one is among
        those left out, with the reason.
    """
    return _NamedModel(stored).read()


@dataclass
class _NamedModel:
    stored: Variables
    used: set[str] = field(default_factory=set)
    reasons: dict[str, str] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def read(self) -> GraphModel:
        names = [name for name in self.stored.variables if not self._is_slot(name)]
        cells: dict[str, CellSpec] = {}
        for scope, bag in group_by_scope(names).items():
            made = self._cell(scope, bag)
            if made.cell is not None:
                cells[scope or "cell"] = made.cell
                self.used.update(bag.names)
            elif made.reason:
                self.reasons.update(dict.fromkeys(bag.names, made.reason))
        self._wire(cells)
        if cells:
            self.notes.insert(
                0,
                "There is no graph beside the variables: cells, directions and the order of "
                "layers were guessed from names and shapes, and options are defaults of the "
                f"cells' classes. State what you know: {spell('forget_bias')}, "
                f"{spell('activation')}, …",
            )
        network = separate_inputs(self.nodes.values())
        return GraphModel(network, self._left_out(), tuple(self.notes))

    def _is_slot(self, name: str) -> bool:
        if OPTIMIZER_SLOT.search(name) or _KERAS_SLOT.search(name):
            return True
        # A file of averages alone keeps their names; then they are the weights.
        average = MOVING_AVERAGE.sub("", name)
        return average != name and average in self.stored.variables

    def _cell(self, scope: str, bag: Bag) -> RecognisedCell:
        named, foreign = class_of(scope), unsupported_class(scope)
        if foreign is not None and named is None:
            return RecognisedCell(None, f"a {foreign}, which rnnscope does not compute")
        if bag.has("kernel", "recurrent_kernel"):
            names = [bag.roles[role][0] for role in ("kernel", "recurrent_kernel")]
            bias = bag.roles.get("bias", (None,))[0]
            arrays = [self.stored.read(name) for name in names]
            return keras_cell(
                arrays[0], arrays[1], None if bias is None else self.stored.read(bias), bag.names
            )
        certain = bag.has("gates_kernel") or any(role.startswith("peephole") for role in bag.roles)
        if named is None and not certain and not looks_recurrent(scope):
            return RecognisedCell(None)
        if not certain and not bag.has("kernel"):
            return RecognisedCell(None)
        made = tf1_cell(bag, named, self.stored.read)
        if made.cell is None and named is None and not certain:
            return RecognisedCell(None)  # a dense layer within a recurrent scope, as a rule
        reason = f"'{scope}' looks like a {named or 'recurrent cell'}, but {made.reason}"
        return made if made.cell is not None else RecognisedCell(None, reason)

    def _wire(self, cells: dict[str, CellSpec]) -> None:
        places = {scope: place_of(scope) for scope in cells}
        stacks: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
        for scope in sorted(cells, key=natural_key):
            place = places[scope]
            stacks[place.stack or scope][place.level].append(scope)
        for stack, levels in stacks.items():
            before: list[str] = []
            for level in sorted(levels):
                reads = self._read(stack, before, [cells[scope] for scope in levels[level]])
                before = levels[level]
                for scope in before:
                    backward = places[scope].backward
                    told = "its name tells" if backward is not None else "no name tells a direction"
                    layer = named_layer(cells[scope], backward, told)
                    self.nodes[scope] = Node(scope, layer, (reads,), wiring="guess")
        self._embed()

    def _read(self, stack: str, before: list[str], readers: list[CellSpec]) -> str:
        """What a level of a stack reads: the level below, both of its directions side by side."""
        if not before:
            return INPUT
        layers = [self.nodes[scope].recurrent for scope in before]
        width = sum(layer.cell.output_size for layer in layers if layer is not None)
        if any(reader.input_size != width for reader in readers):
            self.notes.append(
                f"'{before[0]}' makes {width} features, but the next layer of '{stack}' takes "
                f"{readers[0].input_size}: it was not wired to it. Use {spell('layers')} to choose "
                "one."
            )
            return INPUT
        if len(before) == 1:
            return before[0]
        forward_first = sorted(before, key=lambda scope: bool(place_of(scope).backward))
        name = f"{shared_scope(before)}/concat".lstrip("/")
        self.nodes[name] = Node(name, Merge("Concatenate"), tuple(forward_first), wiring="guess")
        return name

    def _embed(self) -> None:
        """An embedding in front of the layers that it fits, where the file has one alone."""
        tables = [
            name
            for name, variable in self.stored.variables.items()
            if "embedding" in name.lower()
            and len(variable.shape) == 2
            and variable.dtype.startswith("float")
            and not self._is_slot(name)
        ]
        first = [node for node in self.nodes.values() if node.reads == (INPUT,) and node.recurrent]
        if len(tables) != 1:
            return
        table = tables[0]
        fitting = [
            node
            for node in first
            if node.recurrent
            and node.recurrent.cell.input_size == self.stored.variables[table].shape[1]
        ]
        if not fitting:
            return
        layer = Embedding(self._table(table), name=table)
        embedded = {table: Node(table, layer, (INPUT,), wiring="guess")}
        for node in self.nodes.values():
            reads = (table,) if node in fitting else node.reads
            embedded[node.name] = replace(node, reads=reads)
        self.nodes = embedded

    def _table(self, name: str) -> DeferredTable:
        """The table of an embedding, read when its rows are asked for."""
        return DeferredTable(
            tuple(self.stored.variables[name].shape), lambda: self.stored.read(name)
        )

    def _left_out(self) -> tuple[LeftOut, ...]:
        return tuple(
            LeftOut(name, self._reason(name, variable.shape), variable.shape)
            for name, variable in self.stored.variables.items()
            if name not in self.used
        )

    def _reason(self, name: str, shape: tuple[int, ...]) -> str:
        if _KERAS_SLOT.search(name):
            return "optimizer slot"
        return self.reasons.get(name) or reason_left_out(name, shape)


def place_of(scope: str) -> ScopePlace:
    """The stack, level and direction that a scope's parts tell."""
    parts = scope.split("/")
    for number in range(len(parts) - 1, 0, -1):
        level = _LEVEL.fullmatch(parts[number])
        if level is not None and _STACK.search(parts[number - 1]):
            level_number = int(level[1] or level[2] or 0)
            return ScopePlace("/".join(parts[:number]), level_number, _direction(parts))
    return ScopePlace(backward=_direction(parts))


def _direction(parts: Iterable[str]) -> bool | None:
    for part in parts:
        if _FORWARD.fullmatch(part):
            return False
        if _BACKWARD.fullmatch(part):
            return True
    return None
