# ruff: noqa: N801, D400 - the docstring of a mutant is its name, and it has no other
"""Programs that each do one thing otherwise than the model: `MUTANTS`, by the model they port."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from vectors.port import Gru, Lstm, as_bfloat16, as_float16


class Mutant(NamedTuple):
    """A program with one slip.

    Attributes
    ----------
    model : str
        A key of `explaining.small_models.SUBJECTS`.
    port : type
        A subclass of `Port` that does one thing otherwise.
    first : tuple of (case number from 1, array, timestep), or None
        What is first wrong, where the slip itself says it.
    layer : int
        Which of the two directions.
    """

    model: str
    port: type
    first: tuple[int, str, int] | None = None
    layer: int = 0


MUTANTS: dict[str, Mutant] = {}


def mutant(model, first=None, layer=0):
    def register(port):
        name = " ".join(f"{port.__doc__}".split()).rstrip(".")
        assert name not in MUTANTS
        MUTANTS[name] = Mutant(model, port, first, layer)
        return port

    return register


# Weights.


@mutant("torch", (1, "g", 0))
class _(Lstm):
    """the blocks of g and o exchanged"""

    def order(self):
        return "ifog"


@mutant("torch", (1, "f", 0))
class _(Lstm):
    """the blocks of f and g exchanged"""

    def order(self):
        return "igfo"


@mutant("torch", (1, "i", 0))
class _(Lstm):
    """the blocks of i and f exchanged"""

    def order(self):
        return "figo"


@mutant("torch", (1, "f", 0))
class _(Lstm):
    """blocks read in the order of ONNX"""

    def order(self):
        return "iofg"


@mutant("torch", (1, "i", 0))
class _(Lstm):
    """bias_hh forgotten"""

    def biases(self):
        return self.cell.bias, None


@mutant("torch", (1, "i", 0))
class _(Lstm):
    """bias_ih forgotten"""

    def biases(self):
        return 0 * self.cell.bias, self.cell.recurrent_bias


@mutant("torch", (1, "i", 0))
class _(Lstm):
    """no bias at all"""

    def biases(self):
        return 0 * self.cell.bias, None


@mutant("torch", (1, "i", 0))
class _(Lstm):
    """one bias added twice"""

    def biases(self):
        return self.cell.bias, self.cell.bias


@mutant("torch", (1, "i", 1))
class _(Lstm):
    """the recurrent kernel transposed gate by gate"""

    def matrices(self):
        parts = np.split(self.cell.recurrent, 4, axis=1)
        return self.cell.kernel, np.concatenate([part.T for part in parts], axis=1)


@mutant("torch", (1, "i", 1))
class _(Lstm):
    """the bytes of the recurrent kernel read with its axes exchanged"""

    def matrices(self):
        other = self.cell.recurrent.T.reshape(self.cell.recurrent.shape)
        return self.cell.kernel, other


@mutant("tf1", (1, "i", 0))
class _(Lstm):
    """the rows of the fused kernel taken for m before x"""

    def matrices(self):
        whole = np.concatenate([self.cell.kernel, self.cell.recurrent])
        units = len(self.cell.recurrent)
        return whole[units:], whole[:units]


@mutant("torch")
class _(Lstm):
    """weights in bfloat16"""

    def weight(self, array):
        return as_bfloat16(np.asarray(array, self.dtype))


@mutant("torch")
class _(Lstm):
    """weights in float16"""

    def weight(self, array):
        return as_float16(np.asarray(array, self.dtype))


# Options.


@mutant("torch", (1, "f", 0))
class _(Lstm):
    """a forget bias of 1 added to one that is in the bias"""

    def forget_bias(self):
        return np.float32(1)


@mutant("tf1", (1, "f", 0))
class _(Lstm):
    """the forget bias of 1 forgotten"""

    def forget_bias(self):
        return np.float32(0)


@mutant("torch", (1, "i", 0))
class _(Lstm):
    """hard_sigmoid of Keras 2 for the gates"""

    def gate(self, z):
        return np.clip(np.float32(0.2) * z + np.float32(0.5), 0, 1)


@mutant("torch", (1, "i", 0))
class _(Lstm):
    """hard_sigmoid of Keras 3 for the gates"""

    def gate(self, z):
        return np.clip(z / np.float32(6) + np.float32(0.5), 0, 1)


class _HardLstm(Lstm):
    def gate(self, z):
        return np.clip(np.float32(0.2) * z + np.float32(0.5), 0, 1)


@mutant("keras, hard sigmoid", (1, "i", 0))
class _(Lstm):
    """sigmoid for a hard_sigmoid"""


@mutant("keras, hard sigmoid", (1, "i", 0))
class _(_HardLstm):
    """the other hard_sigmoid"""

    def gate(self, z):
        return np.clip(z / np.float32(6) + np.float32(0.5), 0, 1)


@mutant("torch", (1, "i", 0))
class _(Lstm):
    """a fast sigmoid of absolute values"""

    def gate(self, z):
        return np.float32(0.5) * z / (1 + np.abs(z)) + np.float32(0.5)


@mutant("torch", (1, "g", 0))
class _(Lstm):
    """tanh as a quotient of polynomials"""

    def act(self, z):
        return z * (27 + z * z) / (27 + 9 * z * z)


@mutant("torch", (1, "g", 0))
class _(Lstm):
    """relu for the candidate"""

    def act(self, z):
        return np.maximum(z, 0)


@mutant("torch", (1, "m", 0))
class _(Lstm):
    """no tanh of c on its way to m"""

    def out(self, c):
        return c


@mutant("torch", (1, "c", 0))
class _(Lstm):
    """i and f exchanged where c is made"""

    def new_c(self, i, f, g, c):
        return i * c + f * g


@mutant("torch")
class _(Lstm):
    """c clipped to 0.5"""

    def clip_c(self, c):
        return np.clip(c, np.float32(-0.5), np.float32(0.5))


@mutant("tf1, everything")
class _(Lstm):
    """the clip of c forgotten"""

    def clip_c(self, c):
        return c


@mutant("tf1, everything")
class _(Lstm):
    """the clip of the projected m forgotten"""

    def clip_m(self, m):
        return m


@mutant("tf1, everything", (1, "o", 0))
class _(Lstm):
    """peepholes ignored"""

    def peepholes(self):
        return {}


@mutant("tf1, everything")
class _(Lstm):
    """the peephole of o sees the previous c"""

    def seen_by_o(self, before, unclipped, c):
        return before


@mutant("tf1, everything")
class _(Lstm):
    """the peephole of o sees the unclipped c"""

    def seen_by_o(self, before, unclipped, c):
        return unclipped


@mutant("tf1, peepholes", (1, "i", 1))
class _(Lstm):
    """the peepholes of i and f exchanged"""

    def peepholes(self):
        own = self.cell.peepholes
        return {"i": own["f"], "f": own["i"], "o": own["o"]}


@mutant("torch, projection", (1, "m", 0))
class _(Lstm):
    """the projection transposed"""

    def project(self, m):
        own = self.cell.projection
        return m @ own.T.reshape(own.shape)


# States.


@mutant("torch", (1, "c", 0))
class _(Lstm):
    """c and m handed over in each other's place"""

    def handed(self, kept):
        return {**kept, "c": kept["m"], "m": kept["c"]}


