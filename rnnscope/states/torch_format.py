"""torch's (h, c): h_n and c_n of shape (layers x directions, batch, unit), h first; and output.

``output`` is that of the top layer, both directions side by side on its last axis. Over time there
is no format of torch's own; h and c of (layers x directions, batch, timestep, unit) follow it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from rnnscope.errors import OptionError, spell
from rnnscope.files.arrays.array_views import Expanded, Picked, Span, StepOf, Turned, stacked
from rnnscope.files.arrays.stored_array import StoredArray
from rnnscope.files.containers.named_arrays import NamedArrays
from rnnscope.states.build import (
    LayerArray,
    PositionalArray,
    build_states,
    choice_reason,
    positional_arrays,
    read_lengths_and_mask,
)
from rnnscope.states.interface import (
    ReadOptions,
    StateFormat,
    StateReading,
    WriteOptions,
    WrittenStates,
)
from rnnscope.states.naming import parse_array_name
from rnnscope.states.sampled_values import CLOSE
from rnnscope.states.state_set import FINAL, StateSet
from rnnscope.states.writing import (
    direction_pairs,
    lengths_and_mask_arrays,
    losses_in_words,
    state_of,
    time_first,
)

NAME = "torch"
WORDS = "(h, c) of (layers x directions, batch, unit)"


class TorchStacks(NamedTuple):
    """What the names of a file tell.

    Attributes
    ----------
    of_states : mapping of str to (mapping of str to PositionalArray)
        By the name before ``h_n``, then by state.
    outputs : mapping of str to PositionalArray
        Arrays called output, of three axes, by the name before.
    sure : bool
        Names and axes are torch's.
    others : int
        States that are not stacked: layers of their own.
    """

    of_states: dict[str, dict[str, PositionalArray]]
    outputs: dict[str, PositionalArray]
    sure: bool
    others: int


def readings(arrays: NamedArrays, options: ReadOptions) -> list[StateReading]:
    """``h_n`` and ``c_n``, h and c of four axes, or two arrays of three axes in that order."""
    forced = options.format == NAME
    in_order = positional_arrays(arrays, forced=False)
    if forced and in_order is None:
        in_order = positional_arrays(arrays, forced=True)
    if in_order is not None:
        return _by_place(arrays, in_order, options)
    stacks = _stacks(arrays, forced=forced)
    if stacks.others and not forced:
        return []  # layers of their own stand beside torch's: the file tells more by name
    return _reading(arrays, stacks, options, "h_n and c_n by name")


def _by_place(
    arrays: NamedArrays, in_order: list[PositionalArray], options: ReadOptions
) -> list[StateReading]:
    """h, c; or output, h, c, as ``nn.LSTM`` returns them."""
    if not all(len(array.shape) in (3, 4) for _, array in in_order) or len(in_order) not in (2, 3):
        return []
    *output, h, c = in_order
    if output and (len(output[0].array.shape) != 3 or h.array.shape[:2] != c.array.shape[:2]):
        return []
    forced = options.format == NAME
    if output:
        axes = _axes_of_output(arrays, output[0].array, h.array, options)
        # Three arrays of three axes may be much else: the last output, which is h, must say so.
        if isinstance(axes, str) or not (
            forced or _ends_in(arrays, output[0].array, h.array, axes)
        ):
            return []
    outputs = {"": output[0]} if output else {}
    stacks = TorchStacks({"": {"m": h, "c": c}}, outputs, sure=forced or bool(output), others=0)
    order = "three arrays: output, h, c" if output else "two arrays, h first"
    why = choice_reason(order, forced=forced)
    return _reading(arrays, stacks, options, why)


def _stacks(arrays: NamedArrays, *, forced: bool) -> TorchStacks:
    states: dict[str, dict[str, PositionalArray]] = {}
    outputs: dict[str, PositionalArray] = {}
    sure, others = forced, 0
    for name in arrays.names:
        parsed = parse_array_name(name)
        if parsed is None:
            continue
        array = arrays.array(name)
        rank, state = len(array.shape), parsed.key.removeprefix(FINAL)
        stacked_ends = parsed.key.startswith(FINAL) and rank == 3
        if state in ("c", "m") and (stacked_ends or rank == 4 or (forced and rank == 3)):
            states.setdefault(parsed.layer, {}).setdefault(state, PositionalArray(name, array))
            sure = sure or stacked_ends or rank == 4
        elif state in ("c", "m"):
            others += 1
        elif state == "outputs" and rank == 3:
            outputs.setdefault(parsed.layer, PositionalArray(name, array))
    if len(states) == len(outputs) == 1:  # "output" belongs to "lstm_h_n", as nothing else does
        outputs = dict(zip(states, outputs.values(), strict=True))
    return TorchStacks(states, outputs, sure, others)


def _reading(
    arrays: NamedArrays, stacks: TorchStacks, options: ReadOptions, reason: str
) -> list[StateReading]:
    members: list[LayerArray] = []
    reasons: dict[str, str] = {}
    for prefix, named in stacks.of_states.items():
        if len({array.shape[0] for _, array in named.values()}) != 1:
            return []
        layers = _layer_names(prefix if len(stacks.of_states) > 1 else "", named)
        for number, layer in enumerate(layers):
            for state, (source, array) in named.items():
                key = state if len(array.shape) == 4 else FINAL + state
                part = Picked(array, 0, number)
                members.append(LayerArray(layer, key, part, source, named=False))
        if prefix in stacks.outputs and "m" in named:
            output = stacks.outputs[prefix]
            axes = _axes_of_output(arrays, output.array, named["m"].array, options)
            if isinstance(axes, str):
                reasons[output.source] = axes
            else:
                members += _outputs(output, axes, layers, options)
    states = members and build_states(
        arrays, NAME, members, time_major=options.time_major, reasons=reasons
    )
    return [StateReading(NAME, WORDS, reason, states, stacks.sure)] if states else []


def _layer_names(prefix: str, named: Mapping[str, PositionalArray]) -> list[str]:
    count = next(iter(named.values())).array.shape[0]
    if count == 1:
        return [prefix]
    return [f"{prefix}/{number}".strip("/") for number in range(count)]


class OutputAxes(NamedTuple):
    """How ``output`` lies: which axis is first, and how many directions stand side by side."""

    time_major: bool
    directions: int


def _axes_of_output(
    arrays: NamedArrays, output: StoredArray, h: StoredArray, options: ReadOptions
) -> OutputAxes | str:
    """What the axes of ``output`` are; or, in words, why it is not read.

    Shapes tell, but where there are as many sequences as timesteps: then ``output`` of the last
    step, which is h_n of the top layer, tells.
    """
    count, sequences, width = h.shape[0], h.shape[1], h.shape[-1]
    timesteps = None
    if len(h.shape) == 4:
        sequences, timesteps = h.shape[2:0:-1] if options.time_major else h.shape[1:3]
    directions = output.shape[2] // width if width and output.shape[2] % width == 0 else 0
    fitting = [
        axis == 1
        for axis in (0, 1)
        if output.shape[axis] == sequences and timesteps in (None, output.shape[1 - axis])
    ]
    if options.time_major is not None:
        fitting = [time_major for time_major in fitting if time_major == options.time_major]
    if directions not in (1, 2) or count % directions or not fitting:
        return f"shape {output.shape} is no output beside h of shape {h.shape}"
    if len(fitting) > 1 and output.shape[0] > 1:
        fitting = [time_major for time_major in fitting
                   if _ends_in(arrays, output, h, OutputAxes(time_major, directions))]  # fmt: skip
    if len(fitting) != 1 and output.shape[0] > 1:
        return "it may be (sequence, timestep, unit) or (timestep, sequence, unit)"
    return OutputAxes(fitting[0], directions)


def _ends_in(arrays: NamedArrays, output: StoredArray, h: StoredArray, axes: OutputAxes) -> bool:
    """Whether the output of the last valid step is h of the top layer, as its axes are taken."""
    turned = Turned(output, (1, 0, 2)) if axes.time_major else output
    lengths = read_lengths_and_mask(arrays).lengths
    ends = np.full(turned.shape[0], turned.shape[1] - 1) if lengths is None else lengths - 1
    if len(h.shape) != 3 or len(ends) != turned.shape[0] or (ends >= turned.shape[1]).any():
        return False
    last = StepOf(turned, ends).read()[:, : h.shape[-1]]
    top = Picked(h, 0, h.shape[0] - axes.directions).read()
    return bool(np.allclose(last, top, rtol=CLOSE, atol=CLOSE))


def _outputs(
    output: PositionalArray, axes: OutputAxes, layers: list[str], options: ReadOptions
) -> list[LayerArray]:
    """The output of the top layer, or of both of its directions."""
    array = output.array
    if axes.time_major != bool(options.time_major):  # what `build_states` will not turn itself
        array = Turned(array, (1, 0, 2))
    width = array.shape[2] // axes.directions
    return [
        LayerArray(
            layer,
            "outputs",
            Span(array, 2, number * width, (number + 1) * width) if axes.directions > 1 else array,
            output.source,
            named=False,
        )
        for number, layer in enumerate(layers[-axes.directions :])
    ]


def write(states: StateSet, options: WriteOptions) -> WrittenStates:
    """``h_n`` and ``c_n``, or ``h`` and ``c`` over time; a layer's directions in a row."""
    layers = []
    for pair in direction_pairs(states.layers):
        layers += [pair.forward] + ([pair.backward] if pair.backward else [])
    held: dict[str, StoredArray] = {}
    names = {"m": "h", "c": "c"} if options.steps == "all" else {"m": "h_n", "c": "c_n"}
    for state, name in names.items():
        parts = [
            time_first(state_of(layer, state, options, NAME), options.time_major)
            for layer in layers
        ]
        if len({part.shape for part in parts}) != 1:
            raise OptionError(
                "torch holds layers of one width.",
                where=states.name,
                expected=f"{state} of one shape in every layer",
                found=", ".join(f"{layer.name} {part.shape}" for layer, part in
                                zip(layers, parts, strict=True)),
                hint=f"choose layers with {spell('layers')}, or write {spell('to', 'nested')}",
            )  # fmt: skip
        held[name] = Expanded(parts[0], 0) if len(parts) == 1 else stacked(parts)
    order = ", ".join(f"{number} is {layer.name}" for number, layer in enumerate(layers))
    lost = ("the layers' names", *losses_in_words(states, options))
    return WrittenStates(held | lengths_and_mask_arrays(states, options), lost, (order,))


STATE_FORMAT = StateFormat(
    NAME,
    "torch (h, c) of (layers x directions, batch, unit)",
    "arrays h_n and c_n of three axes, and output; or h, c without names, or output, h, c",
    "c and m of layers of one width",
    readings,
    write,
)
