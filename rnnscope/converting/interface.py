"""What a format of weights can compute, what it is given to write, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import field
from pathlib import Path

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array, CellSpec
from rnnscope.model.network import Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.running.overrides import LayerOptions


@dataclass(frozen=True)
class Abilities:
    """What a target computes; what is not here it cannot.

    Attributes
    ----------
    title : str
        What computes it there, for messages: ``"torch's nn.LSTM, nn.GRU and nn.RNN"``.
    activation : mapping of str to mapping
        By kind of cell, the activations of the candidate (and of c), by rnnscope's name, and what
        the target calls each; kinds that are not there cannot be written.
    recurrent_activation : mapping of str to mapping
        By kind of cell, those of the gates.
    parametrised : collection of str
        Activations with constants in their names that it has, too: ``"hard_sigmoid"``.
    own_output_activation : bool
        Whether an LSTM may have another activation for c than for the candidate.
    peepholes, projection, cell_clip, proj_clip, gate_clip, coupled : bool
    reset_after : collection of bool
        The variants of the GRU.
    lone_backward : bool
        Whether one layer alone may read from the end.
    stored_start : bool
        Whether the file holds a state before the first step, the same for every sequence.
    dtypes : collection of str
        Of the weights.
    alike_directions : bool
        Whether both directions of a layer have one configuration.
    merges : collection of str
        How two directions may be joined, as in `BidirectionalMerge`; empty for formats that hold
        weights and no wiring.
    """

    title: str
    activation: Mapping[str, Mapping[str, str]]
    recurrent_activation: Mapping[str, Mapping[str, str]]
    parametrised: Collection[str] = ()
    own_output_activation: bool = False
    peepholes: bool = False
    projection: bool = False
    cell_clip: bool = False
    proj_clip: bool = False
    gate_clip: bool = False
    coupled: bool = False
    reset_after: Collection[bool] = (True,)
    lone_backward: bool = True
    stored_start: bool = False
    dtypes: Collection[str] = ("float32", "float64")
    alike_directions: bool = False
    merges: Collection[str] = ()


@dataclass(frozen=True, eq=False)
class Level:
    """A recurrent layer: one direction, or two that read the same.

    Attributes
    ----------
    name : str
        Of the layer, or of the join of both directions.
    nodes : tuple of Node
        The forward direction first.
    merge : str or None
        How both are joined, as in `BidirectionalMerge`; None for one direction, and where nothing
        joins them.
    reads : str
        The step or input in front.
    """

    name: str
    nodes: tuple[Node, ...]
    merge: str | None
    reads: str

    @property
    def layers(self) -> tuple[RecurrentLayer, ...]:
        return tuple(node.recurrent for node in self.nodes if node.recurrent is not None)

    @property
    def cells(self) -> tuple[CellSpec, ...]:
        return tuple(layer.cell for layer in self.layers)

    @property
    def cell(self) -> CellSpec:
        """That of the first direction."""
        return self.cells[0]

    @property
    def takes_lengths(self) -> bool:
        """Whether steps past a length, or masked ones, are left out."""
        return any(layer.padding.value != "none" for layer in self.layers)


@dataclass(frozen=True, eq=False)
class Plan:
    """What is to be written.

    Attributes
    ----------
    levels : tuple of Level
        The recurrent layers, in an order that can be run.
    steps : tuple of Level or Node
        The same with the plain layers in front of and between them.
    """

    levels: tuple[Level, ...]
    steps: tuple[Level | Node, ...]

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The recurrent nodes of all levels."""
        return tuple(node for level in self.levels for node in level.nodes)


@dataclass(frozen=True)
class FormatOptions:
    """What only some formats take.

    Attributes
    ----------
    layout : str or None
        Whose names and gate order arrays have that go into an .npz.
    expose_states : bool
        A graph that returns c and m of every step.
    """

    layout: str | None = None
    expose_states: bool = False


@dataclass(frozen=True, eq=False)
class Written:
    """What a format makes of a plan.

    Attributes
    ----------
    save : callable
        ``save(path) -> None`` writes the file, or makes the folder where `is_folder`.
    names : mapping of str to str
        By recurrent node of the plan, the node that reading the file gives.
    load : tuple of str
        Lines of code that load it in the target; ``{target}`` stands for its path.
    folded : tuple of str
        Options that were put into weights, a sentence each.
    left_out : tuple of str
        What the file does not hold.
    notes : tuple of str
    given : LayerOptions
        Options that the file cannot hold and `load` gives: the proof reads it with the same.
    layout : str or None
        Whose names arrays have, where the file does not say.
    is_folder : bool
    read_from : str
        What is read inside of a folder.
    steps : tuple of Level or Node
        The chain that was written, where the file holds the wiring too: it is then run whole and
        compared; empty for weights alone.
    read_states : callable or None
        ``read_states(path, x, lengths)`` gives the states that a written graph itself returns, by
        node of the plan and state, (sequence, timestep, unit).
    """

    save: Callable[[Path], None]
    names: Mapping[str, str]
    load: tuple[str, ...]
    folded: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    given: LayerOptions = field(default_factory=LayerOptions)
    layout: str | None = None
    is_folder: bool = False
    read_from: str = ""
    steps: tuple[Level | Node, ...] = ()
    read_states: Callable[[Path, Array, Array | None], dict[str, dict[str, Array]]] | None = None


@dataclass(frozen=True)
class WeightFormat:
    """One entry of WEIGHT_FORMATS.

    Attributes
    ----------
    name : str
        For ``--to``.
    title : str
        One line for people.
    holds : str
        What the file holds, for the table of formats.
    framework : str
        Who computes with it.
    suffixes : tuple of str
        Of the file; empty for a folder.
    abilities : callable
        ``abilities(options) -> Abilities``.
    write : callable
        ``write(plan, options) -> Written``; raises `UnsupportedCellError` for what stands between
        layers and the target lacks.
    takes : tuple of str
        Which of `FormatOptions` mean something to it.
    """

    name: str
    title: str
    holds: str
    framework: str
    suffixes: tuple[str, ...]
    abilities: Callable[[FormatOptions], Abilities]
    write: Callable[[Plan, FormatOptions], Written]
    takes: tuple[str, ...] = ()
