"""Files of named arrays: zips of numpy, safetensors, GGUF, msgpack, pickles, Orbax, ELMo."""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from model_files.interface import (
    UNITS,
    Write,
    Written,
    drawn,
    flax_tree,
    keras_arrays,
    torch_arrays,
    with_table,
)


def _npz(path: Path, layers: int, rows: int, compressed: bool) -> Written:
    path = path.with_suffix(".npz")
    kind = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", kind, compresslevel=1) as archive:
        for name, array in with_table(keras_arrays(layers), rows, "embedding/embeddings").items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array)
    return Written(path, {"layout": "keras"})


def npz(path: Path, layers: int, rows: int) -> Written:
    """Kernels and biases as Keras names them."""
    return _npz(path, layers, rows, compressed=False)


def compressed_npz(path: Path, layers: int, rows: int) -> Written:
    """The same, as ``savez_compressed`` packs it."""
    return _npz(path, layers, rows, compressed=True)


def object_array(path: Path, layers: int, rows: int) -> Written:
    """A dict of arrays, as ``numpy.save`` pickles it."""
    path = path.with_suffix(".npy")
    np.save(path, np.array(with_table(torch_arrays(layers), rows), dtype=object))
    return Written(path)


def safetensors(path: Path, layers: int, rows: int) -> Written:
    """The tensors of an ``nn.LSTM``."""
    path = path.with_suffix(".safetensors")
    arrays = with_table(torch_arrays(layers), rows)
    head, at = {}, 0
    for name, array in arrays.items():
        ends = [at, at := at + array.nbytes]
        head[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": ends}
    text = json.dumps(head).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in arrays.values():
            file.write(array.tobytes())
    return Written(path)


def _flat(tree: dict[str, Any], folder: str = "") -> dict[str, Any]:
    found = {}
    for key, value in tree.items():
        name = f"{folder}.{key}" if folder else key
        found |= _flat(value, name) if isinstance(value, dict) else {name: value}
    return found


def gguf(path: Path, layers: int, rows: int) -> Written:
    """The parameters of Flax' cells, as llama.cpp's tools write tensors."""
    path = path.with_suffix(".gguf")
    arrays = _flat(flax_tree(layers, rows)["params"])
    with path.open("wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, len(arrays), 0))
        at = 0
        for name, array in arrays.items():
            file.write(struct.pack("<Q", len(name)) + name.encode())
            file.write(struct.pack(f"<I{array.ndim}Q", array.ndim, *array.shape[::-1]))
            file.write(struct.pack("<IQ", 0, at))
            at += -(-array.nbytes // 32) * 32
        for array in arrays.values():
            file.write(bytes(-file.tell() % 32))
            file.write(array.tobytes())
    return Written(path)


def msgpack(path: Path, layers: int, rows: int) -> Written:
    """What ``flax.serialization.to_bytes`` writes."""
    import msgpack as packing

    def packed(array: Any) -> Any:
        inside = (array.shape, array.dtype.name, array.tobytes())
        return packing.ExtType(1, packing.packb(inside, use_bin_type=True))

    path = path.with_suffix(".msgpack")
    whole = packing.packb(flax_tree(layers, rows), default=packed, strict_types=True)
    path.write_bytes(whole)
    return Written(path)


def pickled(path: Path, layers: int, rows: int) -> Written:
    """A pickle of numpy's arrays."""
    path = path.with_suffix(".pkl")
    with path.open("wb") as file:
        pickle.dump(flax_tree(layers, rows), file)
    return Written(path)


def pdparams(path: Path, layers: int, rows: int) -> Written:
    """The state dict of a ``paddle.nn.LSTM``."""
    path = path.with_suffix(".pdparams")
    arrays = with_table(torch_arrays(layers), rows)
    names = {name: f"parameter_{number}" for number, name in enumerate(arrays)}
    with path.open("wb") as file:
        pickle.dump(arrays | {"StructuredToParameterName@@": names}, file, protocol=4)
    return Written(path)


def orbax(path: Path, layers: int, rows: int) -> Written:
    """The parameters of Flax' cells in a folder of Orbax."""
    import orbax.checkpoint as ocp

    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
        checkpointer.save(path.absolute(), flax_tree(layers, rows))
    return Written(path)


def elmo(path: Path, layers: int, rows: int) -> Written:
    """AllenNLP's ELMo: as many levels both ways; the table is that of its characters."""
    import h5py

    path = path.with_suffix(".hdf5")
    with h5py.File(path, "w") as file:
        for way in (0, 1):
            for level in range(layers):
                cell = f"RNN_{way}/RNN/MultiRNNCell/Cell{level}/LSTMCell"
                file[f"{cell}/W_0"] = drawn(2 * UNITS, 8 * UNITS)
                file[f"{cell}/B"] = drawn(8 * UNITS)
                file[f"{cell}/W_P_0"] = drawn(2 * UNITS, UNITS)
        file["char_embed"] = drawn(max(rows, 4), 64)
        file["CNN_proj/W_proj"] = drawn(6, UNITS)
    return Written(path)


WRITERS: dict[str, Write] = {
    "npz": npz, "npz, compressed": compressed_npz, "npy of objects": object_array,
    "safetensors": safetensors, "GGUF": gguf, "msgpack": msgpack, "pickle of arrays": pickled,
    "Paddle .pdparams": pdparams, "Orbax": orbax, "ELMo": elmo,
}  # fmt: skip
