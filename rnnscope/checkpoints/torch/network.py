"""A PyTorch state dict as a network: certain within a module, guessed between modules.

A state dict holds tensors and no wiring. Within one ``nn.LSTM`` the class fixes it: layer on
layer, both directions concatenated. Between modules widths are all there is to go by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rnnscope.checkpoints.interface import LeftOut
from rnnscope.checkpoints.torch.module_names import Module, find_modules, read_cell
from rnnscope.errors import CheckpointError, UnsupportedCellError, spell
from rnnscope.files.loadable_arrays import LoadableArray
from rnnscope.model.cell import CellSpec, Option
from rnnscope.model.initial_state import ZERO_STATE
from rnnscope.model.layers import BidirectionalMerge, Embedding
from rnnscope.model.lengths_source import LengthsSource
from rnnscope.model.network import Network, Node
from rnnscope.model.recurrent_layer import RecurrentLayer

INPUT = "input"

DEFAULT_NAMES = {"lstm": "lstm", "gru": "gru", "simple_rnn": "rnn"}
"""What a module is called that is the whole model, and so has no name, by the kind of its cell."""


@dataclass
class StateDict:
    """What was made of a state dict.

    Attributes
    ----------
    network : Network
    left_out : list of LeftOut
    notes : list of str
    """

    network: Network
    left_out: list[LeftOut]
    notes: list[str]


def read_state_dict(arrays: Sequence[LoadableArray], where: object) -> StateDict:
    """The recurrent modules of a state dict.

    Parameters
    ----------
    arrays : sequence of LoadableArray
    where : object
        The file, for messages.

    Raises
    ------
    UnsupportedCellError
        There is none; it names what there is.
    CheckpointError
        Tensors of a module do not fit each other.
    """
    modules = find_modules(arrays)
    if not modules:
        raise UnsupportedCellError(
            "No tensor of the file belongs to a recurrent module of PyTorch.",
            where=where,
            expected="names that end in weight_ih_l0 and weight_hh_l0, or weight_ih and weight_hh",
            found=", ".join(array.name for array in arrays[:8]) or "no tensors",
        )
    built = _Building(arrays, where)
    for module in modules:
        built.add(module)
    return built.result()


@dataclass
class _PlacedModule:
    """A module in the network: what it reads and what it returns, by width."""

    name: str
    last: str
    input_size: int
    output_size: int


@dataclass
class _Building:
    arrays: Sequence[LoadableArray]
    where: object
    nodes: list[Node] = field(default_factory=list)
    modules: list[_PlacedModule] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def add(self, module: Module) -> None:
        """Put a module's layers into the network."""
        cells = {
            place: read_cell(direction, module, self.where)
            for place, direction in sorted(module.layers.items())
        }
        name = self._name(module, cells[0, False])
        count = max(layer for layer, _ in cells) + 1
        both = (0, True) in cells
        whole = {(layer, reverse) for layer in range(count) for reverse in {False, both}}
        if whole != set(cells):
            raise CheckpointError(
                f"Module '{name}' is not complete.",
                where=self.where,
                expected=f"{count} layers{' of two directions' if both else ''}",
                found=", ".join(f"l{layer}{'_reverse' * rev}" for layer, rev in cells),
                hint="the file holds only a part of the model",
            )
        reads, wiring = self._source(name, cells[0, False].input_size)
        first, width = cells[0, False].input_size, cells[0, False].input_size
        for layer in range(count):
            own = name if module.is_cell else f"{name}/l{layer}"
            pair = [cells[layer, reverse] for reverse in ((False, True) if both else (False,))]
            for cell in pair:
                self._require_width(cell, width, own)
            reads = self._add_layer(own, pair, reads, wiring if layer == 0 else "config")
            width = sum(cell.output_size for cell in pair)
        self.modules.append(_PlacedModule(name, reads, first, width))
        self.used |= {variable for cell in cells.values() for variable in cell.variables}
        if cells[0, False].kind == "simple_rnn":
            self.notes.append(
                f"'{name}' is an nn.RNN, whose nonlinearity is not stored: tanh, the class's "
                f"default, is computed ({spell('activation', 'relu')} for the other)."
            )

    def _name(self, module: Module, cell: CellSpec) -> str:
        taken = {built.name for built in self.modules}
        name = module.name or DEFAULT_NAMES[cell.kind] + ("cell" if module.is_cell else "")
        return f"{name}_cell" if name in taken else name

    def _add_layer(self, name: str, cells: list[CellSpec], reads: str, wiring: str) -> str:
        if len(cells) == 1:
            self.nodes.append(Node(name, _layer(cells[0], backward=False), (reads,), wiring))
            return name
        parts = (f"{name}/forward", f"{name}/backward")
        for part, cell, backward in zip(parts, cells, (False, True), strict=True):
            self.nodes.append(Node(part, _layer(cell, backward=backward), (reads,), wiring))
        self.nodes.append(Node(name, BidirectionalMerge("concat"), parts, "config"))
        return name

    def _source(self, name: str, width: int) -> tuple[str, str]:
        """What feeds a module, and how that is known."""
        if not self.modules:
            table = self._embedding(width)
            if table is None:
                return INPUT, "config"
            self.nodes.append(Node(table.name, table, (INPUT,), "guess"))
            self.notes.append(
                f"'{table.name}' fits the input of '{name}' and looks like an embedding: ids go "
                "through it (a guess; features are taken as they are)."
            )
            return table.name, "guess"
        first = self.modules[0]
        if width == first.input_size:
            feeds = next(node for node in self.nodes if node.recurrent).reads[0]
        else:
            before = [built for built in reversed(self.modules) if built.output_size == width]
            # Where nothing fits, the module waits for an input of its own width.
            feeds = before[0].last if before else INPUT
        self.notes.append(
            f"A state dict does not say what feeds its modules: that '{name}' reads '{feeds}' is a "
            f"guess from widths. To feed it otherwise, run it alone with {spell('layers')} and its "
            "own input."
        )
        return feeds, "guess"

    def _embedding(self, width: int) -> Embedding | None:
        found = [
            array for array in self.arrays
            if "emb" in array.name.lower() and len(array.shape) == 2 and array.shape[1] == width
        ]  # fmt: skip
        if len(found) != 1:
            return None
        name = found[0].name
        self.used.add(name)
        return Embedding(found[0].load(), name=name.removesuffix(".weight"))

    def _require_width(self, cell: CellSpec, width: int, name: str) -> None:
        if cell.input_size != width:
            raise CheckpointError(
                "A layer does not fit the one below it.",
                where=f"{self.where}: {name}",
                expected=f"{width} features",
                found=f"{cell.input_size}",
                hint="the file is damaged, or the module is none of torch's own",
            )

    def result(self) -> StateDict:
        left_out = [
            LeftOut(array.name, _reason(array), array.shape)
            for array in self.arrays
            if array.name not in self.used
        ]
        return StateDict(Network((INPUT,), tuple(self.nodes)), left_out, self.notes)


PACKED = LengthsSource("unknown", "as given: those of a packed sequence")


def _layer(cell: CellSpec, *, backward: bool) -> RecurrentLayer:
    return RecurrentLayer(
        cell=cell,
        backward=Option(backward, "config", "the name ends in _reverse" if backward else ""),
        padding=Option("zeros", "class default", "as in a packed sequence"),
        lengths=Option(PACKED, "class default"),
        initial_state=Option(ZERO_STATE, "class default"),
        state_format=Option("tuple (h, c)" if cell.kind == "lstm" else "h", "class default"),
        reversal="within length",
    )


def _reason(array: LoadableArray) -> str:
    if "emb" in array.name.lower() and len(array.shape) == 2:
        return "embedding"
    if array.name.endswith(("exp_avg", "exp_avg_sq", "momentum_buffer")):
        return "optimizer slot"
    return "dense layer" if len(array.shape) == 2 else "not recurrent"
