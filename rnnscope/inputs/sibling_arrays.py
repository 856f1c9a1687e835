"""What goes with an input: which lengths, mask and initial states the user or the file gives."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import field, replace

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import InputError, spell
from rnnscope.files.containers.opening import ARCHIVES
from rnnscope.inputs.batch import last_input_step
from rnnscope.inputs.lengths_masks_states import (
    INLINE_INTEGERS,
    ArrayReference,
    LocatedArray,
    check_agreement,
    check_initial,
    check_lengths,
    check_mask,
    find_array,
    lengths_of_prefix,
)
from rnnscope.inputs.resets import CONVENTIONS
from rnnscope.inputs.source import InputSource
from rnnscope.model.cell import Array

INITIAL_NAME = re.compile(r"(?:(?P<layer>.+)/)?initial_(?P<state>[a-z]+)")
OFFSETS = "offsets"
AUTO_BLOCK_BYTES = 32 * 2**20


@dataclass(frozen=True)
class ModelNames:
    """Names under which a stored model itself takes what goes with its input.

    Attributes
    ----------
    states : mapping of str to callable
        ``states[name](array) -> {"<layer>/initial_c": (sequence, width), …}``: the initial states
        that an array makes, in the layout that the model has for it.
    lengths : frozenset of str
    """

    states: Mapping[str, Callable[[Array], Mapping[str, Array]]] = field(default_factory=dict)
    lengths: frozenset[str] = frozenset()

    def __contains__(self, key: str) -> bool:
        return key in self.states or key in self.lengths


NO_NAMES = ModelNames()


def is_companion(key: str) -> bool:
    """True for the names of an ``.npz`` that are taken as lengths, mask, resets, initial state."""
    known = ("lengths", "mask", OFFSETS, *CONVENTIONS)
    return key in known or INITIAL_NAME.fullmatch(key) is not None


def accompany(
    source: InputSource,
    key: str,
    *,
    lengths: ArrayReference | None,
    mask: ArrayReference | None,
    initial: Mapping[str, ArrayReference],
    time_major: bool,
    names: ModelNames = NO_NAMES,
) -> InputSource:
    """The source with its lengths, mask and initial states; parameters as in `open_input`.

    Raises
    ------
    InputError
        One of them does not fit the input, or they contradict each other.
    """
    notes = list(source.notes)
    size = (source.sequences, source.timesteps)
    if lengths is None:
        lengths = _under_its_own_name(source, names, notes)
    given_lengths = _given(source, "lengths", lengths, notes)
    given_mask = _given(source, "mask", mask, notes)
    steps = valid = None
    if given_mask:
        valid = check_mask(given_mask, *size, time_major and source.layout == "time major")
    if isinstance(lengths, str) and lengths == "auto":
        steps = _auto_lengths(source)
        notes.append(
            "Lengths 'auto': trailing all-zero timesteps were taken as padding; lengths run from "
            f"{steps.min()} to {steps.max()} of {source.timesteps}."
        )
        given_lengths = LocatedArray(steps, spell("lengths", "auto"))
    elif given_lengths:
        steps = check_lengths(given_lengths, *size)
    if source.offsets is not None:
        steps = _lengths_of_offsets(source.offsets, given_lengths, given_mask)
        given_lengths = None
    if given_lengths and given_mask and steps is not None and valid is not None:
        check_agreement(given_lengths, given_mask, steps, valid)
    elif valid is not None:
        steps = lengths_of_prefix(valid)
        if steps is not None:
            notes.append("The mask is valid steps, then padding: it was read as lengths too.")
    if source.container.kind == "hdf5":
        notes += _unused_siblings(source, key, lengths, mask)
    if source.item_shape is not None and (steps is not None or valid is not None):
        raise InputError(
            "Lengths or a mask are given for an input whose steps are none of a sequence.",
            where=source.name,
            expected=f"an input (sequence, timestep, feature), or {spell('lengths', 'none')} and "
            f"{spell('mask', 'none')}",
            found=f"shape {source.shape}",
        )
    states = _initial_states(source, {**_named_states(source, names, notes), **initial})
    return replace(source, lengths=steps, mask=valid, initial=states, notes=tuple(notes))


def _in_archive(source: InputSource, name: str) -> bool:
    return source.container.kind in ARCHIVES and name in source.container.names


def _under_its_own_name(source: InputSource, names: ModelNames, notes: list[str]) -> str | None:
    """The array of an ``.npz`` that is called as the model's input of lengths."""
    found = sorted(name for name in names.lengths if _in_archive(source, name))
    if len(found) != 1 or _in_archive(source, "lengths"):
        return None
    notes.append(f"Lengths taken from '{found[0]}' of {source.path.name}, as the model calls them.")
    return found[0]


