"""Make what the whole-process benchmark reads: a Keras file, the same as ONNX and as arrays.

python setup.py FOLDER SEQUENCES TIMESTEPS FEATURES UNITS TIMES

Writes model.h5 (Keras writes it), weights.npz (kernel, recurrent, bias; gates i, f, g, o),
model.onnx where onnx is installed, x.npy, and x4.npy with TIMES as many sequences.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["KERAS_BACKEND"] = "tensorflow"


def main() -> None:
    """Write everything."""
    folder = Path(sys.argv[1])
    sequences, timesteps, features, units, times = map(int, sys.argv[2:])
    import keras

    keras.utils.set_random_seed(7)
    layer = keras.layers.LSTM(units, return_sequences=True)
    model = keras.Sequential([keras.Input((None, features)), layer])
    model.save(folder / "model.h5")
    kernel, recurrent, bias = layer.get_weights()
    np.savez(folder / "weights.npz", kernel=kernel, recurrent=recurrent, bias=bias)
    try:
        _write_onnx(folder / "model.onnx", kernel, recurrent, bias)
    except ImportError as error:
        print(f"no model.onnx: {error}", file=sys.stderr)
    rng = np.random.default_rng(7)
    for name, count in (("x.npy", sequences), ("x4.npy", times * sequences)):
        shape = (count, timesteps, features)
        x = np.lib.format.open_memmap(folder / name, "w+", np.float32, shape)
        for start in range(0, count, 256):
            part = x[start : start + 256]
            part[...] = rng.standard_normal(part.shape, np.float32)


def _write_onnx(path: Path, kernel: Any, recurrent: Any, bias: Any) -> None:
    """Gates i, o, f, g, transposed; two biases."""
    from onnx import TensorProto, helper, numpy_helper, save

    def stored(array: Any, name: str) -> Any:
        i, f, g, o = np.split(array, 4, axis=-1)
        turned = np.ascontiguousarray(np.concatenate([i, o, f, g], axis=-1).T[None])
        return numpy_helper.from_array(turned, name)

    both = np.concatenate([bias, np.zeros_like(bias)])
    units = recurrent.shape[0]
    i, f, g, o, *rest = np.split(both, 8)
    graph = helper.make_graph(
        [helper.make_node("LSTM", ["X", "W", "R", "B"], ["Y"], hidden_size=units)],
        "lstm",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, None, kernel.shape[0]])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, None)],
        [
            stored(kernel, "W"),
            stored(recurrent, "R"),
            numpy_helper.from_array(np.concatenate([i, o, f, g, *rest])[None], "B"),
        ],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


if __name__ == "__main__":
    main()
