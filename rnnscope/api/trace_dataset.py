"""A layer of a trace as variables, dimensions and attributes of an xarray dataset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnscope.api.trace_layers import LayerView
from rnnscope.model.cell import Array

if TYPE_CHECKING:
    from rnnscope.trace import LayerHeader, Trace

OVER_TIME = ("sequence", "timestep")


def variables_of(trace: Trace, layer: LayerView) -> Iterator[tuple[str, tuple[Any, Array]]]:
    """The arrays of a layer that the trace holds, with their dimensions, and coordinates."""
    from rnnscope.trace.stored_arrays import time_arrays

    header = layer._header  # noqa: SLF001  # the two classes are one thing
    kept: dict[str, Array] = {}
    for name, one in time_arrays(trace, header).items():
        width = _width_dimension(header, name)
        kept |= {"timestep": one.steps, width: one.units}
        short = name.replace("gates/", "gate_")
        yield short, ((*OVER_TIME, width), trace.read_array(header.name, name))
    for part, arrays in (("initial", layer.initial), ("final", layer.final)):
        for state, array in arrays.items():
            yield f"{part}_{state}", (("sequence", header.state_dimension(state)),
                                      np.asarray(array))  # fmt: skip
    for dimension, places in kept.items():
        yield dimension, (dimension, places)


def _width_dimension(header: LayerHeader, name: str) -> str:
    if name in header.widths:
        return header.state_dimension(name)
    if name.startswith("gates/"):
        return "unit"
    return "input" if name == "inputs" else "output"


def attributes_of(layer: LayerView) -> dict[str, Any]:
    """The options of a layer with their origins, as attributes that files can hold."""
    options = {f"option_{name}": "" if value is None else value
               for name, value in layer.options.items()}  # fmt: skip
    origins = {f"option_{name}_origin": origin for name, origin in layer.origins.items()}
    return {"layer": layer.name} | options | origins
