"""An implementation as a user would write one, step by step, and the slips that people make in it.

It shares no code with rnnscope. `Lstm` and `Gru` are right; each mutant is a subclass that does one
thing otherwise. `run_case` gives what such a program would hand over for a case of `vectors.json`.
"""

from __future__ import annotations

import numpy as np
from explaining.network_description import Cell


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def as_float16(array):
    return array.astype(np.float16).astype(array.dtype)


def as_bfloat16(array):
    bits = np.asarray(array, np.float32).view(np.uint32)
    bits = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    return (bits & np.uint32(0xFFFF0000)).view(np.float32).astype(array.dtype)


class Port:
    """What LSTM and GRU have in common: the walk over sequences and steps."""

    states = ("c", "m")
    gates = ("i", "f", "g", "o")

    def __init__(self, cell: Cell, padding: str = "zeros", dtype=np.float32):
        self.cell, self.padding, self.dtype = cell, padding, dtype
        self.load()

    # How weights are read.

    def order(self):
        return self.cell.order

    def biases(self):
        return self.cell.bias, self.cell.recurrent_bias

    def matrices(self):
        return self.cell.kernel, self.cell.recurrent

    def load(self):
        kernel, recurrent = self.matrices()
        bias, other = self.biases()
        other = 0 * bias if other is None else other
        count = len(self.cell.order)
        blocks = [
            np.split(self.weight(a), count, axis=-1) for a in (kernel, recurrent, bias, other)
        ]
        self.weights = {
            gate: tuple(kind[at] for kind in blocks) for at, gate in enumerate(self.order())
        }

    def weight(self, array):
        return np.asarray(array, self.dtype)

    def z(self, gate, x, m):
        kernel, recurrent, bias, other = self.weights[gate]
        return x @ kernel + bias + m @ recurrent + other

    # How steps follow each other.

    def times(self, length, steps):
        """The timesteps in the order of computing, those that do not count last."""
        valid = range(length)
        return [*(reversed(valid) if self.cell.backward else valid), *range(length, steps)]

    def place(self, t, number):
        """Where the output of a timestep stands."""
        return t

    def length(self, length, steps):
        return length

    def begin(self, initial, n, before):
        return {name: initial[name][n].astype(self.dtype) for name in self.states}

    def read(self, x):
        return x

    def carried(self, state, number, start):
        return state

    def after(self, state):
        return state

    def padded(self, state, outputs):
        """The state and outputs of a step that does not count."""
        return state, 0 * outputs if self.padding == "zeros" else outputs

    def final(self, state, kept):
        return state

    def handed(self, kept):
        """What is handed over of all steps."""
        return kept

    def run(self, x, lengths, initial):
        x = self.read(np.asarray(x, self.dtype))
        steps, width = x.shape[1], self.cell.width
        kept, finals, before = [], [], None
        for n in range(len(x)):
            state = start = self.begin(initial, n, before)
            rows, outputs = [None] * steps, np.zeros(width, self.dtype)
            length = self.length(int(lengths[n]), steps)
            returned = [None] * steps
            for number, t in enumerate(self.times(length, steps)):
                gates = {gate: np.zeros(self.cell.units, self.dtype) for gate in self.gates}
                if t < length:
                    gates, state = self.step(x[n, t], self.carried(state, number, start))
                    state = self.after(state)
                    outputs = state["m"]
                else:
                    state, outputs = self.padded(state, outputs)
                rows[t] = {**gates, **state}
                returned[self.place(t, number)] = outputs
            for row, one in zip(rows, returned, strict=True):
                row["outputs"] = one
            kept.append({key: np.stack([row[key] for row in rows]) for key in rows[0]})
            before = state
            finals.append(self.final(state, kept[-1]))
        whole = {key: np.stack([one[key] for one in kept]) for key in kept[0]}
        ends = {key: np.stack([one[key] for one in finals]) for key in self.states}
        return {"expected": self.handed(whole), "final": ends}


class Lstm(Port):
    def act(self, z):
        return np.tanh(z)

    def gate(self, z):
        return sigmoid(z)

    def out(self, c):
        return np.tanh(c)

    def forget_bias(self):
        return self.dtype(self.cell.forget_bias)

    def peepholes(self):
        return self.cell.peepholes or {}

    def seen_by_o(self, before, unclipped, c):
        return c

    def clip_c(self, c):
        bound = self.cell.cell_clip
        return c if bound is None else np.clip(c, self.dtype(-bound), self.dtype(bound))

    def clip_m(self, m):
        bound = self.cell.proj_clip
        return m if bound is None else np.clip(m, self.dtype(-bound), self.dtype(bound))

    def project(self, m):
        if self.cell.projection is None:
            return m
        return self.clip_m(m @ self.weight(self.cell.projection))

    def new_c(self, i, f, g, c):
        return f * c + i * g

    def step(self, x, state):
        c, m = state["c"], state["m"]
        z = {gate: self.z(gate, x, m) for gate in "ifgo"}
        z["f"] = z["f"] + self.forget_bias()
        seen = self.peepholes()
        for gate in "if":
            if gate in seen:
                z[gate] = z[gate] + seen[gate] * c
        i, f, g = self.gate(z["i"]), self.gate(z["f"]), self.act(z["g"])
        unclipped = self.new_c(i, f, g, c)
        new = self.clip_c(unclipped)
        if "o" in seen:
            z["o"] = z["o"] + seen["o"] * self.seen_by_o(c, unclipped, new)
        o = self.gate(z["o"])
        return {"i": i, "f": f, "g": g, "o": o}, {"c": new, "m": self.project(o * self.out(new))}


class Gru(Port):
    states = ("m",)
    gates = ("r", "z", "n")

    def mix(self, z, m, n):
        return z * m + (1 - z) * n

    def inner(self, r, x, m):
        kernel, recurrent, bias, other = self.weights["n"]
        return x @ kernel + bias + r * (m @ recurrent + other)

    def step(self, x, state):
        m = state["m"]
        r, z = sigmoid(self.z("r", x, m)), sigmoid(self.z("z", x, m))
        n = np.tanh(self.inner(r, x, m))
        return {"r": r, "z": z, "n": n}, {"m": self.mix(z, m, n)}


def run_case(port: Port, case):
    """What a program hands over for a case, in JSON's shape."""
    zeros = np.zeros((len(case["x"]), 1))
    initial = {name: np.asarray(case["initial"].get(name, zeros)) for name in port.states}
    found = port.run(np.asarray(case["x"]), case["lengths"], initial)
    return {"name": case["name"], **found}
