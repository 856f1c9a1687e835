"""What Flax computes with parameters that ``rnnscope convert`` wrote; run where Flax is.

    PYTHONPATH=tests python tests/data/make_converted_flax.py

The lines of the report are executed as they are. ``converted/flax_truth.npz`` keeps the input and
the outputs of every layer by the name of its module, and the SHA-256 of the file. Made in float32,
JAX's default, on a CPU.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import numpy as np

import rnnscope

ROOT = Path(__file__).resolve().parents[2]
CASES = {
    "keras_stack": "sample_data/keras_stack/model.h5",
    "gru": "tests/data/torch/gru.pt",
    "both_directions": "tests/data/torch/tagger.pt",
    "simple": "tests/data/torch/rnn.pt",
    "backward": "tests/data/explain/onnx_backward.onnx",
}
LENGTHS = np.array([6, 4, 1])


def main() -> None:
    import flax
    from flax import linen

    kept: dict[str, np.ndarray] = {}
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for case, source in CASES.items():
            path = Path(folder) / f"{case}.msgpack"
            done = rnnscope.convert(ROOT / source, "flax", path)
            kept[f"{case}:sha256"] = np.array(hashlib.sha256(path.read_bytes()).hexdigest())
            restore, *lines = done.load
            scope = {"flax": flax, "nn": linen, "n": LENGTHS}
            exec(restore, scope)  # noqa: S102 - the lines are what is tried
            for line, layer in zip(lines, done.layers, strict=True):
                x = rng.normal(size=(3, 6, layer.input_size)).astype(np.float32)
                kept[f"{case}:{layer.written_as}:x"] = x
                outputs = eval(line, {**scope, "x": x})  # noqa: S307
                kept[f"{case}:{layer.written_as}:outputs"] = np.asarray(outputs)
    np.savez_compressed(ROOT / "tests/data/converted/flax_truth.npz", **kept)


if __name__ == "__main__":
    main()
