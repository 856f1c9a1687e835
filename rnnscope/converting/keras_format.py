"""Keras 3: a Sequential model in a ``.keras`` file, written as data.

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
from rnnscope.converting.chains import chain, front_words, in_the_order, input_width, join_words
from rnnscope.converting.folding import folding_words
from rnnscope.converting.interface import (
    Abilities,
    FormatOptions,
    Level,
    Plan,
    WeightFormat,
    Written,
)
from rnnscope.converting.keras_layers import KERAS, PLAIN, KerasLayer, recurrent
from rnnscope.converting.left_out_words import start_words
from rnnscope.converting.names import clean_names
from rnnscope.model.layers import Embedding, Masking
from rnnscope.model.network import Node

INPUT = "input"
VERSION = "3.0.0"
"""The oldest Keras whose configurations these are; later ones read them."""


def _abilities(options: FormatOptions) -> Abilities:  # noqa: ARG001 - the same for all
    return KERAS


def _write(plan: Plan, options: FormatOptions) -> Written:  # noqa: ARG001
    steps, left = chain(plan, "keras", _known, PLAIN, in_order=False)
    named = clean_names((step.name for step in steps), misread=INPUT.__eq__)
    layers: list[KerasLayer] = []
    names: dict[str, str] = {}
    dtype = plan.levels[0].cell.dtype.name
    for number, step in enumerate(steps):
        name = named[step.name]
        if isinstance(step, Level):
            last = number == len(steps) - 1
            sequences = not last or all(one.return_sequences for one in step.layers)
            layer, suffixes = recurrent(step, name, sequences=sequences)
            names |= {
                node.name: name + suffix for node, suffix in zip(step.nodes, suffixes, strict=True)
            }
        else:
            made = PLAIN[type(step.layer)](step.layer, name)
            assert made is not None
            layer = made
        if not layer.config["dtype"]:
            layer.config["dtype"] = dtype
        layers.append(layer)
    first = steps[0]
    shape: list[int | None]
    ids = isinstance(first, Node) and isinstance(first.layer, Embedding)
    shape = [None, None] if ids else [None, None, input_width(steps)]
    config = model_config(layers, shape, "int64" if ids else dtype)
    return Written(
        save=partial(save_keras, config=config, layers=layers),
        names=names,
        load=('model = keras.models.load_model("{target}")', "outputs = model.predict(x)"),
        folded=folding_words(plan, joined=True),
        left_out=(*front_words(left), *start_words(plan)),
        notes=(*_notes(plan, steps), *join_words(plan)),
        steps=steps,
    )


def _known(step: Node) -> bool:
    make = PLAIN.get(type(step.layer))
    return make is not None and make(step.layer, step.name) is not None


def model_config(layers: list[KerasLayer], shape: list[int | None], dtype: str) -> dict[str, Any]:
    """The configuration of a Sequential model over an input of that shape."""
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


def _notes(plan: Plan, steps: tuple[Level | Node, ...]) -> tuple[str, ...]:
    notes = []
    plain = [step.layer for step in steps if isinstance(step, Node)]
    masks = any(isinstance(one, (Embedding, Masking)) and one.makes_mask for one in plain)
    if any(level.takes_lengths for level in plan.levels) and not masks:
        notes.append(
            "Sequences of several lengths: call the layers with mask= (sequence, timestep), or put "
            "a Masking layer in front; the model computes every step of what it is given."
        )
    alone = [f"'{level.name}'" for level in plan.levels if not in_the_order(level, False)]
    if alone:
        notes.append(
            f"Keras returns the outputs of {', '.join(alone)} from the end (go_backwards)."
        )
    return tuple(notes)


WEIGHT_FORMAT = WeightFormat(
    name="keras",
    title="Keras 3 model (.keras)",
    holds="a Sequential model: LSTM, GRU, SimpleRNN, Bidirectional; in front and between them "
    "Embedding, Masking, Dense, Activation, Rescaling and the normalizations",
    framework="Keras 3",
    suffixes=(".keras",),
    abilities=_abilities,
    write=_write,
)
