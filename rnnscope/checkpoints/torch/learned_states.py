"""Initial states among the tensors of a state dict: used where they can be read one way only.

torch's modules hold none; who wants to learn them keeps parameters beside the module (``h0``,
``init_c``), and code that is not in the file hands them over. A name that speaks of the first state
and a shape that fits are read as what they say; any other tensor that speaks of the state, by name
or shape, makes the layers unknown that it may be for, until somebody gives their initial states.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import field

import numpy as np

from rnnscope.checkpoints.torch.module_names import TENSOR, Module
from rnnscope.checkpoints.torch.state_names import (
    NO_STATE_WORDS,
    StateName,
    speaks_of_state,
    words_of,
)
from rnnscope.deferred_dataclass import dataclass
from rnnscope.files.arrays.loadable_arrays import LoadableArray
from rnnscope.model.cell import Array, CellSpec
from rnnscope.model.initial_state import StoredState


@dataclass
class ModuleStates:
    """What the file says of a module's initial states.

    Attributes
    ----------
    stored : dict of (layer, reverse) to dict of str to StoredState
        By state name.
    unknown : dict of str to str
        Tensors that make the initial state unknown, each with the reason.
    used : set of str
        Tensors that were read or looked at.
    """

    stored: dict[tuple[int, bool], dict[str, StoredState]] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)


Placed = tuple[Module, Mapping[tuple[int, bool], CellSpec]]


def find_states(
    modules: Mapping[str, Placed],
    arrays: Sequence[LoadableArray],
    outside: Collection[str] = (),
    constants: Collection[str] = (),
) -> dict[str, ModuleStates]:
    """The initial states of modules.

    Parameters
    ----------
    modules : mapping of str to (Module, cells)
        Those that are computed, by their name in the state dict.
    arrays : sequence of LoadableArray
        All tensors.
    outside : collection of str
        Tensors that lie beside the state dict: only those are looked at that are called a first
        state, since a training checkpoint may keep the last one, too.
    constants : collection of str
        Those of them that stand in code, without a name.

    Returns
    -------
    dict of str to ModuleStates
        By name of the module; none for modules of which the file says nothing.
    """
    claims: dict[str, list[tuple[LoadableArray, StateName]]] = {}
    for array in arrays:
        if TENSOR.fullmatch(array.name):
            continue
        if array.name in outside:
            for name, word in _said_beside(array, modules, array.name in constants):
                claims.setdefault(name, []).append((array, word))
            continue
        said = speaks_of_state(array.name)
        nearest = _nearest(array.name, modules)
        if said is None:
            said = _said_by_shape(array, nearest, modules)
        if said is None:
            continue
        fitting = [name for name in nearest if _may_be_for(array, said, modules[name])]
        if said.initial and not said.dense:
            fitting = fitting or nearest
        for name in _named_in(said.word, fitting):
            claims.setdefault(name, []).append((array, said))
    return {
        name: _read(modules[name], found, _rivals(found, claims)) for name, found in claims.items()
    }


def _said_beside(
    array: LoadableArray, modules: Mapping[str, Placed], constant: bool
) -> list[tuple[str, StateName]]:
    """The modules that a tensor outside the state dict may be a state of, and what it says."""
    if constant:
        said = StateName("either", False, False, array.name)
        fitting = [name for name in modules if _may_be_constant(array, modules[name])]
        return [(name, said) for name in fitting] if _is_float(array, fitting) else []
    named = speaks_of_state(array.name)
    if named is None or named.dense or not named.initial:
        return []
    fitting = [name for name in modules if _may_be_for(array, named, modules[name])]
    return [(name, named) for name in _named_in(named.word, fitting)]


def _may_be_constant(array: LoadableArray, placed: Placed) -> bool:
    """Whether a constant has the shape of a state: batches of any size, one for each layer."""
    *leading, last = array.shape or (0,)
    if last not in _widths(placed).values():
        return False
    if placed[0].is_cell:
        return len(leading) < 2
    return len(leading) == 0 or (len(leading) < 3 and leading[0] in (1, len(placed[1])))


def _is_float(array: LoadableArray, fitting: list[str]) -> bool:
    return bool(fitting) and array.load().dtype.kind == "f"


def _nearest(name: str, modules: Collection[str]) -> list[str]:
    """The modules in the smallest part of the model that holds a tensor and any module."""
    parts = re.split(r"(?<=[./])", name)[:-1]
    while True:
        scope = "".join(parts)
        found = [module for module in modules if f"{module}.".startswith(scope) or not scope]
        if found or not parts:
            return found
        parts.pop()


def _named_in(word: str, names: list[str]) -> list[str]:
    """Those whose own name the word holds (``encoder_h0``), or all."""
    lower = word.lower()
    found = [
        name for name in names
        if (own := re.split(r"[./]", name)[-1].lower()) and len(own) > 1 and own in lower
    ]  # fmt: skip
    longest = max((len(name.rpartition(".")[2]) for name in found), default=0)
    return [name for name in found if len(name.rpartition(".")[2]) == longest] or names


def _rivals(
    found: list[tuple[LoadableArray, StateName]],
    claims: Mapping[str, list[tuple[LoadableArray, StateName]]],
) -> set[str]:
    """Tensors that may be for other modules as well."""
    counts: dict[str, int] = {}
    for others in claims.values():
        for array, _ in others:
            counts[array.name] = counts.get(array.name, 0) + 1
    return {array.name for array, _ in found if counts[array.name] > 1}


def _widths(placed: Placed) -> dict[str, int]:
    """The width of each state; those of all layers are the same in torch's modules."""
    cell = next(iter(placed[1].values()))
    widths = {"m": cell.output_size}
    return {**widths, "c": cell.num_units} if cell.kind == "lstm" else widths


