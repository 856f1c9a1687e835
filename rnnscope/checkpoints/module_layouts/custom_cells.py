"""Layouts of cells that people write themselves: their names say which gate, no code says the rest.

References
----------
neuralhydrology/modelzoo/customlstm.py: ``w_ih``, ``w_hh``, ``b_ih``, ``b_hh`` in the order i f g
o. mxnet/gluon/rnn/rnn_cell.py: ``i2h``, ``h2h`` in the order i f c o. Tutorials on PyTorch take
``x2h`` and ``h2h`` apart in the order i f g o, and give Linear layers the names of the equations of
``torch.nn.LSTM`` (``W_ii``, ``W_hi``), of Gers et al. (``W_i``, ``U_i``), or of gates.
"""

from __future__ import annotations

import re
from functools import partial
from typing import NamedTuple

from rnnscope.checkpoints.module_layouts.assembly import FoundParts
from rnnscope.checkpoints.module_layouts.interface import ModuleLayout, Part, Role, Side, split_last

GATE_WORDS = {
    "i": "i", "in": "i", "input": "i", "ingate": "i", "f": "f", "forget": "f", "forgetgate": "f",
    "g": "g", "c": "g", "j": "g", "cell": "g", "cellgate": "g", "candidate": "g", "cand": "g",
    "ctilde": "g", "c_tilde": "g", "o": "o", "out": "o", "output": "o", "outgate": "o",
}  # fmt: skip
"""What people call the gates of an LSTM, in lower case."""

_GATE = f"(?P<gate>{'|'.join(sorted(GATE_WORDS, key=len, reverse=True))})"
_END = r"(?:_?gate|_?layer|_?linear)?"
_BEGIN = r"(?:linear_?|lin_?|fc_?|gate_?|dense_?)?"


class Scheme(NamedTuple):
    """A habit of naming: patterns for what is applied to x, to m or to both, and for biases."""

    x: str
    m: str
    xm: str = r"(?!)"
    bias: str = r"(?!)"


SCHEMES = (
    Scheme(f"W_?{_GATE}{_END}", f"U_?{_GATE}{_END}", bias=f"b_?{_GATE}"),
    Scheme(f"W_?[ix]_?{_GATE}", f"W_?[hr]_?{_GATE}", bias=f"b_?{_GATE}"),
    Scheme(f"U_?{_GATE}{_END}", f"V_?{_GATE}{_END}", bias=f"b_?{_GATE}"),
    Scheme(f"W_?{_GATE}_?[ix]", f"W_?{_GATE}_?h", bias=f"b_?{_GATE}"),
    Scheme(f"{_BEGIN}[ix]_?{_GATE}", f"{_BEGIN}h_?{_GATE}", bias=f"b_?{_GATE}"),
    Scheme(f"[ix]2_?{_GATE}{_END}", f"h2_?{_GATE}{_END}", bias=f"b_?{_GATE}"),
    Scheme(
        f"{_BEGIN}{_GATE}{_END}_?(?:x|i|ih|xh|x2h|i2h|input|w)",
        f"{_BEGIN}{_GATE}{_END}_?(?:h|hh|h2h|hidden|u)",
        bias=f"b_?{_GATE}",
    ),
    Scheme(
        f"(?:x|input|ih|w)_?{_GATE}{_END}", f"(?:h|hidden|hh|u)_?{_GATE}{_END}", bias=f"b_?{_GATE}"
    ),
)
CONCATENATED = Scheme(r"(?!)", r"(?!)", f"(?:{_BEGIN}|W_?){_GATE}{_END}", f"b_?{_GATE}")

BIAS_OF_X, BIAS_OF_M = f"b_?[ix]_?{_GATE}", f"b_?[hr]_?{_GATE}"


