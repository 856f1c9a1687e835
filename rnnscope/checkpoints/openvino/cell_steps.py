"""One step of a recurrent cell in elementary operators: for loops whose bodies hold more."""

from __future__ import annotations

from rnnscope.checkpoints.openvino.interface import IrScope
from rnnscope.checkpoints.openvino.ir_graph import IrLayer
from rnnscope.checkpoints.openvino.kinds import Kind
from rnnscope.checkpoints.translated.messages import NotTranslated

ACTIVATIONS = {"sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "Relu"}


def write_step(scope: IrScope, layer: IrLayer, kind: Kind, inputs: list[str]) -> list[str]:
    """The states after a step.

    Raises
    ------
    NotTranslated
        It clips, or has activations with constants of their own.
    """
    if any(layer.floats("clip")) or layer.floats("activations_alpha"):
        raise NotTranslated("clips, or takes constants of its activations, within a loop")
    names = [name.lower() for name in layer.texts("activations")] or list(kind.activations)
    if unknown := set(names).difference(ACTIVATIONS):
        raise NotTranslated(f"has the activation {min(unknown)} within a loop")
    step = _Step(scope, layer, [ACTIVATIONS[name] for name in names], inputs)
    return {"LSTM": step.lstm, "GRU": step.gru, "RNN": step.rnn}[kind.op]()


class _Step:
    """Writes the arithmetic of a cell."""

    def __init__(
        self, scope: IrScope, layer: IrLayer, activations: list[str], inputs: list[str]
    ) -> None:
        self._made = scope.made
        self._layer = layer
        self._functions = activations
        self._inputs = inputs

    def _do(self, op: str, *keys: str) -> str:
        return self._made.one(op, list(keys), f"{self._layer.name}/{op}")

    def _act(self, number: int, key: str) -> str:
        return self._do(self._functions[number], key)

    def _product(self, x: str, weights: str) -> str:
        turned = self._made.one("Transpose", [weights], f"{self._layer.name}/turned", perm=[1, 0])
        return self._do("MatMul", x, turned)

    def _parts(self, key: str, count: int, axis: int = -1) -> tuple[str, ...]:
        return self._made.node(
            "Split", [key], f"{self._layer.name}/gates", count, axis=axis, num_outputs=count
        )

    def lstm(self) -> list[str]:
        """Gates f, i, c, o."""
        x, h, c, w, r, b = self._inputs
        z = self._do("Add", self._do("Add", self._product(x, w), self._product(h, r)), b)
        zf, zi, zc, zo = self._parts(z, 4)
        kept = self._do("Mul", self._act(0, zf), c)
        new = self._do("Add", kept, self._do("Mul", self._act(0, zi), self._act(1, zc)))
        return [self._do("Mul", self._act(0, zo), self._act(2, new)), new]

    def gru(self) -> list[str]:
        """Gates z, r, h; with ``linear_before_reset`` a fourth bias."""
        x, h, w, r, b = self._inputs
        after = self._layer.true("linear_before_reset")
        wz, wr, wh = self._parts(w, 3, 0)
        rz, rr, rh = self._parts(r, 3, 0)
        bz, br, bh, *bm = self._parts(b, 4 if after else 3)
        z, reset = (
            self._act(0, self._do("Add", self._sum(x, own, h, back), bias))
            for own, back, bias in ((wz, rz, bz), (wr, rr, br))
        )
        if after:
            kept = self._do("Mul", reset, self._do("Add", self._product(h, rh), bm[0]))
        else:
            kept = self._product(self._do("Mul", reset, h), rh)
        candidate = self._act(1, self._do("Add", self._do("Add", self._product(x, wh), bh), kept))
        gap = self._do("Sub", h, candidate)
        return [self._do("Add", candidate, self._do("Mul", z, gap))]

    def rnn(self) -> list[str]:
        """``act(W x + R h + B)``."""
        x, h, w, r, b = self._inputs
        return [self._act(0, self._do("Add", self._sum(x, w, h, r), b))]

    def _sum(self, x: str, w: str, h: str, r: str) -> str:
        return self._do("Add", self._product(x, w), self._product(h, r))
