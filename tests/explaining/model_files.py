"""Files of models, written here as frameworks write them: no framework is imported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from explaining.network_description import Array, Cell


def save_safetensors(path: Path, arrays: dict[str, Array]) -> Path:
    """Eight bytes of the header's size, the header in JSON, the bytes of the arrays."""
    header, data = {}, b""
    kinds = {"float32": "F32", "float64": "F64"}
    for name, array in arrays.items():
        own = np.ascontiguousarray(array).tobytes()
        header[name] = {
            "dtype": kinds[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + len(own)],
        }
        data += own
    words = json.dumps(header).encode()
    path.write_bytes(len(words).to_bytes(8, "little") + words + data)
    return path


def torch_arrays(levels: tuple[tuple[Cell, ...], ...], module: str = "rnn") -> dict[str, Array]:
    """The tensors of an nn.LSTM or nn.GRU by name."""
    arrays = {}
    for number, level in enumerate(levels):
        for cell in level:
            end = f"_l{number}" + ("_reverse" if cell.backward else "")
            arrays[f"{module}.weight_ih{end}"] = cell.kernel.T
            arrays[f"{module}.weight_hh{end}"] = cell.recurrent.T
            arrays[f"{module}.bias_ih{end}"] = cell.bias
            arrays[f"{module}.bias_hh{end}"] = cell.recurrent_bias
            if cell.projection is not None:
                arrays[f"{module}.weight_hr{end}"] = cell.projection.T
    return arrays


def tf1_arrays(cell: Cell, scope: str, end: str = "") -> dict[str, Array]:
    """The variables of an LSTMCell by name."""
    arrays = {"kernel": np.concatenate([cell.kernel, cell.recurrent]), "bias": cell.bias}
    for gate, array in (cell.peepholes or {}).items():
        arrays[f"w_{gate}_diag"] = array
    if cell.projection is not None:
        arrays["projection/kernel"] = cell.projection
    return {f"{scope}/{name}{end}": array for name, array in arrays.items()}


def keras_layer(class_name: str, name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": class_name, "config": {"name": name, **config}}


def recurrent_layer(cell: Cell, name: str, **config: Any) -> dict[str, Any]:
    """The configuration of an LSTM or GRU."""
    settings = {
        "units": cell.units,
        "activation": cell.activation,
        "recurrent_activation": cell.recurrent_activation.removesuffix("_keras3"),
        "return_sequences": True,
        "go_backwards": cell.backward,
        **config,
    }
    if cell.gru:
        settings["reset_after"] = cell.reset_after
    return keras_layer("GRU" if cell.gru else "LSTM", name, **settings)


def keras_weights(cell: Cell, scope: str) -> list[tuple[str, Array]]:
    bias = cell.bias
    if cell.recurrent_bias is not None:
        bias = np.stack([cell.bias, cell.recurrent_bias])
    arrays = {"kernel": cell.kernel, "recurrent_kernel": cell.recurrent, "bias": bias}
    return [(f"{scope}/{name}:0", array) for name, array in arrays.items()]


def save_keras(
    path: Path, layers: list[dict[str, Any]], weights: dict[str, list[tuple[str, Array]]],
    version: str = "2.4.0",
) -> Path:  # fmt: skip
    if version.startswith("3"):
        layers = [{"module": "keras.layers", "registered_name": None, **one} for one in layers]
    model = {"class_name": "Sequential", "config": {"name": "model", "layers": layers}}
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = np.bytes_(json.dumps(model).encode())
        file.attrs["keras_version"] = np.bytes_(version.encode())
        root = file.create_group("model_weights")
        for name, arrays in weights.items():
            group = root.create_group(name)
            group.attrs["weight_names"] = np.array([key.encode() for key, _ in arrays], "S")
            for key, array in arrays:
                group[key] = array
    return path
