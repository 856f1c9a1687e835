"""What the other side hands over: the same states in the guises in which people keep them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from explaining.confused_loop import Layer, States
from explaining.network_description import Array
from explaining.small_models import Subject


def reference(subject: Subject, states: States, guise: str, folder: Path) -> Any:
    """States in a guise of `GUISES`, float32; files go to a folder."""
    return GUISES[guise](subject, states, folder)


def arrays_of(subject: Subject, layer: Layer, *, whole: bool = True) -> dict[str, Array]:
    """The arrays of a layer by rnnscope's names; a GRU has no c."""
    arrays = {"c": layer.c, "m": layer.m}
    if whole:
        arrays |= {"outputs": layer.outputs, "final/c": layer.final_c, "final/m": layer.final_m}
    if subject.model.levels[0][0].gru:
        arrays = {name: array for name, array in arrays.items() if not name.endswith("c")}
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def _by_layer(subject: Subject, states: States) -> list[tuple[str, Layer]]:
    return [
        (name, layer)
        for names, level in zip(subject.names, states.levels, strict=True)
        for name, layer in zip(names, level, strict=True)
    ]


def _everything(subject: Subject, states: States, _: Path) -> Any:
    layers = _by_layer(subject, states)
    if len(layers) == 1:
        return arrays_of(subject, layers[0][1])
    return {name: arrays_of(subject, layer) for name, layer in layers}


def _states(subject: Subject, states: States, _: Path) -> Any:
    layers = _by_layer(subject, states)
    if len(layers) == 1:
        return arrays_of(subject, layers[0][1], whole=False)
    return {name: arrays_of(subject, layer, whole=False) for name, layer in layers}


def _npz(subject: Subject, states: States, folder: Path) -> Any:
    held = {}
    for name, layer in _by_layer(subject, states):
        for key, array in arrays_of(subject, layer, whole=False).items():
            held[f"{name}/{key}"] = array
    np.savez(folder / "states.npz", **held)
    return folder / "states.npz"


def _npy(subject: Subject, states: States, folder: Path) -> Any:
    np.save(folder / "outputs.npy", _outputs(subject, states, folder))
    return folder / "outputs.npy"


def _outputs(_: Subject, states: States, __: Path) -> Any:
    return states.outputs.astype(np.float32)


def _turned(array: Array) -> Array:
    return np.ascontiguousarray(np.swapaxes(array, 0, 1))


def _time_major(subject: Subject, states: States, folder: Path) -> Any:
    return {name: _turned(array) for name, array in _states(subject, states, folder).items()}


def _outputs_time_major(subject: Subject, states: States, folder: Path) -> Any:
    return _turned(_outputs(subject, states, folder))


def _without_end(subject: Subject, states: States, folder: Path) -> Any:
    return {name: array[:, :-3] for name, array in _states(subject, states, folder).items()}


def _without_start(subject: Subject, states: States, folder: Path) -> Any:
    return {name: array[:, 2:] for name, array in _states(subject, states, folder).items()}


def _final(subject: Subject, states: States, folder: Path) -> Any:
    layers = _by_layer(subject, states)
    found = {
        name: {key: array for key, array in arrays_of(subject, layer).items() if "final" in key}
        for name, layer in layers
    }
    return found if len(layers) > 1 else found[layers[0][0]]


def _outputs_and_final(subject: Subject, states: States, folder: Path) -> Any:
    ((_, layer),) = _by_layer(subject, states)
    arrays = arrays_of(subject, layer)
    return {name: array for name, array in arrays.items() if name not in ("c", "m")}


def _torch(subject: Subject, states: States, _: Path) -> Any:
    """What nn.LSTM returns: output of all steps, h_n and c_n of layers times directions."""
    layers = [layer for _, layer in _by_layer(subject, states)]
    held = {
        "output": _turned(states.outputs),
        "h_n": np.stack([layer.final_m for layer in layers]),
        "c_n": np.stack([layer.final_c for layer in layers]),
    }
    if subject.model.levels[0][0].gru:
        held.pop("c_n")
    return {name: array.astype(np.float32) for name, array in held.items()}


def _keras(subject: Subject, states: States, folder: Path) -> Any:
    """[h, c] by name, in a file."""
    ((_, layer),) = _by_layer(subject, states)
    np.savez(folder / "h_c.npz", h=layer.m.astype(np.float32), c=layer.c.astype(np.float32))
    return folder / "h_c.npz"


def _c_alone(subject: Subject, states: States, _: Path) -> Any:
    return {"c": states.levels[-1][0].c.astype(np.float32)}


def _top(subject: Subject, states: States, _: Path) -> Any:
    """The last layer by its name, the others not kept."""
    name, layer = _by_layer(subject, states)[-1]
    return {name: arrays_of(subject, layer)}


def _bottom(subject: Subject, states: States, _: Path) -> Any:
    name, layer = _by_layer(subject, states)[0]
    return {name: arrays_of(subject, layer)}


def _dense(_: Subject, states: States, __: Path) -> Any:
    return states.dense.astype(np.float32)


def _dense_of_last(_: Subject, states: States, __: Path) -> Any:
    return states.last_dense.astype(np.float32)


GUISES = {
    "everything": _everything,
    "c and m": _states,
    "npz": _npz,
    "npy": _npy,
    "outputs": _outputs,
    "time-major": _time_major,
    "outputs, time-major": _outputs_time_major,
    "without end": _without_end,
    "without start": _without_start,
    "final": _final,
    "outputs and final": _outputs_and_final,
    "torch": _torch,
    "keras": _keras,
    "c": _c_alone,
    "top layer": _top,
    "bottom layer": _bottom,
    "dense": _dense,
    "dense of last": _dense_of_last,
}
"""By name."""
