"""Make ``tests/data/openvino``: small IRs by OpenVINO itself, and the states it computes for them.

    python make_openvino.py FOLDER [old]

with OpenVINO 2026.4 and PyTorch 2.13; with ``old``, OpenVINO 2023.0 writes a few of them again,
into ``FOLDER/old``. The truth, ``truth.npz``: ``CASE:x``, what else is given as
``CASE:given:NAME``, and ``CASE:LAYER:m`` or ``:c``, every timestep. OpenVINO returns the last c
alone: that of every step comes from feeding the first steps, or the last ones to what reads
backwards.
"""

import sys
from pathlib import Path

import numpy as np

try:
    import openvino.runtime as ov
    from openvino.runtime import opset10 as ops
    from openvino.runtime import serialize
except ImportError:
    import openvino as ov
    from openvino import opset10 as ops
    from openvino import serialize

OLD = "old" in sys.argv[2:]
FOLDER = Path(sys.argv[1]) / ("old" if OLD else "")
RNG = np.random.default_rng(7)
TRUTH = {}
CORE = ov.Core()


def weights(*shape):
    return ops.constant((0.6 * RNG.normal(size=shape)).astype(np.float32))


def whole_time(x, axis=1):
    """As many steps as x has, for every sequence."""
    shape = ops.shape_of(x)
    size = [ops.gather(shape, ops.constant([at]), ops.constant(0)) for at in (0, axis)]
    return ops.broadcast(size[1], size[0])


def zeros(x, directions, units):
    batch = ops.gather(ops.shape_of(x), ops.constant([0]), ops.constant(0))
    shape = ops.concat([batch, ops.constant([directions, units])], 0)
    return ops.broadcast(ops.constant(np.float32(0)), shape)


def parameter(name, shape, dtype=np.float32):
    made = ops.parameter(shape, dtype, name=name)
    made.output(0).get_tensor().set_names({name})
    return made


def run(model, *given):
    """What a model returns, with float32 throughout."""
    compiled = CORE.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    made = compiled(list(given))
    return [np.array(made[output]) for output in compiled.outputs]


def save(name, model):
    serialize(model, str(FOLDER / f"{name}.xml"), str(FOLDER / f"{name}.bin"))


def keep(name, x, states, **given):
    TRUTH[f"{name}:x"] = x
    TRUTH.update({f"{name}:given:{key}": value for key, value in given.items()})
    TRUTH.update({f"{name}:{key}": value for key, value in states.items()})


def c_of_every_step(model, x, directions, place=2):
    """(sequence, direction, timestep, unit) of a model that returns the last c at `place`."""
    steps = x.shape[1]
    parts = []
    for direction in range(len(directions)):
        cut = [x[:, t:] if directions[direction] == "reverse" else x[:, : t + 1]
               for t in range(steps)]  # fmt: skip
        parts.append(np.stack([run(model, one)[place][:, direction] for one in cut], axis=1))
    return np.stack(parts, axis=1)


def lstm_bidirectional(name="lstm_bidirectional"):
    """Two directions, clipped; starts that are constants."""
    x = parameter("x", [-1, -1, 3])
    start = [ops.broadcast(weights(1, 2, 4), ops.concat(
        [ops.gather(ops.shape_of(x), ops.constant([0]), ops.constant(0)), ops.constant([2, 4])], 0))
        for _ in range(2)]  # fmt: skip
    cell = ops.lstm_sequence(
        x, *start, whole_time(x), weights(2, 16, 3), weights(2, 16, 4), weights(2, 16), 4,
        "bidirectional", clip=0.0 if OLD else 0.7, name="both",
    )  # fmt: skip
    model = ov.Model([ops.result(cell.output(n)) for n in range(3)], [x], name)
    save(name, model)
    given = RNG.normal(size=(2, 5, 3)).astype(np.float32)
    y, c = run(model, given)[0], c_of_every_step(model, given, ("forward", "reverse"))
    keep(name, given, {
        f"both/{word}:{state}": values[:, n]
        for n, word in enumerate(("forward", "backward")) for state, values in (("m", y), ("c", c))
    })  # fmt: skip


def lstm_lengths(name="lstm_lengths"):
    """Lengths that are an input, a reversed direction, another activation of c."""
    x, lengths = parameter("x", [-1, 6, 3]), parameter("lengths", [-1], np.int32)
    cell = ops.lstm_sequence(
        x, zeros(x, 1, 4), zeros(x, 1, 4), lengths, weights(1, 16, 3), weights(1, 16, 4),
        weights(1, 16), 4, "reverse", ["sigmoid", "tanh", "relu"], name="back",
    )  # fmt: skip
    model = ov.Model([ops.result(cell.output(n)) for n in range(3)], [x, lengths], name)
    save(name, model)
    given, steps = RNG.normal(size=(3, 6, 3)).astype(np.float32), np.array([6, 4, 2], np.int32)
    y, m, c = run(model, given, steps)
    keep(name, given, {"back:outputs": y[:, 0], "back:final_m": m[:, 0], "back:final_c": c[:, 0]},
         lengths=steps)  # fmt: skip


def gru(after, name):
    x = parameter("x", [-1, -1, 3])
    blocks = 4 if after else 3
    cell = ops.gru_sequence(
        x, zeros(x, 1, 4), whole_time(x), weights(1, 12, 3), weights(1, 12, 4),
        weights(1, 4 * blocks), 4, "forward", ["sigmoid", "tanh"], linear_before_reset=after,
        name="gru",
    )  # fmt: skip
    model = ov.Model([ops.result(cell.output(n)) for n in range(2)], [x], name)
    save(name, model)
    given = RNG.normal(size=(2, 5, 3)).astype(np.float32)
    keep(name, given, {"gru:m": run(model, given)[0][:, 0]})


