"""What was saved, walked: every tensor by name, and what the file says of its modules.

A state dict is a dict of tensors; a training checkpoint holds it inside other dicts and objects; a
whole pickled module is a tree of modules, whose tensors get the names that its state dict would
give them.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

from rnnscope.checkpoints.torch.computed_weights import PART
from rnnscope.checkpoints.torch.module_names import TENSOR, DeclaredModule
from rnnscope.checkpoints.torch.pickled_values import (
    Name,
    PickledArray,
    PickledTensor,
    Record,
    Script,
    walk_children,
)
from rnnscope.deferred_dataclass import dataclass

MAX_DEPTH = 100
MAX_OBJECTS = 1_000_000
MAX_LETTERS = 1 << 28
"""Limits of a walk over what was saved: a pickle can refer to one object many times."""

Folder = tuple[str, ...]


class EndlessObjectsError(Exception):
    """There is more than any model has."""


@dataclass(frozen=True, eq=False)
class SavedTensor:
    """A tensor or array.

    Attributes
    ----------
    folder : tuple of str
        The dicts and objects that hold it.
    name : str
        In the innermost one; with dots inside a tree of modules.
    value : PickledTensor or PickledArray
    """

    folder: Folder
    name: str
    value: PickledTensor | PickledArray


@dataclass
class SavedObjects:
    """What a file holds.

    Attributes
    ----------
    tensors : list of SavedTensor
        In the order in which they were saved.
    modules : dict of (folder, name) to DeclaredModule
        Modules of which the file keeps the object.
    """

    tensors: list[SavedTensor] = field(default_factory=list)
    modules: dict[tuple[Folder, str], DeclaredModule] = field(default_factory=dict)


def walk_saved(value: Any) -> SavedObjects:
    """Find every tensor and module.

    Raises
    ------
    EndlessObjectsError
        The walk is longer or deeper than any model is.
    """
    return _Walk().walk(value)


BOOKKEEPING = frozenset(
    {"_parameters", "_buffers", "_modules", "_flat_weights", "_all_weights", "all_weights",
     "_flat_weight_refs", "_non_persistent_buffers_set"}
)  # fmt: skip
"""Attributes of a module that are looked at by themselves, or say again what others hold."""

HOOKS = ("_forward_pre_hooks", "_forward_hooks")
KNOWN_HOOKS = frozenset(
    {"torch.nn.utils.weight_norm.WeightNorm", "torch.nn.utils.spectral_norm.SpectralNorm"}
)
PRUNING = "torch.nn.utils.prune."
"""Hooks that make a weight of its parts, as is done here, too."""

MANGLED = re.compile(r"___torch_mangle_\d+\.")


class _Walk:
    """Finds tensors and modules.

    Modules are walked by what is registered in them, as a state dict is made; attributes after all
    modules, since they may refer to any.
    """

    def __init__(self) -> None:
        self._found = SavedObjects()
        self._seen: set[int] = set()
        self._count = 0
        self._letters = 0

    def walk(self, value: Any) -> SavedObjects:
        self._visit((), "", value, 0)
        return self._found

    def _count_object(self, name: str, depth: int, folder: Folder = ()) -> None:
        self._count += 1
        self._letters += len(name) + sum(map(len, folder))
        if self._count > MAX_OBJECTS or depth > MAX_DEPTH or self._letters > MAX_LETTERS:
            raise EndlessObjectsError(f"{MAX_OBJECTS} objects, {MAX_DEPTH} deep")

    def _visit(self, folder: Folder, name: str, item: Any, depth: int) -> None:
        """What lies outside all modules: the dicts and objects around a tensor are its folder."""
        if isinstance(item, PickledArray) and item.objects:
            item = item.objects[0] if len(item.objects) == 1 else item.objects
        if isinstance(item, (PickledTensor, PickledArray)):
            self._found.tensors.append(SavedTensor(folder, name, item))
        elif isinstance(item, (dict, list, tuple, Record)) and id(item) not in self._seen:
            inside = (*folder, name) if name else folder
            if isinstance(item, Record) and is_module(item):
                self._visit_tree(inside, item, depth)
                return
            self._seen.add(id(item))
            for key, child in walk_children(item):
                self._count_object(key, depth, inside)
                self._visit(inside, key, child, depth + 1)

    def _visit_tree(self, folder: Folder, root: Record, depth: int) -> None:
        attributes: deque[tuple[str, Any]] = deque()
        self._visit_module(folder, "", root, depth, attributes)
        while attributes:
            name, item = attributes.popleft()
            self._visit_attribute(folder, name, item, depth, attributes)

    def _visit_module(
        self, folder: Folder, name: str, module: Record, depth: int, later: deque[tuple[str, Any]]
    ) -> None:
        """The tensors of a module and of those inside it, by dotted names."""
        self._count_object(name, depth, folder)
        self._seen.add(id(module))
        self._found.modules.setdefault((folder, name), _declared(module))
        dotted = f"{name}." if name else ""
        for key, child in _registered(module):
            self._count_object(dotted + key, depth, folder)
            if isinstance(child, (PickledTensor, PickledArray)):
                self._found.tensors.append(SavedTensor(folder, dotted + key, child))
            elif is_module(child):
                self._visit_module(folder, dotted + key, child, depth + 1, later)
            else:
                later.append((dotted + key, child))
        later.extend((dotted + key, child) for key, child in _other_attributes(module))

    def _visit_attribute(
        self, folder: Folder, name: str, item: Any, depth: int, later: deque[tuple[str, Any]]
    ) -> None:
        self._count_object(name, depth, folder)
        if isinstance(item, (PickledTensor, PickledArray)):
            self._found.tensors.append(SavedTensor(folder, name, item))
        elif isinstance(item, (dict, list, tuple, Record)) and id(item) not in self._seen:
            self._seen.add(id(item))
            if isinstance(item, Record) and is_module(item):
                self._visit_module(folder, name, item, depth + 1, later)
                return
            for key, child in walk_children(item):
                self._visit_attribute(folder, f"{name}.{key}", child, depth + 1, later)


def is_module(item: Any) -> bool:
    """Whether a record is an ``nn.Module``: it keeps its parameters and modules by name.

    All objects of TorchScript count as modules.
    """
    if not isinstance(item, Record) or isinstance(item, Script):
        return isinstance(item, Script)
    attributes = item.attributes
    return all(isinstance(attributes.get(key), dict) for key in ("_parameters", "_modules"))


def _registered(module: Record) -> Iterator[tuple[str, Any]]:
    """A module's parameters, buffers and modules, in the order of its state dict."""
    attributes = module.attributes
    if isinstance(module, Script):
        yield from (
            (str(key), child) for key, child in attributes.items() if key not in BOOKKEEPING
        )
        return
    for key in ("_parameters", "_buffers", "_modules"):
        held = attributes.get(key)
        if isinstance(held, dict):
            yield from ((str(name), child) for name, child in held.items())


