"""Core ML's recurrent layers as ONNX's: those of programs and of networks are the same.

References
----------
coremltools: mlmodel/format/NeuralNetwork.proto (the equations: a coupled forget gate, peepholes, a
limit of c, gates clipped to 50) and the operations lstm, gru and rnn of the MIL. A layer that
reads backwards on its own returns its outputs in the order of processing, as the tests of
coremltools have it; of two directions both are in the order of the input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Any

from rnnscope.checkpoints.onnx.graph.nodes import CELL_CLIP
from rnnscope.checkpoints.translated.messages import GraphUnderConstruction
from rnnscope.checkpoints.translated.reading import SourceOperator
from rnnscope.deferred_dataclass import dataclass

SCALED_TANH = (1.7159, 2 / 3)
ACTIVATIONS: dict[str, tuple[str, tuple[float, ...]]] = {
    "tanh": ("Tanh", ()),
    "sigmoid": ("Sigmoid", ()),
    "relu": ("Relu", ()),
    "linear": ("Affine", (1.0, 0.0)),
    "hard_sigmoid": ("HardSigmoid", (0.2, 0.5)),
    "sigmoid_hard": ("HardSigmoid", (0.2, 0.5)),
    "scaled_tanh": ("ScaledTanh", SCALED_TANH),
}
"""Names of activations: ONNX's, and the constants that Core ML's recurrent layers fix."""


class UnknownActivation(Exception):  # noqa: N818 - it ends no program: the layer is named
    """The name of an activation that Core ML's recurrent layers do not have."""


@dataclass(frozen=True)
class Direction:
    """Keys of the weights of one direction, in ONNX's order of gates.

    Attributes
    ----------
    w, r : str
        (gates·unit, input) and (gates·unit, unit).
    b : str
        (gates·unit,); empty without biases.
    p : str
        Peepholes (3·unit,); empty without them.
    starts : tuple of str
        States (sequence, unit) before the first step; none from zeros.
    """

    w: str
    r: str
    b: str = ""
    p: str = ""
    starts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recurrence:
    """A recurrent layer.

    Attributes
    ----------
    op : str
        ``"LSTM"``, ``"GRU"`` or ``"RNN"``.
    name : str
    directions : tuple of Direction
    reverse : bool
        Of a single direction.
    every_step : bool
        Whether all outputs are returned, or the last ones.
    activations : tuple of str
        Names of `ACTIVATIONS`, in ONNX's order.
    gate_clip : float
        0 where the gates are not clipped.
    cell_clip : float
        0 where c is not limited.
    coupled : bool
    source : SourceOperator
    """

    op: str
    name: str
    directions: tuple[Direction, ...]
    reverse: bool
    every_step: bool
    activations: tuple[str, ...]
    source: SourceOperator
    gate_clip: float = 0.0
    cell_clip: float = 0.0
    coupled: bool = False
    sources: dict[str, SourceOperator] = field(default_factory=dict)

    def write(self, made: GraphUnderConstruction, x: str) -> tuple[str, list[str]]:
        """Write the layer.

        Parameters
        ----------
        made : GraphUnderConstruction
        x : str
            (timestep, sequence, input).

        Returns
        -------
        y : str
            (timestep, sequence, direction·unit), or a single timestep.
        ends : list of str
            For each state, those of all directions (sequence, direction·unit).
        """
        states = 2 if self.op == "LSTM" else 1
        first = made.ints([0])
        weights = [self._stacked(made, [getattr(one, role) for one in self.directions], role)
                   for role in ("w", "r")]  # fmt: skip
        bias, peepholes = self._bias(made), self._peepholes(made)
        starts = [
            self._stacked(made, [one.starts[n] for one in self.directions], "start")
            for n in range(len(self.directions[0].starts))
        ] or [""] * states  # fmt: skip
        inputs = [x, *weights, bias, "", *starts]
        if peepholes:
            inputs.append(peepholes)
        both = len(self.directions) == 2
        limit: dict[str, Any] = {CELL_CLIP: self.cell_clip} if self.cell_clip else {}
        y, *ends = made.node(
            self.op, inputs, self.name, 1 + states,
            direction="bidirectional" if both else "reverse" if self.reverse else "forward",
            clip=self.gate_clip or None, input_forget=1 if self.coupled else None,
            **self._activations(), **limit,
        )  # fmt: skip
        self.sources[y] = self.source
        finals = [self._side_by_side(made, key) for key in ends]
        if not self.every_step:
            return made.one("Unsqueeze", [finals[0], first], f"{self.name}/last"), finals
        return self._outputs(made, y), finals

    def _outputs(self, made: GraphUnderConstruction, y: str) -> str:
        """All outputs (timestep, direction, sequence, unit) side by side."""
        name = f"{self.name}/Y"
        if len(self.directions) == 1:
            flat = made.one("Squeeze", [y, made.ints([1])], name)
            if not self.reverse:
                return flat
            parts = [made.ints([one]) for one in (-1, -(2**31), 0, -1)]
            return made.one("Slice", [flat, *parts], f"{self.name}/processed")
        turned = made.one("Transpose", [y], name, perm=[0, 2, 1, 3])
        return made.one("Reshape", [turned, made.ints([0, 0, -1])], name)

    def _side_by_side(self, made: GraphUnderConstruction, key: str) -> str:
        """Final states (direction, sequence, unit) as (sequence, direction·unit)."""
        name = f"{self.name}/end"
        if len(self.directions) == 1:
            return made.one("Squeeze", [key, made.ints([0])], name)
        turned = made.one("Transpose", [key], name, perm=[1, 0, 2])
        return made.one("Reshape", [turned, made.ints([0, -1])], name)

    def _stacked(self, made: GraphUnderConstruction, keys: Sequence[str], role: str) -> str:
        name = f"{self.name}/{role}"
        apart = [made.one("Unsqueeze", [key, made.ints([0])], name) for key in keys]
        return apart[0] if len(apart) == 1 else made.one("Concat", apart, name, axis=0)

    def _bias(self, made: GraphUnderConstruction) -> str:
        """Both biases: Core ML keeps their sum."""
        if not all(one.b for one in self.directions):
            return ""
        name = f"{self.name}/b"
        whole = []
        for one in self.directions:
            none = made.one("Sub", [one.b, one.b], name)
            whole.append(made.one("Concat", [one.b, none], name, axis=0))
        return self._stacked(made, whole, "b")

    def _peepholes(self, made: GraphUnderConstruction) -> str:
        if not all(one.p for one in self.directions):
            return ""
        return self._stacked(made, [one.p for one in self.directions], "p")

    def _activations(self) -> dict[str, Any]:
        names, alphas, betas = [], list[float](), list[float]()
        for name in self.activations * len(self.directions):
            if name not in ACTIVATIONS:
                raise UnknownActivation(name)
            onnx, constants = ACTIVATIONS[name]
            names.append(onnx)
            alphas += constants[:1]
            betas += constants[1:]
        return {
            "activations": names,
            "activation_alpha": alphas or None,
            "activation_beta": betas or None,
        }


def reordered(made: GraphUnderConstruction, key: str, order: Sequence[int], name: str) -> str:
    """Equal blocks of rows in another order; empty if the array is left out."""
    if not key:
        return ""
    parts = made.node("Split", [key], name, len(order), axis=0, num_outputs=len(order))
    return made.one("Concat", [parts[number] for number in order], name, axis=0)
