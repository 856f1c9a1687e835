"""One array of a layer over time, unread: which places it has, which steps are valid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from difflib import get_close_matches

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import OptionError, spell
from rnnscope.files.arrays.array_views import blocks, cut_to
from rnnscope.files.arrays.stored_array import StoredArray
from rnnscope.model.cell import Array
from rnnscope.trace import LayerHeader, Trace
from rnnscope.trace.schema import GATES, OUTPUTS
from rnnscope.trace.selection import parse_selection
from rnnscope.trace.stored_arrays import time_arrays

BLOCK_BYTES = 4 * 2**20
"""What is read of an array at a time."""

CANDIDATES = frozenset({"g", "n"})
"""Gates that go through the activation, not the recurrent one: of LSTM and of GRU."""


@dataclass(frozen=True, eq=False)
class StateView:
    """An array of one layer over time, and what its places are called.

    Attributes
    ----------
    trace : Trace
    layer : LayerHeader
    name : str
        ``"m"``, ``"c"``, ``"outputs"``, ``"gates/i"`` …, as `Trace.read_array` has it.
    array : StoredArray (sequence, timestep, unit)
    steps, units : ndarray of int64
        The run's own numbers of the array's places on the last two axes.
    places : ndarray of int64 (timestep,)
        Where each step of `steps` lies among those that the trace holds.
    """

    trace: Trace
    layer: LayerHeader
    name: str
    array: StoredArray
    steps: Array
    units: Array
    places: Array

    @property
    def sequences(self) -> int:
        return self.array.shape[0]

    @property
    def gate(self) -> str:
        """The gate's letter; empty for a state."""
        return self.name.removeprefix(f"{GATES}/") if self.name.startswith(f"{GATES}/") else ""

    @property
    def is_sigmoid_gate(self) -> bool:
        """Whether its values lie between 0 and 1 by the equations of the cell."""
        return bool(self.gate) and self.gate not in CANDIDATES

    @property
    def in_input_order(self) -> bool:
        """False for outputs that stand in the order of processing, from the input's end."""
        return self.name != OUTPUTS or self.layer.known_facts.outputs_in_input_order

    def select(self, steps: str | None = None, units: str | None = None) -> StateView:
        """The view of some steps and units, by their numbers in the run.

        Parameters
        ----------
        steps, units : str or None
            ``"0:80"``, ``"::10"``, ``"last:3"``, ``"5,9"``; None: all.

        Raises
        ------
        OptionError
            The text is not to be understood, or the array holds none of these.
        """
        at_steps = _chosen("steps", steps, self.steps, self.layer.timesteps or self.trace.timesteps)
        at_units = _chosen("units", units, self.units, int(self.units.max(initial=-1)) + 1)
        return self.take(at_steps, at_units)

    def take(self, steps: Array | None = None, units: Array | None = None) -> StateView:
        """The view of some places of both axes, in the order given."""
        return replace(
            self,
            array=cut_to(self.array, (None, steps, units)),
            steps=self.steps if steps is None else self.steps[steps],
            places=self.places if steps is None else self.places[steps],
            units=self.units if units is None else self.units[units],
        )

    def valid(self, sequence: int) -> Array:
        """True at the valid steps of a sequence, bool (timestep,); all where nothing tells."""
        found = self.trace.valid_steps(self.layer.name, slice(sequence, sequence + 1))
        if found is None:
            return np.ones(len(self.steps), np.bool_)
        valid = found[0]
        if not self.in_input_order and self.layer.known_facts.reversal == "whole":
            valid = valid[::-1]
        taken: Array = valid[self.places]
        return taken

    def input_steps(self, sequence: int) -> Array:
        """The input's timestep that each step is about, int64 (timestep,)."""
        if self.in_input_order:
            return self.steps
        last = (self.layer.timesteps or self.trace.timesteps) - 1
        if self.layer.known_facts.reversal == "whole":
            return last - self.steps
        lengths = self.trace.lengths
        end = last if lengths is None else int(lengths[sequence]) - 1
        return np.where(self.steps <= end, end - self.steps, self.steps)

    def check_sequence(self, sequence: int) -> int:
        """The number of a sequence that there is; negative ones count from the end.

        Raises
        ------
        OptionError
        """
        if not -self.sequences <= sequence < self.sequences:
            raise OptionError(
                "The trace has no such sequence.",
                where=spell("sequence", str(sequence)),
                expected=f"0 to {self.sequences - 1}" if self.sequences else "a sequence",
                found=f"{self.sequences} sequences",
            )
        return sequence % self.sequences

    def blocks(self, sequence: int) -> Iterator[tuple[slice, Array]]:
        """A sequence in runs of steps: places, and values (timestep, unit) as stored."""
        steps, units = self.array.shape[1:]
        for (part,) in blocks((steps,), units * self.array.dtype.itemsize, BLOCK_BYTES):
            values = self.array.read((slice(sequence, sequence + 1), part))
            yield part, values[0]


