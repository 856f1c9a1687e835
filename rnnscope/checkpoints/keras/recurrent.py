"""Keras' recurrent layers: LSTM, GRU, SimpleRNN, their cuDNN forms, and RNN of cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from rnnscope.checkpoints.keras.cells.gru import gru_cell
from rnnscope.checkpoints.keras.cells.lstm import PEEPHOLES, lstm_cell
from rnnscope.checkpoints.keras.cells.options import (
    go_backwards,
    note_options,
    padding_rule,
    unknown_activation,
)
from rnnscope.checkpoints.keras.cells.simple_rnn import simple_rnn_cell
from rnnscope.checkpoints.keras.dialect import StackStates
from rnnscope.checkpoints.keras.layer_entry import own_class
from rnnscope.checkpoints.keras.layer_steps import (
    BuiltLayer,
    LayerStep,
    StepOutput,
    StoredLayer,
    unsupported,
)
from rnnscope.checkpoints.keras.left_states import left_states, start_of
from rnnscope.checkpoints.keras.weights import LayerWeights, StoredVariable
from rnnscope.deferred_dataclass import dataclass
from rnnscope.files.messages.json_config import ConfigView, object_views
from rnnscope.model.cell import CellSpec, Option
from rnnscope.model.evidence import BY_CONFIGURATION
from rnnscope.model.lengths_source import LENGTHS_UNUSED
from rnnscope.model.recurrent_layer import PaddingRule, RecurrentLayer

NOT_BUILT = ("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM2DCell", "ConvLSTM3D")
"""Recurrent classes that rnnscope names but does not compute."""


@dataclass(frozen=True)
class KerasCell:
    """A class of cell: what reads it, and its states as Keras orders and calls them."""

    read: Callable[[StoredLayer, ConfigView, LayerWeights], CellSpec]
    states: tuple[str, ...]
    cudnn: bool = False
    more: int = 0
    """How many variables it has beside two kernels and a bias."""

    def variables(self, config: ConfigView) -> int:
        """How many variables it has, in Keras 2 and later."""
        return 2 + config.get("use_bias", bool, True) + self.more


_LSTM = KerasCell(lstm_cell, ("h", "c"))
_PEEPHOLE_LSTM = KerasCell(
    lambda stored, config, weights: lstm_cell(stored, config, weights, peepholes=True),
    ("h", "c"),
    more=len(PEEPHOLES),
)
_GRU = KerasCell(gru_cell, ("h",))
_SIMPLE = KerasCell(simple_rnn_cell, ("h",))

LAYER_CLASSES: dict[str, KerasCell] = {
    "LSTM": _LSTM,
    "UnifiedLSTM": _LSTM,
    "CuDNNLSTM": KerasCell(
        lambda stored, config, weights: lstm_cell(stored, config, weights, cudnn=True),
        ("h", "c"),
        cudnn=True,
    ),
    "GRU": _GRU,
    "UnifiedGRU": _GRU,
    "CuDNNGRU": KerasCell(
        lambda stored, config, weights: gru_cell(stored, config, weights, cudnn=True),
        ("h",),
        cudnn=True,
    ),
    "SimpleRNN": _SIMPLE,
}
"""Layers that hold one cell."""

CELL_CLASSES: dict[str, KerasCell] = {
    "LSTMCell": _LSTM,
    "GRUCell": _GRU,
    "SimpleRNNCell": _SIMPLE,
    "PeepholeLSTMCell": _PEEPHOLE_LSTM,
    "Addons>PeepholeLSTMCell": _PEEPHOLE_LSTM,
}
"""Cells that an RNN layer holds."""


ORDER_NOT_TOLD = "of a stack of cells, whose order its version of Keras does not tell"


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of one recurrent layer, read, in the order in which they feed each other."""

    specs: tuple[CellSpec, ...]
    states: tuple[tuple[str, ...], ...]
    states_order: StackStates = "first cell first"
    """The order in which a call gives and gets their states."""


def read_cells(
    stored: StoredLayer, class_name: str, config: ConfigView, weights: LayerWeights
) -> Cells | str:
    """The cells of a recurrent layer, or why it is not computed.

    Parameters
    ----------
    stored : StoredLayer
        The layer or wrapper that they are part of.
    class_name : str
        A key of `LAYER_CLASSES`, ``"RNN"``, or anything else.
    config : ConfigView
        Of the layer itself.
    weights : LayerWeights
        Of the layer.
    """
    if class_name in LAYER_CLASSES:
        known = LAYER_CLASSES[class_name]
        inner = weights if known.cudnn else weights.parts("cell")[0]
        return _read([known], stored, [config], [inner])
    if class_name != "RNN":
        return f"wraps a {class_name}, which is not computed"
    cell = config.view("cell")
    stacked = own_class(cell) == "StackedRNNCells"
    cells = (
        list(object_views(cell.view("config").get("cells", list), f"{cell.where} > cells"))
        if stacked
        else [cell]
    )
    names = [own_class(entry) for entry in cells]
    foreign = [name for name in names if name not in CELL_CLASSES]
    if foreign or not cells:
        return f"has a cell of class {foreign[0]}, which is not computed" if foreign else "is empty"
    inner = weights.parts("cell")[0]
    known_cells = [CELL_CLASSES[name] for name in names]
    configs = [entry.view("config") for entry in cells]
    sizes = [each.variables(config) for each, config in zip(known_cells, configs, strict=True)]
    parts = inner.parts(*_numbered(names), sizes=sizes) if stacked else (inner,)
    order = stored.dialect.stack_states if len(names) > 1 else "first cell first"
    if order == "not told" and config.get("return_state", bool, False):
        return f"returns states {ORDER_NOT_TOLD}"
    read = _read(known_cells, stored, configs, parts)
    return read if isinstance(read, str) else replace(read, states_order=order)


