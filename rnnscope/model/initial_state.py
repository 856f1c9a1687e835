"""What the state of a recurrent layer is before its first step, and where each part of it is from.

A reader says it once, state by state (``c``, ``m``), in the classes below. The run computes with
them, reports and traces print ``str`` of the whole; nothing reads those words back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, replace
from functools import reduce
from typing import Literal

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array

HandoverJoin = Literal["concat", "sum"]
"""How the final states of several layers become one initial state."""


def join_state(parts: Sequence[Array], join: HandoverJoin) -> Array:
    """One state (sequence, width) of several layers' final ones: side by side, or added up."""
    joined: Array = np.concatenate(parts, -1) if join == "concat" else reduce(np.add, parts)
    return joined


@dataclass(frozen=True, eq=False)
class StoredState:
    """Values that the file holds: a learned initial state, or a constant of the graph.

    Attributes
    ----------
    values : ndarray (width,) or (sequence, width)
    name : str
        The variable or constant, in words: ``"variable 'c0'"``.
    """

    values: Array
    name: str = ""

    def __str__(self) -> str:
        return self.name

    def fits(self, sequences: int) -> bool:
        """Whether the values are for as many sequences as the input has, or the same for any."""
        return self.for_all or self.values.shape[0] == sequences

    @property
    def for_all(self) -> bool:
        """Whether every sequence starts from the same values."""
        return self.values.ndim == 1 or bool((self.values == self.values[:1]).all())

    def rows(self, sequences: slice) -> Array:
        """The values (width,) for all of some sequences, or (sequence, width)."""
        if self.for_all:
            return self.values if self.values.ndim == 1 else self.values[0]
        return self.values[sequences]


@dataclass(frozen=True)
class FinalState:
    """The final state, of the same name, of other layers.

    Attributes
    ----------
    layers : tuple of str
        One, or several whose states are joined in this order.
    join : HandoverJoin
    """

    layers: tuple[str, ...]
    join: HandoverJoin = "concat"

    def __str__(self) -> str:
        if len(self.layers) == 1:
            return f"final state of layer '{self.layers[0]}'"
        names = ", ".join(f"'{name}'" for name in self.layers)
        how = "side by side" if self.join == "concat" else "added up"
        return f"final states of layers {names}, {how}"


@dataclass(frozen=True)
class OutsideState:
    """What whoever runs the model gives to it; the file does not hold it.

    Attributes
    ----------
    kind : {"model input", "placeholder", "op"}
        ``"model input"``: one of `Network.inputs`, named `name`. ``"placeholder"``: of a graph.
        ``"op"``: an op of a graph whose value is not followed further.
    name : str
        As the file gives it.
    op : str
        What kind of op it is.
    taken : callable or None
        ``taken(array) -> (sequence, width)``: the state, of what is given under `name` in the
        layout that the file has for it. It raises `InputError` where the array does not fit.
    """

    kind: Literal["model input", "placeholder", "op"]
    name: str
    op: str = ""
    taken: Callable[[Array], Array] | None = field(default=None, compare=False)

    def __str__(self) -> str:
        op = f"{self.op} " if self.op else ""
        return f"{self.kind} {op}'{self.name}'"


@dataclass(frozen=True)
class UncomputedState:
    """What the model computes in a way that rnnscope does not: the layer cannot be run.

    Attributes
    ----------
    stand_in : str
        The node of the network that stands for it.
    """

    stand_in: str

    def __str__(self) -> str:
        return f"'{self.stand_in}'"


@dataclass(frozen=True)
class GivenState:
    """An array that the user gives with the input, in place of what the file says.

    Attributes
    ----------
    key : str
        Of `InputSource.initial`: the layer's name, or empty for the only layer that needs none.
    """

    key: str = ""

    def __str__(self) -> str:
        return "given with the input"


StatePart = StoredState | FinalState | OutsideState | UncomputedState | GivenState


