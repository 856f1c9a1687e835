"""What a page is made of: plain data; the page's script reads the fields of `PageFacts`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from rnnscope.checks.result import Subject
from rnnscope.deferred_dataclass import dataclass
from rnnscope.trace import LayerHeader, TraceHeader

if TYPE_CHECKING:
    from rnnscope.comparing.result import DiffResult
    from rnnscope.seeing.divergence import FirstDivergence

Runs = tuple[tuple[int, int], ...]
"""Spans of places, from and up to."""


@dataclass(frozen=True)
class SeriesFacts:
    """One array over time, as the page holds it.

    Attributes
    ----------
    id : str
    layer, array, label : str
        ``label`` is what the page calls the array.
    units, steps : int
    unit_names, step_names : tuple of int, or None
        What the trace calls its places; None: 0, 1, 2 …
    sequences : tuple of int
        Those that the page has. Empty where values are served: then it has all of them.
    sequence_count : int
        How many the trace has.
    bins : int
        Bins of timesteps, bin `b` from ``floor(b * steps / bins)`` on; as many as steps where each
        is one of its own.
    planes : int
        2 where a bin has a least and a greatest value, else 1.
    held : str
        The typed array: ``"float64"``, ``"float32"`` or ``"int16"``.
    held_words : str
        What that means to who reads the numbers.
    step, digits : float, int
        Of whole numbers: see `rnnscope.seeing.page.encoding.EncodedArray`.
    data : str
        The id of the block of values (sequence, plane, unit, bin). Empty where values are served.
    valid : tuple of Runs
        The valid timesteps of each sequence. Empty where values are served.
    orders : mapping of str to (tuple of int)
        Units by what they are ranked by. Empty tuples where the order is served.
    limit : float or None
        Where the colours end; None: by what is shown.
    tokens : tuple of int, or None
        For each sequence its entry of `PageFacts.tokens`.
    """

    id: str
    layer: str
    array: str
    label: str
    units: int
    steps: int
    unit_names: tuple[int, ...] | None
    step_names: tuple[int, ...] | None
    sequences: tuple[int, ...]
    sequence_count: int
    bins: int
    held: str
    held_words: str
    planes: int = 1
    step: float = 1.0
    digits: int = 0
    data: str = ""
    valid: tuple[Runs, ...] = ()
    orders: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    limit: float | None = None
    tokens: tuple[int, ...] | None = None


@dataclass(frozen=True)
class LayerFacts:
    """A layer of the page: what it is called, and the ids of its arrays."""

    label: str
    series: tuple[str, ...]


@dataclass(frozen=True)
class ArrayPlace:
    """A place of an array by the run's own numbers, with the values of both sides."""

    sequence: int
    timestep: int
    unit: int
    a: float
    b: float
    words: str


@dataclass(frozen=True)
class OtherArray:
    """An array of another trace beside that of the first.

    Attributes
    ----------
    name : str
        ``"B"``, ``"C"`` …
    series, difference : str
        Ids: its own values, and the first trace's less these.
    first : ArrayPlace or None
        Where the two part first.
    """

    name: str
    series: str
    difference: str
    first: ArrayPlace | None


@dataclass(frozen=True)
class ComparedArray:
    """An array of the first trace, and those of others that it is compared with."""

    label: str
    series: str
    others: tuple[OtherArray, ...]


@dataclass(frozen=True)
class WeightBlocks:
    """The difference of one weight, its gates side by side.

    Attributes
    ----------
    label : str
        Layer and weight.
    series : str
        Rows as units, and the columns of all gates as timesteps.
    gates : tuple of str
        Each has as many columns as the others.
    columns, rows : int
        Of the weight, in one gate.
    """

    label: str
    series: str
    gates: tuple[str, ...]
    columns: int
    rows: int


@dataclass(frozen=True)
class PageFacts:
    """What the page's script reads."""

    served: bool = False
    layers: tuple[LayerFacts, ...] = ()
    series: Mapping[str, SeriesFacts] = field(default_factory=dict)
    tokens: tuple[tuple[str, ...], ...] = ()
    compared: tuple[ComparedArray, ...] = ()
    weights: tuple[WeightBlocks, ...] = ()


@dataclass(frozen=True)
class TraceFacts:
    """A trace and what is known of it beside its states."""

    name: str
    header: TraceHeader
    layers: tuple[LayerHeader, ...]
    sequences: int
    timesteps: int
    lengths: str
    selection: tuple[str, ...] = ()


@dataclass(frozen=True)
class OtherTrace:
    """Another trace, and how it differs from the first."""

    name: str
    path: str
    result: DiffResult
    first: FirstDivergence | None


@dataclass(frozen=True)
class GateBlock:
    """How much one gate's part of a weight differs.

    Attributes
    ----------
    gate : str
        Empty for a weight that is not made of gates.
    max_abs : float
    relative : float or None
        The norm of the difference over that of A; None if A is zero.
    """

    gate: str
    max_abs: float
    relative: float | None


@dataclass(frozen=True)
class BlockedWeight:
    """One weight of a layer in both checkpoints, gate by gate; no gates: the shapes differ."""

    name: str
    shape: tuple[int, ...]
    gates: tuple[GateBlock, ...]


@dataclass(frozen=True)
class LayerWeights:
    """The weights of one layer of both checkpoints."""

    a: str
    b: str
    weights: tuple[BlockedWeight, ...]


@dataclass(frozen=True)
class WeightDifference:
    """Two checkpoints: the whole comparison, and the differences by gate."""

    result: DiffResult
    layers: tuple[LayerWeights, ...]


@dataclass(frozen=True, eq=False)
class PageContents:
    """All of a page.

    Attributes
    ----------
    title : str
    trace : TraceFacts or None
        None: a page about two checkpoints alone.
    checked : Subject or None
        None where the page asks for it later.
    facts : PageFacts
    blocks : mapping of str to str
        Embedded values in base64, by id.
    others : tuple of OtherTrace
    weights : WeightDifference or None
    notes : tuple of str
        What was left out, a sentence each.
    """

    title: str
    trace: TraceFacts | None
    checked: Subject | None
    facts: PageFacts
    blocks: Mapping[str, str] = field(default_factory=dict)
    others: tuple[OtherTrace, ...] = ()
    weights: WeightDifference | None = None
    notes: tuple[str, ...] = ()
