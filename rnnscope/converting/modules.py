"""Levels as torch's modules: those that nn.LSTM would stack are layers of one."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from rnnscope.checkpoints.torch.guesses import says_backward
from rnnscope.converting.folding import folded_bias, second_bias
from rnnscope.converting.interface import Level, Plan
from rnnscope.converting.names import clean_names
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import GATE_ORDER, Array, CellSpec, reorder_gates
from rnnscope.model.cells.gru import GRU_GATE_ORDER

CLASSES = {"lstm": "LSTM", "gru": "GRU", "simple_rnn": "RNN"}
GATES = {"lstm": ("i", "f", "g", "o"), "gru": ("r", "z", "n")}
"""The order of torch's gate blocks."""

TAKEN = frozenset({
    "T_destination", "add_module", "apply", "bfloat16", "buffers", "call_super_init",
    "children", "clear", "compile", "cpu", "cuda", "double", "dump_patches", "eval",
    "extra_repr", "float", "forward", "get_buffer", "get_extra_state", "get_parameter",
    "get_submodule", "half", "ipu", "items", "keys", "load_state_dict", "modules", "mtia",
    "parameters", "pop", "requires_grad_", "set_extra_state", "set_submodule", "share_memory",
    "state_dict", "to", "to_empty", "train", "training", "type", "update", "values", "xpu",
    "zero_grad",
})  # fmt: skip
"""Attributes of torch.nn.ModuleDict, which takes no module of such a name (torch 2.13)."""

DEFAULT_NAMES = {"lstm": "lstm", "gru": "gru", "simple_rnn": "rnn"}
"""What rnnscope's reader calls a module that has no name."""


@dataclass(frozen=True, eq=False)
class TorchModule:
    """One nn.LSTM, nn.GRU or nn.RNN.

    Attributes
    ----------
    source : str
        What its levels are called in the source.
    levels : tuple of Level
        Each reads the one before.
    """

    source: str
    levels: tuple[Level, ...]

    @property
    def cell(self) -> CellSpec:
        return self.levels[0].cell

    @property
    def both(self) -> bool:
        """Whether it has two directions."""
        return len(self.levels[0].nodes) == 2


def modules_of(plan: Plan) -> tuple[TorchModule, ...]:
    """The modules that the levels of a plan make, in order."""
    found: list[list[Level]] = []
    for level in plan.levels:
        stack = next((one for one in found if _goes_on(one[-1], level)), None)
        if stack is None:
            found.append([level])
        else:
            stack.append(level)
    return tuple(TorchModule(_source_name(stack), tuple(stack)) for stack in found)


def _goes_on(before: Level, level: Level) -> bool:
    """Whether a level is the next layer of the module of another."""
    a, b = before.cell, level.cell
    return (
        level.reads == before.name
        and len(level.nodes) == len(before.nodes)
        and before.merge in (None, "concat")
        and (len(before.nodes) == 1 or before.merge == "concat")
        and (a.kind, a.num_units, a.output_size, a.dtype)
        == (b.kind, b.num_units, b.output_size, b.dtype)
        and b.input_size == a.output_size * len(before.nodes)
        and a.options.activation.value == b.options.activation.value
        and all(layer.return_sequences for layer in before.layers)
        and [x.backward.value for x in before.layers] == [x.backward.value for x in level.layers]
    )


def _source_name(stack: list[Level]) -> str:
    bases = {re.sub(r"/l\d+$", "", level.name) for level in stack}
    return bases.pop() if len(bases) == 1 else stack[0].name


@dataclass(frozen=True, eq=False)
class StateDict:
    """Tensors by the names of a state dict.

    Attributes
    ----------
    arrays : dict of str to ndarray
    names : dict of str to str
        By recurrent node of the plan, what rnnscope's reader calls it.
    modules : tuple of (str, TorchModule)
        Each with its name; empty for a module that is the whole.
    """

    arrays: dict[str, Array]
    names: dict[str, str]
    modules: tuple[tuple[str, TorchModule], ...]


def state_dict(plan: Plan, *, apart: bool = False) -> StateDict:
    """The state dict of a plan's levels.

    Parameters
    ----------
    plan : Plan
    apart : bool
        The names of modules differ before any underline (bare arrays).

    References
    ----------
    torch/nn/modules/rnn.py: ``weight_ih_l[k]`` (gates·hidden, input), gates i, f, g, o or r, z, n;
    ``weight_hh_l[k]`` (gates·hidden, hidden or proj_size), ``bias_ih_l[k]`` and ``bias_hh_l[k]``
    (gates·hidden), ``weight_hr_l[k]`` (proj_size, hidden), each with ``_reverse``.
    """
    modules = modules_of(plan)
    named = clean_names((one.source for one in modules), apart=apart, misread=_says_more)
    if len(modules) == 1:
        named = {modules[0].source: ""}
    arrays: dict[str, Array] = {}
    names: dict[str, str] = {}
    for module in modules:
        own = named[module.source]
        shown = own or DEFAULT_NAMES[module.cell.kind]
        for number, level in enumerate(module.levels):
            for node, cell in zip(level.nodes, level.cells, strict=True):
                second = node is not level.nodes[0]
                end = f"_l{number}" + ("_reverse" if second else "")
                prefix = f"{own}." if own else ""
                arrays |= {f"{prefix}{key}{end}": array for key, array in _tensors(cell).items()}
                direction = ("/backward" if second else "/forward") if module.both else ""
                names[node.name] = f"{shown}/l{number}{direction}"
    return StateDict(arrays, names, tuple((named[one.source], one) for one in modules))


def _says_more(name: str) -> bool:
    return name in TAKEN or says_backward(name)


def _tensors(cell: CellSpec) -> dict[str, Array]:
    weights: Any = cell.weights
    gates = GATES.get(cell.kind)

    def stored(array: Array) -> Array:
        own = GRU_GATE_ORDER if cell.kind == "gru" else GATE_ORDER
        if gates is not None:
            array = reorder_gates(array, own, order=gates)
        return np.ascontiguousarray(array.T)

    arrays = {
        "weight_ih": stored(weights.kernel),
        "weight_hh": stored(weights.recurrent_kernel),
        "bias_ih": stored(folded_bias(cell)),
        "bias_hh": stored(second_bias(cell)),
    }
    if cell.num_proj is not None:
        arrays["weight_hr"] = np.ascontiguousarray(weights.projection.T)
    return arrays


def constructor(module: TorchModule) -> str:
    """The line that makes the module in torch."""
    cell = module.cell
    parts = [str(cell.input_size), str(cell.num_units)]
    if len(module.levels) > 1:
        parts.append(f"num_layers={len(module.levels)}")
    if module.both:
        parts.append("bidirectional=True")
    if cell.num_proj is not None:
        parts.append(f"proj_size={cell.num_proj}")
    if cell.kind == "simple_rnn" and cell.options.activation.value != "tanh":
        parts.append(f"nonlinearity={cell.options.activation.value!r}")
    parts.append("batch_first=True")
    double = ".double()" if cell.dtype.name == "float64" else ""
    return f"torch.nn.{CLASSES[cell.kind]}({', '.join(parts)}){double}"
