"""Makes tests/data/torch_kinds: what people save of PyTorch modules that are not quite stock.

    python -m pip install torch && python tests/data/make_torch_kinds.py
    python -m pip install torch==1.0.1 && python tests/data/make_torch_kinds.py old_

Every case is a file and an entry of ``cases.json``: the nodes that PyTorch's own outputs are known
of, or what its refusal has to name. ``truth.npz`` holds ``x``, the input of all, and ``CASE:NODE``.
With ``old_`` the cases that PyTorch 1.0 has as well are written once more, in its formats.
"""

from __future__ import annotations

import argparse
import collections
import datetime as dt
import enum
import functools
import json
import pathlib
import pickle
import sys
import warnings

import numpy as np
import torch
from torch import nn

HERE = pathlib.Path(__file__).parent / "torch_kinds"
PREFIX = sys.argv[1] if len(sys.argv) > 1 else ""
IS_OLD = torch.__version__.startswith("1.")
warnings.filterwarnings("ignore")
torch.manual_seed(7)

X = torch.randn(2, 4, 2)
CASES: dict = {}
TRUTH: dict = {}


class Net(nn.Module):
    """A recurrent module and a head."""

    def __init__(self, cell=nn.LSTM, **options) -> None:
        super(Net, self).__init__()  # noqa: UP008 - PyTorch 1.0 keeps this source in its files
        self.lstm = cell(2, 3, batch_first=True, **options)
        self.fc = nn.Linear(3, 1)

    def forward(self, x, start=None):
        """All outputs of the recurrent module."""
        return self.lstm(x, start)[0]


class Holder(nn.Module):
    """Modules by name, and no forward pass of its own."""

    def __init__(self, **modules) -> None:
        super(Holder, self).__init__()  # noqa: UP008
        for name, module in modules.items():
            setattr(self, name, module)


class WeightDropout(nn.Module):
    """As fastai 1 has it: the raw weight counts, the module's own is a dropped copy."""

    def __init__(self, module) -> None:
        super(WeightDropout, self).__init__()  # noqa: UP008
        self.module = module
        raw = nn.Parameter(module.weight_hh_l0.data.clone())
        self.register_parameter("weight_hh_l0_raw", raw)


class NormedCell(nn.LSTMCell):
    """github.com/pytorch/pytorch/issues/11335: layer norms inside the cell."""

    def __init__(self, *sizes) -> None:
        super(NormedCell, self).__init__(*sizes)  # noqa: UP008
        self.ln_ih, self.ln_hh = nn.LayerNorm(12), nn.LayerNorm(12)


class GatedCell(nn.Module):
    """A cell with another number of gates: ON-LSTM, mLSTM, highway."""

    def __init__(self, inputs, gates) -> None:
        super(GatedCell, self).__init__()  # noqa: UP008
        self.weight_ih = nn.Parameter(torch.randn(gates * 3, inputs))
        self.weight_hh = nn.Parameter(torch.randn(gates * 3, 3))
        self.bias_ih = nn.Parameter(torch.randn(gates * 3))
        self.bias_hh = nn.Parameter(torch.randn(gates * 3))


class OwnLSTM(nn.LSTM):
    """Of somebody's own, whose forward pass may be anything."""


class Colour(enum.Enum):
    """A choice in a configuration."""

    RED = 1


class Meter(object):  # noqa: UP004
    """An object beside the weights, which holds a tensor itself."""

    def __init__(self) -> None:
        self.values = torch.ones(2)


OLD_CASES = ("weight_norm_0", "spectral_norm", "weight_dropout", "start_h0", "training_2", "whole",
             "whole_relu", "whole_own")  # fmt: skip
"""What is worth keeping as PyTorch 1.0 wrote it."""


def save(name, value, right=None, refused=None, dump=torch.save, ending="pt", **options) -> None:
    """One case: `right` are the true outputs by node, `refused` is what has to be named."""
    if PREFIX and name not in OLD_CASES:
        return
    name = PREFIX + name
    dump(value, str(HERE / "{}.{}".format(name, ending)), **options)  # noqa: UP032
    CASES[name] = {
        "file": "{}.{}".format(name, ending),  # noqa: UP032
        "right": sorted(right or {}),
        "refused": refused,
    }
    for node, outputs in (right or {}).items():
        TRUTH["{}:{}".format(name, node)] = outputs.detach().numpy()  # noqa: UP032


def outputs(model, start=None):
    """What a model returns in evaluation."""
    with torch.no_grad():
        return model.eval()(X, start)