def view_names(trace: Trace, layer: str) -> tuple[str, ...]:
    """The arrays over time that a trace holds of a layer: ``c``, ``m``, ``outputs``, ``gates/i``.

    Raises
    ------
    TraceError
        There is no such layer.
    """
    return tuple(time_arrays(trace, trace.layer(layer)))


def open_view(trace: Trace, layer: str | None = None, name: str | None = None) -> StateView:
    """An array of a layer, unread.

    Parameters
    ----------
    trace : Trace
        It must stay open.
    layer : str, optional
        The first recurrent layer if not given; else the first of any kind.
    name : str, optional
        ``"m"``, ``"c"``, ``"outputs"``, ``"inputs"``, ``"i"`` or ``"gates/i"``; m if not given, or
        what there is.

    Raises
    ------
    TraceError
        There is no such layer, or the trace is closed.
    OptionError
        The trace holds no such array of it; the message lists those that it holds.
    """
    trace.refuse_closed()
    known = (*trace.layers, *trace.merges)
    if layer is None and not known:
        raise OptionError("The trace holds no layers.", where=trace.path)
    header = known[0] if layer is None else trace.layer(layer)
    arrays = time_arrays(trace, header)
    wanted = name or next((one for one in ("m", OUTPUTS) if one in arrays), "m")
    key = next((key for key in (wanted, f"{GATES}/{wanted}") if key in arrays), None)
    if key is None:
        raise _no_array(trace, header, wanted, tuple(arrays))
    found = arrays[key]
    return StateView(
        trace, header, key, found.array, found.steps, found.units, np.arange(len(found.steps))
    )


def _no_array(trace: Trace, header: LayerHeader, name: str, known: tuple[str, ...]) -> OptionError:
    short = [key.removeprefix(f"{GATES}/") for key in known]
    near = get_close_matches(name, short, n=1)
    is_gate = name.removeprefix(f"{GATES}/") in "ifgorzn" and not header.gates
    return OptionError(
        f"The trace holds no '{name}' of this layer.",
        where=f"{trace.path}: {header.name}",
        expected=", ".join(short) or "an array over time",
        found=name,
        hint=f"run again with {spell('gates')}" if is_gate
        else f"did you mean {near[0]}?" if near else None,
    )  # fmt: skip


def _chosen(axis: str, text: str | None, names: Array, size: int) -> Array | None:
    """The places whose names a text chooses."""
    if text is None:
        return None
    places = parse_selection((f"{axis}={text}",))
    asked = places.steps if axis == "steps" else places.units
    assert asked is not None
    found = np.flatnonzero(np.isin(names, asked.of(size)))
    if not len(found):
        held = f"{names[0]} to {names[-1]}" if len(names) else "none"
        raise OptionError(
            f"None of these {axis} is there.",
            where=spell(axis, text),
            expected=f"some of {held}",
            found=text,
        )
    return found