@dataclass(frozen=True, eq=False)
class InitialState:
    """The state of a layer before its first step.

    Attributes
    ----------
    parts : mapping of str to StatePart
        By state name, ``"c"`` and ``"m"``; a state that is not there starts from zeros.
    words : str
        The same in the file's own terms, for people; empty for those that `parts` gives.
    listed : tuple of str
        Nodes and inputs of the network that the file lists among the layer's inputs for it:
        Keras does so with initial states. Reports and traces list them there, too.
    """

    parts: Mapping[str, StatePart] = field(default_factory=dict)
    words: str = ""
    listed: tuple[str, ...] = ()

    @classmethod
    def handed_over(
        cls,
        states: Iterable[str],
        layers: Sequence[str],
        join: HandoverJoin = "concat",
        *,
        words: str = "",
        listed: Sequence[str] = (),
    ) -> InitialState:
        """Every state from the final states of the same layers.

        Parameters
        ----------
        states : iterable of str
            The names of the layer's states.
        layers : sequence of str
        join : HandoverJoin
        words, listed
            As of the class.
        """
        part = FinalState(tuple(layers), join)
        return cls(dict.fromkeys(states, part), words, tuple(listed))

    def __str__(self) -> str:
        parts = [*self.parts.values()]
        if self.words or not parts:
            return self.words or "zeros"
        if len({*map(str, parts)}) == 1 and isinstance(parts[0], (FinalState, GivenState)):
            return str(parts[0])
        return ", ".join(_part_words(state, part) for state, part in self.parts.items())

    @property
    def from_layers(self) -> tuple[str, ...]:
        """The layers whose final states it starts from, each once."""
        return tuple(
            dict.fromkeys(
                name
                for part in self.parts.values()
                if isinstance(part, FinalState)
                for name in part.layers
            )
        )

    @property
    def join(self) -> HandoverJoin | None:
        """How the states of `from_layers` are joined; None where there are none."""
        joins = (part.join for part in self.parts.values() if isinstance(part, FinalState))
        return next(joins, None)

    @property
    def handed_states(self) -> tuple[str, ...]:
        """The names of the states that come from `from_layers`."""
        return tuple(name for name, part in self.parts.items() if isinstance(part, FinalState))

    @property
    def given_states(self) -> tuple[str, ...]:
        """The names of the states that the user gives."""
        return tuple(name for name, part in self.parts.items() if isinstance(part, GivenState))

    @property
    def stand_ins(self) -> tuple[str, ...]:
        """The nodes that stand for what is not computed, each once."""
        return tuple(
            dict.fromkeys(
                part.stand_in for part in self.parts.values() if isinstance(part, UncomputedState)
            )
        )

    @property
    def nodes(self) -> tuple[str, ...]:
        """Every node of the network that has to come before, each once."""
        return (*self.from_layers, *self.stand_ins)

    def stored(self) -> dict[str, Array]:
        """The values that the file holds, (width,) or (sequence, width), by state."""
        return {
            name: part.values for name, part in self.parts.items() if isinstance(part, StoredState)
        }

    def outside(self) -> dict[str, OutsideState]:
        """The states that whoever runs the model has to give, by name."""
        return {name: part for name, part in self.parts.items() if isinstance(part, OutsideState)}

    def renamed(self, new: Callable[[str], str]) -> InitialState:
        """The same with other names for layers of the network."""

        def moved(part: StatePart) -> StatePart:
            if isinstance(part, FinalState):
                return replace(part, layers=tuple(map(new, part.layers)))
            if isinstance(part, UncomputedState):
                return replace(part, stand_in=new(part.stand_in))
            return part

        parts = {name: moved(part) for name, part in self.parts.items()}
        return replace(self, parts=parts, listed=tuple(map(new, self.listed)))


def _part_words(state: str, part: StatePart) -> str:
    return f"{state} {part}" if isinstance(part, GivenState) else f"{state} from {part}"


ZERO_STATE = InitialState()
"""Every state starts from zeros."""
