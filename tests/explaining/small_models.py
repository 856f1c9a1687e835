"""Small recurrent models in files that rnnscope reads, and the same weights for the judge's loop.

`SUBJECTS` has them by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx_files
from explaining.bundles import save_bundle
from explaining.model_files import (
    keras_layer,
    keras_weights,
    recurrent_layer,
    save_keras,
    save_safetensors,
    tf1_arrays,
    torch_arrays,
)
from explaining.network_description import Array, Cell, Model

SEQUENCES, STEPS = 3, 10
LENGTHS = (10, 6, 8)


@dataclass(frozen=True, eq=False)
class Subject:
    """A model, its file and its input.

    Attributes
    ----------
    model : Model
    write : callable
        Writes the file into a folder and returns its path.
    x : ndarray (sequence, timestep, feature), or ids (sequence, timestep)
    lengths : tuple of int or None
    names : tuple of tuple of str
        What rnnscope calls the layers, by level.
    options : dict
        Options of the run.
    dense : str or None
        What rnnscope calls the layer behind the last level.
    """

    model: Model
    write: Callable[[Path], Path]
    x: Array
    lengths: tuple[int, ...] | None
    names: tuple[tuple[str, ...], ...]
    options: dict[str, Any] = field(default_factory=dict)
    dense: str | None = None

    @property
    def run_options(self) -> dict[str, Any]:
        lengths = {} if self.lengths is None else {"lengths": list(self.lengths)}
        return {**self.options, **lengths}


class Draw:
    """Random weights, large enough that every part of a cell matters; float32, as files have."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def __call__(self, *shape: int, scale: float = 0.7) -> Array:
        return self.rng.uniform(-scale, scale, shape).astype(np.float32)

    def x(self, features: int, sequences: int = SEQUENCES, steps: int = STEPS) -> Array:
        return self.rng.normal(size=(sequences, steps, features)).astype(np.float32)

    def cell(self, order: str, stored: str, features: int, units: int, **others: Any) -> Cell:
        """A cell; ``two_biases``, ``peepholes`` and ``proj`` say what it has."""
        two, proj = others.pop("two_biases", False), others.pop("proj", None)
        peepholes = others.pop("peepholes", False)
        columns = len(order) * units
        return Cell(
            order,
            stored,
            self(features, columns),
            self(proj or units, columns),
            self(columns),
            self(columns) if two else None,
            {gate: self(units, scale=1.0) for gate in "ifo"} if peepholes else None,
            self(units, proj) if proj else None,
            **others,
        )


# PyTorch: a state dict in .safetensors.


def torch_subject(levels: tuple[tuple[Cell, ...], ...], x: Array, lengths: Any = None) -> Subject:
    def write(folder: Path) -> Path:
        return save_safetensors(folder / "model.safetensors", torch_arrays(levels))

    names = tuple(
        (f"rnn/l{n}",) if len(level) == 1 else (f"rnn/l{n}/forward", f"rnn/l{n}/backward")
        for n, level in enumerate(levels)
    )
    return Subject(Model(levels), write, x, lengths, names)


def torch_lstm(seed: int, features: int = 3, units: int = 5, lengths: Any = LENGTHS) -> Subject:
    draw = Draw(seed)
    cell = draw.cell("ifgo", "torch", features, units, two_biases=True)
    return torch_subject(((cell,),), draw.x(features), lengths)


def torch_stack(seed: int, lengths: Any = None) -> Subject:
    draw = Draw(seed)
    cells = [draw.cell("ifgo", "torch", 4, 4, two_biases=True) for _ in range(2)]
    return torch_subject(tuple((cell,) for cell in cells), draw.x(4), lengths)


def torch_both(seed: int, lengths: Any = LENGTHS) -> Subject:
    draw = Draw(seed)
    level = tuple(
        draw.cell("ifgo", "torch", 3, 4, two_biases=True, backward=backward)
        for backward in (False, True)
    )
    return torch_subject((level,), draw.x(3), lengths)


