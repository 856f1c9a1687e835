"""TensorFlow 1: a folder with a Saver checkpoint (V2) of the cells' variables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rnnscope.converting.interface import Abilities, FormatOptions, Plan, WeightFormat, Written
from rnnscope.converting.tf1_arrays import TF1
from rnnscope.converting.tf1_scopes import write_scopes
from rnnscope.files.tensorflow.bundle_writer import write_bundle
from rnnscope.model.cell import Array

PREFIX = "model.ckpt"


def _save(path: Path, arrays: dict[str, Array]) -> None:
    path.mkdir()
    write_bundle(path / PREFIX, arrays)
    state = f'model_checkpoint_path: "{PREFIX}"\nall_model_checkpoint_paths: "{PREFIX}"\n'
    (path / "checkpoint").write_text(state, "utf-8")


def _abilities(options: FormatOptions) -> Abilities:  # noqa: ARG001 - the same for all
    return TF1


def _write(plan: Plan, options: FormatOptions) -> Written:  # noqa: ARG001
    written = write_scopes(plan, _save, "a checkpoint without its graph")
    restore = f'tf.train.Saver().restore(session, "{{target}}/{PREFIX}")'
    return replace(written, load=(*written.load, restore), is_folder=True, read_from=PREFIX)


WEIGHT_FORMAT = WeightFormat(
    name="tf1",
    title="TensorFlow 1 checkpoint (a folder)",
    holds="variables of LSTMCell, GRUCell, CudnnCompatibleGRUCell and BasicRNNCell by scope",
    framework="TensorFlow 1",
    suffixes=(),
    abilities=_abilities,
    write=_write,
)
