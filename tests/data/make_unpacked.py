"""What PyTorch and tools on it pack their weights into, with the states that PyTorch computed.

    python make_unpacked.py OUT PREFIX

Run with PyTorch 2.13, stable-baselines3 2.9 and sb3-contrib 2.9 (Python 3.12), prefix ``new``, and
with PyTorch 2.5.1 (Python 3.11), prefix ``old``; on the CPU. ``PREFIX_truth.npz`` holds ``x``, what
the two-layer, two-way ``lstm`` of most files returns (``y``), and for each cell that is written out
below ``NAME:c`` and ``NAME:m``, (sequence, timestep, unit), as its own code computes them.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
import tarfile
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.distributed import checkpoint as dcp

OUT, PREFIX = Path(sys.argv[1]), sys.argv[2]
OUT.mkdir(exist_ok=True)
torch.manual_seed(5)
WIDTH, UNITS = 5, 6
X = torch.randn(3, 7, WIDTH)
TRUTH = {"x": X.numpy()}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(WIDTH, UNITS, num_layers=2, bidirectional=True, batch_first=True)
        self.fc = nn.Linear(2 * UNITS, 3)

    def forward(self, x):
        return self.fc(self.lstm(x)[0])


class JointCell(nn.Module):
    """One Linear for x and one for h, in the order i f g o."""

    def __init__(self):
        super().__init__()
        self.x2h, self.h2h = nn.Linear(WIDTH, 4 * UNITS), nn.Linear(UNITS, 4 * UNITS)

    def forward(self, x, state):
        h, c = state
        i, f, g, o = (self.x2h(x) + self.h2h(h)).chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


class HydrologyCell(nn.Module):
    """The parameters of neuralhydrology's CustomLSTM."""

    def __init__(self):
        super().__init__()
        for name, shape in {"w_ih": (4 * UNITS, WIDTH), "w_hh": (4 * UNITS, UNITS),
                            "b_ih": (4 * UNITS,), "b_hh": (4 * UNITS,)}.items():  # fmt: skip
            setattr(self, name, nn.Parameter(torch.randn(shape) * 0.4))

    def forward(self, x, state):
        h, c = state
        gates = torch.addmm(self.b_ih, x, self.w_ih.t()) + torch.addmm(self.b_hh, h, self.w_hh.t())
        i, f, g, o = gates.chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


class GatesCell(nn.Module):
    """A Linear a gate for x and one for h, by any names."""

    def __init__(self, of_x, of_h, words="ifgo"):
        super().__init__()
        self.names = [(of_x.format(word), of_h.format(word)) for word in words]
        for x_name, h_name in self.names:
            setattr(self, x_name, nn.Linear(WIDTH, UNITS))
            setattr(self, h_name, nn.Linear(UNITS, UNITS, bias=False))

    def forward(self, x, state):
        h, c = state
        i, f, g, o = (getattr(self, a)(x) + getattr(self, b)(h) for a, b in self.names)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


class RawGatesCell(nn.Module):
    """Bare parameters a gate, columns are units: x @ U + h @ V + b."""

    def __init__(self):
        super().__init__()
        for gate in "ifco":
            setattr(self, f"U_{gate}", nn.Parameter(torch.randn(WIDTH, UNITS) * 0.4))
            setattr(self, f"V_{gate}", nn.Parameter(torch.randn(UNITS, UNITS) * 0.4))
            setattr(self, f"b_{gate}", nn.Parameter(torch.randn(UNITS) * 0.4))

    def forward(self, x, state):
        h, c = state
        i, f, g, o = (
            x @ getattr(self, f"U_{gate}") + h @ getattr(self, f"V_{gate}")
            + getattr(self, f"b_{gate}") for gate in "ifco"
        )  # fmt: skip
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


class JoinedCell(nn.Module):
    """A Linear a gate for x and h side by side."""

    def __init__(self):
        super().__init__()
        for gate in ("input", "forget", "cell", "output"):
            setattr(self, f"{gate}_gate", nn.Linear(WIDTH + UNITS, UNITS))

    def forward(self, x, state):
        h, c = state
        both = torch.cat((x, h), 1)
        i, f, g, o = (getattr(self, f"{gate}_gate")(both)
                      for gate in ("input", "forget", "cell", "output"))  # fmt: skip
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