@mutant("torch", (2, "i", 0))
class _(Lstm):
    """c and m of the state before the first step exchanged"""

    def begin(self, initial, n, before):
        own = super().begin(initial, n, before)
        return {"c": own["m"], "m": own["c"]}


@mutant("torch", (2, "i", 0))
class _(Lstm):
    """the state before the first step ignored"""

    def begin(self, initial, n, before):
        return {name: 0 * one for name, one in super().begin(initial, n, before).items()}


@mutant("torch", (1, "i", 0))
class _(Lstm):
    """a state that is left from the sequence before"""

    def begin(self, initial, n, before):
        return before or super().begin(initial, n, before)


@mutant("torch", (1, "i", 1))
class _(Lstm):
    """m never carried"""

    def carried(self, state, number, start):
        return {**state, "m": start["m"]}


@mutant("torch", (1, "c", 1))
class _(Lstm):
    """c never carried"""

    def carried(self, state, number, start):
        return {**state, "c": start["c"]}


@mutant("torch", (2, "i", 16))
class _(Lstm):
    """the state reset every 16 steps"""

    def carried(self, state, number, start):
        return start if number % 16 == 0 else state


@mutant("torch", (1, "i", 1))
class _(Lstm):
    """c and m exchanged where they are carried"""

    def carried(self, state, number, start):
        return state if number == 0 else {"c": state["m"], "m": state["c"]}