def torch_projection(seed: int) -> Subject:
    draw = Draw(seed)
    cell = draw.cell("ifgo", "torch", 3, 6, two_biases=True, proj=4)
    return torch_subject(((cell,),), draw.x(3), LENGTHS)


def torch_gru(seed: int, lengths: Any = LENGTHS) -> Subject:
    draw = Draw(seed)
    cell = draw.cell("rzn", "torch", 3, 5, two_biases=True)
    return torch_subject(((cell,),), draw.x(3), lengths)


# TensorFlow 1: arrays by its names in an .npz.


def tf1_subject(
    cells: list[Cell], x: Array, lengths: Any, averages: list[Cell] | None = None, **options: Any
) -> Subject:
    scopes = ["rnn/lstm_cell"]
    if len(cells) > 1:
        scopes = [f"rnn/multi_rnn_cell/cell_{n}/lstm_cell" for n in range(len(cells))]
    others = {}
    if averages:
        others["moving averages"] = Model(tuple((cell,) for cell in averages))

    def write(folder: Path) -> Path:
        arrays: dict[str, Array] = {}
        for scope, cell in zip(scopes, cells, strict=True):
            arrays |= tf1_arrays(cell, scope)
        for scope, cell in zip(scopes, averages or [], strict=False):
            arrays |= tf1_arrays(cell, scope, "/ExponentialMovingAverage")
        np.savez(folder / "weights.npz", **arrays)
        return folder / "weights.npz"

    model = Model(tuple((cell,) for cell in cells), others=others)
    names = tuple((scope,) for scope in scopes)
    return Subject(model, write, x, lengths, names, {"layout": "tf1", **options})


def tf1_lstm(seed: int, lengths: Any = LENGTHS, **options: Any) -> Subject:
    draw = Draw(seed)
    cell = draw.cell("igfo", "tf1", 3, 5, forget_bias=1.0)
    return tf1_subject([cell], draw.x(3), lengths, **options)


def tf1_everything(seed: int, cell_clip: float | None = 0.4) -> Subject:
    """Peepholes, projection and both clips."""
    draw = Draw(seed)
    clips = {"cell_clip": cell_clip, "proj_clip": 0.12}
    cell = draw.cell("igfo", "tf1", 3, 6, forget_bias=1.0, peepholes=True, proj=4, **clips)
    return tf1_subject([cell], draw.x(3), LENGTHS, **clips)


def tf1_peepholes(seed: int, **clips: Any) -> Subject:
    draw = Draw(seed)
    cell = draw.cell("igfo", "tf1", 3, 5, forget_bias=1.0, peepholes=True, **clips)
    return tf1_subject([cell], draw.x(3), LENGTHS, **clips)


def tf1_averages(seed: int) -> Subject:
    draw = Draw(seed)
    cell, average = (draw.cell("igfo", "tf1", 3, 5, forget_bias=1.0) for _ in range(2))
    return tf1_subject([cell], draw.x(3), LENGTHS, averages=[average])


def tf1_stack(seed: int) -> Subject:
    draw = Draw(seed)
    cells = [draw.cell("igfo", "tf1", 4, 4, forget_bias=1.0) for _ in range(2)]
    return tf1_subject(cells, draw.x(4), LENGTHS)


def tf1_steps(seed: int) -> Subject:
    """A folder of the training's steps 1000, 1200 and 1400; the run is of 1000."""
    draw, steps = Draw(seed), ("1000", "1200", "1400")
    cells = {step: draw.cell("igfo", "tf1", 3, 5, forget_bias=1.0) for step in steps}

    def write(folder: Path) -> Path:
        for step, cell in cells.items():
            save_bundle(folder / f"model.ckpt-{step}", tf1_arrays(cell, "rnn/lstm_cell"))
        return folder / "model.ckpt-1000"

    models = {step: Model(((cell,),)) for step, cell in cells.items()}
    model = Model(models["1000"].levels, others=models)
    return Subject(model, write, draw.x(3), LENGTHS, (("rnn/lstm_cell",),))


