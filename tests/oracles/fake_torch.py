"""A stand-in for torch: as much of it as `rnnscope.oracles.torch_layers` uses, in numpy loops.

Written here, so that the comparison is tested where torch is not installed; what torch itself
computes is tested where it is (test_torch_oracle.py).
"""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np

__version__ = "0 of the tests"
float16, float32, float64 = np.float16, np.float32, np.float64
cuda = SimpleNamespace(is_available=lambda: False)
backends = SimpleNamespace(mps=SimpleNamespace(is_available=lambda: False))
no_grad = nullcontext


class Tensor:
    def __init__(self, array):
        self.array = array

    def to(self, device):
        assert device == "cpu"
        return self

    def cpu(self):
        return self

    def numpy(self):
        return self.array

    def __getitem__(self, at):
        return Tensor(self.array[at])


def from_numpy(array):
    assert isinstance(array, np.ndarray)
    return Tensor(array)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


class Packed:
    def __init__(self, x, lengths):
        assert (lengths > 0).all()
        self.x, self.lengths = x, lengths


def pack_padded_sequence(tensor, lengths, *, batch_first, enforce_sorted):
    assert batch_first
    assert not enforce_sorted
    return Packed(tensor.array, lengths.array)


def pad_packed_sequence(packed, *, batch_first, total_length):
    assert batch_first
    assert packed.x.shape[1] == total_length
    return Tensor(packed.x), None


class Module:
    kind, gates = "", 0

    def __init__(
        self, features, units, *, bias, batch_first, bidirectional, dtype, device,
        proj_size=0, nonlinearity="tanh",
    ):  # fmt: skip
        assert bias
        assert not bidirectional
        assert device == "cpu"
        self.units, self.act = units, {"tanh": np.tanh, "relu": lambda z: np.maximum(z, 0)}
        self.act = self.act[nonlinearity]
        self.batch_first, self.bidirectional = batch_first, bidirectional
        rows = self.gates * units
        self.shapes = {
            "weight_ih_l0": (rows, features), "weight_hh_l0": (rows, proj_size or units),
            "bias_ih_l0": (rows,), "bias_hh_l0": (rows,),
        }  # fmt: skip
        if proj_size:
            self.shapes["weight_hr_l0"] = (proj_size, units)

    def named_parameters(self):
        return self.shapes.items()

    def load_state_dict(self, tensors):
        assert tensors.keys() == self.shapes.keys()
        for name, tensor in tensors.items():
            assert tensor.array.shape == self.shapes[name]
        self.p = {name: tensor.array for name, tensor in tensors.items()}

    def train(self, mode):
        assert not mode
        return self

    def __call__(self, given, start):
        packed = isinstance(given, Packed)
        x = given.x if packed else given.array
        lengths = given.lengths if packed else np.full(len(x), x.shape[1])
        first = start if isinstance(start, tuple) else (start,)
        state = [tensor.array[0] for tensor in first]
        outputs = np.zeros((*x.shape[:2], state[0].shape[1]), x.dtype)
        for t in range(x.shape[1]):
            valid = (t < lengths)[:, None]
            new = self.step(x[:, t], *state)
            state = [np.where(valid, now, old) for now, old in zip(new, state, strict=True)]
            outputs[:, t] = np.where(valid, state[0], 0)
        last = tuple(Tensor(one[None]) for one in state)
        last = last if len(last) == 2 else last[0]
        return (Packed(outputs, lengths) if packed else Tensor(outputs)), last


class LSTM(Module):
    gates = 4

    def step(self, x, m, c):
        p = self.p
        z = x @ p["weight_ih_l0"].T + m @ p["weight_hh_l0"].T + p["bias_ih_l0"] + p["bias_hh_l0"]
        i, f, g, o = np.split(z, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        m = sigmoid(o) * np.tanh(c)
        return (m @ p["weight_hr_l0"].T if "weight_hr_l0" in p else m), c


class GRU(Module):
    gates = 3

    def step(self, x, m):
        p = self.p
        ir, iz, i_n = np.split(x @ p["weight_ih_l0"].T + p["bias_ih_l0"], 3, axis=1)
        hr, hz, hn = np.split(m @ p["weight_hh_l0"].T + p["bias_hh_l0"], 3, axis=1)
        z = sigmoid(iz + hz)
        return ((1 - z) * np.tanh(i_n + sigmoid(ir + hr) * hn) + z * m,)


class RNN(Module):
    gates = 1

    def step(self, x, m):
        p = self.p
        z = x @ p["weight_ih_l0"].T + m @ p["weight_hh_l0"].T + p["bias_ih_l0"] + p["bias_hh_l0"]
        return (self.act(z),)


nn = SimpleNamespace(
    LSTM=LSTM, GRU=GRU, RNN=RNN,
    utils=SimpleNamespace(
        rnn=SimpleNamespace(
            pack_padded_sequence=pack_padded_sequence, pad_packed_sequence=pad_packed_sequence
        )
    ),
)  # fmt: skip
