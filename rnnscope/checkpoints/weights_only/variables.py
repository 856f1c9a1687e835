"""What the names of variables tell: which belong to one cell, and what each is to it.

Every era of TensorFlow named them in its own way: ``LSTMCell/W_0`` and ``B`` (0.x), ``lstm_cell/
weights`` and ``biases`` (1.0, 1.1), ``lstm_cell/kernel`` and ``bias`` since. `ROLES` knows all of
them; `group_by_scope` gathers the variables of each scope by role.

References
----------
tensorflow/python/ops/rnn_cell_impl.py, contrib/rnn/python/ops/{lstm_ops,gru_ops,rnn_cell}.py and
contrib/cudnn_rnn/python/ops/cudnn_rnn_ops.py, from 0.12 to 1.15.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import NamedTuple

from rnnscope.deferred_dataclass import dataclass

_KERNELS = "kernel|weights|Matrix"
_BIASES = "bias|biases|Bias"

# What stands behind the scope, and the role; the first that fits wins. A group ``n`` numbers the
# shards of a variable, a group ``gate`` names a gate.
ROLES: tuple[tuple[str, str], ...] = (
    (rf"(?:gates|Gates)/(?:Linear/)?(?:{_KERNELS})|w_ru", "gates_kernel"),
    (rf"(?:gates|Gates)/(?:Linear/)?(?:{_BIASES})|b_ru", "gates_bias"),
    (rf"candidate/input_projection/(?:{_KERNELS})", "candidate_input_kernel"),
    (rf"candidate/input_projection/(?:{_BIASES})", "candidate_input_bias"),
    (rf"candidate/hidden_projection/(?:{_KERNELS})", "candidate_hidden_kernel"),
    (rf"candidate/hidden_projection/(?:{_BIASES})", "candidate_hidden_bias"),
    (rf"(?:candidate|Candidate)/(?:Linear/)?(?:{_KERNELS})|w_c", "candidate_kernel"),
    (rf"(?:candidate|Candidate)/(?:Linear/)?(?:{_BIASES})|b_c", "candidate_bias"),
    (r"projection/(?:kernel|weights)|W_P_(?P<n>\d+)", "projection"),
    (r"[wW]_(?P<gate>[ifoIFO])_diag|wc(?P<gate2>[ifo])", "peephole"),
    (r"(?P<part>input|transform|forget|output|state)/(?P<norm>gamma|beta)", "norm"),
    (r"recurrent_kernel", "recurrent_kernel"),
    (rf"(?:Linear/)?(?:{_KERNELS})|W_(?P<n>\d+)|W", "kernel"),
    (rf"(?:Linear/)?(?:{_BIASES})|B|b", "bias"),
)
_ROLES = tuple(
    (re.compile(rf"(?:(?P<scope>.*?)/)?(?:{pattern})(?:/part_(?P<partition>\d+))?"), role)
    for pattern, role in ROLES
)


class Named(NamedTuple):
    """A variable's name taken apart."""

    scope: str
    role: str
    order: tuple[int, int]
    """Which shard, which partition."""


@dataclass
class Bag:
    """The variables of one scope, by role; a role's shards and partitions in order."""

    scope: str
    roles: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for names in self.roles.values() for name in names)

    def has(self, *roles: str) -> bool:
        """Whether all of these roles are taken."""
        return all(role in self.roles for role in roles)


def parse_name(name: str) -> Named | None:
    """The scope and role that a name tells; None for a name that no cell has."""
    for pattern, role in _ROLES:
        match = pattern.fullmatch(name)
        if match is None:
            continue
        found = match.groupdict()
        if role == "peephole":
            role = f"peephole_{(found['gate'] or found['gate2']).lower()}"  # noqa: PLW2901
        elif role == "norm":
            role = f"{found['part']}_{found['norm']}"  # noqa: PLW2901
        order = (int(found.get("n") or 0), int(found["partition"] or 0))
        return Named(found["scope"] or "", role, order)
    return None