class StackedLSTM(nn.Module):
    """OpenNMT's decoder: an LSTMCell a layer."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.LSTMCell(WIDTH, WIDTH), nn.LSTMCell(WIDTH, WIDTH)])


def steps_of(cell, x, units=UNITS):
    state, made = (torch.zeros(3, units), torch.zeros(3, units)), []
    for step in range(x.shape[1]):
        state = cell(x[:, step], state)
        made.append(state)
    return [torch.stack([one[place] for one in made], 1) for place in (0, 1)]


def keep(name, cell):
    m, c = steps_of(cell, X)
    TRUTH[f"{name}:c"], TRUTH[f"{name}:m"] = c.numpy(), m.numpy()


def custom_cells():
    cells = {
        "joint": JointCell(), "hydrology": HydrologyCell(), "raw": RawGatesCell(),
        "joined": JoinedCell(), "wu": GatesCell("W_{}", "U_{}"),
        "wi_wh": GatesCell("W_i{}", "W_h{}"),
        "x_h": GatesCell("{}_gate_x", "{}_gate_h", ("input", "forget", "cell", "output")),
        "x2": GatesCell("x2{}", "h2{}"),
    }  # fmt: skip
    for name, cell in cells.items():
        keep(name, cell)
        model = nn.Module()
        model.cell, model.fc = cell, nn.Linear(UNITS, 2)
        torch.save(model.state_dict(), OUT / f"{PREFIX}_custom_{name}.pt")
    whole = nn.Sequential(cells["joint"], nn.Linear(UNITS, 2))
    torch.save(whole, OUT / f"{PREFIX}_whole_custom.pt")
    stack = nn.Module()
    stack.rnn = StackedLSTM()
    torch.save({"model": stack.state_dict(), "epoch": 3}, OUT / f"{PREFIX}_opennmt.pt")
    x = X
    for place, cell in enumerate(stack.rnn.layers):
        m, c = steps_of(cell, x, WIDTH)
        TRUTH[f"opennmt{place}:c"], TRUTH[f"opennmt{place}:m"] = c.numpy(), m.numpy()
        x = m


def archives(net):
    data = io.BytesIO()
    torch.save(net.state_dict(), data)
    for name, mode in ((f"{PREFIX}_model.nemo", "w"), (f"{PREFIX}_model.tar.gz", "w:gz")):
        with tarfile.open(OUT / name, mode) as archive:
            for member, content in {"./model_config.yaml": b"target: net\n",
                                    "./model_weights.ckpt": data.getvalue()}.items():  # fmt: skip
                info = tarfile.TarInfo(member)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))


def exported(net):
    torch.jit.save(torch.jit.freeze(torch.jit.script(net)), OUT / f"{PREFIX}_frozen.pt")
    traced = torch.jit.freeze(torch.jit.trace(net, X))
    torch.jit.save(traced, OUT / f"{PREFIX}_frozen_traced.pt")
    torch.export.save(torch.export.export(net, (X,)), OUT / f"{PREFIX}_net.pt2")
    shutil.rmtree(OUT / f"{PREFIX}_distributed", ignore_errors=True)
    state = {"model": net.state_dict(), "step": 3}
    dcp.save(state, checkpoint_id=str(OUT / f"{PREFIX}_distributed"))


def guitar():
    rec, lin = nn.LSTM(1, 8), nn.Linear(8, 1)
    x = torch.randn(3, 7, 1)
    TRUTH["guitar_x"], TRUTH["guitar_y"] = (
        x.numpy(),
        rec(x.transpose(0, 1))[0].transpose(0, 1).numpy(),
    )
    held = {f"rec.{name}": value.tolist() for name, value in rec.state_dict().items()}
    held |= {f"lin.{name}": value.tolist() for name, value in lin.state_dict().items()}
    data = {"model": "SimpleRNN", "input_size": 1, "skip": 1, "output_size": 1, "unit_type": "LSTM",
            "num_layers": 1, "hidden_size": 8, "bias_fl": True}  # fmt: skip
    (OUT / f"{PREFIX}_guitar.json").write_text(json.dumps({"model_data": data, "state_dict": held}))


def baselines():
    import gymnasium
    from sb3_contrib import RecurrentPPO

    class Still(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(-1, 1, (WIDTH,), np.float32)
        action_space = gymnasium.spaces.Discrete(2)

        def reset(self, *, seed=None, options=None):
            del seed, options
            return np.zeros(WIDTH, "f4"), {}

        def step(self, action):
            del action
            return np.zeros(WIDTH, "f4"), 0.0, True, False, {}

    kinds = {"lstm_hidden_size": UNITS, "net_arch": [4]}
    agent = RecurrentPPO("MlpLstmPolicy", Still(), policy_kwargs=kinds, n_steps=8, batch_size=8)
    agent.save(OUT / f"{PREFIX}_baselines.zip")
    TRUTH["baselines_actor"] = agent.policy.lstm_actor(X.transpose(0, 1))[0].transpose(0, 1).numpy()


with torch.no_grad():
    NET = Net().eval()
    TRUTH["y"] = NET.lstm(X)[0].numpy()
    exported(NET)
    if PREFIX == "new":
        custom_cells()
        archives(NET)
        guitar()
        baselines()
np.savez_compressed(OUT / f"{PREFIX}_truth.npz", **TRUTH)
