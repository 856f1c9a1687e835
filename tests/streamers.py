"""Streamers as people write them, right and wrong: loops in plain numpy that share nothing with us.

An LSTM of torch's own layout in float64, one step after another; what a streamer does between two
chunks stands in its function. The faults are those of the threads that `STREAMING.md` names.
"""

from __future__ import annotations

import numpy as np

FEATURES, UNITS = 3, 5


def weights(seed, *, layers=1, bidirectional=False, units=UNITS):
    """Arrays under torch's names."""
    rng = np.random.default_rng(seed)
    found = {}
    for layer in range(layers):
        for ending in ("", "_reverse") if bidirectional else ("",):
            width = FEATURES if layer == 0 else units * (2 if bidirectional else 1)
            for name, shape in (("weight_ih", (4 * units, width)),
                                ("weight_hh", (4 * units, units)),
                                ("bias_ih", (4 * units,)), ("bias_hh", (4 * units,))):  # fmt: skip
                key = f"lstm.{name}_l{layer}{ending}"
                found[key] = rng.uniform(-0.7, 0.7, shape)
    return found


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


class LSTM:
    """One layer and direction; ``run(x, h, c)`` gives every h and the last two states."""

    def __init__(self, arrays, layer=0, ending=""):
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        self.w, self.u, *biases = (arrays[f"lstm.{name}_l{layer}{ending}"] for name in names)
        self.b = biases[0] + biases[1]
        self.units = self.u.shape[1]

    def zeros(self, x):
        return np.zeros((len(x), self.units)), np.zeros((len(x), self.units))

    def step(self, x, h, c):
        i, f, g, o = np.split(x @ self.w.T + h @ self.u.T + self.b, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c

    def run(self, x, h, c):
        every = [(h, c)]
        for t in range(x.shape[1]):
            every.append(self.step(x[:, t], *every[-1]))
        return np.stack([one[0] for one in every[1:]], axis=1), every[-1], every[-2]


def whole(cells, x):
    for cell in cells:
        x = cell.run(x, *cell.zeros(x))[0]
    return x


def pieces(x, chunk):
    for start in range(0, x.shape[1], chunk):
        yield x[:, start : start + chunk]


def streamed(cells, x, chunk, between):
    """Chunks through a stack; ``between(number, layer, after, before_last, zeros)`` -> (h, c)."""
    states = [cell.zeros(x) for cell in cells]
    out = []
    for number, piece in enumerate(pieces(x, chunk)):
        y, ends = piece, []
        for cell, state in zip(cells, states, strict=True):
            y, after, earlier = cell.run(y, *state)
            ends.append((after, earlier))
        out.append(y)
        states = [between(number, layer, *end, cells[layer].zeros(x))
                  for layer, end in enumerate(ends)]  # fmt: skip
    return np.concatenate(out, axis=1)


def carried(number, layer, after, earlier, zeros):
    return after


def never_carried(number, layer, after, earlier, zeros):
    return zeros  # read under another name than the model returns it: stays what it was


def reset_every(count):
    def between(number, layer, after, earlier, zeros):
        return zeros if (number + 1) % count == 0 else after

    return between


def c_is_lost(number, layer, after, earlier, zeros):
    return after[0], zeros[1]


def swapped(number, layer, after, earlier, zeros):
    return after[1], after[0]


def one_late(number, layer, after, earlier, zeros):
    return earlier


def first_of_batch(number, layer, after, earlier, zeros):
    return tuple(np.repeat(part[:1], len(part), axis=0) for part in after)


def top_alone_is_lost(number, layer, after, earlier, zeros):
    return zeros if layer == 1 else after


def reset_in_silence(silent):
    """A voice activity detector that forgets in quiet frames: no regular steps."""

    def between(number, layer, after, earlier, zeros):
        return zeros if number in silent else after

    return between


def overlapping(cells, x, chunk):
    """The last frame of a chunk is the context of the next, and steps its state again."""
    (cell,) = cells
    state, out = cell.zeros(x), []
    for start in range(0, x.shape[1], chunk):
        again = min(1, start)
        y, state, _ = cell.run(x[:, start - again : start + chunk], *state)
        out.append(y[:, again:])
    return np.concatenate(out, axis=1)


def filled_up(cells, x, chunk, size):
    """A model of a fixed size is fed smaller chunks, filled up with zeros that step the state."""
    (cell,) = cells
    state, out = cell.zeros(x), []
    for piece in pieces(x, chunk):
        full = np.zeros((len(x), size, x.shape[2]))
        full[:, : piece.shape[1]] = piece
        y, state, _ = cell.run(full, *state)
        out.append(y[:, : piece.shape[1]])
    return np.concatenate(out, axis=1)


def one_object_for_all(cells, x):
    """Streams one after another through one object, which nobody resets."""
    (cell,) = cells
    state, out = cell.zeros(x[:1]), []
    for row in range(len(x)):
        y, state, _ = cell.run(x[row : row + 1], *state)
        out.append(y)
    return np.concatenate(out)


def both_directions(forward, backward, x, chunk=None):
    """A bidirectional layer; in chunks its backward half begins anew in each."""
    state, out = forward.zeros(x), []
    for piece in pieces(x, chunk or x.shape[1]):
        ahead, state, _ = forward.run(piece, *state)
        behind, _, _ = backward.run(piece[:, ::-1], *backward.zeros(x))
        out.append(np.concatenate([ahead, behind[:, ::-1]], axis=2))
    return np.concatenate(out, axis=1)


def policy(cell, x, starts):
    """A recurrent policy: the state of a sequence is zero before each of its first steps."""
    h, c = cell.zeros(x)
    out = []
    for t in range(x.shape[1]):
        keep = 1.0 - starts[:, t, None]
        h, c = cell.step(x[:, t], h * keep, c * keep)
        out.append(h)
    return np.stack(out, axis=1)
