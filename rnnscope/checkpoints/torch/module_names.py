"""Recurrent modules among the tensors of a PyTorch state dict, found by name.

``nn.LSTM``, ``nn.GRU`` and ``nn.RNN`` name their tensors ``weight_ih_l0``, ``weight_hh_l0``,
``bias_ih_l0``, ``bias_hh_l0``, ``weight_hr_l0`` (proj_size), each with ``_reverse`` for the second
direction; their cells the same without ``_l0``. The number of gates tells the class. Whatever else
lies under a module's name is none of torch's own: the module is then another, and refused.

References
----------
torch/nn/modules/rnn.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any

from rnnscope.checkpoints.torch.computed_weights import PART
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError
from rnnscope.files.arrays.loadable_arrays import LoadableArray

if TYPE_CHECKING:
    from rnnscope.checkpoints.module_layouts.interface import ModuleLayout
    from rnnscope.model.cell import CellSpec

TENSOR = re.compile(
    r"(?P<module>|.*[./])(?P<role>(?:weight|bias)_(?:ih|hh)|weight_hr)"
    r"(?:_l(?P<layer>\d{1,4})(?P<reverse>_reverse)?)?"
)
"""A tensor of a recurrent module, whose name may be empty. A slash stands behind the name of a dict
that holds state dicts."""


class MisfitError(Exception):
    """A module is none of torch's own; the text is the reason, said of the module.

    Attributes
    ----------
    tensor : str
        The tensor that says so; empty if none does.
    expected, found, hint : str
        For the message.
    """

    def __init__(
        self, reason: str, tensor: str = "", expected: str = "", found: str = "", hint: str = ""
    ) -> None:
        super().__init__(reason)
        self.reason, self.tensor = reason, tensor
        self.expected, self.found, self.hint = expected, found, hint


@dataclass(frozen=True)
class DeclaredModule:
    """What a file that keeps the objects themselves says of a module.

    Attributes
    ----------
    class_name : str
        ``"torch.nn.modules.rnn.LSTM"``.
    settings : mapping of str to object
        Its plain attributes: ``mode``, ``bidirectional``, ``num_layers``.
    hooks : tuple of str
        What runs before or behind its forward pass, by name.
    """

    class_name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    hooks: tuple[str, ...] = ()


@dataclass
class ModuleDirection:
    """The tensors of one direction of one layer, by role."""

    tensors: dict[str, LoadableArray] = field(default_factory=dict)


@dataclass
class Module:
    """A recurrent module.

    Attributes
    ----------
    name : str
        Its name in the state dict, without the dot; empty if it is the whole model.
    is_cell : bool
        ``nn.LSTMCell`` and its kin: no layers, no second direction.
    layers : dict of (layer, reverse) to ModuleDirection
    extras : list of LoadableArray
        What else lies under its name.
    declared : DeclaredModule or None
        What the file says of it beside its tensors.
    layout : ModuleLayout or None
        Whose names its tensors have; None for torch's.
    read : callable or None
        ``read() -> cells`` of such a module, by layer and direction.
    """

    name: str
    is_cell: bool
    layers: dict[tuple[int, bool], ModuleDirection] = field(default_factory=dict)
    extras: list[LoadableArray] = field(default_factory=list)
    declared: DeclaredModule | None = None
    layout: ModuleLayout | None = None
    read: Callable[[], dict[tuple[int, bool], CellSpec]] | None = None

    def tensors(self) -> Iterable[LoadableArray]:
        """Those that are named as those of torch's modules are."""
        return (tensor for one in self.layers.values() for tensor in one.tensors.values())


def find_modules(
    arrays: Iterable[LoadableArray],
    *,
    outside: Collection[str] = (),
    by_hand: bool = False,
) -> list[Module]:
    """What is named as a recurrent module is, whole or not, in the order of the first tensors.

    Parameters
    ----------
    arrays : iterable of LoadableArray
    outside : collection of str
        Arrays that lie beside the state dict, and so under no module.
    by_hand : bool
        Somebody has named the arrays one by one, without a tree of modules: a name ends at an
        underline, too, and what looks like a dense layer behind one is no part of a module.

    Raises
    ------
    CheckpointError
        Two arrays have the same name.
    """
    found: dict[tuple[str, bool], Module] = {}
    others: list[LoadableArray] = []
    for array in arrays:
        match = TENSOR.fullmatch(array.name) if array.name not in outside else None
        if match is None:
            others.append(array)
            part = PART.fullmatch(array.name)
            if part is not None:  # so that a module of nothing but parts is found at all
                name = part["module"].rstrip("./")
                is_cell = "_l" not in (part["new"] or part["old"])
                found.setdefault((name, is_cell), Module(name, is_cell))
            continue
        name, is_cell = match["module"].rstrip("./"), match["layer"] is None
        module = found.setdefault((name, is_cell), Module(name, is_cell))
        place = (int(match["layer"] or 0), bool(match["reverse"]))
        tensors = module.layers.setdefault(place, ModuleDirection()).tensors
        if match["role"] in tensors:
            raise CheckpointError(
                "Two arrays of the file have the same name for a recurrent module.",
                where=array.name,
                expected="every weight once",
                found=f"shapes {tensors[match['role']].shape} and {array.shape}",
                hint="which of them counts is not told: save the one that the model uses",
            )
        tensors[match["role"]] = array
    modules = list(found.values())
    inside = [array for array in others if array.name not in outside]
    for module in modules:
        strangers = [t for other in modules if other is not module for t in other.tensors()]
        module.extras = [
            array
            for array in (*inside, *strangers)
            if is_under(array.name, module.name, "._/" if by_hand else "./")
            and not (by_hand and not _in_tree(array, module) and _looks_dense(array, inside))
        ]
    return modules


def is_under(name: str, module: str, separators: str = "./") -> bool:
    """Whether a tensor lies under a module's name."""
    return not module or name.startswith(tuple(module + mark for mark in separators))


def _in_tree(array: LoadableArray, module: Module) -> bool:
    """Whether a name is that of a tree of modules, after all: ``lstm.fc`` is a part of ``lstm``."""
    return bool(module.name) and is_under(array.name, module.name)


NORMAL = re.compile(r"(^|[._/\d])(ln|norm|layernorm|bn|batchnorm|peep\w*|gamma|beta)([._/\d]|$)")


def _looks_dense(array: LoadableArray, arrays: Iterable[LoadableArray]) -> bool:
    """A matrix, or a vector beside a matrix of so many rows or columns, that norms nothing."""
    name = array.name.lower()
    if TENSOR.fullmatch(array.name) or PART.fullmatch(array.name) or NORMAL.search(name):
        return False
    if len(array.shape) != 1:
        return len(array.shape) == 2
    stem = re.sub(r"(^|[._/])(bias|b)$", "", name)
    return stem != name and any(
        len(other.shape) == 2
        and array.shape[0] in other.shape
        and re.sub(r"(^|[._/])(weight|kernel|w)$", "", other.name.lower()) == stem
        for other in arrays
    )
