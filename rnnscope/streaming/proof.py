"""That a sequence fed in chunks, with the state carried, gives what the whole gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from rnnscope.checks import merge
from rnnscope.checks.interface import Finding, StatePlace
from rnnscope.checks.measure import Peak, differences
from rnnscope.checks.streamed import PREFIX
from rnnscope.engines.choose import LayerEngine
from rnnscope.engines.workspace import Workspace
from rnnscope.model.cell import Array
from rnnscope.model.network import Network, Node
from rnnscope.model.states import LayerStates
from rnnscope.running.compute import Computed, compute_slice
from rnnscope.running.prepared import Prepared
from rnnscope.streaming.streamed_model import StreamedModel, stream_engine
from rnnscope.wording import plural

SINGLE, DOUBLE = 1e-5, 1e-10
"""How far chunks may be from the whole where an engine promises no bits, in units of the largest
value, or 1: BLAS sums in another order for another number of steps, some 1e-7 and 1e-15. A state
that is not carried leaves far more."""

SLICE_BYTES = 64 * 2**20


def prove(
    prepared: Prepared, lengths: Sequence[int], engine: str, keeps: Callable[[str], bool]
) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """Feed a run in chunks of every length and compare every layer with the whole.

    Parameters
    ----------
    prepared : Prepared
    lengths : sequence of int
        Steps of a chunk.
    engine : str
        As a run takes it.
    keeps : callable
        ``keeps(layer)``: whether it is looked at.

    Returns
    -------
    findings : tuple of Finding
        One for each layer and length; a layer that cannot be fed in chunks is skipped, with the
        reason.
    notes : tuple of str
    """
    found: list[Finding] = []
    notes: tuple[str, ...] = ()
    nodes = [node for node in prepared.plan.layers if keeps(node.name)]
    for rows in _slices(prepared):
        model = StreamedModel.of(prepared, rows, engine)
        whole = whole_states(prepared, model, rows, engine)
        notes = _notes(model)
        for length in lengths:
            starts = range(length, model.timesteps, length)
            streamed = model.stream(starts) if model.nodes and starts else {}
            found += [_finding(node, length, model, whole, streamed, rows.start)
                      for node in nodes]  # fmt: skip
    order = {node.name: number for number, node in enumerate(prepared.plan.layers)}
    key = lambda one: (order[one.layer], int(one.check.removeprefix(PREFIX)))  # noqa: E731
    return tuple(sorted(merge(found), key=key)), notes


def whole_states(
    prepared: Prepared, model: StreamedModel, rows: slice, engine: str
) -> dict[str, LayerStates]:
    """Every layer over the whole sequence, computed as a run computes it."""
    engines = {
        node.name: LayerEngine(
            node.recurrent, engine=stream_engine(node.recurrent, engine),
            sequences=rows.stop - rows.start,
        )
        for node in prepared.plan.layers
        if node.recurrent
    }  # fmt: skip
    workspaces = {name: Workspace() for name in engines}
    return {
        one.node.name: one.states
        for one in compute_slice(prepared, engines, model.batch, rows, workspaces)
        if isinstance(one, Computed)
    }


def _slices(prepared: Prepared) -> Iterator[slice]:
    source = prepared.source
    row = 8 * sum(prepared.shapes[node.name][1] * prepared.shapes[node.name][2] * 3
                  for node in prepared.plan.layers)  # fmt: skip
    each = max(1, SLICE_BYTES // max(1, row))
    for start in range(0, source.sequences, each):
        yield slice(start, min(start + each, source.sequences))


def _finding(
    node: Node, length: int, model: StreamedModel, whole: Mapping[str, LayerStates],
    streamed: Mapping[str, LayerStates], first_sequence: int,
) -> Finding:  # fmt: skip
    check, name = f"{PREFIX}{length}", node.name
    if name in model.reasons:
        return Finding(check, name, "skip", f"cannot be fed in chunks: it {model.reasons[name]}")
    if name not in streamed:
        steps = plural(model.timesteps, "step")
        return Finding(check, name, "skip", f"the sequences have {steps}: that is one chunk")
    layer = node.recurrent
    assert layer is not None
    largest = _largest(whole[name], streamed[name], first_sequence)
    bits = promises_bits(model, node)
    limit = 0.0 if bits else _rounding(whole[name])
    good = largest.value <= limit
    engine = model.engines[name].name
    if good:
        same = "bits" if largest.value == 0 else "states within rounding"
        message = f"fed in chunks it gives the {same} of the whole ({engine} engine)"
    else:
        message = f"fed in chunks it gives other states than the whole ({engine} engine)"
        message += ", which promises the same bits" if bits else ""
    return Finding(check, name, "pass" if good else "fail", message, largest.value, limit,
                   largest.place)  # fmt: skip


def promises_bits(model: StreamedModel, node: Node) -> bool:
    """Whether the engine promises that a cut of time changes no bit of a layer."""
    network = Network((), model.nodes)
    above = [network.by_name[name] for name in network.upstream_of([node.name])
             if name in network.by_name]  # fmt: skip
    return all(
        one.recurrent is not None
        and not one.recurrent.wrapper
        and model.engines[one.name].name == "compiled"
        for one in above
    )


def _rounding(whole: LayerStates) -> float:
    most = max(float(np.abs(array).max(initial=0.0)) for array in whole.states.values())
    scale = most if np.isfinite(most) else 1.0
    return (SINGLE if whole.m.dtype == np.float32 else DOUBLE) * max(1.0, scale)


def _largest(whole: LayerStates, streamed: LayerStates, first_sequence: int) -> Peak:
    """The largest difference of every state at every step, of the outputs, and of the end."""
    pairs = [(array, streamed.states[name]) for name, array in whole.states.items()]
    pairs.append((whole.outputs, streamed.outputs))
    pairs += [(array, streamed.final[name]) for name, array in whole.final.items()]
    largest = Peak()
    for expected, got in pairs:
        apart = differences(expected, got)
        if not apart.size:
            continue
        # argmax stops at the first NaN, which is what should win.
        place = [int(i) for i in np.unravel_index(int(apart.argmax()), apart.shape)]
        value = float(apart[tuple(place)])
        if value == 0:
            continue
        sequence, unit = first_sequence + place[0], place[-1]
        timestep = place[1] if apart.ndim == 3 else None
        largest |= Peak(value, StatePlace(sequence, timestep, unit))
    return largest


def _notes(model: StreamedModel) -> tuple[str, ...]:
    notes = []
    if model.reasons:
        every = len(model.prepared.plan.layers)
        notes.append(
            f"The model cannot be streamed as a whole: {len(model.reasons)} of "
            f"{plural(every, 'layer')} cannot be fed in chunks."
        )
    if model.front:
        names = ", ".join(f"'{name}'" for name in model.front)
        notes.append(
            f"What stands in front ({names}) was computed of the whole input, and its results were "
            "fed in chunks: in a stream it needs steps from around each chunk, too."
        )
    return tuple(notes)


def mask_of(model: StreamedModel) -> Array | None:
    """The steps that count of what the layers read."""
    return next((one.mask for one in model.read.values()), None)
