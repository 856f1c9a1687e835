"""Make ``tests/data/paddle``: what PaddlePaddle saves, and the states it computes.

    python make_paddle.py FOLDER

with PaddlePaddle 3.3, and with 2.6 into ``FOLDER/old``, where it also writes which fields its own
messages have (``schema.json``). The truth, ``truth.npz``: ``CASE:x``, ``CASE:n`` for lengths, and m
and c of every step, directions side by side; c by feeding the first steps, or the last ones.
"""

import sys
from pathlib import Path

import numpy as np
import paddle

FOLDER = Path(sys.argv[1])
TRUTH = {}
paddle.seed(4)


class Net(paddle.nn.Layer):
    """An embedding in front, a dense layer behind."""

    def __init__(self, kind, **options):
        super().__init__()
        self.emb = paddle.nn.Embedding(9, 3)
        self.rnn = getattr(paddle.nn, kind)(3, 4, **options)
        both = options.get("direction") == "bidirect"
        self.head = paddle.nn.Linear(8 if both else 4, 2)

    def forward(self, ids):
        y, _ = self.rnn(self.emb(ids))
        return self.head(y)


class Lengths(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        self.rnn = paddle.nn.LSTM(3, 4, direction="bidirect")

    def forward(self, x, n):
        y, (h, c) = self.rnn(x, sequence_length=n)
        return y, h, c


def states(rnn, x):
    """M of every step of the top level; of an LSTM of one level c too."""
    y = rnn(x)[0]
    found = {"m": y.numpy()}
    if isinstance(rnn, paddle.nn.LSTM) and rnn.num_layers == 1:
        steps, c = x.shape[1], []
        for direction in range(rnn.num_directions):
            cuts = [x[:, t:] if direction else x[:, : t + 1] for t in range(steps)]
            c.append(np.stack([rnn(cut)[1][1][direction].numpy() for cut in cuts], 1))
        found["c"] = np.concatenate(c, -1)
    return found


CASES = {
    "lstm": ("LSTM", {}),
    "both": ("LSTM", {"direction": "bidirect"}),
    "stack": ("LSTM", {"num_layers": 2, "direction": "bidirect"}),
    "gru": ("GRU", {}),
    "rnn": ("SimpleRNN", {"activation": "relu"}),
}
with paddle.no_grad():
    for name, (kind, options) in CASES.items():
        net = Net(kind, **options)
        net.eval()
        ids = np.random.default_rng(3).integers(0, 9, (2, 5))
        seen = net.emb(paddle.to_tensor(ids))
        TRUTH.update({f"{name}:x": seen.numpy(), f"{name}:ids": ids})
        TRUTH.update({f"{name}:{key}": value for key, value in states(net.rnn, seen).items()})
        paddle.save(net.state_dict(), str(FOLDER / f"{name}.pdparams"))
        spec = [paddle.static.InputSpec([None, None], "int64", "ids")]
        paddle.jit.save(net, str(FOLDER / name), input_spec=spec)

    net = Lengths()
    net.eval()
    x, n = np.random.default_rng(5).normal(size=(3, 6, 3)).astype("f4"), np.array([6, 4, 1])
    y, h, c = net(paddle.to_tensor(x), paddle.to_tensor(n))
    TRUTH.update({"lengths:x": x, "lengths:n": n, "lengths:m": y.numpy(), "lengths:h": h.numpy(),
                  "lengths:c": c.numpy()})  # fmt: skip
    spec = [paddle.static.InputSpec([None, None, 3], "float32", "x"),
            paddle.static.InputSpec([None], "int64", "n")]  # fmt: skip
    paddle.jit.save(net, str(FOLDER / "lengths"), input_spec=spec)

    if not paddle.__version__.startswith("2."):
        cell = paddle.nn.LSTMCell(3, 5, proj_size=2)
        x = np.random.default_rng(6).normal(size=(2, 4, 3)).astype("f4")
        m, c, state = [], [], (paddle.zeros([2, 2]), paddle.zeros([2, 5]))
        for step in range(4):
            out, state = cell(paddle.to_tensor(x[:, step]), state)
            m.append(out.numpy())
            c.append(state[1].numpy())
        TRUTH.update({"cell:x": x, "cell:m": np.stack(m, 1), "cell:c": np.stack(c, 1)})
        paddle.save(cell.state_dict(), str(FOLDER / "cell.pdparams"))

np.savez_compressed(FOLDER / "truth.npz", **TRUTH)


def schema():
    """The fields of the messages of programs before 3.0: number, whether repeated, type."""
    import json

    from paddle.base.proto import framework_pb2

    scalars = {2: "float", 3: "int64", 5: "int32", 8: "bool", 9: "string", 14: "int32"}
    known = {}

    def add(message):
        own = message.full_name.removeprefix("paddle.framework.proto.")
        known[own] = {}
        for field in message.fields:
            kind = scalars.get(field.type)
            if kind is None and field.message_type is not None:
                kind = field.message_type.full_name.removeprefix("paddle.framework.proto.")
            known[own][field.name] = [field.number, field.is_repeated, kind]
        for nested in message.nested_types:
            add(nested)

    for message in framework_pb2.DESCRIPTOR.message_types_by_name.values():
        add(message)
    (FOLDER / "schema.json").write_text(json.dumps(known, separators=(",", ":")))


if paddle.__version__.startswith("2."):
    schema()
    for name in [*CASES, "lengths"]:
        (FOLDER / f"{name}.pdiparams.info").unlink(missing_ok=True)
