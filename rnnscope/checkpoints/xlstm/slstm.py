"""The sLSTM layer of xLSTM: arrays of a state dict as a graph of ONNX's operators.

The states are c, n, m (the output, which xLSTM calls y or h) and ``stabilizer``, which xLSTM calls
m: the logarithm by which the exponential gates are scaled.

References
----------
Beck et al. (2024), "xLSTM: Extended Long Short-Term Memory", section 2.2; xlstm 2.0,
xlstm/blocks/slstm/layer.py and cell.py. The layer hands what ``fgate`` makes to the input gate and
what ``igate`` makes to the forget gate, as the files that are published are used.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rnnscope.checkpoints.translated.messages import GraphUnderConstruction
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import UnsupportedCellError
from rnnscope.model.cell import Array

GATES = 4
KERNEL, BIAS = "slstm_cell._recurrent_kernel_", "slstm_cell._bias_"
PROJECTIONS = ("fgate.weight", "igate.weight", "zgate.weight", "ogate.weight")
"""What makes the input of the gates i, f, z and o, in this order."""

CONVOLUTION, CONVOLUTION_BIAS = "conv1d.conv.weight", "conv1d.conv.bias"
BEHIND = ("group_norm.weight",)
"""What stands behind the cell."""

Load = Callable[[str], Array]


@dataclass(frozen=True, eq=False)
class SLSTMLayer:
    """The arrays of a layer, by the names above.

    Attributes
    ----------
    name : str
    arrays : dict of str to ndarray
    heads, units : int
    """

    name: str
    arrays: dict[str, Array]
    heads: int
    units: int

    @classmethod
    def of(cls, name: str, arrays: dict[str, Array], where: object) -> SLSTMLayer:
        """A layer of its arrays.

        Raises
        ------
        UnsupportedCellError
            One is missing, is not known, or does not fit the others.
        """
        kernel = arrays[KERNEL]
        heads = kernel.shape[0] if kernel.ndim == 3 else 0
        width = min(kernel.shape[1:], default=0)
        units = heads * width
        shapes = {
            BIAS: (GATES * units,),
            **dict.fromkeys(PROJECTIONS, (heads, width, width)),
            CONVOLUTION_BIAS: (units,),
            "group_norm.weight": (units,),
        }
        wrong = [
            f"{role} of shape {arrays[role].shape}" if role in arrays else f"no {role}"
            for role in (BIAS, *PROJECTIONS)
            if role not in arrays or arrays[role].shape != shapes[role]
        ]
        known = {KERNEL, CONVOLUTION, *shapes}
        wrong += [f"'{role}'" for role in arrays if role not in known]
        if CONVOLUTION in arrays and arrays[CONVOLUTION].shape[:2] != (units, 1):
            wrong.append(f"{CONVOLUTION} of shape {arrays[CONVOLUTION].shape}")
        if (CONVOLUTION_BIAS in arrays) != (CONVOLUTION in arrays):
            wrong.append("a convolution without its bias, or the other way round")
        if sorted(kernel.shape[1:]) != [width, GATES * width] or not units:
            wrong.append(f"{KERNEL} of shape {kernel.shape}")
        if wrong:
            raise UnsupportedCellError(
                f"The sLSTM layer '{name}' is none that is computed.",
                where=where,
                expected="the arrays that sLSTMLayer of xlstm has",
                found="; ".join(wrong[:6]),
            )
        return cls(name, arrays, heads, units)

    @property
    def recurrent(self) -> Array:
        """What multiplies m: (unit, 4·unit), zero between heads.

        A file that was saved with the CUDA kernels has (head, input, gate·output); one of the plain
        implementation (head, gate·output, input).
        """
        kernel, width = self.arrays[KERNEL], self.units // self.heads
        if kernel.shape[1] != width:
            kernel = kernel.transpose(0, 2, 1)
        blocks = kernel.reshape(self.heads, width, GATES, width)
        made = np.zeros((self.heads, width, GATES, self.heads, width), kernel.dtype)
        for head in range(self.heads):
            made[head, :, :, head] = blocks[head]
        return made.reshape(self.units, GATES * self.units)

    @property
    def bias(self) -> Array:
        """(4·unit,), gate by gate; a file of the CUDA kernels has it head by head."""
        width = self.units // self.heads
        if self.arrays[KERNEL].shape[1] != width:
            return self.arrays[BIAS]
        by_head = self.arrays[BIAS].reshape(self.heads, GATES, width)
        made: Array = by_head.transpose(1, 0, 2).reshape(-1)
        return made

    def projection(self, role: str) -> Array:
        """(input, unit) of a gate, zero between heads."""
        weight = self.arrays[role]
        width = self.units // self.heads
        made = np.zeros((self.heads, width, self.heads, width), weight.dtype)
        for head in range(self.heads):
            made[head, :, head] = weight[head].T
        return made.reshape(self.units, self.units)

    def write(self, made: GraphUnderConstruction) -> str:
        """Write the layer, from its input to the outputs of its cell; the key of its loop."""
        x = made.input(f"{self.name}/x", 1, ["sequences", "timesteps", self.units])
        gates = self._gates(made, x)
        batch = made.one("Shape", [gates], f"{self.name}/shape", start=0, end=1)
        shape = made.one("Concat", [batch, made.ints([self.units])], f"{self.name}/shape", axis=0)
        zero = made.stored(f"{self.name}/zero", np.zeros((), np.float32))
        zeros = made.one("Expand", [zero, shape], f"{self.name}/zeros")
        body = made.body()
        self._write_step(body)
        *_, y = made.node(
            "Scan", [zeros, zeros, zeros, zeros, gates], self.name, 5, body=body,
            num_scan_inputs=1, scan_input_axes=[1], scan_output_axes=[1],
        )  # fmt: skip
        made.output(y)
        return self.name

    def _gates(self, made: GraphUnderConstruction, x: str) -> str:
        """What x gives to the gates i, f, z, o: (sequence, timestep, 4·unit)."""
        name, seen = self.name, x
        if CONVOLUTION in self.arrays:
            weight = self.arrays[CONVOLUTION]
            turned = made.one("Transpose", [x], f"{name}/conv1d/x", perm=[0, 2, 1])
            bias = self.arrays[CONVOLUTION_BIAS]
            keys = [turned, made.stored(f"{name}.{CONVOLUTION}", weight)]
            keys.append(made.stored(f"{name}.{CONVOLUTION_BIAS}", bias))
            conv = made.one("Conv", keys, f"{name}/conv1d", group=self.units,
                            pads=[weight.shape[2] - 1, 0])  # fmt: skip
            flat = made.one("Transpose", [conv], f"{name}/conv1d/y", perm=[0, 2, 1])
            gate = made.one("Sigmoid", [flat], f"{name}/silu")
            seen = made.one("Mul", [flat, gate], f"{name}/silu")
        parts = [
            made.one("MatMul", [seen if place < 2 else x,
                                made.stored(f"{name}.{role}", self.projection(role))],
                     f"{name}/{role.removesuffix('.weight')}")
            for place, role in enumerate(PROJECTIONS)
        ]  # fmt: skip
        return made.one("Concat", parts, f"{name}/gates", axis=2)

    def _write_step(self, body: GraphUnderConstruction) -> None:
        """A step of the cell: c, n, m and the stabilizer in, and out again, and m once more."""

        def do(op: str, *keys: str, name: str = "step") -> str:
            return body.one(op, list(keys), f"{self.name}/{name}")

        c, n, m, scale, wx = (
            body.input(f"{self.name}/{word}", 1, None)
            for word in ("c", "n", "m", "stabilizer", "wx")
        )
        kernel = body.stored(f"{self.name}.{KERNEL}", self.recurrent)
        bias = body.stored(f"{self.name}.{BIAS}", self.bias)
        raw = do("Add", do("Add", wx, do("MatMul", m, kernel)), bias)
        i, f, z, o = body.node("Split", [raw], f"{self.name}/gates", GATES, axis=1,
                               num_outputs=GATES)  # fmt: skip
        none, one = (body.one("Cast", [body.ints(value)], "number", to=1) for value in (0, 1))
        kept = do("Add", scale, do("Neg", do("Softplus", do("Neg", f))))
        first = do("Equal", n, none)
        new = do("Where", first, i, do("Max", i, kept))
        gate_i = do("Min", do("Exp", do("Sub", i, new)), one)
        gate_f = do("Min", do("Exp", do("Sub", kept, new)), one)
        c_new = do("Add", do("Mul", gate_f, c), do("Mul", gate_i, do("Tanh", z)))
        n_new = do("Add", do("Mul", gate_f, n), gate_i)
        share = do("Div", c_new, n_new)
        m_new = do("Mul", do("Sigmoid", o), share)
        for key in (c_new, n_new, m_new, new, m_new):
            body.output(do("Identity", key, name="next"))
