"""The operations lstm, gru and rnn of an ML program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rnnscope.checkpoints.coreml.program.interface import Operator, ProgramScope, name_of
from rnnscope.checkpoints.coreml.recurrence import (
    Direction,
    Recurrence,
    UnknownActivation,
    reordered,
)
from rnnscope.checkpoints.translated.messages import NotTranslated
from rnnscope.checkpoints.translated.reading import SourceOperator

# Where each of ONNX's gates lies among those of the MIL.
LSTM_ORDER = (0, 2, 1, 3)
PEEPHOLE_ORDER = (0, 2, 1)
GRU_ORDER = (2, 0, 1)


def _lstm(scope: ProgramScope, op: Any) -> Sequence[str]:
    """Gates i, f, o, z; peepholes i, f, o; ``clip`` limits c."""
    kind, both = _direction(scope, op)
    made, name = scope.made, name_of(op)
    starts = _starts(scope, op, ("initial_h", "initial_c"), both)
    directions = []
    for number, end in enumerate(("", "_back") if both else ("",)):
        w, r, b = (
            reordered(made, scope.key(op, f"{role}{end}"), LSTM_ORDER, f"{name}/{role}{end}")
            for role in ("weight_ih", "weight_hh", "bias")
        )
        peepholes = reordered(
            made, scope.key(op, f"peephole{end}"), PEEPHOLE_ORDER, f"{name}/peephole{end}"
        )
        directions.append(Direction(w, r, b, peepholes, tuple(one[number] for one in starts)))
    layer = Recurrence(
        "LSTM", name, tuple(directions), kind == "reverse", scope.true(op, "output_sequence"),
        (
            scope.text(op, "recurrent_activation", "sigmoid"),
            scope.text(op, "cell_activation", "tanh"),
            scope.text(op, "activation", "tanh"),
        ),
        SourceOperator("Core ML lstm", "i f o g", "(h, c)"),
        cell_clip=scope.number(op, "clip", 0.0), sources=scope.sources,
    )  # fmt: skip
    return _written(scope, op, layer)


def _gru(scope: ProgramScope, op: Any) -> Sequence[str]:
    """Gates r, o, z; r multiplies m itself."""
    kind, both = _direction(scope, op)
    if both:
        raise NotTranslated("is a gru of two directions, which Core ML does not have")
    made, name = scope.made, name_of(op)
    if any(role in op.inputs for role in ("reset_after", "input_bias")):
        raise NotTranslated("is a gru whose reset gate may come after the product")
    (start,) = _starts(scope, op, ("initial_h",), both=False)
    w, r, b = (
        reordered(made, scope.key(op, role), GRU_ORDER, f"{name}/{role}")
        for role in ("weight_ih", "weight_hh", "bias")
    )
    layer = Recurrence(
        "GRU", name, (Direction(w, r, b, starts=tuple(start)),), kind == "reverse",
        scope.true(op, "output_sequence"),
        (
            scope.text(op, "recurrent_activation", "sigmoid"),
            scope.text(op, "activation", "tanh"),
        ),
        SourceOperator("Core ML gru", "r n z", "h"), sources=scope.sources,
    )  # fmt: skip
    return _written(scope, op, layer)


def _rnn(scope: ProgramScope, op: Any) -> Sequence[str]:
    kind, both = _direction(scope, op)
    if both:
        raise NotTranslated("is an rnn of two directions, which Core ML does not have")
    (start,) = _starts(scope, op, ("initial_h",), both=False)
    w, r, b = (scope.key(op, role) for role in ("weight_ih", "weight_hh", "bias"))
    layer = Recurrence(
        "RNN", name_of(op), (Direction(w, r, b, starts=tuple(start)),), kind == "reverse",
        scope.true(op, "output_sequence"), (scope.text(op, "activation", "tanh"),),
        SourceOperator("Core ML rnn", "n", "h"), sources=scope.sources,
    )  # fmt: skip
    return _written(scope, op, layer)


def _direction(scope: ProgramScope, op: Any) -> tuple[str, bool]:
    kind = scope.text(op, "direction", "forward").lower()
    if kind not in ("forward", "reverse", "bidirectional"):
        raise NotTranslated(f"has the direction '{kind}'")
    return kind, kind == "bidirectional"


def _starts(scope: ProgramScope, op: Any, roles: Sequence[str], both: bool) -> list[list[str]]:
    """The keys of each state, by direction."""
    found = []
    for role in roles:
        key = scope.key(op, role)
        if not key:
            raise NotTranslated(f"has no {role}")
        if both:
            parts = scope.made.node(
                "Split", [key], f"{name_of(op)}/{role}", 2, axis=1, num_outputs=2
            )
            found.append(list(parts))
        else:
            found.append([key])
    return found


def _written(scope: ProgramScope, op: Any, layer: Recurrence) -> Sequence[str]:
    if not all(one.w and one.r for one in layer.directions):
        raise NotTranslated("has no weights")
    try:
        y, ends = layer.write(scope.made, scope.key(op, "x"))
    except UnknownActivation as unknown:
        raise NotTranslated(f"has the activation {unknown}") from unknown
    return [y, *ends]


RECURRENT: dict[str, Operator] = {"lstm": _lstm, "gru": _gru, "rnn": _rnn}
"""By type of operation."""
