"""What each array of a trace is called in words: `long_name`, `units` and `description`.

xarray, Panoply and their like label axes and colour bars with these attributes.

References
----------
CF conventions 1.11, sections 3.1 to 3.3: ``units`` of what has no dimension are ``1``.
"""

from __future__ import annotations

from rnnscope.trace.schema import (
    FINAL,
    GATES,
    INITIAL,
    INPUT,
    INPUT_STEPS,
    INPUT_TIMESTEP,
    INPUTS,
    LENGTHS,
    MASK,
    OFFSETS,
    OUTPUT,
    OUTPUTS,
    RESETS,
    SEQUENCE,
    STEP,
    TIMESTEP,
    UNIT,
)
from rnnscope.trace.stores.interface import WritableArray

NO_UNIT = "1"

STATES = {
    "c": ("cell state c", "what the cell holds from step to step"),
    "m": ("output state m", "what the cell puts out; Keras and PyTorch call it h"),
}

GATE_NAMES = {
    "i": "input gate i", "f": "forget gate f", "g": "candidate g", "o": "output gate o",
    "r": "reset gate r", "z": "update gate z", "n": "candidate n",
}  # fmt: skip

LABELS = {
    OUTPUTS: ("outputs", "what the framework returns for every step, whatever the layer's setting"),
    INPUTS: ("inputs", "what the layer read at every step"),
    SEQUENCE: ("sequence", "number of the sequence in the input"),
    TIMESTEP: ("timestep", "number of the step, in the order of the input"),
    INPUT_TIMESTEP: ("timestep of the input", "number of the step, in the order of the input"),
    STEP: ("step", "valid steps of all sequences, one sequence after another"),
    UNIT: ("unit", "number of the unit of the cell"),
    OUTPUT: ("output", "number of the output: the unit, or the row of the projection"),
    INPUT: ("input", "number of the feature"),
    LENGTHS: ("length", "valid steps of each sequence"),
    MASK: ("mask", "1 where a step counts"),
    RESETS: ("reset", "1 at a step before which the state returns to its initial value"),
    OFFSETS: ("offset", "where each sequence begins among the steps"),
    INPUT_STEPS: ("last step of the input", "the last row that is not all zero, plus one"),
    "part": ("part", "number of the part, from 1"),
    "byte": ("byte", "place in a digest"),
    "bytes": ("bytes", "size of the part's file"),
    "sha256": ("SHA-256 of the numbers", "over the values of every array of the part"),
    "ends_sha256": ("SHA-256 of both ends", "over the first and last 64 KiB of the part's file"),
}
"""By the name of the dataset: what it is called, and what it is."""

WHEN = {INITIAL: ("initial", "before the first step"), FINAL: ("final", "after the last step")}


def label_of(name: str) -> tuple[str, str]:
    """The long name and the description of an array, by its path in its group."""
    group, _, last = name.rpartition("/")
    if group == GATES:
        called = GATE_NAMES.get(last, f"gate {last}")
        return called, f"{called} of every step, after its activation"
    called, words = STATES.get(last, (f"state {last}", f"state {last} of the cell"))
    if group in WHEN:
        before, when = WHEN[group]
        return f"{before} {called}", f"{words}; {when}"
    if name in LABELS:
        return LABELS[name]
    return called, f"{words}; past a sequence's length the state that is carried"


def label(array: WritableArray, name: str, more: str = "") -> None:
    """Give an array its attributes.

    Parameters
    ----------
    array : WritableArray
    name : str
        Its path in its group: ``"c"``, ``"gates/i"``, ``"final/m"``.
    more : str
        What was made of it, behind both.
    """
    long_name, description = label_of(name)
    array.set_attribute("long_name", long_name + more)
    array.set_attribute("units", NO_UNIT)
    array.set_attribute("description", description + more)
