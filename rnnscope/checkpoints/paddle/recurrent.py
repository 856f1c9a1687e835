"""The operation rnn of a PaddlePaddle program: a whole stack, which becomes a layer for each level.

References
----------
PaddlePaddle 3.3: python/paddle/nn/layer/rnn.py (the order of the weights: for each level and
direction W and R, then for each both biases) and paddle/phi/kernels/cpu/rnn_kernel.cc. Gates lie as
i, f, g, o and r, z, n; r multiplies the product of m and its bias.
"""

from __future__ import annotations

from collections.abc import Sequence

from rnnscope.checkpoints.paddle.operators import Held, PirScope
from rnnscope.checkpoints.paddle.program import PirOperation
from rnnscope.checkpoints.translated.messages import NotTranslated
from rnnscope.checkpoints.translated.reading import SourceOperator
from rnnscope.deferred_dataclass import dataclass


@dataclass(frozen=True)
class Mode:
    """What ``mode`` says.

    Attributes
    ----------
    op : str
        ONNX's operator.
    states : int
    order : tuple of int
        Where each of ONNX's gates lies among Paddle's.
    gates : str
    activations : tuple of str
    """

    op: str
    states: int
    order: tuple[int, ...]
    gates: str
    activations: tuple[str, ...]


MODES = {
    "LSTM": Mode("LSTM", 2, (0, 3, 1, 2), "i f g o", ("Sigmoid", "Tanh", "Tanh")),
    "GRU": Mode("GRU", 1, (1, 0, 2), "r z n", ("Sigmoid", "Tanh")),
    "RNN_TANH": Mode("RNN", 1, (0,), "n", ("Tanh",)),
    "RNN_RELU": Mode("RNN", 1, (0,), "n", ("Relu",)),
}


def write_rnn(scope: PirScope, op: PirOperation) -> Sequence[Held]:
    """Outputs, dropout's state, final states together, and what training keeps."""
    named = str(op.attributes.get("mode"))
    if named not in MODES:
        raise NotTranslated(f"has the mode {named}")
    mode = MODES[named]
    directions = 2 if op.attributes.get("is_bidirec") else 1
    levels = int(op.attributes.get("num_layers", 1))
    starts, weights = scope.several(op, 1), scope.several(op, 2)
    if len(starts) != mode.states or len(weights) != 4 * levels * directions:
        raise NotTranslated(f"has {len(starts)} states and {len(weights)} weights")
    if not op.attributes.get("is_test", True) and op.attributes.get("dropout_prob"):
        raise NotTranslated("was saved as it is trained, with dropout")
    own = str(op.attributes.get("struct_name", "")).strip("/") or "rnn"
    x, ends = scope.key(op, 0), []
    for level in range(levels):
        name = own if levels == 1 else f"{own}/l{level}"
        first = 2 * level * directions
        stacked = _Level(scope, mode, name, weights[first : first + 2 * directions],
                         weights[first + len(weights) // 2 :][: 2 * directions])  # fmt: skip
        begins = [_rows(scope, key, level * directions, (level + 1) * directions) for key in starts]
        x, finals = stacked.write(x, scope.key(op, 3), begins)
        ends.append(finals)
    states: list[str] = []
    for several in zip(*ends, strict=True):
        whole = list(several)
        joined = whole[0] if levels == 1 else scope.made.one("Concat", whole, f"{own}/end", axis=0)
        states.append(joined)
    return [x, "", states, ""]


def _rows(scope: PirScope, key: str, first: int, last: int) -> str:
    """The states of one level's directions."""
    parts = [scope.made.ints([one]) for one in (first, last, 0)]
    return scope.made.one("Slice", [key, *parts], "start")


@dataclass(frozen=True, eq=False)
class _Level:
    """One level of a stack: W and R of each direction, both biases of each."""

    scope: PirScope
    mode: Mode
    name: str
    matrices: list[str]
    biases: list[str]

    def write(self, x: str, lengths: str, starts: list[str]) -> tuple[str, list[str]]:
        """All outputs, and the final states; x is (timestep, sequence, input)."""
        made, mode = self.scope.made, self.mode
        both = len(self.matrices) == 4
        if lengths:
            lengths = made.one("Cast", [lengths], f"{self.name}/lengths", to=6)
        y, *ends = made.node(
            mode.op,
            [x, self._stacked(self.matrices[::2], "W"), self._stacked(self.matrices[1::2], "R"),
             self._bias(), lengths, *starts],
            self.name, 1 + mode.states, direction="bidirectional" if both else "forward",
            activations=mode.activations * (2 if both else 1),
            linear_before_reset=1 if mode.op == "GRU" else None,
        )  # fmt: skip
        states = "(h, c)" if mode.op == "LSTM" else "h"
        self.scope.sources[y] = SourceOperator(f"paddle rnn {mode.op}", mode.gates, states)
        turned = made.one("Transpose", [y], f"{self.name}/Y", perm=[0, 2, 1, 3])
        return made.one("Reshape", [turned, made.ints([0, 0, -1])], f"{self.name}/Y"), ends

    def _ordered(self, key: str, role: str) -> str:
        order = self.mode.order
        if len(order) == 1:
            return key
        made, name = self.scope.made, f"{self.name}/{role}"
        parts = made.node("Split", [key], name, len(order), axis=0, num_outputs=len(order))
        return made.one("Concat", [parts[number] for number in order], name, axis=0)

    def _stacked(self, keys: Sequence[str], role: str) -> str:
        made, name = self.scope.made, f"{self.name}/{role}"
        first = made.ints([0])
        apart = [made.one("Unsqueeze", [self._ordered(key, role), first], name) for key in keys]
        return apart[0] if len(apart) == 1 else made.one("Concat", apart, name, axis=0)

    def _bias(self) -> str:
        made, name = self.scope.made, f"{self.name}/B"
        first = made.ints([0])
        whole = []
        for one, other in zip(self.biases[::2], self.biases[1::2], strict=True):
            pair = [self._ordered(one, "B"), self._ordered(other, "B")]
            flat = made.one("Concat", pair, name, axis=0)
            whole.append(made.one("Unsqueeze", [flat, first], name))
        return whole[0] if len(whole) == 1 else made.one("Concat", whole, name, axis=0)