# Keras: a model in HDF5, with its configuration.


def keras_subject(
    cells: list[Cell], x: Array, *, dense: tuple[Array, Array, str] | None = None,
    embedding: Array | None = None, masking: bool = False, many: bool = True, version: str = "2.4.0"
) -> Subject:  # fmt: skip
    """Layers on top of each other; ``many``: the last one returns its outputs of all steps."""
    kind = "gru" if cells[0].gru else "lstm"
    names = [kind if not n else f"{kind}_{n}" for n in range(len(cells))]

    def write(folder: Path) -> Path:
        layers, weights = [], {}
        if masking:
            layers.append(keras_layer("Masking", "masking", mask_value=0.0))
        if embedding is not None:
            rows, columns = embedding.shape
            layers.append(keras_layer("Embedding", "embedding", input_dim=rows, output_dim=columns))
            weights["embedding"] = [("embedding/embeddings:0", embedding)]
        for name, cell in zip(names, cells, strict=True):
            returns = {} if many or name != names[-1] else {"return_sequences": False}
            layers.append(recurrent_layer(cell, name, **returns))
            weights[name] = keras_weights(cell, f"{name}/{kind}_cell")
        if dense is not None:
            kernel, bias, activation = dense
            layers.append(keras_layer("Dense", "dense", units=len(bias), activation=activation))
            weights["dense"] = [("dense/kernel:0", kernel), ("dense/bias:0", bias)]
        return save_keras(folder / "model.h5", layers, weights, version)

    padding = "hold" if masking else "zeros"
    model = Model(tuple((cell,) for cell in cells), padding, masking, embedding, dense)
    options: dict[str, Any] = {}
    if masking or embedding is not None:
        options["model_input"] = True
    named = tuple((name,) for name in names)
    return Subject(model, write, x, None, named, options, "dense" if dense else None)


def keras_lstm(seed: int, version: str = "2.4.0", **cell: Any) -> Subject:
    draw = Draw(seed)
    return keras_subject([draw.cell("ifgo", "keras", 3, 5, **cell)], draw.x(3), version=version)


def keras_stack(seed: int) -> Subject:
    draw = Draw(seed)
    return keras_subject([draw.cell("ifgo", "keras", 4, 4) for _ in range(2)], draw.x(4))


def keras_gru(seed: int, *, reset_after: bool = True) -> Subject:
    draw = Draw(seed)
    cell = draw.cell("zrn", "keras", 3, 5, two_biases=reset_after, reset_after=reset_after)
    return keras_subject([cell], draw.x(3))


def keras_masked(seed: int) -> Subject:
    draw = Draw(seed)
    cell, x = draw.cell("ifgo", "keras", 3, 5), draw.x(3)
    for row, length in zip(x, LENGTHS, strict=True):
        row[length:] = 0
    return keras_subject([cell], x, masking=True)


def keras_classifier(seed: int, *, many: bool = True) -> Subject:
    draw = Draw(seed)
    cell = draw.cell("ifgo", "keras", 3, 5)
    dense = (draw(5, 4, scale=2.0), draw(4, scale=1.0), "softmax")
    return keras_subject([cell], draw.x(3), dense=dense, many=many)


def keras_backwards(seed: int) -> Subject:
    draw = Draw(seed)
    cell = draw.cell("ifgo", "keras", 3, 5, backward=True, in_input_order=False)
    return keras_subject([cell], draw.x(3))


def keras_embedded(seed: int) -> Subject:
    draw = Draw(seed)
    table = draw(9, 3, scale=1.5)
    ids = draw.rng.integers(0, 9, (SEQUENCES, STEPS))
    ids[0, :3] = 0, 8, 4
    return keras_subject([draw.cell("ifgo", "keras", 3, 5)], ids, embedding=table)


# ONNX: one node.


