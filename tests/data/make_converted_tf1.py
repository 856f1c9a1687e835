"""What TensorFlow 1's cells compute with checkpoints that ``rnnscope convert`` wrote.

    TF_USE_LEGACY_KERAS=1 PYTHONPATH=tests python tests/data/make_converted_tf1.py

Run where ``tf.compat.v1.nn.rnn_cell`` still has cells: TensorFlow 2.21 with tf_keras 2.21, or
TensorFlow 1. The lines of the report are executed as they are: they build the graph and restore
the checkpoint. ``converted/tf1_truth.npz`` keeps input, outputs and final states of every layer,
and the SHA-256 of the checkpoint's bytes.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import numpy as np
from converting.sources import gru_before_reset

import rnnscope

ROOT = Path(__file__).resolve().parents[2]
CASES = {
    "options": "sample_data/lstm_float32/model.ckpt",
    "forget_bias": "sample_data/lstm_float64/model.ckpt",
    "keras_stack": "sample_data/keras_stack/model.h5",
    "both_directions": "tests/data/onnx/lstm_time_first.onnx",
    "relu": "tests/data/torch_kinds/whole_relu.pt",
    "projection": "tests/data/torch/proj.pt",
    "backward": "tests/data/explain/onnx_backward.onnx",
    "gru": "",
}
LENGTHS = np.array([6, 4, 1])


def source_of(case: str, folder: Path) -> Path:
    """The model of a case; that of a GRU is made anew, always the same."""
    return ROOT / CASES[case] if CASES[case] else gru_before_reset(folder / "gru.h5")


def digest(folder: Path) -> str:
    """The SHA-256 of the files that hold the variables."""
    files = sorted(folder.glob("model.ckpt.*"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def main() -> None:
    import tensorflow.compat.v1 as tf

    tf.disable_v2_behavior()
    kept: dict[str, np.ndarray] = {}
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            path = Path(folder) / case
            done = rnnscope.convert(source_of(case, Path(folder)), "tf1", path)
            kept[f"{case}:sha256"] = np.array(digest(path))
            *lines, restore = done.load
            widths = {layer.written_as.split("/")[0]: layer for layer in done.layers}
            with tf.Graph().as_default(), tf.Session() as session:
                made = {}
                for line, (scope, layer) in zip(lines, widths.items(), strict=True):
                    x = rng.normal(size=(3, 6, layer.input_size)).astype(layer.dtype)
                    kept[f"{case}:{scope}:x"] = x
                    given = {"tf": tf, "x": tf.constant(x), "n": tf.constant(LENGTHS)}
                    made[scope] = eval(line, given)  # noqa: S307 - the lines are what is tried
                exec(restore, {"tf": tf, "session": session})  # noqa: S102
                for scope, (outputs, final) in session.run(made).items():
                    pairs = (
                        zip(("/fw", "/bw"), outputs, final, strict=True)
                        if isinstance(outputs, tuple)
                        else [("", outputs, final)]
                    )
                    for end, values, state in pairs:
                        kept[f"{case}:{scope}{end}:outputs"] = values
                        named = (
                            {"c": state.c, "m": state.h} if hasattr(state, "h") else {"m": state}
                        )
                        for key, array in named.items():
                            kept[f"{case}:{scope}{end}:{key}"] = array
    np.savez_compressed(ROOT / "tests/data/converted/tf1_truth.npz", **kept)


if __name__ == "__main__":
    main()