def computed_weights() -> None:
    """Weights that are stored in parts."""
    for dim in (0, 1, None):
        model = Net()
        nn.utils.weight_norm(model.lstm, "weight_hh_l0", dim=dim)
        model.lstm.weight_hh_l0_g.data.mul_(1.5)
        label = "weight_norm_{}".format(dim)  # noqa: UP032
        save(label, model.state_dict(), {"lstm/l0": outputs(model)})
    model = Net(cell=nn.RNN)
    nn.utils.spectral_norm(model.lstm, "weight_hh_l0", dim=1)
    model.train()
    for _ in range(30):
        model(X)
    save("spectral_norm", model.state_dict(), {"lstm/l0": outputs(model)})
    dropped = WeightDropout(nn.LSTM(2, 3, batch_first=True))
    y = dropped.module(X)[0]
    kept = collections.OrderedDict(Holder(rnn=dropped).state_dict())
    kept["rnn.module.weight_hh_l0"] = kept["rnn.module.weight_hh_l0"] * 2
    save("weight_dropout", kept, {"rnn.module/l0": y})
    if IS_OLD:
        return
    from torch.nn.utils import parametrizations, prune

    model = Net()
    prune.random_unstructured(model.lstm, "weight_hh_l0", 0.5)
    save("pruned", model.state_dict(), {"lstm/l0": outputs(model)})
    model = Net()
    parametrizations.weight_norm(model.lstm, "weight_ih_l0", dim=1)
    model.lstm.parametrizations.weight_ih_l0.original0.data.mul_(1.5)
    save("weight_norm_new", model.state_dict(), {"lstm/l0": outputs(model)})
    model = Net()
    parametrizations.spectral_norm(model.lstm, "weight_hh_l0")
    save("spectral_norm_new", model.state_dict(), {"lstm/l0": outputs(model)})
    model = Net()
    parametrizations.orthogonal(model.lstm, "weight_hh_l0")
    save("orthogonal", model.state_dict(), refused="weight_hh_l0.original")


def initial_states() -> None:
    """Learned initial states, by the names that people give them."""
    h, c = torch.randn(1, 1, 3), torch.randn(1, 1, 3)
    pair = (h.expand(1, 2, 3).contiguous(), c.expand(1, 2, 3).contiguous())
    for label, m_name, c_name in (
        ("h0", "h0", "c0"),
        ("inside", "lstm.h_0", "lstm.c_0"),
        ("init", "init_hidden", "init_cell"),
    ):
        model = Net()
        kept = {**model.state_dict(), m_name: h, c_name: c}
        save("start_" + label, kept, {"lstm/l0": outputs(model, pair)})
    model = Net(num_layers=2)
    h2, c2 = torch.randn(2, 1, 3), torch.randn(2, 1, 3)
    kept = {**model.state_dict(), "h0": h2[:, 0], "c0": c2[:, 0]}
    both = (h2.expand(2, 2, 3).contiguous(), c2.expand(2, 2, 3).contiguous())
    save("start_stack", kept, {"lstm/l1": outputs(model, both)})
    model = Net(cell=nn.GRU)
    kept = {**model.state_dict(), "initial_state": h[0, 0]}
    save("start_gru", kept, {"lstm/l0": outputs(model, pair[0])})
    for label, extra in (
        ("only_h", {"h0": h}),
        ("narrow", {"h0": h[..., :2], "c0": c[..., :2]}),
        ("batch", {"h0": pair[0], "c0": pair[1]}),
        ("kept", {"hidden": h}),
        ("made", {"init_h.weight": torch.randn(3, 5), "init_h.bias": torch.randn(3)}),
        ("nameless", {"theta": h}),
    ):
        save("start_" + label, {**Net().state_dict(), **extra}, refused=next(iter(extra)))


def misfits() -> None:
    """Modules that look like torch's own."""
    good = nn.LSTM(2, 3, batch_first=True)
    save("normed_cell", Holder(cell=NormedCell(2, 3)).state_dict(), refused="cell.ln_ih.weight")
    save("five_gates", Holder(cell=GatedCell(2, 5)).state_dict(), refused="cell.weight_hh")
    beside = Holder(encoder=good, middle=GatedCell(3, 5), top=nn.LSTM(3, 2))
    save("five_gates_between", beside.state_dict(), {"encoder/l0": good(X)[0]}, "middle.weight_hh")
    one = Net().state_dict()
    del one["lstm.bias_hh_l0"]
    save("one_bias", one, refused="lstm.bias_hh_l0")
    save("peephole", {**Net().state_dict(), "lstm.w_ci": torch.ones(3)}, refused="lstm.w_ci")