def variable_count(class_name: str, config: ConfigView) -> int:
    """How many variables a recurrent layer has, in Keras 2 and later; 0 if that is not known."""
    if class_name in LAYER_CLASSES:
        return LAYER_CLASSES[class_name].variables(config)
    cell = config.view("cell")
    stacked = own_class(cell) == "StackedRNNCells"
    cells = cell.view("config").views("cells") if stacked else [cell]
    known = [(CELL_CLASSES.get(own_class(each)), each) for each in cells]
    counts = [kind.variables(each.view("config")) for kind, each in known if kind is not None]
    return sum(counts) if len(counts) == len(known) else 0


def _read(
    cells: Sequence[KerasCell],
    stored: StoredLayer,
    configs: Sequence[ConfigView],
    weights: Sequence[LayerWeights],
) -> Cells | str:
    for config in configs:
        reason = unknown_activation(stored, config)
        if reason:
            return reason
    specs = [
        cell.read(stored, config, part)
        for cell, config, part in zip(cells, configs, weights, strict=True)
    ]
    return Cells(tuple(specs), tuple(cell.states for cell in cells))


def _numbered(classes: Sequence[str]) -> list[str]:
    """Keras' names for the cells of a stack: by class, name, name_1, name_2 and on."""
    bases = [{"LSTMCell": "lstm_cell", "GRUCell": "gru_cell",
              "SimpleRNNCell": "simple_rnn_cell"}.get(name, "peephole_lstm_cell")
             for name in classes]  # fmt: skip
    counts = [bases[:number].count(base) for number, base in enumerate(bases)]
    return [
        f"cells/{base}_{count}" if count else f"cells/{base}"
        for base, count in zip(bases, counts, strict=True)
    ]


def recurrent_steps(
    cells: Cells,
    config: ConfigView,
    padding: Option[PaddingRule],
    *,
    base: str = "",
    first_state: int = 0,
    left: Sequence[StoredVariable] = (),
) -> BuiltLayer:
    """The steps of a recurrent layer: one, or one for each cell of a stack.

    Parameters
    ----------
    cells : Cells
    config : ConfigView
        Of the layer.
    padding : Option[PaddingRule]
    base : str
        The suffix of the last step; those before it are below it: ``/cell_0``.
    first_state : int
        Where this layer's states begin among those that a call may give.
    left : sequence of StoredVariable
        What `left_states` found.

    Returns
    -------
    BuiltLayer
        Its outputs are what Keras returns with ``return_state``: the outputs, then the states.
    """
    steps: list[LayerStep] = []
    last = len(cells.specs) - 1
    places = _state_places(cells)
    backward = go_backwards(config)
    for number, (spec, names) in enumerate(zip(cells.specs, cells.states, strict=True)):
        start, stop = places[number]
        layer = RecurrentLayer(
            cell=spec,
            backward=backward,
            padding=padding,
            lengths=Option(LENGTHS_UNUSED, "config"),
            initial_state=start_of(spec, names, left[start:stop]),
            state_format=Option("list [h, c]" if len(names) == 2 else "h", "class default"),
            # Between the cells of a stack time runs in one direction, whatever comes out last.
            outputs_in_input_order=number < last or not backward.value,
            return_sequences=number < last or config.get("return_sequences", bool, False),
            evidence=BY_CONFIGURATION,
        )
        suffix = base if number == last else f"{base}/cell_{number}"
        reads = (steps[-1].suffix,) if steps else None
        given = (first_state + start, first_state + stop)
        steps.append(LayerStep(suffix, layer, reads, states=given))
    states = [
        StepOutput(steps[number].suffix, name)
        for number in sorted(places, key=places.__getitem__)
        for name in cells.states[number]
    ]
    unknown = cells.states_order == "not told"
    return BuiltLayer(
        tuple(steps),
        (StepOutput(base), *states),
        f"is given states {ORDER_NOT_TOLD}" if unknown else "",
    )


def _state_places(cells: Cells) -> dict[int, tuple[int, int]]:
    """Where the states of every cell stand in the list of all: from, to."""
    numbers = range(len(cells.states))
    places: dict[int, tuple[int, int]] = {}
    stop = 0
    for number in reversed(numbers) if cells.states_order == "last cell first" else numbers:
        start, stop = stop, stop + len(cells.states[number])
        places[number] = (start, stop)
    return places


def build_recurrent(stored: StoredLayer) -> BuiltLayer:
    """A layer of `LAYER_CLASSES`, or an RNN of cells."""
    cells = read_cells(stored, stored.class_name, stored.config, stored.weights)
    if isinstance(cells, str):
        return unsupported(stored, cells)
    left = left_states(cells.states, stored.config, stored.weights)
    note_options(stored, stored.config, has_left_states=bool(left))
    return recurrent_steps(cells, stored.config, padding_rule(stored.config), left=left)


def not_built(stored: StoredLayer) -> BuiltLayer:
    """A recurrent layer that is named only."""
    return unsupported(stored, "is a recurrent layer that rnnscope does not compute")


def turned(built: BuiltLayer) -> BuiltLayer:
    """With the outputs of its last step in input time order, as Bidirectional turns them."""
    *before, last = built.steps
    layer = last.layer
    assert isinstance(layer, RecurrentLayer)
    ordered = replace(last, layer=replace(layer, outputs_in_input_order=True))
    return replace(built, steps=(*before, ordered))
