"""The cross-check: a layer computed once more, by TensorFlow's own kernels.

The states are computed by code that nobody here wrote: the fused op ``BlockLSTM`` for the
TensorFlow 1 family, ``keras.layers.LSTM`` for Keras files. What a kernel cannot express (a
projection, another activation, float64 in BlockLSTM) is computed step by step with TensorFlow's
elementary ops, and the report says so. TensorFlow is imported when a verifier is made, and
nowhere else.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from rnnscope.errors import EngineError, spell
from rnnscope.model.cell import Array, CellSpec
from rnnscope.model.network import Node
from rnnscope.model.states import LayerStates
from rnnscope.model.verification import KernelDifference
from rnnscope.oracles.differences import Differences, Largest
from rnnscope.oracles.tensorflow_kernels import Result, Task

SINGLE = "single steps (rounding errors grow in a whole run)"
"""Said where a whole run is beyond the limit, but every single step is within it.

Each step is then computed again from the state that rnnscope stored before it, so that rounding
errors cannot add up: steps that are all right make a run that is right.
"""


def _differences(result: Result, states: LayerStates, *, wrapped: bool) -> dict[str, Largest]:
    """By state: how far a result is off."""
    ours = {**states.states, "outputs": states.outputs}
    return {
        **{
            name: Largest.of(result.kernel, ours[name], theirs)
            for name, theirs in result.steps.items()
            # The kernels know cells only: what a wrapper makes of m is not theirs to verify.
            if not (wrapped and name == "outputs")
        },
        **{
            f"final {name}": Largest.of(result.kernel, states.final[name], theirs)
            for name, theirs in result.final.items()
        },
    }


class TensorFlowVerifier:
    """Computes layers again with TensorFlow and keeps the largest differences.

    Attributes
    ----------
    name : str
        TensorFlow and its version.

    Raises
    ------
    EngineError
        TensorFlow is not installed, or does not import.
    """

    def __init__(self) -> None:
        self._tf = import_tensorflow()
        self.name = f"TensorFlow {self._tf.__version__}"
        self._found = Differences()

    def compare(
        self,
        node: Node,
        x: Array,
        mask: Array | None,
        initial: Mapping[str, Array],
        states: LayerStates,
    ) -> None:
        """Compute some sequences of a layer again, and note how far `states` are off.

        Parameters
        ----------
        node : Node
            A recurrent one.
        x : ndarray (sequence, timestep, input)
        mask : ndarray of bool (sequence, timestep) or None
        initial : mapping of str to ndarray (width,) or (sequence, width)
        states : LayerStates
            What is verified, carried states and padded outputs included.

        Raises
        ------
        EngineError
            The layer is of a kind that is not verified with TensorFlow.
        """
        layer = node.recurrent
        if layer is None or layer.cell.kind != "lstm":
            kind = "a plain layer" if layer is None else layer.cell.kind
            raise EngineError(
                "TensorFlow cannot verify this layer.",
                where=f"layer '{node.name}'",
                expected="an LSTM",
                found=kind,
                hint=f"leave out {spell('verify')}, or choose other layers with {spell('layers')}",
            )
        if layer.padding.value == "none":
            mask = None
        if not x.size:
            return
        task = Task(self._tf, node.name, layer, x, mask, _whole(layer.cell, initial, len(x)))
        wrapped = bool(layer.wrapper)
        found = _differences(task.compute(), states, wrapped=wrapped)
        if not all(entry.ok for entry in found.values()):
            again = task.compute_single_steps(states.states)
            again = replace(again, kernel=f"{again.kernel}, {SINGLE}")
            single = _differences(again, states, wrapped=wrapped)
            # Where a step is wrong by itself, the whole run is what should be looked at.
            if all(entry.ok for entry in single.values()):
                found = single
        self._found.add(node.name, found)

    def rows(self) -> tuple[KernelDifference, ...]:
        """One row a layer and state, in the order in which they were computed."""
        return self._found.rows()


def import_tensorflow() -> Any:
    """TensorFlow, with its log kept off stderr.

    Raises
    ------
    EngineError
        It is missing or fails to import.
    """
    # Read once, at import: its messages would stand between ours.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import tensorflow as tf
    except Exception as error:  # a broken installation raises nearly anything
        missing = isinstance(error, ModuleNotFoundError) and error.name == "tensorflow"
        raise EngineError(
            "TensorFlow is not installed." if missing else "TensorFlow does not import.",
            where=spell("verify", "tensorflow"),
            expected="import tensorflow to work in this Python",
            found=f"{type(error).__name__}: {error}",
            hint=f"pip install tensorflow, or leave out {spell('verify')}",
        ) from error
    return tf


def _whole(cell: CellSpec, initial: Mapping[str, Array], sequences: int) -> dict[str, Array]:
    """The state before the first step, (sequence, width); zeros where nothing is given."""
    widths = {"c": cell.num_units, "m": cell.output_size}
    return {
        name: np.broadcast_to(
            np.asarray(initial.get(name, 0), cell.dtype), (sequences, width)
        ).copy()
        for name, width in widths.items()
    }
