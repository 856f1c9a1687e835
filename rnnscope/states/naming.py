"""What the names of arrays tell: ``final_l0_c`` is the final c of a layer l0."""

from __future__ import annotations

import re

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cells import CELLS

STATES = {"c": "c", "cx": "c", "m": "m", "h": "m", "hx": "m", "outputs": "outputs",
          "output": "outputs"}  # fmt: skip
"""What frameworks call the states: TensorFlow and Keras h, torch hx, cx; our m is their h."""

LENGTH_NAMES = ("lengths", "sequence_length", "sequence_lengths", "sequence_lens")
MASK_NAMES = ("mask",)

CONCAT_NAMES = ("state", "states")
"""c and m side by side."""

FINAL_WORDS = {"final", "last", "n"}
INITIAL_WORDS = {"initial", "init", "zero", "0"}
GATES = tuple(dict.fromkeys(gate for cell in CELLS.values() for gate in cell.gates))
BACKWARD = re.compile(r"(?:^|[/_.\d])(bw|backward|reverse)(?:$|[/_.\d])")


@dataclass(frozen=True)
class ArrayName:
    """A layer's name, and which of its arrays it is, for example ``final/m``."""

    layer: str
    key: str


def parse_array_name(name: str) -> ArrayName | None:
    """What a name tells; None if it is no state's.

    ``LAYER/c``, ``LAYER_m``, ``LAYER.h``, ``final_LAYER_c``, ``LAYER/final/c``, ``h_n``,
    ``LAYER/gates/i``.
    """
    *groups, leaf = name.split("/")
    words = [word for word in re.split(r"[_.]", leaf) if word]
    if groups and groups[-1] == "gates" and leaf in GATES:
        return ArrayName("/".join(groups[:-1]), f"gates/{leaf}")
    when = ""
    if words and words[-1] == "n" and len(words) > 1:  # torch: h_n
        when = "final/"
        words.pop()
    if not words or words[-1] not in STATES or "Y" in words:  # Y_h and Y_c are ONNX's
        return None
    state = STATES[words.pop()]
    if groups and groups[-1] in ("final", "initial"):
        when = f"{groups.pop()}/"
    for known, mark in ((FINAL_WORDS, "final/"), (INITIAL_WORDS - {"0"}, "initial/")):
        if known & set(words):
            when = mark
            words = [word for word in words if word not in known]
    layer = "/".join([*groups, "_".join(words)] if words else groups)
    return ArrayName(layer, when + state)


def tells(name: str) -> bool:
    """True if the name of an array says what it is."""
    return parse_array_name(name) is not None or name in CONCAT_NAMES


def position_of(name: str) -> tuple[int, ...] | None:
    """The place of an array that only has one: ``arr_1`` of numpy.savez, ``0/1`` of lists."""
    parts = name.removeprefix("arr_").split("/")
    return tuple(int(part) for part in parts) if all(part.isdecimal() for part in parts) else None


def is_backward(layer: str) -> bool:
    """True if the layer's name says that it reads from the end."""
    return bool(BACKWARD.search(layer.lower()))