def group_by_scope(names: Iterable[str]) -> dict[str, Bag]:
    """The variables of every scope, in the natural order of the scopes."""
    found: dict[str, dict[str, list[tuple[tuple[int, int], str]]]] = {}
    for name in names:
        named = parse_name(name)
        if named is not None:
            roles = found.setdefault(named.scope, {})
            roles.setdefault(named.role, []).append((named.order, name))
    return {
        scope: Bag(scope, {role: _ordered(parts) for role, parts in found[scope].items()})
        for scope in sorted(found, key=natural_key)
    }


def _ordered(parts: list[tuple[tuple[int, int], str]]) -> tuple[str, ...]:
    return tuple(name for _, name in sorted(parts))


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts ``cell_10`` behind ``cell_2``."""
    return tuple(
        (1, int(part), "") if part.isdecimal() else (0, 0, part)
        for part in re.split(r"(\d+)", name)
    )


CLASSES: Mapping[str, str] = {
    "basiclstmcell": "BasicLSTMCell",
    "lstmcell": "LSTMCell",
    "lstmblockcell": "LSTMBlockCell",
    "lstmblockfusedcell": "LSTMBlockFusedCell",
    "lstmblockwrapper": "LSTMBlockFusedCell",
    "lstmfusedcell": "LSTMBlockFusedCell",
    "cudnncompatiblelstmcell": "CudnnCompatibleLSTMCell",
    "layernormbasiclstmcell": "LayerNormBasicLSTMCell",
    "coupledinputforgetgatelstmcell": "CoupledInputForgetGateLSTMCell",
    "grucell": "GRUCell",
    "grublockcell": "GRUBlockCell",
    "grublockcellv2": "GRUBlockCellV2",
    "cudnncompatiblegrucell": "CudnnCompatibleGRUCell",
    "basicrnncell": "BasicRNNCell",
}
"""Scope names of cells, lower case and without underscores, and the class that uses them."""

NOT_COMPUTED: Mapping[str, str] = {
    "nascell": "NASCell",
    "ugrnncell": "UGRNNCell",
    "intersectionrnncell": "IntersectionRNNCell",
    "gridlstmcell": "GridLSTMCell",
    "timefreqlstmcell": "TimeFreqLSTMCell",
    "phasedlstmcell": "PhasedLSTMCell",
    "convlstmcell": "ConvLSTMCell",
    "glstmcell": "GLSTMCell",
    "indylstmcell": "IndyLSTMCell",
    "indygrucell": "IndyGRUCell",
    "srucell": "SRUCell",
    "weightnormlstmcell": "WeightNormLSTMCell",
    "minimalrnncell": "MinimalRNNCell",
    "cfncell": "CFNCell",
    "attentioncellwrapper": "AttentionCellWrapper",
}
"""Scope names of cells that rnnscope knows by name only."""

_CELLISH = re.compile(r"lstm|gru|rnn|cell|^fw$|^bw$", re.IGNORECASE)
_DENSEISH = re.compile(
    r"dense|logit|softmax|proj|attention|embed|head|^fc|fully_?connected|classif|^out|conv|norm",
    re.IGNORECASE,
)


def class_of(scope: str) -> str | None:
    """The class that the last part of a scope names."""
    return CLASSES.get(_bare(scope.rpartition("/")[2]))


def unsupported_class(scope: str) -> str | None:
    """A class somewhere in a scope that rnnscope knows by name only."""
    parts = [_bare(part) for part in scope.split("/")]
    return next((NOT_COMPUTED[part] for part in reversed(parts) if part in NOT_COMPUTED), None)


def looks_recurrent(scope: str) -> bool:
    """Whether a scope without a class's name may be a recurrent cell's: ``rnn/my_cell``.

    A dense layer may stand in the same scope, and have the shape of an LSTM: its own name tells.
    """
    *around, last = scope.split("/")
    if _DENSEISH.search(last):
        return False
    return bool(_CELLISH.search(last)) or any(_CELLISH.search(part) for part in around)


def _bare(part: str) -> str:
    return re.sub(r"_?\d+$", "", part).replace("_", "").lower()
