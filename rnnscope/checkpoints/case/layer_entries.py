"""Layers as entries of a case's recipe, and back: every cell whose weights are plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, NamedTuple, cast

import numpy as np

from rnnscope.errors import CheckpointError, RnnscopeError
from rnnscope.files.messages.json_config import ConfigView
from rnnscope.model.activations import activation
from rnnscope.model.cell import Array, CellSpec, LSTMOptions, LSTMWeights, Option
from rnnscope.model.cells.coupled_lstm import CoupledLSTMOptions, CoupledLSTMWeights
from rnnscope.model.cells.gru import GRUOptions, GRUWeights
from rnnscope.model.cells.layer_norm_lstm import LayerNormLSTMOptions, LayerNormLSTMWeights
from rnnscope.model.cells.simple_rnn import SimpleRNNOptions, SimpleRNNWeights
from rnnscope.model.evidence import BY_CONFIGURATION
from rnnscope.model.initial_state import ZERO_STATE
from rnnscope.model.lengths_source import LENGTHS_NOT_STORED
from rnnscope.model.recurrent_layer import PaddingRule, RecurrentLayer

WEIGHTS = "weights"
"""What stands in front of the names of weights: ``weights/LAYER/kernel``."""


class StoredKind(NamedTuple):
    """A kind of cell: the classes of its parts, and how many blocks its kernels have."""

    weights: type
    options: type
    blocks: int


KINDS = {
    "lstm": StoredKind(LSTMWeights, LSTMOptions, 4),
    "gru": StoredKind(GRUWeights, GRUOptions, 3),
    "simple_rnn": StoredKind(SimpleRNNWeights, SimpleRNNOptions, 1),
    "layer_norm_lstm": StoredKind(LayerNormLSTMWeights, LayerNormLSTMOptions, 4),
    "coupled_lstm": StoredKind(CoupledLSTMWeights, CoupledLSTMOptions, 3),
}
"""Kinds of cells that a case can hold: all but those that a stored graph computes."""

PADDING = ("zeros", "hold", "none")
SWITCHES = ("reset_after", "coupled")
MAYBE_NUMBERS = ("cell_clip", "proj_clip", "gate_clip")


def entry_of(layer: RecurrentLayer) -> dict[str, Any]:
    """What a case's recipe says of a layer; its weights are arrays beside it."""
    cell = layer.cell
    return {
        "kind": cell.kind,
        "source_class": cell.source_class,
        "padding": layer.padding.value,
        "options": {
            item.name: {"value": option.value, "origin": option.origin}
            for item in fields(cell.options)
            if isinstance(option := getattr(cell.options, item.name), Option)
        },
    }


def weights_of(cell: CellSpec) -> dict[str, Array]:
    """The arrays of a cell by name, those that it has."""
    return {
        item.name: value
        for item in fields(cell.weights)
        if isinstance(value := getattr(cell.weights, item.name), np.ndarray)
    }


def layer_of(name: str, entry: ConfigView, arrays: Mapping[str, Array]) -> RecurrentLayer:
    """The layer of an entry.

    Parameters
    ----------
    name : str
    entry : ConfigView
    arrays : mapping of str to ndarray
        Its weights, by the names of the cell.

    Raises
    ------
    CheckpointError
        The entry or a weight is no such thing; it names the key or the array.
    """
    kind = entry.get("kind", str)
    if kind not in KINDS:
        raise _unusable(entry, "kind", " or ".join(KINDS), kind)
    padding = entry.get("padding", str)
    if padding not in PADDING:
        raise _unusable(entry, "padding", " or ".join(PADDING), padding)
    cell = CellSpec(
        kind=kind,
        source_class=entry.get("source_class", str),
        weights=_weights(name, KINDS[kind], arrays, entry.where),
        options=_options(KINDS[kind], entry.view("options")),
        variables=tuple(f"{WEIGHTS}/{name}/{array}" for array in arrays),
        stored_gate_order="",
    )
    return RecurrentLayer(
        cell=cell,
        backward=Option(False, "config", "the steps are in the order of processing"),
        padding=Option(cast("PaddingRule", padding), "config", "padding"),
        lengths=Option(LENGTHS_NOT_STORED, "config"),
        initial_state=Option(ZERO_STATE, "config"),
        state_format=Option("arrays by name", "config"),
        evidence=BY_CONFIGURATION,
    )


def _options(kind: StoredKind, entries: ConfigView) -> Any:
    found = {}
    for item in fields(kind.options):
        if item.name not in entries and item.default is not MISSING:
            continue
        entry = entries.view(item.name)
        value = entry.raw("value")
        if item.name in SWITCHES:
            value = entry.get("value", bool)
        elif item.name.endswith("activation"):
            value = entry.get("value", str)
            try:
                activation(value)
            except RnnscopeError as error:
                raise _unusable(entry, "value", str(error.expected), value) from error
        elif item.name not in MAYBE_NUMBERS or value is not None:
            value = entry.get("value", float)
        found[item.name] = Option(value, "config", f"{entry.get('origin', str)!r} in the source")
    return kind.options(**found)


def _weights(name: str, kind: StoredKind, arrays: Mapping[str, Array], where: str) -> Any:
    names = [item.name for item in fields(kind.weights)]
    needed = [item.name for item in fields(kind.weights) if item.default is MISSING]
    if strange := [one for one in arrays if one not in names]:
        raise _misfit(
            name, strange[0], where, f"one of {', '.join(names)}", "an array of that name"
        )
    if missing := [one for one in needed if one not in arrays]:
        raise _misfit(name, missing[0], where, "an array", "none")
    kernel, recurrent = arrays["kernel"], arrays["recurrent_kernel"]
    if kernel.ndim != 2 or recurrent.ndim != 2:
        raise _misfit(name, "kernel", where, "two axes", f"shape {kernel.shape}")
    wide = int(kernel.shape[1])
    units, rest = divmod(wide, kind.blocks)
    if rest or not units or recurrent.shape[1] != wide:
        raise _misfit(
            name, "kernel", where, f"two kernels of {kind.blocks} blocks of units",
            f"shapes {kernel.shape} and {recurrent.shape}",
        )  # fmt: skip
    output = units
    if "projection" in arrays:
        output = int(arrays["projection"].shape[-1]) if arrays["projection"].ndim == 2 else -1
    shapes = {
        "kernel": kernel.shape,
        "recurrent_kernel": (output, wide),
        "projection": (units, output),
        **dict.fromkeys(("bias", "recurrent_bias", "added_bias", "gamma", "beta"), (wide,)),
    }
    for one, array in arrays.items():
        shape = shapes.get(one, (units,))
        if array.shape != shape or array.dtype != kernel.dtype or array.dtype.char not in "fd":
            raise _misfit(
                name, one, where, f"shape {shape}, float32 or float64 as the kernel",
                f"shape {array.shape}, {array.dtype}",
            )  # fmt: skip
    return kind.weights(**arrays)


def _misfit(layer: str, array: str, where: str, expected: str, found: str) -> CheckpointError:
    return CheckpointError(
        "A weight of the case is not what its recipe says.",
        where=f"{where}: {WEIGHTS}/{layer}/{array}",
        expected=expected,
        found=found,
        hint="the file is damaged or was edited: write the case again",
    )


def _unusable(entry: ConfigView, key: str, expected: str, found: object) -> CheckpointError:
    return CheckpointError(
        f"The recipe of the case has no usable '{key}'.",
        where=entry.where,
        expected=expected,
        found=found,
        hint="a newer rnnscope may have written it",
    )
