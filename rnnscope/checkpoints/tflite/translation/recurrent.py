"""Fused recurrent operators as nodes with the inputs and outputs of ONNX's own.

References
----------
tensorflow/lite/kernels/unidirectional_sequence_lstm.cc, bidirectional_sequence_lstm.cc and
unidirectional_sequence_rnn.cc: the inputs by number.
"""

from __future__ import annotations

import numpy as np

from rnnscope.checkpoints.tflite.translation.site import DOMAIN, Site, Tell
from rnnscope.checkpoints.translated.messages import NotTranslated

FORWARD = {**{number: number for number in range(1, 18)}, 18: 35, 19: 36}
BACKWARD = {**{number: number + 17 for number in range(1, 18)}, 18: 37, 19: 38}
"""By input of the operator of one direction, that of BIDIRECTIONAL_SEQUENCE_LSTM."""

STATES, AUXILIARY = (18, 19), 39
RNN_ACTIVATIONS = {"RELU": "Relu", "TANH": "Tanh"}


def _unidirectional(site: Site) -> None:
    source, kind = _from_its_end(site)
    time_major = bool(site.options.time_major)
    y = _lstm_node(site, source, {number: number for number in range(1, 24)}, kind,
                   site.result().name)  # fmt: skip
    made = site.add("Squeeze", [y], axes=[1 if time_major else 2])
    if kind == "forward":
        site.alias(made)
        return
    axis = 0 if time_major else 1
    site.end("Slice", [made], starts=[-1], ends=[-(1 << 31)], axes=[axis], steps=[-1])
    site.build.reversed[site.values.names[site.op.outputs[0]]] = (made, axis)


def _from_its_end(site: Site) -> tuple[str, str]:
    """What is read, and the direction: a sequence that was turned round is read from its end."""
    source = site.x(0)
    before = site.build.reversed.get(source)
    axis = 0 if site.options.time_major else 1
    if before is not None and before[1] == axis:
        return before[0], "reverse"
    return source, "forward"


def _lstm_node(site: Site, source: str, places: dict[int, int], direction: str, name: str) -> str:
    """The node of one direction; its Y, with an axis of directions.

    Its inputs are those of ONNX's LSTM as far as P, then the operator's own from 1 to 23; scales
    and zeros are those of its inputs from 0 to 23, of its result and of its intermediates.
    """
    o, time_major = site.options, bool(site.options.time_major)
    weights = [site.values.stored(site.op.input(places[number]))
               if number in places and number not in STATES and site.has(places[number]) else ""
               for number in range(1, 24)]  # fmt: skip
    states = [_state(site, places[number], time_major) for number in STATES]
    tensors = site.values.graph.tensors
    numbers = [0, *(places.get(number, -1) for number in range(1, 24))]
    grids = [site.tensor(one) if one >= 0 and site.has(one) else None for one in numbers]
    grids += [site.result(), *(tensors[one] for one in site.op.intermediates)]
    if any(grid is not None and grid.scale.size > 1 for grid in grids):
        raise NotTranslated("with several scales in one tensor of weights")
    pairs = [(float(grid.scale[0]), int(grid.zero[0])) if grid is not None and grid.is_quantised
             else (0.0, 0) for grid in grids]  # fmt: skip
    y = site.build.unique(f"{name}/Y")
    site.build.add_node(
        "SequenceLSTM", [source, "", "", "", "", *states, "", *weights], [y], domain=DOMAIN,
        name=site.build.unique(f"{name}"), layout=0 if time_major else 1, direction=direction,
        activation=site.op.activation, cell_clip=float(o.cell_clip), proj_clip=float(o.proj_clip),
        asymmetric=o.asymmetric_quantize_inputs, input_type=str(site.tensor(0).dtype),
        diagonal=bool(getattr(o, "diagonal_recurrent_tensors", False)),
        scales=[scale for scale, _ in pairs], zeros=[zero for _, zero in pairs],
    )  # fmt: skip
    return y


def _state(site: Site, place: int, time_major: bool) -> str:
    """A state that is handed over; empty for a variable, which is zero before the first call."""
    if not site.has(place) or site.tensor(place).is_variable:
        return ""
    return site.add("Unsqueeze", [site.x(place)], axes=[0 if time_major else 1])


def _bidirectional(site: Site) -> None:
    o = site.options
    if any(site.has(number) for number in range(AUXILIARY + 1, 48)):
        raise NotTranslated("with weights of an auxiliary input")
    source = site.x(0)
    other = site.x(AUXILIARY) if site.has(AUXILIARY) else source
    axis, name = 1 if o.time_major else 2, site.result().name
    made = []
    for direction, x, places in (("forward", source, FORWARD), ("reverse", other, BACKWARD)):
        y = _lstm_node(site, x, places, direction, f"{name}/{direction}")
        made.append(site.add("Squeeze", [y], axes=[axis]))
    if o.merge_outputs:
        site.build.add_node("Concat", made, [site.named()], axis=2)
        return
    for number, one in enumerate(made):
        site.build.add_node("Identity", [one], [site.named(number)])


def _sequence_rnn(site: Site) -> None:
    o = site.options
    if any(site.tensor(number).is_quantised for number in (0, 1, 2)):
        raise NotTranslated("with quantised weights")
    if site.op.activation not in RNN_ACTIVATIONS:
        raise NotTranslated(f"with {site.op.activation}")
    time_major = bool(o.time_major)
    w, r = (site.add("Unsqueeze", [site.x(number)], axes=[0]) for number in (1, 2))
    units = site.tensor(2).shape[0]
    zeros = site.build.stored("no recurrent bias", np.zeros(units, np.float32))
    bias = site.add("Concat", [site.x(3), zeros], axis=0)
    start = _state(site, 4, time_major)
    y = site.add(
        "RNN", [site.x(0), w, r, site.add("Unsqueeze", [bias], axes=[0]), "", start],
        layout=0 if time_major else 1, hidden_size=units,
        activations=[RNN_ACTIVATIONS[site.op.activation]],
    )  # fmt: skip
    site.alias(site.add("Squeeze", [y], axes=[1 if time_major else 2]))


RECURRENT: dict[str, Tell] = {
    "BIDIRECTIONAL_SEQUENCE_LSTM": _bidirectional,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _unidirectional,
    "UNIDIRECTIONAL_SEQUENCE_RNN": _sequence_rnn,
}
"""By operator."""
