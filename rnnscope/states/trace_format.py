"""rnnscope's own trace as a state format: read from its file or an open one, and written."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np

from rnnscope import __version__
from rnnscope.errors import OptionError, TraceError, spell
from rnnscope.files.arrays.array_views import Unfolded
from rnnscope.files.arrays.stored_array import StoredArray
from rnnscope.files.containers.named_arrays import NamedArrays
from rnnscope.files.hdf5.safe_hdf5 import damage_as, open_h5
from rnnscope.model.cell import Array
from rnnscope.model.states import LayerStates
from rnnscope.states.build import unread_arrays
from rnnscope.states.interface import (
    ReadOptions,
    StateFormat,
    StateReading,
    WriteOptions,
    WrittenStates,
)
from rnnscope.states.state_set import (
    FINAL,
    GATES,
    INITIAL,
    INPUTS,
    StateLayer,
    StateSet,
    with_final,
)
from rnnscope.trace.reader import Trace
from rnnscope.trace.schema import (
    INPUT_TIMESTEP,
    OUTPUT,
    SCHEMA,
    SEQUENCE,
    TIMESTEP,
    UNIT,
    LayerHeader,
    TraceHeader,
)
from rnnscope.trace.stored_arrays import TraceArrays, layer_paths, names_of_no_states
from rnnscope.trace.writer import TraceWriter

NAME = "trace"
SLICE_BYTES = 32 * 2**20


def is_trace(arrays: NamedArrays) -> bool:
    """True for an HDF5 file with a trace's mark."""
    if arrays.kind != "hdf5":
        return False
    with open_h5(arrays.path, error=TraceError) as file:
        with damage_as(TraceError, str(arrays.path)):
            schema = file.attrs.get("schema")
        return isinstance(schema, str) and schema == SCHEMA


def readings(arrays: NamedArrays, options: ReadOptions) -> list[StateReading]:  # noqa: ARG001
    """Every layer, with what the trace says of it; of ``trace.h5::encoder/m`` that array."""
    if isinstance(arrays, TraceArrays):
        return [_reading(arrays, arrays.trace)]
    if not is_trace(arrays):
        return []
    with Trace.open(arrays.path) as trace:
        return [_reading(arrays, trace)]


def _reading(arrays: NamedArrays, trace: Trace) -> StateReading:
    groups, described = layer_paths(trace), names_of_no_states(trace)
    layers = []
    read: set[str] = set()
    for header in (*trace.layers, *trace.merges):
        inside = _states_inside(arrays, groups[header.name])
        if inside:
            own = _own_coordinates(arrays, groups[header.name], described)
            layers.append(_layer(arrays, header, inside, own, trace))
            read.update(inside.values())
    notes: tuple[str, ...] = ()
    if trace.selection:
        notes = (f"the trace keeps {', '.join(trace.selection)} alone",)
    if trace.offsets is not None:
        notes = (*notes, "the trace is ragged: zeros stand past each sequence's length")
    states = StateSet(
        arrays.label,
        NAME,
        tuple(layers),
        trace.lengths,
        trace.mask,
        sequence=_coordinates(arrays, described, SEQUENCE),
        timestep=_coordinates(arrays, described, TIMESTEP, INPUT_TIMESTEP),
        notes=notes,
        selected=bool(trace.selection),
        not_read=unread_arrays(arrays.names, read | described),
        has_recipe=bool(trace.header.recipe),
        close=arrays.close,
    )
    return StateReading(NAME, "c and m of every layer", "its schema", states, sure=True)


def _states_inside(arrays: NamedArrays, group: str) -> dict[str, str]:
    """The arrays of a layer's group that are states: the name in the file by the state's."""
    inside = {name.removeprefix(f"{group}/"): name for name in arrays.names
              if name.startswith(f"{group}/")}  # fmt: skip
    return {key: name for key, name in inside.items() if _is_state(key)}


def _layer(
    arrays: NamedArrays,
    header: LayerHeader,
    inside: Mapping[str, str],
    coordinates: Mapping[str, Array],
    trace: Trace,
) -> StateLayer:
    held = {key: _array(arrays, name, key, trace) for key, name in inside.items()}
    if header.outputs_are_m and arrays.part is None and "m" in held:
        held["outputs"] = held["m"]
    counted = header.timesteps in (None, trace.timesteps) and not header.own_time
    return StateLayer(
        header.name, held, header.known_facts, counted=counted, coordinates=coordinates
    )


def _array(arrays: NamedArrays, name: str, key: str, trace: Trace) -> StoredArray:
    """The array with all its axes: of a ragged trace, rows are put back into sequences."""
    array = arrays.array(name)
    over_time = not key.startswith((FINAL, INITIAL))
    if trace.offsets is None or not over_time or len(array.shape) == 3:
        return array
    starts = trace.offsets[:-1]
    return Unfolded(array, starts, np.diff(trace.offsets), trace.timesteps)