def _gate_part(name: str, scheme: Scheme) -> Part | None:
    """One Linear layer, or one bare array, a gate."""
    module, last = split_last(name)
    role: Role = "kernel"
    linear: bool | None = None
    if last in ("weight", "bias"):
        role, linear = ("kernel" if last == "weight" else "bias"), True
        module, last = split_last(module)
    sides: tuple[tuple[Side, str], ...] = (("x", scheme.x), ("m", scheme.m), ("xm", scheme.xm))
    for side, pattern in sides:
        found = re.fullmatch(pattern, last, re.IGNORECASE)
        if found is not None:
            gate = GATE_WORDS[found["gate"].lower()]
            if role == "bias":
                return Part(module, "bias", "any" if side == "xm" else side, gate)
            return Part(module, "kernel", side, gate, linear)
    if linear is None:
        biases: tuple[tuple[Side, str], ...] = (
            ("any", scheme.bias), ("x", BIAS_OF_X), ("m", BIAS_OF_M),
        )  # fmt: skip
        for side, pattern in biases:
            found = re.fullmatch(pattern, last, re.IGNORECASE)
            if found is not None:
                return Part(module, "bias", side, GATE_WORDS[found["gate"].lower()])
    return None


_BESIDE = r"(?:weight|linear|lin|fc|w)_?"
X_TO_H = re.compile(
    rf"(?:{_BESIDE})?(?:x2h|i2h|x2g|in2h|in2hid|input2hidden|ih|xh|x_to_h|i_to_h|input_to_hidden|"
    r"input_hidden|input_map)|w_?x|W",
    re.IGNORECASE,
)
H_TO_H = re.compile(
    rf"(?:{_BESIDE})?(?:h2h|h2g|hid2hid|hidden2hidden|hh|h_to_h|hidden_to_hidden|hidden_hidden|"
    r"hidden_map|recurrent)|w_?h|U",
    re.IGNORECASE,
)
RAW_BIASES: dict[str, Side] = {
    "b_ih": "x", "b_hh": "m", "bias_ih": "x", "bias_hh": "m", "b": "any", "bias": "any",
}  # fmt: skip
RAW_KERNELS: dict[str, Side] = {
    "w_ih": "x", "w_hh": "m", "W": "x", "U": "m", "Wx": "x", "Wh": "m",
}  # fmt: skip
CLEAR_NAME = re.compile(r"h2h|h2g|hid2hid|hidden2hidden|hh|h_to_h|hidden_to_hidden", re.IGNORECASE)
"""Names of what is applied to the previous m, that mean nothing else."""


def _joint_part(name: str) -> Part | None:
    """One Linear layer for all gates of x, and one for those of m."""
    module, last = split_last(name)
    if last in ("weight", "bias"):
        inner, layer = split_last(module)
        side: Side | None = (
            "x" if X_TO_H.fullmatch(layer) else "m" if H_TO_H.fullmatch(layer) else None
        )
        if side is not None:
            return Part(inner, "kernel" if last == "weight" else "bias", side, linear=True)
    found = RAW_KERNELS.get(last) or RAW_KERNELS.get(last.lower() if "_" in last else last)
    if found is not None:
        return Part(module, "kernel", found)
    bias = RAW_BIASES.get(last)
    return None if bias is None else Part(module, "bias", bias)


def joint_is_meant(found: FoundParts) -> bool:
    """Whether two matrices are a cell's: many layers have one square matrix and another one."""
    (_, array), *_ = found.kernels("m")
    square = len(array.shape) == 2 and array.shape[0] == array.shape[1]
    return not square or CLEAR_NAME.search(array.name) is not None


_OWN = {"lstm": "LSTM cell of somebody's own"}

JOINT = ModuleLayout(
    name="custom",
    title="cells of somebody's own",
    example="cell.x2h.weight and cell.h2h.weight, or cell.w_ih and cell.w_hh",
    part=_joint_part,
    classes={
        **_OWN,
        "gru": "GRU cell of somebody's own",
        "simple_rnn": "simple cell of somebody's own",
    },
    guess="the names are those of torch's equations, and its order of gates and activations are "
    "taken: no code says so",
)

GATES = tuple(
    ModuleLayout(
        name="custom",
        title="cells of somebody's own",
        example="cell.W_i.weight and cell.U_i.weight, a pair for each gate",
        part=partial(_gate_part, scheme=scheme),
        classes=_OWN,
        guess="the names tell the gates; that it computes an LSTM's equations is taken from them",
    )
    for scheme in SCHEMES
)

CONCATENATED_GATES = ModuleLayout(
    name="custom",
    title="cells of somebody's own",
    example="cell.forget_gate.weight, one for each gate",
    part=partial(_gate_part, scheme=CONCATENATED),
    classes=_OWN,
    guess="the names tell the gates; that x stands in front of m in what they are applied to, and "
    "that it computes an LSTM's equations, is taken to be so",
)
