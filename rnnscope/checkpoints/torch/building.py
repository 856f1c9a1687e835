"""A network made of the modules of a state dict, one after another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field

from rnnscope.checkpoints.interface import LeftOut
from rnnscope.checkpoints.module_layouts import BOOKKEEPING
from rnnscope.checkpoints.module_layouts.interface import plain_name
from rnnscope.checkpoints.torch.computed_weights import accounted_names
from rnnscope.checkpoints.torch.guesses import (
    PlacedModule,
    guess_source,
    looks_like_embedding,
    says_backward,
)
from rnnscope.checkpoints.torch.module_names import DeclaredModule, Module
from rnnscope.checkpoints.torch.module_readings import MisfitModule, ReadModule
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import spell
from rnnscope.files.arrays.loadable_arrays import LoadableArray
from rnnscope.model.cell import CellSpec, Option
from rnnscope.model.evidence import BY_CONFIGURATION, BY_NAME, Evidence
from rnnscope.model.initial_state import ZERO_STATE, InitialState, UncomputedState
from rnnscope.model.layers import BidirectionalMerge, Embedding, Unsupported
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


@dataclass
class Building:
    """What is made so far of a state dict's arrays."""

    arrays: Sequence[LoadableArray]
    resolved: Sequence[LoadableArray]
    declared: Mapping[str, DeclaredModule]
    nodes: list[Node] = field(default_factory=list)
    modules: list[PlacedModule] = field(default_factory=list)
    by_name: dict[str, PlacedModule] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def add(self, reading: ReadModule | MisfitModule) -> None:
        """Put a module's layers into the network, or what stands for it."""
        if isinstance(reading, ReadModule):
            self._add_read(reading)
        else:
            self._add_misfit(reading)
        tensors = [*reading.module.tensors()]
        self.made |= {tensor.name for tensor in tensors}
        self.used |= {name for tensor in tensors for name in accounted_names(tensor)}

    def _add_read(self, reading: ReadModule) -> None:
        module, cells = reading.module, reading.cells
        first = cells[0, False]
        name = self._name(module, DEFAULT_NAMES[first.kind])
        if module.layout is not None and module.layout.guess:
            told = self.declared.get(module.name)
            own = f" ({told.class_name}, whose code is not in the file)" if told else ""
            self.notes.append(
                f"'{name}' is taken for a cell of somebody's own{own}, which is a guess: "
                f"{module.layout.guess}."
            )
        source, wiring = self._source(name, first.input_size)
        reads = source
        backwards = (False, True) if (0, True) in cells else (False,)
        count = max(layer for layer, _ in cells) + 1
        self.used |= reading.states.used
        starts = self._starts(name, reading)
        for layer in range(count):
            own = name if module.is_cell else f"{name}/l{layer}"
            pair = {
                backward: starts(
                    _layer(cells[layer, backward], module, backward, len(backwards) == 2),
                    (layer, backward),
                )
                for backward in backwards
            }
            reads = (self._add_layer(own, pair, reads, wiring if layer == 0 else "config"),)
        width = sum(cells[count - 1, backward].output_size for backward in backwards)
        self._place(PlacedModule(name, reads[0], first.input_size, width, source))
        if (
            module.layout is None
            and first.kind == "simple_rnn"
            and first.options.activation.origin != "config"
        ):
            self.notes.append(
                f"'{name}' is an nn.RNN, whose nonlinearity is not stored: tanh, the class's "
                f"default, is computed ({spell('activation', 'relu')} for the other)."
            )
        if len(backwards) == 1 and says_backward(name):
            self.notes.append(
                f"'{name}' is taken to read from the end, as its name says: a state dict does not "
                "hold that."
            )

    def _starts(
        self, name: str, reading: ReadModule
    ) -> Callable[[RecurrentLayer, tuple[int, bool]], RecurrentLayer]:
        """What gives layers the initial states that the file holds, or does not tell."""
        states = reading.states
        if states.unknown:
            stand_in = f"{name}/initial_state"
            words = "; ".join(_unknown_words(states.unknown))
            flags = ("initial_m", "initial_c")[: 2 if reading.cells[0, False].kind == "lstm" else 1]
            words += f" (it can be given with {' and '.join(map(spell, flags))})"
            self.nodes.append(Node(stand_in, Unsupported("initial state", stand_in, words), ()))
            self.notes.append(f"The initial state of '{name}' is not known: {words}.")
        elif any(states.stored.values()):
            names = ", ".join(
                dict.fromkeys(
                    part.name for parts in states.stored.values() for part in parts.values()
                )
            )
            self.notes.append(
                f"'{name}' starts from {names}: a guess from name and shape, since a state dict "
                "does not say how they are used."
            )

        def starting(layer: RecurrentLayer, place: tuple[int, bool]) -> RecurrentLayer:
            if states.unknown:
                part = UncomputedState(f"{name}/initial_state")
                kinds = ("c", "m") if layer.cell.kind == "lstm" else ("m",)
                return layer.starting(InitialState(dict.fromkeys(kinds, part)), "guess")
            stored = states.stored.get(place)
            return layer.starting(InitialState(stored), "guess") if stored else layer

        return starting

    def _add_misfit(self, reading: MisfitModule) -> None:
        """A node that stands for a module which is not computed."""
        module, reason = reading.module, reading.error.reason
        self.used |= {array.name for array in module.extras}
        name = self._name(module, "rnn")
        takes, gives = reading.widths
        reads, _ = self._source(name, takes, note=False)
        self.nodes.append(Node(name, Unsupported("recurrent module", name, reason), reads, "guess"))
        self.notes.append(f"'{name}' is not computed: it {reason}.")
        self._place(PlacedModule(name, name, takes, gives, reads, computed=False))

    def _place(self, placed: PlacedModule) -> None:
        self.modules.append(placed)
        self.by_name.setdefault(placed.name, placed)

    def _name(self, module: Module, default: str) -> str:
        name = module.name or default + ("cell" if module.is_cell else "")
        return f"{name}_cell" if name in self.by_name else name

    def _add_layer(
        self, name: str, layers: Mapping[bool, RecurrentLayer], reads: tuple[str, ...], wiring: str
    ) -> str:
        if len(layers) == 1:
            self.nodes.append(Node(name, layers[False], reads, wiring))
            return name
        parts = (f"{name}/forward", f"{name}/backward")
        for part, layer in zip(parts, layers.values(), strict=True):
            self.nodes.append(Node(part, layer, reads, wiring))
        self.nodes.append(Node(name, BidirectionalMerge("concat"), parts, "config"))
        return name

    def _source(
        self, name: str, width: int | None, *, note: bool = True
    ) -> tuple[tuple[str, ...], str]:
        """What feeds a module, and how that is known; nothing if it is not known at all."""
        if not self.modules:
            table = self._embedding(width)
            if table is None:
                return (INPUT,), "config"
            self.nodes.append(Node(table.name, table, (INPUT,), "guess"))
            self.notes.append(
                f"'{table.name}' fits the input of '{name}' and looks like an embedding: ids go "
                "through it (a guess; features are taken as they are)."
            )
            return (table.name,), "guess"
        feeds = guess_source(self.modules, width, name) or INPUT
        if note:
            self.notes.append(
                f"A state dict does not say what feeds its modules: that '{name}' reads '{feeds}' "
                "is a guess from widths. To feed it otherwise, run it alone with "
                f"{spell('layers')} and its own input."
            )
        misfit = self.by_name.get(feeds)
        if misfit is not None and not misfit.computed and misfit.input_size in (None, width):
            # Its own input and that of the module in front of it look the same.
            return (), "guess"
        return (feeds,), "guess"

    def _embedding(self, width: int | None) -> Embedding | None:
        found = [
            array
            for array in self.arrays
            if looks_like_embedding(array) and array.shape[1] == width
        ]
        if len(found) != 1:
            return None
        values = found[0].load()
        if values.dtype.kind != "f":
            return None
        name = found[0].name
        self.used.add(name)
        return Embedding(values, name=name.removesuffix(".weight"))

    def result(self) -> StateDict:
        left_out = [
            LeftOut(array.name, _reason(array), array.shape)
            for array in self.arrays
            if array.name not in self.used
        ]
        return StateDict(Network((INPUT,), tuple(self.nodes)), left_out, self.notes)


