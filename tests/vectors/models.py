"""Vectors of small models, and what programs hand over for them."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
from explaining.small_models import SUBJECTS
from vectors.port import run_case

import rnnscope


def writer(tmp_path_factory):
    """``write(model, **options)``: the folder of vectors of a small model, and its document."""

    @cache
    def write(model, **options):
        folder = tmp_path_factory.mktemp("vectors")
        subject = SUBJECTS[model]
        given = {name: value for name, value in subject.options.items() if name != "model_input"}
        rnnscope.write_vectors(subject.write(folder), folder / "v", **given, **options)
        return folder / "v", json.loads((folder / "v" / "vectors.json").read_text("utf-8"))

    return write


def program(document, model, port, number=0, dtype=np.float32):
    """A program for one layer; what it does past the length is what the vectors say."""
    cell = [cell for level in SUBJECTS[model].model.levels for cell in level][number]
    return port(cell, document["layers"][number]["options"]["padding"], dtype)


def computed(document, made, number=0):
    """What a program hands over for every case of one layer."""
    name = document["layers"][number]["name"]
    return {"cases": [run_case(made, one) for one in document["cases"] if one["layer"] == name]}


def as_lists(theirs):
    """The same in JSON's own types."""
    return json.loads(json.dumps(theirs, default=lambda array: array.tolist()))
