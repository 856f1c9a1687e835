"""What a trace holds and where it comes from, without its numbers."""

from __future__ import annotations

from rnnscope.deferred_dataclass import dataclass
from rnnscope.trace import LayerHeader, Trace
from rnnscope.trace.schema import GATES, OUTPUT, OUTPUTS, SEQUENCE, TIMESTEP, UNIT, OptionValue
from rnnscope.trace.stored_arrays import time_arrays

MOST_LENGTHS = 8
"""Lengths that are listed; of more, the shortest and the longest are said."""


@dataclass(frozen=True)
class ShownOption:
    """An option of a layer as it was run, and where its value is from."""

    name: str
    value: OptionValue
    origin: str


@dataclass(frozen=True)
class ShownArray:
    """An array over time.

    Attributes
    ----------
    name : str
        ``"c"``, ``"gates/i"`` …
    shape : tuple of int
        Sequences, kept timesteps, kept units.
    axes : tuple of str
    dtype : str
    same_as : str
        The array that this is a second name of; empty if it is none.
    """

    name: str
    shape: tuple[int, ...]
    axes: tuple[str, ...]
    dtype: str
    same_as: str = ""


@dataclass(frozen=True)
class ShownLayer:
    """A layer of a trace.

    Attributes
    ----------
    name, cell, direction, dtype : str
    arrays : tuple of ShownArray
    ends : tuple of str
        States whose initial and final values are kept.
    options : tuple of ShownOption
    inputs : tuple of str
        What feeds it.
    evidence : str
        How it is known that this is what the layer computes.
    """

    name: str
    cell: str
    direction: str
    dtype: str
    arrays: tuple[ShownArray, ...]
    ends: tuple[str, ...] = ()
    options: tuple[ShownOption, ...] = ()
    inputs: tuple[str, ...] = ()
    evidence: str = ""


@dataclass(frozen=True)
class TraceSummary:
    """A trace without its numbers.

    Attributes
    ----------
    name : str
        Its path.
    sequences, timesteps : int
        Of the input.
    lengths : str
        Which steps are valid, in words.
    checkpoint, checkpoint_format, framework, input, engine, created, rnnscope_version : str
    selection : tuple of str
        What was kept, where not everything was.
    ragged : bool
        Valid steps alone are stored.
    notes : tuple of str
    layers : tuple of ShownLayer
        Recurrent layers, then those with outputs alone.
    """

    name: str
    sequences: int
    timesteps: int
    lengths: str
    checkpoint: str
    checkpoint_format: str
    framework: str
    input: str
    engine: str
    created: str
    rnnscope_version: str
    selection: tuple[str, ...]
    ragged: bool
    notes: tuple[str, ...]
    layers: tuple[ShownLayer, ...]


def summarise(trace: Trace) -> TraceSummary:
    """What a trace holds; only its headers are read.

    Raises
    ------
    TraceError
        It is closed, or damaged.
    """
    trace.refuse_closed()
    header = trace.header
    return TraceSummary(
        name=str(trace.path),
        sequences=trace.sequences,
        timesteps=trace.timesteps,
        lengths=_lengths_words(trace),
        checkpoint=header.checkpoint,
        checkpoint_format=header.checkpoint_format,
        framework=header.framework,
        input=header.input,
        engine=header.engine,
        created=header.created,
        rnnscope_version=header.rnnscope_version,
        selection=trace.selection,
        ragged=trace.offsets is not None,
        notes=header.notes,
        layers=tuple(_layer(trace, header) for header in (*trace.layers, *trace.merges)),
    )


def _layer(trace: Trace, header: LayerHeader) -> ShownLayer:
    facts = header.known_facts
    return ShownLayer(
        name=header.name,
        cell=header.source_class or (facts.cell if header.widths else "merge"),
        direction="backward" if facts.backward else "forward" if header.widths else "",
        dtype=header.dtype,
        arrays=tuple(_arrays(trace, header)),
        ends=tuple(header.widths),
        options=tuple(
            ShownOption(name, value, origin) for name, (value, origin) in header.options.items()
        ),
        inputs=header.inputs,
        evidence=header.evidence,
    )


def _arrays(trace: Trace, header: LayerHeader) -> list[ShownArray]:
    found = []
    for name, one in time_arrays(trace, header).items():
        width = UNIT if name.startswith(GATES) else OUTPUT
        if name in header.widths:
            width = header.state_dimension(name)
        elif name != OUTPUTS and not name.startswith(GATES):
            width = "input"
        same = "m" if name == OUTPUTS and header.outputs_are_m else ""
        axes = (SEQUENCE, TIMESTEP, width)
        found.append(ShownArray(name, one.array.shape, axes, str(one.array.dtype), same))
    return found


def _lengths_words(trace: Trace) -> str:
    lengths, mask = trace.lengths, trace.mask
    if lengths is None and mask is None:
        return "every step is valid"
    if lengths is None:
        assert mask is not None
        return f"a mask: {int(mask.sum())} of {mask.size} steps are valid"
    if len(lengths) <= MOST_LENGTHS:
        return f"lengths {', '.join(map(str, lengths.tolist()))}"
    return f"lengths {lengths.min()} to {lengths.max()}, {lengths.mean():.3g} on average"
