"""What TensorFlow Lite's sequence LSTM is given: weights by name, options, and its numbers' grids.

References
----------
tensorflow/lite/kernels/lstm_shared.h: the inputs by number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.graph.nodes import OnnxNode
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.ops import EvaluationError

OWN_INPUTS = 8
"""Where a node has the operator's own inputs, from 1 on; before them are those of ONNX's LSTM."""

GATES = ("i", "f", "g", "o")

ROLES = {
    **{f"kernel_{gate}": 1 + n for n, gate in enumerate(GATES)},
    **{f"recurrent_{gate}": 5 + n for n, gate in enumerate(GATES)},
    "peephole_i": 9, "peephole_f": 10, "peephole_o": 11,
    **{f"bias_{gate}": 12 + n for n, gate in enumerate(GATES)},
    "projection": 16, "projection_bias": 17, "state_m": 18, "state_c": 19,
    **{f"norm_{gate}": 20 + n for n, gate in enumerate(GATES)},
}  # fmt: skip
"""By role, the number of the input."""

INPUT, RESULT, INTERMEDIATES = 0, 24, 25
"""Further places in the lists of scales and zeros."""


@dataclass(frozen=True, eq=False)
class LiteWeights:
    """Weights by role, those that are left out missing, and the grids of all numbers.

    Attributes
    ----------
    arrays : mapping of str to ndarray
    scales, zeros : tuple
        By number of the input, then of the result and the intermediates; 0 for floats.
    activation : str
        Of the candidate and of c: ``"TANH"``.
    cell_clip, proj_clip : float
        0 where nothing is clipped.
    asymmetric, diagonal : bool
    input_type : str
        Of x as the file has it: ``"int8"``.
    """

    arrays: Mapping[str, Array]
    scales: tuple[float, ...]
    zeros: tuple[int, ...]
    activation: str
    cell_clip: float
    proj_clip: float
    asymmetric: bool
    diagonal: bool
    input_type: str

    @classmethod
    def of(cls, node: OnnxNode, inputs: Sequence[Any]) -> LiteWeights:
        """The weights of a node, whose shapes fit each other."""
        arrays = {}
        for role, number in ROLES.items():
            place = OWN_INPUTS + number - 1
            if not role.startswith("state") and place < len(inputs) and inputs[place] is not None:
                arrays[role] = np.asarray(inputs[place])
        found = cls(
            arrays, node.floats("scales"), node.ints("zeros") or (), node.text("activation"),
            node.number("cell_clip") or 0.0, node.number("proj_clip") or 0.0,
            bool(node.integer("asymmetric")), bool(node.integer("diagonal")),
            node.text("input_type"),
        )  # fmt: skip
        found.check()
        return found

    @property
    def coupled(self) -> bool:
        """Whether the input gate is one minus the forget gate."""
        return "kernel_i" not in self.arrays

    @property
    def gates(self) -> tuple[str, ...]:
        """The gates that have weights."""
        return GATES[1:] if self.coupled else GATES

    @property
    def units(self) -> int:
        return int(self.arrays["kernel_f"].shape[0])

    @property
    def output_size(self) -> int:
        return len(self.arrays["projection"]) if "projection" in self.arrays else self.units

    @property
    def input_size(self) -> int:
        return int(self.arrays["kernel_f"].shape[1])

    @property
    def normalised(self) -> bool:
        return "norm_f" in self.arrays

    @property
    def kind(self) -> str:
        """``"float"``, ``"hybrid"`` or ``"integer"``."""
        if self.arrays["kernel_f"].dtype.kind == "f":
            return "float"
        return "integer" if self.scale_at(INPUT) else "hybrid"

    def scale(self, role: str) -> float:
        """Of a role's numbers; 0 where they are floats."""
        return self.scale_at(ROLES[role])

    def scale_at(self, number: int) -> float:
        return self.scales[number] if number < len(self.scales) else 0.0

    def zero_at(self, number: int) -> int:
        return self.zeros[number] if number < len(self.zeros) else 0

    def check(self) -> None:
        """Refuse what does not fit.

        Raises
        ------
        EvaluationError
        """
        missing = [role for gate in self.gates for role in (f"kernel_{gate}", f"recurrent_{gate}",
                   f"bias_{gate}") if role not in self.arrays]  # fmt: skip
        if missing or self.arrays["kernel_f"].ndim != 2:
            raise EvaluationError(f"it has no weights {', '.join(missing) or 'of two axes'}")
        for role, array in self.arrays.items():
            if array.shape != self._shape(role):
                raise EvaluationError(f"its {role} has shape {array.shape}")
            wrong = array.dtype.kind == "f" and self.kind != "float" and role[:6] in (
                "kernel", "recurr", "projec")  # fmt: skip
            if wrong and role != "projection_bias":
                raise EvaluationError(f"its {role} is {array.dtype} beside quantised weights")

    def _shape(self, role: str) -> tuple[int, ...]:
        if role.startswith("kernel"):
            return self.units, self.input_size
        if role.startswith("recurrent"):
            return (self.units,) if self.diagonal else (self.units, self.output_size)
        if role == "projection":
            return self.output_size, self.units
        return (self.output_size,) if role == "projection_bias" else (self.units,)
