"""What stands in front of a layer and is not computed by rnnscope, left to Keras if trusted.

Keras runs in a process of its own, `rnnscope.oracles.keras_front`, and hands back an array.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from rnnscope.checkpoints.interface import Checkpoint
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import (
    EngineError,
    InputError,
    OptionError,
    UnsupportedCellError,
    spell,
)
from rnnscope.inputs import InputSource, open_input
from rnnscope.model.layers import Unsupported
from rnnscope.model.network import Network, Node

FORMATS = ("keras-h5", "keras-v3")
"""Readers whose files Keras can load whole."""


@dataclass(frozen=True, eq=False)
class Front:
    """What a run's input is after the layers in front.

    Attributes
    ----------
    source : InputSource
    model_input : bool
        Whether it is still the model's own input.
    feed : tuple of str
        The recurrent layers that receive it, where it no longer is.
    """

    source: InputSource
    model_input: bool
    feed: tuple[str, ...] = ()


@contextmanager
def through_keras(
    checkpoint: Checkpoint,
    network: Network,
    source: InputSource,
    patterns: Iterable[str],
    *,
    model_input: bool,
    trusted: bool,
) -> Iterator[Front]:
    """The input of the first layer that is to run, by way of Keras if need be.

    Parameters
    ----------
    checkpoint : Checkpoint
    network : Network
    source : InputSource
    patterns : iterable of str
        The layers to run; all if empty. The first of them decides.
    model_input : bool
        The input is the model's own; else nothing is done.
    trusted : bool
        The user trusts the model (``trust_model``).

    Raises
    ------
    OptionError
        The model is trusted for nothing, or Keras cannot load such a file.
    UnsupportedCellError
        A layer stands in the way and the model is not trusted; it names the layer.
    EngineError
        Keras failed; it says with what.
    """
    if trusted and not model_input:
        raise OptionError(
            f"{spell('trust_model')} does nothing without {spell('model_input')}.",
            expected="an input that is the model's own, for Keras to run the model on",
            hint=f"add {spell('model_input')}, or leave {spell('trust_model')} out",
        )
    target = _target(network, tuple(patterns)) if model_input else None
    blocker = _blocker(network, target) if target is not None else None
    if target is None or blocker is None:
        yield Front(source, model_input)
        return
    if not trusted:
        raise UnsupportedCellError(
            f"Layer '{blocker.name}' of class {blocker.kind} stands in front of '{target.name}', "
            "and rnnscope does not compute it.",
            where=f"layer '{blocker.name}'",
            found=blocker.reason,
            hint=_advice(checkpoint, target),
        )
    if checkpoint.format not in FORMATS:
        raise OptionError(
            f"{spell('trust_model')} needs a file that Keras can load whole.",
            where=checkpoint.path,
            expected="a .keras file, or an .h5 file of model.save",
            found=checkpoint.format,
        )
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        version = _run(checkpoint, network, target, source, Path(folder))
        with open_input(Path(folder, "inputs.npy")) as received:
            feed = tuple(node.name for node in network.recurrent if node.reads == target.reads)
            yield Front(_as_source(received, source, target, Path(folder), version), False, feed)


def _advice(checkpoint: Checkpoint, target: Node) -> str:
    """What to do where a layer in front is not computed; Keras runs files of its own alone."""
    give = f"give what '{target.name}' itself receives, without {spell('model_input')}"
    if checkpoint.format not in FORMATS:
        return give
    return (
        f"{give}; or add {spell('trust_model')} to let Keras run the layers in front, which "
        "executes the model"
    )


def _target(network: Network, patterns: tuple[str, ...]) -> Node | None:
    return next(
        (
            node
            for node in network.recurrent
            if not patterns or any(fnmatchcase(node.name, pattern) for pattern in patterns)
        ),
        None,
    )


def _in_front_of(network: Network, node: Node) -> list[Node]:
    """Everything that the x of a node is made of, in the network's order."""
    needed = network.needed_by(node.reads)
    return [each for each in network.nodes if each.name in needed]


def _blocker(network: Network, target: Node) -> Unsupported | None:
    layers = (node.layer for node in _in_front_of(network, target))
    return next((layer for layer in layers if isinstance(layer, Unsupported)), None)


def _run(
    checkpoint: Checkpoint, network: Network, target: Node, source: InputSource, folder: Path
) -> str:
    """Start Keras and wait for it; returns its version."""
    read = {name for node in _in_front_of(network, target) for name in node.reads}
    inputs = sorted(read & set(network.inputs))
    if len(inputs) != 1 or "@" in target.name:
        raise OptionError(
            f"{spell('trust_model')} needs a layer that reads one input of the model, by its first "
            "call.",
            where=f"layer '{target.name}'",
            found=", ".join(inputs) or "none",
        )
    whole_input = folder / "whole_input.npy"
    whole = np.lib.format.open_memmap(whole_input, "w+", source.dtype, source.shape)
    for start in range(0, source.sequences, 64):
        rows = slice(start, start + 64)
        whole[rows] = source.read(rows).values
    whole.flush()
    major = checkpoint.keras_version[0]
    paths = (checkpoint.path.resolve(), whole_input, folder)
    words = [*map(str, paths), *inputs, target.name, str(major)]
    import subprocess

    done = subprocess.run(  # noqa: S603 - our own module, without a shell
        [sys.executable, "-m", "rnnscope.oracles.keras_front", *words],
        capture_output=True,
        check=False,
        # Not the user's folder: "python -m" would import from there before anywhere else.
        cwd=folder,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["nothing"]
        raise EngineError(
            "Keras could not run the layers in front.",
            where=f"{checkpoint.path}: layer '{target.name}'",
            expected=f"what '{target.name}' receives",
            found=lines[-1][:300],
            hint=f"give what '{target.name}' itself receives, without {spell('model_input')}"
            + ("" if major >= 3 else "; files of Keras 2 load with tf_keras installed"),
        )
    version: str = json.loads((folder / "keras.json").read_text(encoding="utf-8"))
    return version


def _as_source(
    received: InputSource, source: InputSource, target: Node, folder: Path, version: str
) -> InputSource:
    """Keras' array in place of the input's own; lengths and states stay those of the user."""
    lengths, mask = source.lengths, source.mask
    if received.timesteps != source.timesteps and (lengths is not None or mask is not None):
        raise InputError(
            "The lengths or mask given do not fit what the layer receives.",
            where=f"layer '{target.name}'",
            expected=f"{received.timesteps} timesteps, which the layers in front make",
            found=f"{source.timesteps} timesteps of {source.name}",
            hint=f"leave them out, with {spell('lengths', 'none')} or {spell('mask', 'none')}",
        )
    made_mask = folder / "mask.npy"
    if lengths is None and mask is None and made_mask.exists():
        mask = np.load(made_mask, allow_pickle=False)
    note = (
        f"What '{target.name}' receives was computed by Keras {version}, which executed the model "
        f"({spell('trust_model')})."
    )
    return replace(
        received,
        name=source.name,
        path=source.path,
        lengths=lengths,
        mask=mask,
        initial=source.initial,
        resets=source.resets,
        reset_state=source.reset_state,
        notes=(*source.notes, note),
    )