def checkpoints() -> None:
    """State dicts among anything else, and whole modules."""
    model = Net()
    y = outputs(model)
    optimizer = torch.optim.Adam(model.parameters())
    beside = {
        "args": argparse.Namespace(lr=0.1, layers=[1, 2]),
        "array": np.arange(6.0).reshape(2, 3),
        "number": np.float64(2.5),
        "objects": np.array([{"a": 1}, None], object),
        "random": np.random.get_state(),  # noqa: NPY002 - as people keep it
        "path": pathlib.PurePosixPath("runs/1"),
        "size": torch.Size([1, 2]),
        "device": torch.device("cpu"),
        "dtype": torch.float32,
        "default": collections.defaultdict(list, {"a": [1]}),
        "counter": collections.Counter("aab"),
        "colour": Colour.RED,
        "day": dt.date(2020, 1, 1),
        "partial": functools.partial(print, 3),
        "meter": Meter(),
        "set": {1, 2},
        "frozen": frozenset([1]),
        "bytes": bytearray(b"abc"),
        "complex": 1 + 2j,
        "class": nn.LSTM,
        "optimizer": optimizer.state_dict(),
    }
    for protocol in range(2, 4 if IS_OLD else 6):
        saved = {"epoch": 3, "state_dict": model.state_dict(), **beside}
        label = "training_{}".format(protocol)  # noqa: UP032
        save(label, saved, {"lstm/l0": y}, pickle_protocol=protocol)
    save("whole", model, {"lstm/l0": y})
    both = Net(num_layers=2, bidirectional=True)
    save("whole_both", {"model": both}, {"lstm/l1": outputs(both)})
    relu = Net(cell=nn.RNN, nonlinearity="relu")
    save("whole_relu", relu, {"lstm/l0": outputs(relu)})
    save("whole_own", Holder(rnn=OwnLSTM(2, 3)), refused="OwnLSTM")
    if IS_OLD:
        return
    hooked = Net()
    hooked.lstm.register_forward_hook(print)
    save("whole_hook", hooked, refused="print")
    arrays = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    for label, value in (("arrays", arrays), ("tensors", model.state_dict())):
        save("pickle_" + label, value, {"lstm/l0": y}, dump=dump_pickle, ending="pkl")


class Tagger(nn.Module):
    """Starts from tensors that are none of its parameters."""

    def __init__(self, h, c) -> None:
        super(Tagger, self).__init__()  # noqa: UP008
        self.lstm = nn.LSTM(2, 3, batch_first=True)
        self.start = lambda: (h, c)  # so that they are no attributes, which are stored by name

    def forward(self, x):
        """All outputs of the recurrent module."""
        return self.lstm(x, self.start())[0]


def beside_the_state_dict() -> None:
    """What lies in the dict around it, or in the code of a traced model."""
    if IS_OLD:
        return
    h, c = torch.randn(1, 1, 3), torch.randn(1, 1, 3)
    pair = (h.expand(1, 2, 3).contiguous(), c.expand(1, 2, 3).contiguous())
    model = Net()
    kept = {"model": model.state_dict(), "h0": h, "c0": c}
    save("start_beside", kept, {"lstm/l0": outputs(model, pair)})
    kept = {"model": model.state_dict(), "h0": pair[0], "c0": pair[1]}
    save("start_beside_batch", kept, refused="h0")
    kept = {"model": model.state_dict(), "hidden": pair[0]}  # the last one of the training
    save("state_beside", kept, {"lstm/l0": outputs(model)})
    for label, start, right, refused in (
        ("start_traced", pair, False, "constants/0"),
        ("start_traced_zero", (torch.zeros(1, 2, 3), torch.zeros(1, 2, 3)), True, None),
    ):
        tagger = Tagger(*start).eval()
        traced = torch.jit.trace(tagger, X)
        known = {"lstm/l0": tagger(X)} if right else None
        save(label, traced, known, refused, dump=torch.jit.save)
    kept = {**model.state_dict(), "lstm.w_ci": torch.ones(3)}
    save("same_name_beside", {"model": kept, "lstm.w_ci": torch.ones(3)}, refused="lstm.w_ci")
    negative = model.state_dict()
    weight = negative["lstm.weight_hh_l0"]
    negative["lstm.weight_hh_l0"] = torch._neg_view(weight)
    save("negative_bit", negative, refused="lstm.weight_hh_l0")


def dump_pickle(value, path) -> None:
    """Python's own pickle."""
    with open(path, "wb") as file:  # noqa: PTH123
        pickle.dump(value, file, 4)


def main() -> None:
    """Write everything."""
    HERE.mkdir(exist_ok=True)
    if IS_OLD:  # it keeps the source of modules beside them, and where it lay
        torch.serialization.inspect = argparse.Namespace(
            getsourcelines=lambda one: (["class {}: ...".format(one.__name__)], 1),  # noqa: UP032
            getsourcefile=lambda one: "source.py",
        )
    computed_weights()
    initial_states()
    misfits()
    checkpoints()
    beside_the_state_dict()
    (HERE / (PREFIX + "cases.json")).write_text(json.dumps(CASES, indent=1, sort_keys=True) + "\n")
    np.savez(str(HERE / (PREFIX + "truth.npz")), x=X.numpy(), **TRUTH)


if __name__ == "__main__":
    sys.exit(main())
