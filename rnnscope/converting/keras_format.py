"""Keras 3: a Sequential or Functional model in a ``.keras`` file, written as data.

References
----------
keras/src/saving/saving_lib.py: a zip of ``metadata.json``, ``config.json`` and
``model.weights.h5``; in the last a group ``vars`` of numbered datasets for every object, found by
the attributes that hold it; layers of a model by the snake_case names of their classes, counted.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from rnnscope.checkpoints.keras.keras_file import to_snake_case
from rnnscope.checkpoints.keras.keras_members import CONFIG, METADATA, WEIGHTS
from rnnscope.converting.chains import front_words, join_words, output_width
from rnnscope.converting.folding import folding_words
from rnnscope.converting.interface import (
    Abilities,
    FormatOptions,
    Plan,
    WeightFormat,
    Written,
)
from rnnscope.converting.keras_chain import (
    INPUT,
    KerasChain,
    keras_chain,
    mask_words,
    order_words,
)
from rnnscope.converting.keras_layers import KERAS, NAMES, KerasLayer
from rnnscope.converting.left_out_words import start_words

VERSION = "3.0.0"
"""The oldest Keras whose configurations these are; later ones read them."""


def _abilities(options: FormatOptions) -> Abilities:  # noqa: ARG001 - the same for all
    return KERAS


def _write(plan: Plan, options: FormatOptions) -> Written:  # noqa: ARG001
    made = keras_chain(plan, "keras", NAMES, branches=True)
    make = model_config if made.is_sequential else functional_config
    config = make(made, "int64" if made.takes_ids else made.dtype)
    masks = (
        "call the layers with mask= (sequence, timestep), or put a Masking layer in front; the "
        "model computes every step of what it is given."
    )
    return Written(
        save=partial(save_keras, config=config, layers=made.layers),
        names=made.names,
        load=(
            'model = keras.models.load_model("{target}")',
            f"{_outputs(made)} = model.predict(x)",
        ),
        folded=folding_words(plan, joined=True),
        left_out=(*front_words(made.left), *start_words(plan)),
        notes=(*mask_words(plan, made, masks), *order_words(plan, "Keras"), *join_words(plan)),
        steps=made.steps,
    )


def _outputs(made: KerasChain) -> str:
    return "outputs" if made.is_sequential else ", ".join(made.outputs)


def functional_config(made: KerasChain, dtype: str) -> dict[str, Any]:
    """The configuration of a Functional model of branches from one input of that dtype."""
    widths: dict[str, int | None] = {INPUT: made.shape[-1]}
    first = KerasLayer("InputLayer", {"batch_shape": made.shape, "dtype": dtype, "name": INPUT}, {})
    entries = [{**first.entry(), "name": INPUT, "inbound_nodes": []}]
    for layer, step, read in zip(made.layers, made.steps, made.reads, strict=True):
        name = layer.config["name"]
        shape = made.shape if read == INPUT else [None, None, widths[read]]
        widths[name] = output_width(step, widths[read])
        tensor = {
            "class_name": "__keras_tensor__",
            "config": {
                "shape": shape,
                "dtype": dtype if read == INPUT else made.dtype,
                "keras_history": [read, 0, 0],
            },
        }
        call = {"args": [tensor], "kwargs": {}}
        entries.append({**layer.entry(), "name": name, "inbound_nodes": [call]})
    config = {
        "name": "converted",
        "trainable": True,
        "layers": entries,
        "input_layers": [[INPUT, 0, 0]],
        "output_layers": [[name, 0, 0] for name in made.outputs],
    }
    return {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": config,
        "registered_name": "Functional",
        "build_config": {"input_shape": None},
    }


def model_config(made: KerasChain, dtype: str) -> dict[str, Any]:
    """The configuration of a Sequential model over an input of that dtype."""
    layers, shape = made.layers, made.shape
    first = KerasLayer("InputLayer", {"batch_shape": shape, "dtype": dtype, "name": INPUT}, {})
    config = {
        "name": "converted",
        "trainable": True,
        "dtype": "float32",
        "layers": [layer.entry() for layer in (first, *layers)],
        "build_input_shape": shape,
    }
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": config,
        "registered_name": None,
        "build_config": {"input_shape": shape},
    }


def save_keras(path: Path, config: dict[str, Any], layers: list[KerasLayer]) -> None:
    """Write the three members of a ``.keras`` file."""
    import h5py

    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        file.create_group("vars")
        counts = Counter[str]()
        for layer in layers:
            base = to_snake_case(layer.class_name)
            group = f"layers/{base}_{counts[base]}" if counts[base] else f"layers/{base}"
            counts[base] += 1
            file.create_group(f"{group}/vars").attrs["name"] = layer.config["name"]
            for owner, arrays in layer.weights.items():
                for number, array in enumerate(arrays):
                    file[f"{group}/{owner}/vars/{number}".replace("//", "/")] = array
    members: dict[str, str | bytes] = {
        METADATA: json.dumps({"keras_version": VERSION, "date_saved": "1980-01-01@00:00:00"}),
        CONFIG: json.dumps(config),
        WEIGHTS: weights.getvalue(),
    }
    with zipfile.ZipFile(path, "x", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)


WEIGHT_FORMAT = WeightFormat(
    name="keras",
    title="Keras 3 model (.keras)",
    holds="a Sequential model, or branches from one input: LSTM, GRU, SimpleRNN, "
    "Bidirectional; in front and between them "
    "Embedding, Masking, Dense, Activation, Rescaling and the normalizations",
    framework="Keras 3",
    suffixes=(".keras",),
    abilities=_abilities,
    write=_write,
)