def onnx_subject(cell: Cell, x: Array, lengths: Any, **attributes: Any) -> Subject:
    """X is (timestep, sequence, feature) in the file."""
    op = "GRU" if cell.gru else "LSTM"
    features = cell.kernel.shape[0]

    def write(folder: Path) -> Path:
        other = cell.recurrent_bias
        both = np.concatenate([cell.bias, 0 * cell.bias if other is None else other])
        arrays = {"W": cell.kernel.T[None], "R": cell.recurrent.T[None], "B": both[None]}
        inputs = ["X", "W", "R", "B", "lens"]
        if cell.peepholes:
            arrays["P"] = np.concatenate([cell.peepholes[gate] for gate in "iof"])[None]
            inputs += ["", "", "P"]
        node = onnx_files.node(
            op, inputs, ["Y", "Y_h"], "rnn", hidden_size=cell.units, **attributes
        )
        made = onnx_files.graph(
            [node],
            [onnx_files.value("X", (None, None, features)), onnx_files.value("lens", (None,))],
            [onnx_files.value("Y")],
            {name: np.ascontiguousarray(array) for name, array in arrays.items()},
        )
        made.input[1].type.tensor_type.elem_type = 6
        return onnx_files.save(folder / "model.onnx", made)

    return Subject(Model(((cell,),)), write, x, lengths, (("rnn",),))


def onnx_lstm(seed: int, *, peepholes: bool = False, clip: float | None = None) -> Subject:
    draw = Draw(seed)
    cell = draw.cell("iofg", "onnx", 3, 5, two_biases=True, peepholes=peepholes, gate_clip=clip)
    attributes = {} if clip is None else {"clip": clip}
    return onnx_subject(cell, draw.x(3), LENGTHS, **attributes)


def onnx_gru(seed: int, *, reset_after: bool = False) -> Subject:
    draw = Draw(seed)
    cell = draw.cell("zrn", "onnx", 3, 5, two_biases=True, reset_after=reset_after)
    attributes = {"linear_before_reset": int(reset_after)}
    return onnx_subject(cell, draw.x(3), LENGTHS, **attributes)


MAKERS: dict[str, tuple[int, Callable[[int], Subject]]] = {
    "torch": (1, torch_lstm),
    "torch, full length": (2, partial(torch_lstm, lengths=None)),
    "torch, square": (3, partial(torch_lstm, features=4, units=4, lengths=None)),
    "torch, stack": (4, torch_stack),
    "torch, both directions": (5, torch_both),
    "torch, projection": (6, torch_projection),
    "torch, gru": (7, torch_gru),
    "tf1": (8, tf1_lstm),
    "tf1, everything": (9, tf1_everything),
    "tf1, peepholes": (10, tf1_peepholes),
    "tf1, clip": (11, partial(tf1_peepholes, cell_clip=0.4)),
    "tf1, averages": (12, tf1_averages),
    "tf1, stack": (13, tf1_stack),
    "tf1, steps": (29, tf1_steps),
    "keras": (14, keras_lstm),
    "keras, hard sigmoid": (15, partial(keras_lstm, recurrent_activation="hard_sigmoid")),
    "keras, stack": (16, keras_stack),
    "keras, gru": (17, keras_gru),
    "keras, gru reset before": (18, partial(keras_gru, reset_after=False)),
    "keras, masked": (19, keras_masked),
    "keras, classifier": (20, keras_classifier),
    "keras, one label": (21, partial(keras_classifier, many=False)),
    "keras, backwards": (22, keras_backwards),
    "keras, embedding": (23, keras_embedded),
    "onnx": (24, onnx_lstm),
    "onnx, peepholes": (25, partial(onnx_lstm, peepholes=True)),
    "onnx, clip": (26, partial(onnx_lstm, clip=0.5)),
    "onnx, gru": (27, onnx_gru),
    "onnx, gru reset after": (28, partial(onnx_gru, reset_after=True)),
}
"""By name: the seed of the matrix' own, and what makes others; lengths are 10, 6, 8 or none."""

SUBJECTS: dict[str, Subject] = {name: make(seed) for name, (seed, make) in MAKERS.items()}
"""The models of the matrix."""
