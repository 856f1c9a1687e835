"""Layers of a Keras file that holds weights alone: what names, places and shapes tell of them."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from rnnscope.checkpoints.keras.dialect import Dialect
from rnnscope.checkpoints.keras.weights import StoredVariable
from rnnscope.checkpoints.keras.weights_only.cells import keras_cell
from rnnscope.checkpoints.weights_only.cells import RecognisedCell
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array, Option

Roles = Mapping[str, StoredVariable]
"""The variables of one cell or layer by what they are: ``kernel``, ``recurrent_kernel`` …"""

KERAS1_GATES = {4: "ifco", 3: "zrh"}
"""Keras 1 named its arrays by gate; joined in these orders they are as Keras 2 stores them."""


@dataclass(frozen=True, eq=False)
class LayerDirection:
    """One direction of a recurrent layer: its cells, the first nearest to the input.

    Attributes
    ----------
    name : str
        Added to the layer's name: ``"forward_lstm"``; empty for a layer on its own.
    cells : tuple of mapping
    backward : bool
        As the file tells it, by a name or by the attribute that holds the layer.
    told : str
        What tells it, in words; empty for a layer on its own.
    """

    name: str
    cells: tuple[Roles, ...]
    backward: bool = False
    told: str = ""


@dataclass(frozen=True, eq=False)
class LooseLayer:
    """A layer, in the order in which the file lists or keeps it.

    Attributes
    ----------
    name : str
        With the names of the models around it.
    class_name : str
        The Keras class as far as a name tells it; empty if it does not.
    directions : tuple of LayerDirection
        Of a recurrent layer: one, or forward and backward.
    variables : tuple of StoredVariable
        Of any other layer.
    roles : mapping
        The same by role.
    refused : str
        Why a recurrent layer is not read, the end of a sentence; empty for one that is.
    """

    name: str
    class_name: str = ""
    directions: tuple[LayerDirection, ...] = ()
    variables: tuple[StoredVariable, ...] = ()
    roles: Roles | None = None
    refused: str = ""


STOCK_LAYERS = frozenset(
    {"lstm", "gru", "simple_rnn", "rnn", "bidirectional", "unified_lstm", "unified_gru",
     "cu_dnnlstm", "cu_dnngru", "cudnn_lstm", "cudnn_gru", "cudnnlstm", "cudnngru"}
)  # fmt: skip
"""Keras' recurrent layers by the name that it makes of a class."""

STOCK_CELLS = frozenset({"lstm_cell", "gru_cell", "simple_rnn_cell"})
CELL_ROLES = ("kernel", "recurrent_kernel", "bias")
"""What Keras calls the variables of its cells, in its order."""


def base_name(name: str) -> str:
    """A name without the number that Keras adds to make it unique."""
    return re.sub(r"_\d+$", "", name)


def is_cell(roles: Roles) -> bool:
    """True for the variables of a recurrent cell, in the names of any Keras."""
    return {"kernel", "recurrent_kernel"} <= roles.keys() or any(
        role == "U" or role.startswith("U_") for role in roles
    )


def make_cell(roles: Roles, dialect: Dialect) -> RecognisedCell:
    """The cell that some variables make, with the defaults of the Keras that wrote them."""
    more = [variable.name for role, variable in roles.items() if not _is_role(role)]
    if more:
        return RecognisedCell(None, f"it has '{more[0]}', which no cell of Keras has")
    arrays = {role: variable.load() for role, variable in roles.items()}
    names = tuple(variable.name for variable in roles.values())
    found = _keras1(arrays) if "U" in arrays or any("_" in role for role in _ones(arrays)) else None
    if found is None:
        found = (arrays.get("kernel"), arrays.get("recurrent_kernel"), arrays.get("bias"))
    kernel, recurrent, bias = found
    if kernel is None or recurrent is None:
        return RecognisedCell(None, "it lacks a kernel, or its gates' arrays do not fit each other")
    if bias is not None and bias.dtype.kind != "f":
        return RecognisedCell(None, "its bias holds no floats")
    two_rows = bias is not None and bias.ndim == 2
    return keras_cell(
        kernel,
        recurrent,
        bias,
        names,
        recurrent_activation=_gate_activation(dialect, two_rows=two_rows),
        reset_after=Option(
            dialect.reset_after,
            "class default" if dialect.is_plain else "guess",
            f"GRU of {dialect.framework}; without a bias its shape does not tell",
        ),
    )


def _is_role(role: str) -> bool:
    """Whether a variable is one of Keras' own cells, of any version."""
    return role in CELL_ROLES or re.fullmatch(r"[WUb](_[ifcozrh])?", role) is not None


def _ones(arrays: Mapping[str, Array]) -> list[str]:
    return [role for role in arrays if role.startswith("U_")]


def _keras1(
    arrays: Mapping[str, Array],
) -> tuple[Array | None, Array | None, Array | None]:
    """Keras 1: W, U, b, or the same for each gate."""
    if "U" in arrays:
        return arrays.get("W"), arrays["U"], arrays.get("b")
    gates = KERAS1_GATES.get(len(_ones(arrays)), "")
    roles = [[f"{part}_{gate}" for gate in gates] for part in "WUb"]
    if not gates or any(role not in arrays for part in roles for role in part):
        return None, None, None
    parts = [[arrays[role] for role in part] for part in roles]
    if any(len({array.shape for array in part}) > 1 or not part[0].ndim for part in parts):
        return None, None, None
    kernel, recurrent, bias = (np.concatenate(part, axis=-1) for part in parts)
    return kernel, recurrent, bias


def _gate_activation(dialect: Dialect, *, two_rows: bool) -> Option[str]:
    """The default of the gates' activation, which Keras 2.3 and TensorFlow 2 changed."""
    if dialect.version.startswith("2.2.4-tf"):
        # One version in TensorFlow 1.13 to 1.15 and 2.0, 2.1; two rows of bias are of the latter.
        name = "sigmoid" if two_rows else "hard_sigmoid"
        return Option(name, "guess", "hard_sigmoid in TensorFlow 1, sigmoid in 2.0 and 2.1")
    name = "sigmoid" if dialect.number >= (2, 3) else "hard_sigmoid"
    origin = "class default" if dialect.is_plain else "guess"
    return Option(name, origin, f"default of {dialect.framework}")  # type: ignore[arg-type]
