"""The cells of a model as they are where weights or options are confused.

Other variables, weights of other places, bytes in another order, blocks taken for others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from explaining.network_description import Array, Cell, Made, Model, rounded


def other_variables(model: Model, made: Made) -> Model:
    for name in ("variables", "checkpoint-step"):
        if name in made:
            model = model.others[made[name]]
    return model


def other_levels(model: Model, made: Made) -> list[list[Cell]]:
    levels = [list(level) for level in model.levels]
    if "layer-order" in made:
        levels = [levels[int(number) - 1] for number in made["layer-order"].split()]
    if made.get("directions") == "swapped":
        levels = [
            [replace(cell, backward=place == 1) for place, cell in enumerate(level[::-1])]
            for level in levels
        ]
    if made.get("reversed") == "not reversed":
        levels = [[replace(cell, backward=False) for cell in level] for level in levels]
    return [[misread(cell, made) for cell in level] for level in levels]


def misread(cell: Cell, made: Made) -> Cell:
    """The cell as it is read where its bytes, rows, biases, blocks or options are confused."""
    kernel, recurrent = _kernels(cell, made)
    bias, other = cell.bias, cell.recurrent_bias
    which = made.get("bias")
    if which == "none":
        bias, other = 0 * bias, None if other is None else 0 * other
    elif which == "doubled":
        bias, other = 2 * bias, None if other is None else 2 * other
    elif which == "input bias only":
        other = 0 * other
    elif which == "recurrent bias only":
        bias = 0 * bias
    if "dtype" in made and made["dtype"].endswith("weights"):
        kind = made["dtype"].split()[0]
        kernel, recurrent, bias = (rounded(a, kind) for a in (kernel, recurrent, bias))
        other = None if other is None else rounded(other, kind)
    kernel, recurrent, bias, other = _blocks(cell, made, kernel, recurrent, bias, other)
    return replace(
        cell,
        kernel=kernel,
        recurrent=recurrent,
        bias=bias,
        recurrent_bias=other,
        peepholes=_peepholes(cell, made),
        projection=_projection(cell, made),
        **_options(cell, made),
    )


def _wrong_way(cell: Cell, matrix: Array) -> Array:
    """The matrix whose bytes, as the file has them, are taken for those of the transposed shape."""
    if cell.stored in ("torch", "onnx"):
        return np.ascontiguousarray(matrix.T).reshape(matrix.shape)
    return np.ascontiguousarray(matrix).reshape(matrix.shape[::-1]).T


def _kernels(cell: Cell, made: Made) -> tuple[Array, Array]:
    kernel, recurrent = cell.kernel, cell.recurrent
    which = made.get("transposed")
    whole = cell.stored == "tf1" and not cell.gru
    if which == "both" and whole:
        kernel, recurrent = np.split(
            _wrong_way(cell, np.concatenate([kernel, recurrent])), [len(kernel)]
        )
    elif which == "both":
        kernel, recurrent = _wrong_way(cell, kernel), _wrong_way(cell, recurrent)
    elif which == "kernel":
        kernel = _wrong_way(cell, kernel)
    elif which == "recurrent kernel":
        recurrent = _wrong_way(cell, recurrent)
    elif which == "recurrent kernel, gate by gate":
        blocks = np.split(recurrent, len(cell.order), axis=1)
        recurrent = np.concatenate([block.T for block in blocks], axis=1)
    if made.get("kernel-rows") == "[m; x]":
        recurrent, kernel = np.split(np.concatenate([kernel, recurrent]), [len(recurrent)])
    return kernel, recurrent


def _blocks(cell: Cell, made: Made, *arrays: Array | None) -> list[Array | None]:
    """The arrays with their blocks where the stored order has them, as they are understood."""
    if "gate-order" not in made:
        return list(arrays)
    words = made["gate-order"]
    order = words.partition("(")[0].replace(" ", "")
    kept = []
    for number, array in enumerate(arrays):
        is_bias = number >= 2
        if array is None or ("bias only" in words and not is_bias) or (
            "kernels only" in words and is_bias
        ):  # fmt: skip
            kept.append(array)
            continue
        # Block number k is taken for the gate order[k].
        taken = dict(zip(order, np.split(array, len(order), axis=-1), strict=True))
        kept.append(np.concatenate([taken[gate] for gate in cell.order], axis=-1))
    return kept


def _peepholes(cell: Cell, made: Made) -> Mapping[str, Array] | None:
    if cell.peepholes is None or made.get("peepholes") == "ignored":
        return None
    if made.get("peepholes", "").startswith("order"):
        taken = made["peepholes"].split()[1:]
        return {gate: cell.peepholes[other] for gate, other in zip("ifo", taken, strict=True)}
    return cell.peepholes


def _projection(cell: Cell, made: Made) -> Array | None:
    if cell.projection is not None and made.get("projection") == "transposed":
        return _wrong_way(cell, cell.projection)
    return cell.projection


def _options(cell: Cell, made: Made) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if "forget-bias" in made:
        options["forget_bias"] = float(made["forget-bias"])
    for name in ("cell-clip", "proj-clip", "gate-clip"):
        if name in made:
            bound = None if made[name] == "none" else float(made[name])
            options[name.replace("-", "_")] = bound
    if "activation" in made:
        options["activation"] = made["activation"].removesuffix(" (candidate only)")
        if "candidate only" not in made["activation"]:
            options["output_activation"] = options["activation"]
    if "output-activation" in made:
        options["output_activation"] = made["output-activation"]
    if "recurrent-activation" in made:
        options["recurrent_activation"] = made["recurrent-activation"]
    if "reset-after" in made:
        options["reset_after"] = made["reset-after"] == "true"
    return options
