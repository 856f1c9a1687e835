"""``vectors.npz`` and ``vectors.safetensors``: the same arrays under names of one pattern."""

from __future__ import annotations

import numpy as np

from rnnscope.files.arrays.stored_array import LoadedArray
from rnnscope.vectors.cases import VectorSet


def arrays_of(vectors: VectorSet) -> dict[str, LoadedArray]:
    """Every array by name: ``CASE/x``, ``CASE/expected/c``, ``CASE/layers/PART/final/m``.

    ``weights/PART/kernel`` where weights were asked for; ``tolerance`` is one number.
    """
    found = {"tolerance": np.array([vectors.tolerance])}
    parts = vectors.parts
    for layer in vectors.layers:
        for name, array in layer.weights.items():
            found[f"weights/{layer.part}/{name}"] = array
    for case in vectors.cases:
        found[f"{case.name}/x"] = case.x
        found[f"{case.name}/lengths"] = case.lengths
        for state, array in case.initial.items():
            found[f"{case.name}/initial/{state}"] = array
        for layer_name, name, array in case.arrays():
            found[array_name(case.name, parts[layer_name] if not case.layer and layer_name else "",
                             name)] = array  # fmt: skip
    return {name: LoadedArray(np.ascontiguousarray(array)) for name, array in found.items()}


def array_name(case: str, part: str, name: str) -> str:
    """What an expected array is called: ``final/c`` stands beside ``expected/c``."""
    within = f"layers/{part}/" if part else ""
    return f"{case}/{within}{name if name.startswith('final/') else f'expected/{name}'}"