def _unknown_words(unknown: Mapping[str, str]) -> list[str]:
    """Why an initial state is not known: each reason once, with its tensors."""
    by_reason: dict[str, list[str]] = {}
    for tensor, reason in unknown.items():
        by_reason.setdefault(reason, []).append(f"'{tensor}'")
    return [f"{', '.join(names)} {reason}" for reason, names in by_reason.items()]


PACKED = LengthsSource("unknown", "as given: those of a packed sequence")


def _layer(cell: CellSpec, module: Module, backward: bool, both: bool) -> RecurrentLayer:
    if both:
        name = "the name ends in _reverse" if backward else "the other of two directions"
        direction = Option(backward, "config", name)
    else:
        # Code that is not in the file may turn the input of a module round.
        named = says_backward(module.name)
        words = "its name" if named else "whether its input is turned round is not stored"
        direction = Option(named, "guess", words)
    layout = module.layout
    return RecurrentLayer(
        cell=cell,
        backward=direction,
        padding=Option("zeros", "class default", "as in a packed sequence")
        if layout is None
        else Option("zeros", "guess", "what lengths do stands in code"),
        lengths=Option(PACKED, "class default" if layout is None else "guess"),
        initial_state=Option(ZERO_STATE, "class default"),
        state_format=Option(
            (layout.state_format if layout else "tuple (h, c)") if cell.kind == "lstm" else "h",
            "class default",
        ),
        reversal="within length",
        evidence=_evidence(module),
    )


def _evidence(module: Module) -> Evidence:
    if module.layout is not None and module.layout.guess:
        return Evidence("by name", detail=f"a guess, {module.layout.guess}")
    return BY_NAME if module.declared is None else BY_CONFIGURATION


def _reason(array: LoadableArray) -> str:
    if looks_like_embedding(array):
        return "embedding"
    parts = {*plain_name(array.name).split(".")}
    if parts & BOOKKEEPING or array.name.endswith("momentum_buffer"):
        return "optimizer slot"
    return "dense layer" if len(array.shape) == 2 else "not recurrent"