@mutant("torch")
class _(Lstm):
    """states in float16"""

    def after(self, state):
        return {name: as_float16(one) for name, one in state.items()}


# Lengths, padding, time.


@mutant("torch", (2, "c", 9))
class _(Lstm):
    """lengths ignored"""

    def length(self, length, steps):
        return steps


@mutant("torch")
class _(Lstm):
    """lengths one too small"""

    def length(self, length, steps):
        return length - 1


@mutant("torch", (2, "c", 9))
class _(Lstm):
    """lengths one too large"""

    def length(self, length, steps):
        return min(length + 1, steps)


@mutant("torch", (2, "outputs", 9))
class _(Lstm):
    """outputs past the length repeated"""

    def padded(self, state, outputs):
        return state, outputs


@mutant("torch", (2, "c", 9))
class _(Lstm):
    """states past the length set to zero"""

    def padded(self, state, outputs):
        return {name: 0 * one for name, one in state.items()}, 0 * outputs


@mutant("keras, masked", (2, "outputs", 9))
class _(Lstm):
    """outputs at masked steps set to zero"""

    def padded(self, state, outputs):
        return state, 0 * outputs


@mutant("torch", (2, "final/m", -1))
class _(Lstm):
    """the last output of the array taken for the final m"""

    def final(self, state, kept):
        return {**state, "m": kept["outputs"][-1]}


@mutant("torch", (1, "i", 0))
class _(Lstm):
    """time read backwards"""

    def read(self, x):
        return x[:, ::-1]


@mutant("torch", (1, "i", 0))
class _(Lstm):
    """the bytes of the input taken for (timestep, sequence)"""

    def read(self, x):
        return np.ascontiguousarray(x.reshape(x.shape[1], x.shape[0], -1).swapaxes(0, 1))


@mutant("torch", (1, "outputs", 0))
class _(Lstm):
    """outputs one step late"""

    def handed(self, kept):
        late = np.zeros_like(kept["outputs"])
        late[:, 1:] = kept["outputs"][:, :-1]
        return {**kept, "outputs": late}


@mutant("torch", (1, "i", 0))
class _(Lstm):
    """the features of the input in reverse"""

    def read(self, x):
        return x[..., ::-1]


@mutant("torch", (1, "i", 0))
class _(Lstm):
    """the input halved"""

    def read(self, x):
        return x / 2


# Two directions.


@mutant("torch, both directions", (1, "i", 4), layer=1)
class _(Lstm):
    """the backward layer reads forward"""

    def times(self, length, steps):
        return list(range(steps))


@mutant("torch, both directions", (1, "outputs", 4), layer=1)
class _(Lstm):
    """the outputs of the backward layer not turned back"""

    def place(self, t, number):
        return number


@mutant("torch, both directions", (2, "i", 14), layer=1)
class _(Lstm):
    """the backward layer turns the padding to the front and computes it"""

    def length(self, length, steps):
        return steps


# GRU.


@mutant("torch, gru", (1, "m", 0))
class _(Gru):
    """z and 1 - z exchanged"""

    def mix(self, z, m, n):
        return (1 - z) * m + z * n


@mutant("torch, gru", (1, "r", 0))
class _(Gru):
    """r and z exchanged"""

    def order(self):
        return "zrn"


@mutant("torch, gru")
class _(Gru):
    """r multiplies m before the product"""

    def inner(self, r, x, m):
        kernel, recurrent, bias, other = self.weights["n"]
        return x @ kernel + bias + (r * m) @ recurrent + other


@mutant("torch, gru", (1, "n", 0))
class _(Gru):
    """the second bias of n outside of r"""

    def inner(self, r, x, m):
        kernel, recurrent, bias, other = self.weights["n"]
        return x @ kernel + bias + r * (m @ recurrent) + other


RIGHT = {"keras, hard sigmoid": _HardLstm, "torch, gru": Gru}
"""Programs that are right, by model; all others are `Lstm`."""
