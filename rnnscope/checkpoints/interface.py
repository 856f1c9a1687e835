"""What a reader is, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.network import Network, Node

NO_CELL_REASONS = frozenset(
    {"optimizer slot", "moving average", "training step", "embedding", "dense layer",
     "not recurrent"}
)  # fmt: skip
"""Reasons to leave a variable out that say nothing of a recurrent cell."""


@dataclass(frozen=True)
class LeftOut:
    """A stored variable or layer that is no part of the recurrent computation.

    Attributes
    ----------
    name : str
    reason : str
        One of `NO_CELL_REASONS`, or why a recurrent cell could not be read.
    shape : tuple of int
    """

    name: str
    reason: str
    shape: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A saved model as data.

    Attributes
    ----------
    path : Path
        What the user named, resolved to the prefix or file that was read.
    format : str
        The name of the reader in READERS.
    framework : str
        Who wrote it, as far as the file tells: ``"TensorFlow 1.15.5"``, ``"Keras 2.4.0"``.
    files : tuple of Path
        Every file that was read, in a fixed order; the trace stores a SHA-256 over them.
    network : Network
    left_out : tuple of LeftOut
    notes : tuple of str
        What the reader had to assume or wants the user to know, one sentence each.
    hard_sigmoid : str
        Which of the two functions of that name the file's framework means, as in ACTIVATIONS.
    read_variable : callable or None
        ``read_variable(name) -> ndarray``: a stored variable, used by the network or not; it raises
        `CheckpointError` where there is none. None where a format has no variables by name.
    read_left_out : callable or None
        ``read_left_out(name) -> ndarray``: what `left_out` names, as it is stored, where a format
        has no `read_variable`: nothing says how such an array is to be used.
    keras_version : tuple of int
        The leading numbers of the version of Keras that wrote it; empty for others.
    input_axes : mapping of str to tuple of str
        By input of the model, what its axes are in the file's order, where a format can have them
        in another than (sequence, timestep, feature): ``("timestep", "sequence", "feature")``. An
        axis that is none of these goes by the name or size that the file has for it.
    input_shapes : mapping of str to tuple
        The shapes of the model's inputs as far as the file states them, by name; None stands for
        any size.
    later_results : callable or None
        ``later_results() -> nodes``: what the file computes behind the recurrent layers of the
        network, plain nodes (`LaterResult`) that read them by name, each held to what the whole
        graph gives for random input. The file is read again when it is called. None where a format
        has no such computation, or the network holds all of it.
    own_arrays : frozenset of str or None
        Of a file that may hold an input as well, the arrays that the reader has taken, by their
        names in the file; None where arrays of the file have no such names.
    """

    path: Path
    format: str
    framework: str
    files: tuple[Path, ...]
    network: Network
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = field(default=())
    hard_sigmoid: str = "hard_sigmoid"
    read_variable: Callable[[str], Array] | None = None
    read_left_out: Callable[[str], Array] | None = None
    keras_version: tuple[int, ...] = ()
    input_axes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    input_shapes: Mapping[str, tuple[int | None, ...]] = field(default_factory=dict)
    later_results: Callable[[], tuple[Node, ...]] | None = None
    own_arrays: frozenset[str] | None = None


@dataclass(frozen=True)
class Reader:
    """One entry of READERS.

    Attributes
    ----------
    name : str
        For reports and tables: ``"tf1-saver"``.
    title : str
        One line for people: ``"TensorFlow 1 Saver checkpoint (V2)"``.
    reads, does_not_read : str
        Two cells of the table of formats in the README.
    sniff : callable
        ``sniff(path) -> bool``: by content, cheap, never raising.
    read : callable
        ``read(path, **options) -> Checkpoint``; raises `CheckpointError` or
        `UnsupportedCellError`.
    options : tuple of str
        The options that `read` takes, all of them optional.
    takes_any_arrays : bool
        Whether arrays that are no weights are such a file, too: it may be an input as well.
    """

    name: str
    title: str
    reads: str
    does_not_read: str
    sniff: Callable[[Path], bool]
    read: Callable[..., Checkpoint]
    options: tuple[str, ...] = ()
    takes_any_arrays: bool = False
