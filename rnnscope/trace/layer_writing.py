"""The arrays of a trace that is written: what goes where, and what has been written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import numpy as np

from rnnscope.errors import TraceError, spell
from rnnscope.model.cell import Array
from rnnscope.model.states import LayerStates
from rnnscope.trace.arrays import layer_arrays, layer_parts, outputs_place
from rnnscope.trace.blocks import Destination
from rnnscope.trace.layout import TraceLayout
from rnnscope.trace.schema import OUTPUTS, STATE_M, TIMESTEP, LayerHeader
from rnnscope.trace.stores.interface import WritableGroup


class WrittenArrays:
    """The arrays of a laid out store.

    Parameters
    ----------
    root : WritableGroup
    layout : TraceLayout
    layers : sequence of LayerHeader
        In the order of the run.

    Raises
    ------
    KeyError
        An array of the layout is not there, or has another shape or type.
    """

    def __init__(
        self, root: WritableGroup, layout: TraceLayout, layers: Sequence[LayerHeader]
    ) -> None:
        self._layout = layout
        self._layers = {layer.name: layer for layer in layers}
        self.shared, self._arrays = layout.find(root)
        self._written: Counter[str] = Counter()

    def begin_after(self, done: int) -> None:
        """Count the first so many sequences as written."""
        for name, header in self._layers.items():
            self._written[name] += done * self._layout.sizes(header)[TIMESTEP]

    def write_layer(self, name: str, states: LayerStates, sequences: slice, steps: slice) -> None:
        """As `TraceWriter.write_layer`."""
        header = self._layers[name]
        if name in self._arrays:  # else not selected
            timesteps = self._layout.sizes(header)[TIMESTEP]
            parts = layer_parts(header, states, timesteps, steps)
            for path, array in self._expected(header, parts.keys()).items():
                if parts[path].belongs:
                    array.write(parts[path].array, sequences, parts[path].steps)
        self._written[name] += int(np.prod(states.outputs.shape[:2]))

    def write_outputs(self, name: str, array: Array, sequences: slice, steps: slice) -> None:
        """As `TraceWriter.write_outputs`."""
        if name in self._arrays:
            self._arrays[name][OUTPUTS].write(array, sequences, steps)
        self._written[name] += int(np.prod(array.shape[:2]))

    def keeps_outputs(self, name: str) -> bool:
        """As `TraceWriter.keeps_outputs`."""
        return self._outputs(name) is not None

    def read_outputs(self, name: str, sequences: slice, steps: slice) -> Array:
        """As `TraceWriter.read_outputs`."""
        array = self._outputs(name)
        if array is None:
            raise TraceError(
                "A layer needs outputs that the selection leaves out.",
                where=f"outputs of layer {name}",
                expected="all units and timesteps of them: the run is too long to hold them",
                found=spell("select", str(" ".join(self._layout.selection.texts()))),
                hint=(
                    f"select the outputs of that layer as well, or run with more {spell('memory')}"
                ),
            )
        header = self._layers[name]
        at = outputs_place(header, self._layout.sizes(header)[TIMESTEP], steps)
        return array.read(sequences, at)

    def require_whole(self) -> None:
        """Refuse a trace of which something was not written.

        Raises
        ------
        TraceError
        """
        for name, header in self._layers.items():
            steps = self._layout.sequences * self._layout.sizes(header)[TIMESTEP]
            if self._written[name] != steps:
                raise TraceError(
                    "The trace is not whole, and was not kept.",
                    where=f"layer {name}",
                    expected=f"{steps} steps",
                    found=f"{self._written[name]} steps written",
                    hint="this is a bug in rnnscope, please report it",
                )

    def _outputs(self, name: str) -> Destination | None:
        arrays = self._arrays.get(name, {})
        twin = arrays.get(STATE_M) if self._layers[name].outputs_are_m else None
        array = arrays.get(OUTPUTS, twin)
        return array if array is not None and array.is_whole else None

    def _expected(self, header: LayerHeader, given: AbstractSet[str]) -> dict[str, Destination]:
        """The layer's arrays: each must be given, and nothing that the header does not have."""
        arrays = self._arrays[header.name]
        if wrong := (arrays.keys() - given) | (given - layer_arrays(header).keys()):
            names = ", ".join(sorted(wrong))
            raise ValueError(f"layer {header.name}: missing, or not in the header: {names}")
        return arrays
