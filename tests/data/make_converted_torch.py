"""What torch computes with state dicts that ``rnnscope convert`` wrote; run where torch is.

    python tests/data/make_converted_torch.py

Every case is converted, loaded by the very lines that the report gives, and run over random input,
packed by lengths. ``converted/torch_truth.npz`` keeps input, outputs and final states by case and
module, and the SHA-256 of the file that torch loaded: the test converts again, and what torch
computed is true of it as long as the bytes are the same. Made with torch 2.13.0 on a CPU.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import numpy as np

import rnnscope

ROOT = Path(__file__).resolve().parents[2]
CASES = {
    "forget_bias": ("sample_data/lstm_float64/model.ckpt", "torch"),
    "masked": ("sample_data/keras2_masked/model.h5", "torch"),
    "keras_stack": ("sample_data/keras_stack/model.h5", "torch"),
    "gru": ("tests/data/torch/gru.pt", "torch"),
    "relu": ("tests/data/torch_kinds/whole_relu.pt", "torch"),
    "projection": ("tests/data/torch/proj.pt", "torch"),
    "both_directions": ("tests/data/torch/tagger.pt", "torch"),
    "onnx_gru": ("tests/data/onnx/gru_batch_first.onnx", "torch"),
    "safetensors": ("sample_data/keras_mask/model.keras", "safetensors"),
    "npz": ("tests/data/onnx/lstm_time_first.onnx", "npz"),
}
SUFFIXES = {"torch": ".pt", "safetensors": ".safetensors", "npz": ".npz"}
LENGTHS = [9, 5, 1]


def main() -> None:
    import safetensors.torch
    import torch

    kept: dict[str, np.ndarray] = {}
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for case, (source, to) in CASES.items():
            path = Path(folder) / f"{case}{SUFFIXES[to]}"
            done = rnnscope.convert(ROOT / source, to, path)
            kept[f"{case}:sha256"] = np.array(hashlib.sha256(path.read_bytes()).hexdigest())
            scope = {"torch": torch, "safetensors": safetensors, "numpy": np}
            for line in done.load:
                exec(line, scope)  # noqa: S102 - the lines are what is tried
            model = scope["model"]
            named = model.items() if isinstance(model, torch.nn.ModuleDict) else [("", model)]
            for name, module in named:
                dtype = module.weight_ih_l0.dtype
                x = torch.from_numpy(rng.normal(size=(3, 9, module.input_size))).to(dtype)
                packed = torch.nn.utils.rnn.pack_padded_sequence(x, LENGTHS, batch_first=True)
                with torch.no_grad():
                    outputs, final = module(packed)
                outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True)
                h, c = final if isinstance(final, tuple) else (final, None)
                arrays = {"x": x, "outputs": outputs, "h": h, "c": c}
                for key, array in arrays.items():
                    if array is not None:
                        kept[f"{case}:{name}:{key}"] = array.numpy()
    np.savez_compressed(ROOT / "tests/data/converted/torch_truth.npz", **kept)


if __name__ == "__main__":
    main()