def _is_state(key: str) -> bool:
    return key in ("c", "m", "outputs", INPUTS) or key.startswith((FINAL, INITIAL, GATES))


def _own_coordinates(
    arrays: NamedArrays, group: str, described: Collection[str]
) -> dict[str, Array]:
    """The coordinates of a layer's own dimensions."""
    by_axis = {
        axis: _coordinates(arrays, described, f"{group}/{axis}")
        for axis in (TIMESTEP, UNIT, OUTPUT)
    }
    return {axis: values for axis, values in by_axis.items() if values is not None}


def _coordinates(arrays: NamedArrays, described: Collection[str], *names: str) -> Array | None:
    """The first of a dimension's coordinates that the file has, also where it is not named."""
    name = next((name for name in names if name in described), None)
    return None if name is None else arrays.array(name).read()


def write(states: StateSet, options: WriteOptions) -> WrittenStates:
    """A whole trace; what it needs and the states lack is filled: outputs with m, initial zeros."""
    if options.steps == "final":
        raise OptionError(
            "A trace holds every timestep.",
            where=spell("steps", "final"),
            hint=f"write {spell('to', 'arrays')} for the final states alone",
        )
    whole = with_final(states)
    steps = whole.timesteps
    if steps is None:
        raise OptionError(
            "A trace holds every timestep, and these are final states alone.", where=states.name
        )

    def file(path: Path) -> None:
        # The target itself was checked; the writer's own temporary name becomes `path`.
        headers = [_header(layer) for layer in whole.layers]
        head = TraceHeader(rnnscope_version=__version__, command=f"export of {states.name}")
        with TraceWriter(
            path,
            head,
            headers,
            whole.sequences,
            steps,
            has_lengths=whole.lengths is not None,
            has_mask=whole.mask is not None,
        ) as writer:
            for rows in _slices(whole, steps):
                _write_slice(writer, whole, rows)

    lost = ("options of the layers and where they come from",)
    return WrittenStates(lost=lost, file=file)


def _header(layer: StateLayer) -> LayerHeader:
    widths = {state: layer.arrays[state].shape[2] for state in ("c", "m") if state in layer.arrays}
    outputs = layer.arrays.get("outputs", layer.arrays.get("m"))
    inputs = layer.arrays.get(INPUTS)
    if outputs is None:
        raise TraceError(
            "A layer of a trace has m, or outputs.",
            where=f"layer '{layer.name}'",
            found=", ".join(layer.arrays),
        )
    return LayerHeader(
        layer.name or "layer",
        outputs.shape[2],
        widths,
        dtype=str(outputs.dtype),
        timesteps=outputs.shape[1],
        own_time=not layer.counted,
        gates=tuple(key.removeprefix(GATES) for key in layer.arrays if key.startswith(GATES)),
        facts=layer.facts,
        input_size=None if inputs is None else inputs.shape[2],
    )


def _slices(states: StateSet, steps: int) -> Iterator[slice]:
    row = sum(
        array.shape[-1] * array.dtype.itemsize * steps
        for layer in states.layers
        for array in layer.arrays.values()
    )
    each = max(1, SLICE_BYTES // max(1, row))
    for start in range(0, states.sequences, each):
        yield slice(start, min(start + each, states.sequences))


def _write_slice(writer: TraceWriter, states: StateSet, rows: slice) -> None:
    for layer in states.layers:
        name = layer.name or "layer"
        if not {"c", "m"} & layer.arrays.keys():
            writer.write_outputs(name, layer.arrays["outputs"].read((rows,)), rows)
            continue
        held = {key: array.read((rows,)) for key, array in layer.arrays.items()}
        over_time: dict[str, Array] = {s: held[s] for s in ("c", "m") if s in held}
        writer.write_layer(
            name,
            LayerStates(
                states=over_time,
                outputs=held.get("outputs", held["m"]) if "m" in held else held["outputs"],
                initial={s: held.get(INITIAL + s, np.zeros_like(a[:, 0])) for s, a in
                         over_time.items()},
                final={state: held[FINAL + state] for state in over_time},
                gates={k.removeprefix(GATES): a for k, a in held.items() if k.startswith(GATES)},
                inputs=held.get(INPUTS),
            ),
            rows,
        )  # fmt: skip
    length = None if states.lengths is None else states.lengths[rows]
    mask = None if states.mask is None else states.mask[rows]
    none = np.zeros(rows.stop - rows.start, np.int64)
    writer.write_common(rows, length, mask, none)


STATE_FORMAT = StateFormat(
    NAME,
    "rnnscope trace (HDF5)",
    "a trace, which a run of rnnscope wrote",
    "everything",
    readings,
    write,
    holds_outputs_alone=True,
)
