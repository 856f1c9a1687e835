"""Lets Keras compute what a layer of a saved model receives: ``python -m`` of this module.

It LOADS AND EXECUTES the model, whatever is in it, and is only started where the user
trusts it (``trust_model``); a process of its own keeps Keras out of rnnscope's. It is no sandbox.

Arguments: the model, the model's input (``.npy``), a folder for ``inputs.npy``, ``mask.npy`` and
``keras.json``, the name of the model's input, the layer's name (with the models around it), and
the major version of the Keras that wrote the file. Errors are raised, and so end on stderr.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.model.cell import Array

BATCH = 64
"""Sequences that go through the model together."""


def main(arguments: list[str]) -> None:
    """Compute the layer's input, batch by batch, and write it."""
    model_path, input_path, folder, input_name, layer_name, major = arguments
    keras = _keras(int(major))
    unsafe = getattr(getattr(keras, "config", None), "enable_unsafe_deserialization", None)
    if unsafe is not None:
        # Lambda layers are code in the file: that is what trust_model allows.
        unsafe()
    # The one place that executes a file; `trust_model` alone starts this process.
    model = keras.models.load_model(model_path, compile=False)
    steps = _steps(keras, model, input_name, layer_name.split("/"))
    given = np.load(input_path, mmap_mode="r", allow_pickle=False)
    values: Array | None = None
    mask: Array | None = None
    for start in range(0, len(given), BATCH):
        result: Any = np.ascontiguousarray(given[start : start + BATCH])
        for step in steps:
            result = step(result, training=False)
        part = np.asarray(result)
        if values is None:
            values = np.lib.format.open_memmap(
                Path(folder, "inputs.npy"), "w+", part.dtype, (len(given), *part.shape[1:])
            )
        values[start : start + len(part)] = part
        part_mask = getattr(result, "_keras_mask", None)
        if part_mask is not None:
            mask = np.ones((len(given), part.shape[1]), bool) if mask is None else mask
            mask[start : start + len(part)] = np.asarray(part_mask)
    if mask is not None:
        np.save(Path(folder, "mask.npy"), mask)
    Path(folder, "keras.json").write_text(json.dumps(str(keras.__version__)), encoding="utf-8")


def _keras(major: int) -> Any:
    """Keras 2's heir for files of Keras 2, where it is installed; else Keras."""
    name = "tf_keras" if major < 3 and find_spec("tf_keras") else "keras"
    return import_module(name)


def _steps(keras: Any, model: Any, input_name: str, path: list[str]) -> list[Any]:
    """Models that, one after another, lead from the model's input to the layer's."""
    steps = []
    while True:
        names = ["/".join(path[:end]) for end in range(len(path), 0, -1)]
        known = {layer.name for layer in model.layers}
        name = next((name for name in names if name in known), None)
        if name is None:
            raise LookupError(f"the model has no layer '{path[0]}'")
        layer = model.get_layer(name)
        steps.append(_before(keras, model, layer, input_name))
        rest = path[name.count("/") + 1 :]
        # The directions of a Bidirectional are no layers of a model: both read what it reads.
        if not rest or not hasattr(layer, "get_layer"):
            return steps
        model, path = layer, rest


def _input(model: Any, name: str) -> Any:
    """The model's input of that name; its only one, where names tell nothing."""
    inputs = list(model.inputs)
    if len(inputs) == 1:
        return inputs[0]
    return model.get_layer(name).output


def _before(keras: Any, model: Any, layer: Any, input_name: str) -> Any:
    """The part of a model that makes what a layer receives, without the states it may be given.

    A nested model's ``input`` is its own; what it is called on, like any layer, its nodes tell,
    among them calls in other models.
    """
    given = _input(model, input_name)
    fault: Exception = LookupError(f"the model does not call its layer '{layer.name}'")
    for node in layer._inbound_nodes:  # noqa: SLF001 - Keras tells it in no other way
        tensors = node.input_tensors
        tensor = tensors[0] if isinstance(tensors, (list, tuple)) and tensors else tensors
        try:
            return keras.Model(given, tensor)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            fault = error
    raise fault


if __name__ == "__main__":
    main(sys.argv[1:])
