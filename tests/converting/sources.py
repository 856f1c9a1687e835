"""Saved models that are converted, by family, and small models that are made for one case."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from explaining.model_files import keras_weights, recurrent_layer, save_keras
from explaining.network_description import Cell

ROOT = Path(__file__).resolve().parents[2]

SOURCES = {
    "tf1": "sample_data/lstm_float64/model.ckpt",
    "tf1 options": "sample_data/lstm_float32/model.ckpt",
    "tf1 two": "tests/data/explain/tf1_fed_to_keras/model.ckpt",
    "tf1 stack": "tests/data/explain/tf1_stack/model.ckpt",
    "keras 2": "sample_data/keras2_masked/model.h5",
    "keras 2 stack": "sample_data/keras_stack/model.h5",
    "keras 2 hard_sigmoid": "tests/data/explain/keras2_hard_sigmoid.h5",
    "keras 3": "sample_data/keras_mask/model.keras",
    "keras backward": "tests/data/explain/keras2_backward.h5",
    "torch gru": "tests/data/torch/gru.pt",
    "torch projection": "tests/data/torch/proj.pt",
    "torch relu": "tests/data/torch_kinds/whole_relu.pt",
    "torch stack, both ways, ids": "tests/data/torch/tagger.pt",
    "onnx lstm": "tests/data/onnx/lstm_time_first.onnx",
    "onnx gru": "tests/data/onnx/gru_batch_first.onnx",
    "onnx rnn": "tests/data/onnx/rnn_time_first.onnx",
    "onnx lengths": "tests/data/explain/onnx_lengths.onnx",
    "onnx backward": "tests/data/explain/onnx_backward.onnx",
    "frozen graph": "tests/data/frozen_masked/lowered.pb",
    "tflite": "tests/data/lite/while_lstm.tflite",
    "tfjs": "tests/data/tfjs/masked",
    "tfjs graph": "tests/data/tfjs_graphs/stack",
    "flax": "tests/data/array_trees/new_flax.msgpack",
    "flax both ways": "tests/data/array_trees/new_bidirectional.msgpack",
    "equinox": "tests/data/array_trees/new_equinox.safetensors",
    "mlx": "tests/data/array_trees/new_mlx.gguf",
    "openvino": "tests/data/openvino/gru_before.xml",
    "coreml": "tests/data/coreml/gru.mlmodel",
    "paddle": "tests/data/paddle/old/both.pdmodel",
    "torchscript": "tests/data/unpacked/new_frozen.pt",
    "torch exported": "tests/data/unpacked/new_net.pt2",
    "guitar json": "tests/data/unpacked/new_guitar.json",
}
"""Every family of files, with what each family alone has."""


def source(name):
    return ROOT / SOURCES[name]


def cell(order="ifgo", inputs=3, units=4, seed=0, **options):
    """Random weights in float32, far from zero."""
    rng = np.random.default_rng(seed)
    wide = len(order) * units

    def made(*shape):
        return rng.normal(scale=0.5, size=shape).astype(np.float32)

    second = made(wide) if options.get("reset_after") and "r" in order else None
    return Cell(
        order, "keras", made(inputs, wide), made(units, wide), made(wide), second, **options
    )


def keras_model(path, layers, cells, version="3.0.0"):
    """A Keras file of recurrent layers, one after another; weights by layer's name."""
    weights = {name: keras_weights(one, name) for name, one in cells.items()}
    return save_keras(path, layers, weights, version)


def one_lstm(path, version="2.4.0", **options):
    """A Keras file of one LSTM with these activations."""
    made = cell(**options)
    return keras_model(path, [recurrent_layer(made, "lstm")], {"lstm": made}, version)


def gru_before_reset(path):
    """A Keras 2 file of a GRU whose reset gate comes before the product."""
    made = cell("zrn", reset_after=False)
    return keras_model(path, [recurrent_layer(made, "gru")], {"gru": made}, "2.4.0")