def _other_attributes(module: Record) -> Iterator[tuple[str, Any]]:
    if isinstance(module, Script):
        return
    own = [name for name, _ in _registered(module)]
    for key, child in module.attributes.items():
        name = str(key)
        # Weight norm and its like leave the weight that they made as an attribute.
        made = TENSOR.fullmatch(name) and any(_is_part(other, name) for other in own)
        if not (name in BOOKKEEPING or name.endswith("_hooks") or made):
            yield name, child


def _is_part(name: str, whole: str) -> bool:
    return name.startswith(f"{whole}_") and PART.fullmatch(name) is not None


def _declared(module: Record) -> DeclaredModule:
    attributes = module.attributes
    settings = {
        str(key): value
        for key, value in attributes.items()
        if isinstance(value, (str, int, float, bool)) or value is None
    }
    hooks = [name for key in HOOKS for name in _strange_hooks(attributes.get(key))]
    if "forward" in attributes:
        hooks.append("its own forward")
    return DeclaredModule(_class_name(module.name), settings, tuple(hooks))


def _strange_hooks(held: Any) -> Iterator[str]:
    for hook in held.values() if isinstance(held, Mapping) else ():
        name = hook.name if isinstance(hook, Record) else hook
        words = str(name) if isinstance(name, Name) else type(hook).__name__
        if words not in KNOWN_HOOKS and not words.startswith(PRUNING):
            yield words


def _class_name(name: Name) -> str:
    whole = str(name)
    return MANGLED.sub("", whole).removeprefix("__torch__.") if "__torch__" in whole else whole
