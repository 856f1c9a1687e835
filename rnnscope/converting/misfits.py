"""What of a layer a target cannot compute, each in words with the option's own name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rnnscope.converting.interface import Abilities, Level
from rnnscope.model.activations import ACTIVATIONS, name_and_constants
from rnnscope.model.cell import CellSpec
from rnnscope.model.initial_state import StoredState
from rnnscope.model.recurrent_layer import RecurrentLayer

FORMULAS = {
    "hard_sigmoid": "clip(0.2 z + 0.5), that of Keras 1 and 2",
    "hard_sigmoid_keras3": "clip(z / 6 + 0.5), that of Keras 3",
}
"""Two functions of one name."""


def misfits(level: Level, can: Abilities) -> Iterator[str]:
    """Why a target cannot compute a level: ends of "'layer' …"; none if it can.

    Parameters
    ----------
    level : Level
    can : Abilities
    """
    for layer in level.layers:
        yield from _of_cell(layer.cell, can)
        yield from _of_layer(layer, can)
    if len(level.nodes) == 1 and level.layers[0].backward.value and not can.lone_backward:
        yield "reads from the end on its own (backward)"
    if len(level.nodes) == 2 and can.alike_directions and not _alike(*level.cells):
        yield "has other options in its second direction (bidirectional)"
    if len(level.nodes) == 2 and can.merges and (level.merge or "none") not in can.merges:
        yield f"joins its directions by {level.merge or 'nothing'} (merge)"


def _alike(one: CellSpec, other: CellSpec) -> bool:
    """Whether two cells would be configured the same; the forget bias is inside the bias."""
    first, second = (
        {name: option.value for name, option in cell.options.items() if name != "forget_bias"}
        for cell in (one, other)
    )
    return first == second


def _of_layer(layer: RecurrentLayer, can: Abilities) -> Iterator[str]:
    if layer.wrapper:
        yield "has layers within every step, between m and the outputs (wrapper)"
    if layer.feedback is not None:
        yield "makes its next input of its own output (loop_function)"
    parts = layer.initial_state.value.parts
    stored = {name: part for name, part in parts.items() if isinstance(part, StoredState)}
    if stored and not can.stored_start:
        yield f"starts from values that the file holds: {', '.join(stored)} (initial_state)"
    elif not all(part.for_all for part in stored.values()):
        yield "starts from other values in every sequence (initial_state)"
    if can.merges and layer.starts_from_layers:
        names = ", ".join(f"'{name}'" for name in layer.starts_from_layers)
        yield f"starts from the final state of {names} (initial_state)"


def _of_cell(cell: CellSpec, can: Abilities) -> Iterator[str]:
    kind = cell.kind
    if kind not in can.activation:
        yield f"is a cell of another kind ({kind})"
        return
    if cell.dtype.name not in can.dtypes:
        yield f"has weights in {cell.dtype.name} (dtype)"
    options = dict(cell.options.items())
    act = options["activation"].value
    if not has(act, can.activation[kind], can):
        yield f"has activation={worded(act)}"
    gates = options.get("recurrent_activation")
    if gates is not None and not has(gates.value, can.recurrent_activation[kind], can):
        yield f"has recurrent_activation={worded(gates.value)}"
    out = options.get("output_activation")
    if out is not None and out.value != act and not can.own_output_activation:
        yield f"has output_activation={worded(out.value)} beside activation={worded(act)}"
    if out is not None and out.value != act and not has(out.value, can.activation[kind], can):
        yield f"has output_activation={worded(out.value)}"
    if cell.peepholes and not can.peepholes:
        yield "has peepholes"
    if cell.num_proj is not None and not can.projection:
        yield f"has a projection (num_proj={cell.num_proj})"
    for name in ("cell_clip", "proj_clip", "gate_clip"):
        bound = options.get(name)
        if bound is not None and bound.value is not None and not getattr(can, name):
            yield f"has {name}={bound.value:g}"
    if "coupled" in options and options["coupled"].value and not can.coupled:
        yield "has a forget gate that is 1 - i (coupled)"
    after = options.get("reset_after")
    if after is not None and after.value not in can.reset_after:
        yield f"has reset_after={after.value}"


def has(name: str, names: Mapping[str, str], can: Abilities) -> bool:
    """Whether a target has an activation of rnnscope's name."""
    if name in names:
        return True
    base, constants = name_and_constants(name)
    return bool(constants) and base in can.parametrised


def worded(name: str) -> str:
    """An activation with its formula where two go by its name."""
    return f"{name}, {FORMULAS[name]}" if name in FORMULAS and name in ACTIVATIONS else name