def _may_be_for(array: LoadableArray, said: StateName, placed: Placed) -> bool:
    """Whether a tensor's shape has a state's width in it."""
    widths = set(_widths(placed).values())
    count = len(placed[1])
    if said.dense:
        made = {width * times for width in widths for times in {1, 2, count, 2 * count}}
        return bool(array.shape) and bool(made & {*array.shape})
    fits = bool(array.shape) and array.shape[-1] in widths
    if said.initial:
        return fits
    # A batch of states is kept, too; anything else so called is no state.
    leading = array.shape[:-1]
    return fits and (len(leading) < 3 and leading[:1] in ((), (1,), (count,)))


def _said_by_shape(
    array: LoadableArray, nearest: list[str], modules: Mapping[str, Placed]
) -> StateName | None:
    """A parameter that is shaped as torch's initial states are, whatever it is called."""
    last = re.split(r"[./]", array.name)[-1]
    if len(array.shape) != 3 or array.shape[1] != 1 or NO_STATE_WORDS & {*words_of(last)}:
        return None
    scope = array.name[: len(array.name) - len(last)]
    for name in nearest:
        beside = f"{name}." == scope or name.rpartition(".")[0] == scope.rstrip("./")
        fits = array.shape[0] == len(modules[name][1]) and array.shape[2] in set(
            _widths(modules[name]).values()
        )
        if beside and fits:
            return StateName("either", False, False, last)
    return None


def _read(
    placed: Placed, found: list[tuple[LoadableArray, StateName]], rivals: set[str]
) -> ModuleStates:
    """The states of one module from the tensors that may be for it."""
    made = ModuleStates(used={array.name for array, _ in found})
    widths = _widths(placed)
    places = sorted(placed[1])
    by_state: dict[str, list[tuple[LoadableArray, StateName]]] = {}
    for array, said in found:
        state: str = "m" if said.kind == "either" and len(widths) == 1 else said.kind
        reason = _why_unclear(array, said, state, rivals, widths)
        if reason is None:
            by_state.setdefault(state, []).append((array, said))
        elif not _is_zero(array, said, widths):
            made.unknown[array.name] = reason
    values: dict[str, tuple[str, list[Array]]] = {}
    for state, tensors in by_state.items():  # c, m
        rows = _rows(tensors, len(places), widths[state])
        if rows is None:
            shapes = ", ".join(f"'{array.name}' {array.shape}" for array, _ in tensors)
            for array, _ in tensors:
                made.unknown[array.name] = (
                    f"looks like its initial {state}, but the shape does not tell of which of "
                    f"{len(places)} layers and directions, each {widths[state]} wide: {shapes}"
                )
        else:
            values[state] = (" and ".join(f"'{array.name}'" for array, _ in tensors), rows)
    if values and set(values) != set(widths) and not made.unknown:
        missing = next(iter(set(widths) - set(values)))
        for state in values:
            for array, _ in by_state[state]:
                made.unknown[array.name] = (
                    f"looks like its initial {state}, but nothing is there for {missing}"
                )
    if not made.unknown:
        for number, place in enumerate(places):
            made.stored[place] = {
                state: StoredState(rows[number], f"tensor {name}")
                for state, (name, rows) in values.items()
            }
    return made


def _why_unclear(
    array: LoadableArray,
    said: StateName,
    state: str,
    rivals: set[str],
    widths: Mapping[str, int],
) -> str | None:
    if said.dense:
        return (
            "is part of a layer that makes its initial state of something that is not in the file"
        )
    if array.name in rivals:
        return "looks like an initial state, but may be that of several modules"
    if not said.initial:
        return "looks like a state, but does not say whether it is the first one"
    if state not in widths:
        return "looks like an initial state, but does not say of c or m"
    if not array.shape or array.shape[-1] != widths[state]:
        return f"looks like its initial {state}, but is not {widths[state]} wide"
    return None


def _is_zero(array: LoadableArray, said: StateName, widths: Mapping[str, int]) -> bool:
    """Whether a state is all zeros, which is what layers start from anyway."""
    fits = bool(array.shape) and array.shape[-1] in set(widths.values())
    return fits and not said.dense and not np.any(array.load())


def _rows(
    tensors: list[tuple[LoadableArray, StateName]], count: int, width: int
) -> list[Array] | None:
    """One state (width,) for each layer and direction, in torch's order; None if it is unclear."""
    if len(tensors) > 1:  # a list of parameters: one a layer and direction
        numbers = [said.number for _, said in tensors]
        if sorted(-1 if n is None else n for n in numbers) != list(range(count)):
            return None
        tensors = sorted(tensors, key=lambda each: each[1].number or 0)
        rows = [_rows([(array, said)], 1, width) for array, said in tensors]
        found = [row[0] for row in rows if row is not None]
        return found if len(found) == len(rows) else None
    array = tensors[0][0]
    *leading, last = array.shape
    axes = [size for size in leading if size != 1]
    whole = axes == ([] if count == 1 else [count]) and (count == 1 or leading[0] == count)
    if last != width or not whole:
        return None
    values = array.load()
    if values.dtype.kind != "f":
        return None
    return list(np.ascontiguousarray(values.reshape(count, width)))