def rnn(name="rnn_relu"):
    x = parameter("x", [-1, -1, 3])
    cell = ops.rnn_sequence(
        x, zeros(x, 1, 4), whole_time(x), weights(1, 4, 3), weights(1, 4, 4), weights(1, 4), 4,
        "reverse", ["relu"], name="rnn",
    )  # fmt: skip
    model = ov.Model([ops.result(cell.output(n)) for n in range(2)], [x], name)
    save(name, model)
    given = RNG.normal(size=(2, 5, 3)).astype(np.float32)
    keep(name, given, {"rnn:m": run(model, given)[0][:, 0]})


def iterator(name, backward, more):
    """A TensorIterator over an LSTMCell; with `more`, its body holds more than the cell."""
    x = parameter("x", [-1, -1, 4])
    h0, c0 = zeros(x, 1, 4), zeros(x, 1, 4)
    start = [ops.squeeze(one, ops.constant([1])) for one in (h0, c0)]
    step, h, c = (parameter(key, shape) for key, shape in
                  (("step", [-1, 1, 4]), ("h", [-1, 4]), ("c", [-1, 4])))  # fmt: skip
    now = ops.squeeze(step, ops.constant([1]))
    if more:
        now = ops.multiply(now, ops.sigmoid(h))
    cell = ops.lstm_cell(now, h, c, weights(16, 4), weights(16, 4), weights(16), 4)
    out = ops.unsqueeze(cell.output(0), ops.constant([1]))
    results = [ops.result(one) for one in (out, cell.output(0), cell.output(1))]
    loop = ops.tensor_iterator()
    loop.set_friendly_name("loop")
    loop.set_body(ov.Model(results, [step, h, c], "body"))
    ends = (-1, -1, 1, 0, 1) if backward else (0, 1, 1, -1, 1)
    loop.set_sliced_input(step, x.output(0), *ends)
    loop.set_merged_input(h, start[0].output(0), results[1].output(0))
    loop.set_merged_input(c, start[1].output(0), results[2].output(0))
    made = [
        loop.get_concatenated_slices(results[0].output(0), *ends),
        loop.get_iter_value(results[1].output(0), -1),
        loop.get_iter_value(results[2].output(0), -1),
    ]
    model = ov.Model([ops.result(one) for one in made], [x], name)
    save(name, model)
    given = RNG.normal(size=(2, 5, 4)).astype(np.float32)
    y = run(model, given)[0]
    cut = [given[:, t:] if backward else given[:, : t + 1] for t in range(5)]
    last = np.stack([run(model, one)[2] for one in cut], axis=1)
    keep(name, given, {"loop:m": y, "loop:c": last})


def converted():
    """What OpenVINO makes of a PyTorch module: an embedding, a convolution, two directions."""
    import torch

    torch.manual_seed(3)

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding(11, 4)
            self.conv = torch.nn.Conv1d(4, 5, 3, padding=1)
            self.rnn = torch.nn.LSTM(5, 3, num_layers=2, bidirectional=True, batch_first=True)
            self.head = torch.nn.Linear(6, 2)

        def forward(self, ids):
            seen = torch.relu(self.conv(self.embedding(ids).transpose(1, 2))).transpose(1, 2)
            y, _ = self.rnn(seen)
            return y, self.head(y)

    net = Net().eval()
    ids = torch.randint(0, 11, (2, 6))
    model = ov.convert_model(net, example_input=ids)
    model.inputs[0].get_node().set_friendly_name("ids")
    ov.save_model(model, str(FOLDER / "converted.xml"), compress_to_fp16=True)
    again = CORE.read_model(str(FOLDER / "converted.xml"))
    y, head = run(again, ids.numpy())
    TRUTH.update({"converted:x": ids.numpy(), "converted:top": y, "converted:head": head})


def keras_loops():
    """Keras' layers, which TensorFlow saves as loops that fill an array of all steps by rows."""
    import tempfile

    import tensorflow as tf

    tf.keras.utils.set_random_seed(2)
    plain = {"return_sequences": True}
    layers = {
        "keras_lstm": tf.keras.layers.LSTM(4, **plain),
        "keras_gru": tf.keras.layers.GRU(4, reset_after=False, **plain),
    }
    for name, layer in layers.items():
        net = tf.keras.Sequential([tf.keras.layers.Input((5, 3)), layer])
        with tempfile.TemporaryDirectory() as folder:
            net.export(folder, verbose=False)
            model = ov.convert_model(folder)
            ov.save_model(model, str(FOLDER / f"{name}.xml"), compress_to_fp16=False)
        again = CORE.read_model(str(FOLDER / f"{name}.xml"))
        given = RNG.normal(size=(2, 5, 3)).astype(np.float32)
        TRUTH.update({f"{name}:x": given, f"{name}:m": run(again, given)[0]})


lstm_bidirectional()
gru(True, "gru_after")
if not OLD:
    lstm_lengths()
    gru(False, "gru_before")
    rnn()
    converted()
    keras_loops()
iterator("iterator", True, False)
iterator("iterator_more", False, True)
np.savez_compressed(FOLDER / "truth.npz", **TRUTH)