def _named_states(
    source: InputSource, names: ModelNames, notes: list[str]
) -> dict[str, ArrayReference]:
    """Initial states of an ``.npz`` whose arrays are called as the model's inputs of states."""
    states: dict[str, ArrayReference] = {}
    for name, make in names.states.items():
        if _in_archive(source, name):
            states |= make(source.container.array(name).read())
            notes.append(
                f"Initial states taken from '{name}' of {source.path.name}, in the layout of the "
                "model's input of that name."
            )
    return states


def _given(
    source: InputSource, what: str, spec: ArrayReference | None, notes: list[str]
) -> LocatedArray | None:
    """Lengths or mask: as the user says, else as the ``.npz`` holds them."""
    container = source.container
    if spec is None:
        if container.kind not in ARCHIVES or what not in container.names:
            return None
        notes.append(f"{what.capitalize()} taken from {source.path.name}.")
        spec = what
    if not isinstance(spec, str):
        return find_array(spec, spell(what), container, source.path)
    if spec in ("none", "auto"):
        return None
    if what == "lengths" and INLINE_INTEGERS.fullmatch(spec):
        numbers = [int(number) for number in spec.split(",") if number.strip()]
        return LocatedArray(np.array(numbers), spell("lengths", spec))
    return find_array(spec, spell(what), container, source.path)


def _lengths_of_offsets(
    offsets: Array, lengths: LocatedArray | None, mask: LocatedArray | None
) -> Array:
    """The lengths that offsets say; lengths beside them must be the same."""
    steps: Array = np.diff(offsets)
    if mask is not None or (lengths is not None and not np.array_equal(lengths.array, steps)):
        given = mask or lengths
        raise InputError(
            "Offsets say the lengths of all sequences; something else was given as well.",
            where=given.where if given else None,
            expected="no mask, and no lengths that differ from the offsets",
            found="a mask" if mask else "other lengths",
            hint=f"leave it out: {spell('lengths', 'none')}, or {spell('mask', 'none')}",
        )
    return steps


def _auto_lengths(source: InputSource) -> Array:
    """Lengths up to the last step that is not all zero, reading the array in blocks."""
    row = math.prod(source.shape_of_step) * source.dtype.itemsize
    together = max(1, AUTO_BLOCK_BYTES // (row * source.timesteps))
    steps = max(1, AUTO_BLOCK_BYTES // row) if together == 1 else source.timesteps
    lengths = []
    for first in range(0, source.sequences, together):
        rows = slice(first, min(first + together, source.sequences))
        found = None
        # From the end: where the last steps are no padding, the others need not be read.
        for stop in range(source.timesteps, 0, -steps):
            part = slice(max(0, stop - steps), stop)
            found = last_input_step(source.values(rows, part), part.start, found)
            if found.all():
                break
        lengths.append(found)
    return np.concatenate(lengths)  # type: ignore[arg-type]  # an input has steps


def _unused_siblings(
    source: InputSource, key: str, lengths: ArrayReference | None, mask: ArrayReference | None
) -> list[str]:
    """HDF5 datasets called lengths or mask beside the input: never taken without being asked."""
    group = key.rpartition("/")[0]
    notes = []
    for what, spec in (("lengths", lengths), ("mask", mask)):
        sibling = f"{group}/{what}".strip("/")
        if spec is None and sibling in source.container.names:
            notes.append(
                f"{source.path.name} also holds /{sibling}, which was not used; "
                f"{spell(what, f'{source.path}::/{sibling}')} would use it."
            )
    return notes


def _initial_states(
    source: InputSource, named: Mapping[str, ArrayReference]
) -> dict[str, dict[str, Array]]:
    """Initial states by layer and state: the ``.npz``'s own, then those that the user names."""
    wanted = dict(named)
    if source.container.kind in ARCHIVES:
        found = {key: key for key in source.container.names if INITIAL_NAME.fullmatch(key)}
        wanted = {**found, **wanted}
    states: dict[str, dict[str, Array]] = {}
    for name, spec in wanted.items():
        match = INITIAL_NAME.fullmatch(name)
        if match is None:
            raise InputError(
                "An initial state has no known name.",
                where=name,
                expected="initial_c, initial_m or <layer>/initial_c",
            )
        given = find_array(spec, spell(name), source.container, source.path)
        layer = states.setdefault(match["layer"] or "", {})
        layer[match["state"]] = check_initial(given, source.sequences)
    return states
