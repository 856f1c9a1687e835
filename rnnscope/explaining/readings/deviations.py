"""What a reading is made of: deviations of computing, and a view of what it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.explaining.computing.setup import Setup, altered
from rnnscope.model.cell import Array

IDS = {
    "gate-order": "the order in which the gate blocks are read",
    "kernel-rows": "which rows of the kernel are for x and which for m",
    "transposed": "a kernel read the wrong way round",
    "bias": "the bias, or one of two",
    "peepholes": "the peepholes",
    "projection": "the projection of m",
    "layer-order": "which layer of a stack comes first",
    "directions": "which weights are for which direction",
    "variables": "variables or their moving averages",
    "checkpoint-step": "the step of training",
    "forget-bias": "what is added to the forget gate",
    "activation": "the activation of the candidate and of c",
    "recurrent-activation": "the activation of the gates",
    "output-activation": "the activation of c alone",
    "cell-clip": "the bound of c",
    "proj-clip": "the bound of the projected m",
    "gate-clip": "the bound of what enters the activations",
    "reset-after": "whether r comes before or after the product",
    "update-gate": "z or 1 - z",
    "lengths": "how many steps of each sequence count",
    "mask": "what happens at steps that do not count",
    "left-padding": "at which end the padding stands",
    "reversed": "the direction of time",
    "turned-outputs": "whether outputs of a backward layer are turned back",
    "time-major": "which axis of the input is time",
    "shift": "a step early or late",
    "last-step": "which step is the last",
    "input-scale": "a factor or an offset of the input",
    "input-columns": "the order of the features",
    "embedding": "the row of the embedding",
    "dtype": "the precision of weights or states",
    "initial-state": "the state before the first step",
    "state-carry": "how the state goes from step to step",
    "state-order": "which of two arrays is c",
}
"""Every id of a deviation, with what is confused; the order is that of preference among equals."""


@dataclass(frozen=True, eq=False)
class Target:
    """What one result of a model has to be.

    Attributes
    ----------
    node, key : str
        As of `rnnscope.explaining.compared.result_places.ResultShape`.
    values : ndarray
        Of the result's shape, float64; NaN where the reference says nothing.
    scale : float
        The largest value: differences are measured in it.
    source : str
        The array of the reference, as its file calls it.
    turned : bool
        As of `rnnscope.explaining.compared.result_places.ResultShape`.
    """

    node: str
    key: str
    values: Array
    scale: float
    source: str = ""
    turned: bool = False

    def with_values(self, values: Array) -> Target:
        return altered(self, values=values)


@dataclass(frozen=True, eq=False)
class View:
    """One way to read the whole reference.

    Attributes
    ----------
    targets : tuple of Target
    words : tuple of str
        What had to be found out: ``"time-major"``.
    deviations : tuple of Deviation
        What the other side did with its results, apart from computing them.
    format : str
        Of STATE_FORMATS; empty where the arrays are none's.
    lengths : ndarray of int (sequence,) or None
        What the reference's own file says of valid steps.
    origin : View or None
        The view without any deviation, for one that has some.
    not_compared : tuple of str
        Arrays of the reference that have the shape of no result, with their shapes.
    start : mapping of str to mapping of str to ndarray
        The states before the first step that the reference holds, by layer of the model and name.
    """

    targets: tuple[Target, ...]
    words: tuple[str, ...] = ()
    deviations: tuple[Deviation, ...] = ()
    format: str = ""
    lengths: Array | None = None
    origin: View | None = None
    not_compared: tuple[str, ...] = ()
    start: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)

    def and_also(self, deviation: Deviation) -> View | None:
        """The view with one deviation more; None where that means nothing."""
        assert deviation.look is not None
        other = deviation.look(self)
        if other is None:
            return None
        deviations = (*self.deviations, deviation)
        return altered(other, deviations=deviations, origin=self.origin or self)


@dataclass(frozen=True, eq=False)
class Deviation:
    """One thing that the other side does otherwise than the file says.

    Attributes
    ----------
    id : str
        A key of `IDS`.
    value : str
        What the other side does, as reports say it.
    change : callable or None
        ``change(setup) -> Setup | None``: how it computes; None where it means nothing.
    look : callable or None
        ``look(view) -> View | None``: how its result is to be compared. One of both is given.
    advice : str
        A sentence for the other side: what it does, and what to change.
    options : mapping of str to object, or None
        Options of a run with which rnnscope computes the same; None where none do.
    checkpoint : str
        With `options`: the file that such a run reads instead; empty: the same.
    numbers : int
        How many numbers of it were solved for.
    usual : bool
        Whether people do this often: three at once are looked for among these first.
    alone : bool
        Whether it is looked for without others only.
    """

    id: str
    value: str
    change: Callable[[Setup], Setup | None] | None = None
    look: Callable[[View], View | None] | None = None
    advice: str = ""
    options: Mapping[str, Any] | None = None
    checkpoint: str = ""
    numbers: int = 0
    usual: bool = True
    alone: bool = False


@dataclass(frozen=True, eq=False)
class Unknown:
    """A deviation with numbers in it that are solved for.

    Attributes
    ----------
    id : str
    starts : sequence of tuple of float
        Where to begin the search for its numbers.
    change : callable
        ``change(setup, numbers) -> Setup | None``.
    named : callable
        ``named(numbers) -> Deviation``: the deviation with these numbers; its change is set here.
    """

    id: str
    starts: Sequence[tuple[float, ...]]
    change: Callable[[Setup, Sequence[float]], Setup | None]
    named: Callable[[Sequence[float]], Deviation]

    def at(self, numbers: Sequence[float]) -> Deviation:
        """The deviation with these numbers."""
        return altered(
            self.named(numbers),
            change=lambda setup: self.change(setup, numbers),
            numbers=len(numbers),
        )


@dataclass(frozen=True, eq=False)
class Reading:
    """A way to read a model, its input and a reference: deviations, the result of each change.

    Attributes
    ----------
    deviations : tuple of Deviation
    setup : Setup
    error : float
        The largest difference from the reference, in units of each array's largest value; infinite
        until it is known.
    view : View or None
        How the reference was read where it fits.
    reached : int
        Steps that agreed with the reference before it was given up.
    """

    deviations: tuple[Deviation, ...]
    setup: Setup
    error: float = np.inf
    view: View | None = None
    reached: int = 0

    def and_also(self, deviation: Deviation) -> Reading | None:
        """The reading with one deviation more; None where that means nothing."""
        assert deviation.change is not None
        setup = deviation.change(self.setup)
        if setup is None:
            return None
        return altered(self, deviations=(*self.deviations, deviation), setup=setup)

    @property
    def every(self) -> tuple[Deviation, ...]:
        """Those of computing, then those of comparing."""
        return (*self.deviations, *(() if self.view is None else self.view.deviations))

    @property
    def numbers(self) -> int:
        """How many numbers were solved for."""
        return sum(one.numbers for one in self.every)

    @property
    def key(self) -> tuple[tuple[str, str], ...]:
        """Ids and values, in the order of `IDS`."""
        order = list(IDS)
        pairs = ((one.id, one.value) for one in self.every)
        return tuple(sorted(pairs, key=lambda pair: order.index(pair[0])))
