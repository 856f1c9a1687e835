"""What a state format is: how files in it are read, and how states are written in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Literal, get_args

from rnnscope.deferred_dataclass import dataclass
from rnnscope.files.arrays.stored_array import StoredArray
from rnnscope.files.containers.named_arrays import NamedArrays
from rnnscope.states.state_set import StateSet

Steps = Literal["all", "final"]
STEPS: tuple[str, ...] = get_args(Steps)


@dataclass(frozen=True)
class ReadOptions:
    """What the user says of a file.

    Attributes
    ----------
    format : str or None
        A key of STATE_FORMATS; None: find out.
    num_units : tuple of int
        Widths of c, one a layer, where a format does not hold them (concat).
    time_major : bool or None
        True: axes are (timestep, sequence, unit); for onnx, layout 0. None: as the format has it.
    lengths : tuple of int or None
        Steps a sequence, for formats that keep all of them in one row and may not say where one
        ends: those of the file compared with.
    meaning : str
        What a single array is: one of SINGLE_MEANINGS; empty: find out.
    """

    format: str | None = None
    num_units: tuple[int, ...] = ()
    time_major: bool | None = None
    lengths: tuple[int, ...] | None = None
    meaning: str = ""


@dataclass(frozen=True, eq=False)
class StateReading:
    """One way to read a file.

    Attributes
    ----------
    format : str
    words : str
        What is read as what: ``"list [h, c]"``.
    reason : str
        Why one may think so: ``"its arrays are called h and c"``.
    states : StateSet
        Its arrays are not read yet.
    sure : bool
        Names or structure say it. If not, other readings may do as well.
    said : str
        The word for the format that leaves this reading alone, where `format` leaves several.
    """

    format: str
    words: str
    reason: str
    states: StateSet
    sure: bool = False
    said: str = ""


@dataclass(frozen=True)
class WriteOptions:
    """How states are to be written.

    Attributes
    ----------
    steps : "all" or "final"
    time_major : bool or None
        None: as the format usually is.
    ids : StoredArray or None
        Word ids (sequence, timestep), for LSTMVis.
    words : mapping of int to str
        The word of each id.
    """

    steps: Steps = "all"
    time_major: bool | None = None
    ids: StoredArray | None = None
    words: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class WrittenStates:
    """States in a format, not on disk yet.

    Attributes
    ----------
    arrays : mapping of str to StoredArray
        In the format's own order.
    lost : tuple of str
        What the format cannot hold, one phrase each.
    notes : tuple of str
        Other things to know, such as the order of the layers.
    folder : callable or None
        ``folder(path)`` writes the files of a format that is a folder of its own (LSTMVis).
    file : callable or None
        ``file(path)`` writes a format that is a file of its own (a trace).
    """

    arrays: Mapping[str, StoredArray] = field(default_factory=dict)
    lost: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    folder: Callable[[Path], None] | None = None
    file: Callable[[Path], None] | None = None


@dataclass(frozen=True)
class StateFormat:
    """One entry of STATE_FORMATS.

    Attributes
    ----------
    name : str
        What ``--a-format`` and ``--to`` take.
    title : str
        One line for people.
    expects : str
        Which arrays a file in this format has, for messages.
    holds : str
        What it can hold, for the table in the README.
    readings : callable
        ``readings(arrays, options) -> list of StateReading``: every way to read the arrays in this
        format; none if they are in another. It looks at names and shapes, not at values.
    write : callable
        ``write(states, options) -> WrittenStates``; raises `OptionError` if the format cannot hold
        the layers at all.
    holds_outputs_alone : bool
        Whether it has a place for layers without states, such as the merge of two directions.
    """

    name: str
    title: str
    expects: str
    holds: str
    readings: Callable[[NamedArrays, ReadOptions], list[StateReading]]
    write: Callable[[StateSet, WriteOptions], WrittenStates]
    holds_outputs_alone: bool = False
