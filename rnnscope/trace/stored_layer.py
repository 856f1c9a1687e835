"""One layer of an open trace: its states as they were, before anything was left out."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import TraceError
from rnnscope.model.cell import Array
from rnnscope.model.states import LayerStates
from rnnscope.trace.groups import read_all, read_array, stored_shape
from rnnscope.trace.padding import padded, past_length
from rnnscope.trace.schema import FINAL, GATES, INITIAL, INPUTS, OUTPUTS, STATE_M, LayerHeader
from rnnscope.trace.stores.interface import GroupNode


@dataclass(frozen=True, eq=False)
class StoredLayer:
    """A layer's group with what is to be known of the whole trace.

    Attributes
    ----------
    header : LayerHeader
    group : GroupNode
    timesteps : int
        Of the run's input.
    offsets : ndarray of int64 (sequence + 1,) or None
        Of a ragged trace: where each sequence begins.
    """

    header: LayerHeader
    group: GroupNode
    timesteps: int
    offsets: Array | None

    def is_cut(self) -> bool:
        """Whether timesteps or units were left out by a selection."""
        header = self.header
        widths = {**header.widths, OUTPUTS: header.output_size}
        ends = {f"{FINAL}/{state}": size for state, size in header.widths.items()}
        for array, size in (widths | ends).items():
            shape = stored_shape(self.group, array)
            if shape is not None and shape[-1] != size:
                return True
        over_time = [*widths, *(f"{GATES}/{gate}" for gate in header.gates)]
        shapes = [stored_shape(self.group, array) for array in over_time]
        return any(
            shape is not None and len(shape) == 3 and shape[1] != header.timesteps
            for shape in shapes
        )

    def states(self, rows: slice, only: Collection[str] | None = None) -> LayerStates:
        """What is stored of the states of some sequences; as `Trace.read_states`."""
        header, group = self.header, self.group
        ends = self._ends(tuple(header.widths), rows)
        wanted = only is None or OUTPUTS in only
        outputs_as = STATE_M if header.outputs_are_m and wanted else OUTPUTS
        arrays = {
            state: self._over_time(state, rows, ends)
            for state in header.widths
            if state in group and (only is None or state in only or state == outputs_as)
        }
        if outputs_as in arrays:
            outputs = arrays[outputs_as]
        elif OUTPUTS in group and wanted:
            outputs = self._over_time(OUTPUTS, rows, ends)
        else:
            outputs = np.empty((0, header.timesteps or 0, header.output_size), header.dtype)
        gates = {
            gate: self._over_time(f"{GATES}/{gate}", rows, ends)
            for gate in (header.gates if only is None else ())
        }
        inputs = None
        if header.input_size is not None and only is None:
            inputs = self._over_time(INPUTS, rows, ends)
        return LayerStates(arrays, outputs, ends[INITIAL], ends[FINAL], gates, inputs)

    def array(self, name: str, rows: slice, where: str) -> Array:
        """One array by name, as `Trace.read_array`; `where` is for messages."""
        stored = STATE_M if name == OUTPUTS and self.header.outputs_are_m else name
        part, _, leaf = stored.rpartition("/")
        held = self.group if not part else self.group.group(part)
        if held is None or leaf not in held:
            raise TraceError(
                "The trace does not hold this array.",
                where=where,
                expected=", ".join(sorted(self.group.names())),
                hint="run again with what keeps it: gates, or another selection",
            )
        if part in (INITIAL, FINAL):
            return read_array(held, leaf, rows)
        ends = self._ends(tuple(self.header.widths) or (STATE_M,), rows)
        return self._over_time(stored, rows, ends)

    def initial(self, rows: slice) -> Mapping[str, Array]:
        """The states before the first step, (sequence, width) each."""
        return read_all(self.group, INITIAL, tuple(self.header.widths), rows)

    def outputs(self, rows: slice) -> Array:
        """The outputs (sequence, timestep, output), as far as they were kept."""
        array = STATE_M if self.header.outputs_are_m else OUTPUTS
        return self._over_time(array, rows, self._ends((array,), rows))

    def _ends(self, names: tuple[str, ...], rows: slice) -> dict[str, dict[str, Array]]:
        """The states before the first and after the last step."""
        return {when: read_all(self.group, when, names, rows) for when in (INITIAL, FINAL)}

    def _over_time(self, name: str, rows: slice, ends: Mapping[str, Mapping[str, Array]]) -> Array:
        """An array (sequence, timestep, width); flat ones are padded."""
        if self.offsets is None or len(stored_shape(self.group, name) or ()) != 2:
            return read_array(self.group, name, rows)
        first, stop, _ = rows.indices(len(self.offsets) - 1)
        offsets = self.offsets[first : max(first, stop) + 1]
        flat = read_array(self.group, name, slice(int(offsets[0]), int(offsets[-1])))
        past = past_length(self.header, name, ends)
        return padded(flat, np.diff(offsets), self.timesteps, past)
