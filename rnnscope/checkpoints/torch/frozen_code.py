"""Weights that a frozen TorchScript archive names in its code alone.

``torch.jit.freeze`` turns parameters into constants; what is left of their names is their order in
the list that a recurrent function is called with. The code is text here, and is only searched.

References
----------
aten/src/ATen/native/native_functions.yaml: ``lstm.input(Tensor input, Tensor[] hx, Tensor[] params,
bool has_biases, int num_layers, float dropout, bool train, bool bidirectional, bool batch_first)``,
the same of gru, rnn_tanh and rnn_relu; ``lstm_cell(input, hx, w_ih, w_hh, b_ih, b_hh)``.
torch/nn/modules/rnn.py, ``_flat_weights``: layer by layer, direction by direction.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field

from rnnscope.checkpoints.torch.module_names import DeclaredModule
from rnnscope.deferred_dataclass import dataclass

NUMBER = r"CONSTANTS\.c(\d{1,6})"
ASSIGNED = re.compile(
    r"^\s*(\w+) = (\[CONSTANTS\.c\d{1,6}(?:, CONSTANTS\.c\d{1,6})*\])$", re.MULTILINE
)
CALL = re.compile(
    r"torch\.(?P<kind>lstm|gru|rnn_tanh|rnn_relu)\((?P<x>[\w.]+), (?P<hx>\[[^\]]*\]|[\w.]+), "
    r"(?P<weights>\w+|\[CONSTANTS\.c\d{1,6}(?:, CONSTANTS\.c\d{1,6})*\]), "
    r"(?P<biases>True|False), (?P<layers>\d{1,4}), [\w.]+, (?:True|False), (?P<both>True|False)"
)
CELL = re.compile(
    r"torch\.(?P<kind>lstm|gru|rnn_tanh|rnn_relu)_cell\((?P<x>[\w.]+), (?P<hx>\[[^\]]*\]|[\w.]+), "
    r"(?P<weights>CONSTANTS\.c\d{1,6}(?:, CONSTANTS\.c\d{1,6}){1,3})"
)
MODES = {"lstm": "LSTM", "gru": "GRU", "rnn_tanh": "RNN_TANH", "rnn_relu": "RNN_RELU"}
WORDS = {"lstm": "lstm", "gru": "gru", "rnn_tanh": "rnn", "rnn_relu": "rnn"}
NAMED = re.compile(r"self_(\w+?)__flat_weights\w*")


@dataclass
class FrozenModules:
    """What the code calls.

    Attributes
    ----------
    names : dict of int to str
        Numbers of constants to the names that their tensors had, or would have.
    modules : dict of str to DeclaredModule
        The modules by name, with what the calls say of them.
    """

    names: dict[int, str] = field(default_factory=dict)
    modules: dict[str, DeclaredModule] = field(default_factory=dict)


def find_frozen(code: str) -> FrozenModules:
    """The recurrent functions that code calls with constants.

    Parameters
    ----------
    code : str
        Of all members, joined.
    """
    found = FrozenModules()
    lists = dict(ASSIGNED.findall(code))
    for call in CALL.finditer(code):
        named = NAMED.fullmatch(call["weights"])
        numbers = _numbers(str(lists.get(call["weights"], call["weights"])))
        layers, both = int(call["layers"]), call["both"] == "True"
        roles = [*_flat_names(layers, both=both, biases=call["biases"] == "True")]
        if call["kind"] == "lstm" and len(numbers) == len(roles) + layers * (1 + both):
            roles = [*_flat_names(layers, both=both, biases=call["biases"] == "True", proj=True)]
        if not numbers or len(numbers) != len(roles):
            continue
        settings = {"mode": MODES[call["kind"]], "num_layers": layers, "bidirectional": both}
        name = named[1].replace("_", ".") if named and "_" not in named[1] else WORDS[call["kind"]]
        _add(found, name, numbers, roles, DeclaredModule(_class(call["kind"]), settings))
    for call in CELL.finditer(code):
        numbers = _numbers(call["weights"])
        roles = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"][: len(numbers)]
        nonlinearity = {"rnn_tanh": "tanh", "rnn_relu": "relu"}.get(call["kind"])
        settings = {} if nonlinearity is None else {"nonlinearity": nonlinearity}
        if len(numbers) in (2, 4):
            declared = DeclaredModule(f"{_class(call['kind'])}Cell", settings)
            _add(found, f"{WORDS[call['kind']]}_cell", numbers, roles, declared)
    return found


def _add(
    found: FrozenModules,
    name: str,
    numbers: list[int],
    roles: list[str],
    declared: DeclaredModule,
) -> None:
    """Name the constants of a call; a call of the same weights again is the same module."""
    if numbers[0] in found.names:
        return
    count = sum(1 for other in found.modules if other == name or other.startswith(f"{name}_"))
    own = f"{name}_{count}" if count else name
    found.modules[own] = declared
    for number, role in zip(numbers, roles, strict=True):
        found.names.setdefault(number, f"{own}.{role}")


def _class(kind: str) -> str:
    return f"torch.nn.modules.rnn.{MODES[kind].partition('_')[0]}"


def _numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(NUMBER, text)]


def _flat_names(layers: int, *, both: bool, biases: bool, proj: bool = False) -> Iterator[str]:
    roles = ["weight_ih", "weight_hh"] + ["bias_ih", "bias_hh"] * biases + ["weight_hr"] * proj
    for layer in range(layers):
        for end in ("", "_reverse")[: 1 + both]:
            yield from (f"{role}_l{layer}{end}" for role in roles)
