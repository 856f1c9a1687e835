"""A value of an ONNX graph as a function of what recurrent layers return."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from rnnscope.checkpoints.onnx.evaluation.evaluator import OnnxProgram
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.layers.elementwise import LastStep
from rnnscope.model.ops import EvaluationError
from rnnscope.model.signal import Signal


@dataclass(frozen=True, eq=False)
class TailSource:
    """A value of the graph that is made of what the network hands over.

    Attributes
    ----------
    key : str
    reads : tuple of str
        The network's layers, or an input of the model.
    laid : callable
        ``laid(arrays) -> array``: what these hand over, (sequence, …) each, as the graph has it.
    picks : tuple of LastStep
        For each of `reads`: what takes the last step of its outputs; empty where all are taken.
    """

    key: str
    reads: tuple[str, ...]
    laid: Callable[[tuple[Array, ...]], Array]
    picks: tuple[LastStep, ...] = ()

    def value(self, signals: Mapping[str, Signal]) -> Array:
        """What the graph has, of signals by name."""
        found = [signals[name] for name in self.reads]
        if self.picks:
            found = [pick(signal) for pick, signal in zip(self.picks, found, strict=True)]
        return self.laid(tuple(signal.values for signal in found))


@dataclass(frozen=True, eq=False)
class SizedInput:
    """An input of the model of which no more than the shape is asked.

    Attributes
    ----------
    name : str
    shape : tuple of int
        In a trial.
    batch, time : int or None
        Its axes of sequences and of timesteps.
    """

    name: str
    shape: tuple[int, ...]
    batch: int | None
    time: int | None

    def value(self, sequences: int, timesteps: int) -> Array:
        """Zeros of the shape that it has for so many sequences and steps."""
        shape = list(self.shape)
        if self.batch is not None:
            shape[self.batch] = sequences
        if self.time is not None:
            shape[self.time] = timesteps
        return np.broadcast_to(np.zeros((), np.float32), tuple(shape))


@dataclass(frozen=True, eq=False)
class Tail:
    """A value of the graph as a function of what the network hands over.

    Attributes
    ----------
    program : OnnxProgram
    key : str
    sources : tuple of TailSource
    lengths : tuple of str
        Inputs of the model that take the lengths.
    sized : tuple of SizedInput
    """

    program: OnnxProgram
    key: str
    sources: tuple[TailSource, ...]
    lengths: tuple[str, ...]
    sized: tuple[SizedInput, ...]

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for source in self.sources for name in source.reads))

    def __call__(self, signals: tuple[Signal, ...]) -> Array:
        """The value, with the axes of the graph, of signals in the order of `reads`.

        Raises
        ------
        EvaluationError
        """
        named = dict(zip(self.reads, signals, strict=True))
        sequences, timesteps = signals[0].values.shape[:2]
        bound = {source.key: source.value(named) for source in self.sources}
        mask = signals[0].mask
        lengths = np.full(sequences, timesteps) if mask is None else mask.sum(axis=1)
        for name in self.lengths:
            tensor = self.program.graph.inputs[name].type.tensor_type
            bound[name] = np.asarray(lengths, np.int32 if tensor.elem_type == 6 else np.int64)
        bound |= {one.name: one.value(sequences, timesteps) for one in self.sized}
        value = self.program.evaluation(bound).value(self.key)
        if isinstance(value, list):
            raise EvaluationError(f"'{self.key}' is a list")
        made: Array = value
        return made
