"""Make ``tests/data/coreml``: small models by coremltools, and the states they stand for.

    python make_coreml.py FOLDER

with coremltools 9.0 and PyTorch 2.13. Core ML itself computes on Apple's machines alone. So what is
converted from PyTorch is held to PyTorch; what coremltools' builder makes, to the equations that
``NeuralNetwork.proto`` documents, written out below in float64.
"""

import sys
from pathlib import Path

import coremltools as ct
import numpy as np
import torch
from coremltools.converters.mil import Builder
from coremltools.models.neural_network import NeuralNetworkBuilder
from coremltools.models.neural_network.quantization_utils import quantize_weights

FOLDER = Path(sys.argv[1])
RNG = np.random.default_rng(11)
TRUTH = {}


class Net(torch.nn.Module):
    def __init__(self, kind, width, **options):
        super().__init__()
        self.rnn = getattr(torch.nn, kind)(width, 4, **options)

    def forward(self, x):
        return self.rnn(x)[0]


class Front(torch.nn.Module):
    """An embedding and a convolution in front, a dense layer behind."""

    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(11, 3)
        self.conv = torch.nn.Conv1d(3, 5, 3, padding=1)
        self.rnn = torch.nn.LSTM(5, 4, batch_first=True)
        self.head = torch.nn.Linear(4, 2)

    def forward(self, ids):
        x = torch.relu(self.conv(self.embedding(ids).transpose(1, 2))).transpose(1, 2)
        return self.head(self.rnn(x)[0])


def states_of(module, x):
    """M and c of every step, (sequence, timestep, direction·unit), by prefixes and suffixes."""
    y = module(x)[0]
    if not isinstance(module, torch.nn.LSTM):
        return {"m": y.numpy()}
    steps, directions = x.shape[1], 2 if module.bidirectional else 1
    c = []
    for direction in range(directions):
        cuts = [x[:, t:] if direction else x[:, : t + 1] for t in range(steps)]
        c.append(torch.stack([module(cut)[1][1][direction] for cut in cuts], 1))
    return {"m": y.numpy(), "c": torch.cat(c, -1).numpy()}


def convert(name, net, example, program, **options):
    traced = torch.jit.trace(net.eval(), example)
    dtype = np.int32 if example.dtype == torch.int64 else np.float32
    shape = (ct.RangeDim(1, 9), ct.RangeDim(1, 9), *example.shape[2:])
    if program:
        options = {"compute_precision": ct.precision.FLOAT32,
                   "minimum_deployment_target": ct.target.iOS15, **options}  # fmt: skip
    made = ct.convert(
        traced, convert_to="mlprogram" if program else "neuralnetwork",
        inputs=[ct.TensorType("x", shape=shape if program else example.shape, dtype=dtype)],
        **options,
    )  # fmt: skip
    made.save(str(FOLDER / f"{name}{'.mlpackage' if program else '.mlmodel'}"))


@torch.no_grad()
def converted():
    torch.manual_seed(5)
    x = torch.randn(2, 5, 3)
    for kind, name, options in (
        ("LSTM", "lstm", {}), ("LSTM", "both", {"bidirectional": True}), ("RNN", "rnn", {}),
    ):  # fmt: skip
        net = Net(kind, 3, batch_first=True, **options)
        for program in (True, False):
            convert(f"{name}_{'program' if program else 'network'}", net, x, program)
        TRUTH[f"{name}:x"] = x.numpy()
        for state, values in states_of(net.rnn, x).items():
            TRUTH[f"{name}:{state}"] = values
    net = Net("LSTM", 3, batch_first=True)
    halves = {"compute_precision": ct.precision.FLOAT16,
              "minimum_deployment_target": ct.target.iOS17}  # fmt: skip
    convert("half_program", net, x, True, **halves)
    net.half().float()  # its weights as they are stored
    TRUTH["half:x"] = x.numpy()
    TRUTH.update({f"half:{state}": values for state, values in states_of(net.rnn, x).items()})
    front = Front()
    ids = torch.randint(0, 11, (2, 5))
    for program in (True, False):
        convert(f"front_{'program' if program else 'network'}", front, ids, program)
    seen = torch.relu(front.conv(front.embedding(ids).transpose(1, 2))).transpose(1, 2)
    TRUTH["front:x"] = ids.numpy().astype(np.int32)
    TRUTH.update({f"front:{state}": values for state, values in states_of(front.rnn, seen).items()})


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


ACT = {
    "SIGMOID": sigmoid, "TANH": np.tanh, "RELU": lambda z: np.maximum(z, 0), "LINEAR": lambda z: z,
    "SIGMOID_HARD": lambda z: np.clip(0.2 * z + 0.5, 0, 1),
    "SCALED_TANH": lambda z: 1.7159 * np.tanh(2 / 3 * z),
}  # fmt: skip


def clip(z):
    return np.clip(z, -50, 50)


def lstm_by_the_book(x, w, rec, b, p, acts, limit, coupled):
    """The documented equations; x (timestep, sequence, input), in the order of processing."""
    f, g, h = (ACT[name] for name in acts)
    w, rec = ([one.astype(np.float64) for one in several] for several in (w, rec))
    y = c = np.zeros((x.shape[1], rec[0].shape[0]))
    m_of_all, c_of_all = [], []
    for step in x.astype(np.float64):
        z = [step @ own.T + y @ back.T + bias for own, back, bias in zip(w, rec, b, strict=True)]
        i = f(clip(z[0] + p[0] * c))
        forget = 1 - i if coupled else f(clip(z[1] + p[1] * c))
        c = np.clip(c * forget + i * g(clip(z[3])), -limit, limit)
        y = h(c) * f(clip(z[2] + p[2] * c))
        m_of_all.append(y)
        c_of_all.append(c)
    return np.stack(m_of_all, 1), np.stack(c_of_all, 1)


def gru_by_the_book(x, w, rec, b, acts):
    f, g = (ACT[name] for name in acts)
    y, made = np.zeros((x.shape[1], rec[0].shape[0])), []
    for step in x.astype(np.float64):
        z, r = (f(clip(step @ w[n].T + y @ rec[n].T + b[n])) for n in (0, 1))
        o = g(clip(step @ w[2].T + (y * r) @ rec[2].T + b[2]))
        y = (1 - z) * o + z * y
        made.append(y)
    return np.stack(made, 1)


def arrays(count, *shape):
    return [(0.7 * RNG.normal(size=shape)).astype(np.float32) for _ in range(count)]


def builder(outputs):
    features = [("x", ct.models.datatypes.Array(3))]
    made = [(name, ct.models.datatypes.Array(4)) for name in outputs]
    return NeuralNetworkBuilder(features, made)


def built():
    """Networks of the first versions: five axes, declared by their channels."""
    x = RNG.normal(size=(5, 2, 3)).astype(np.float32)
    w, rec, b, p = arrays(4, 4, 3), arrays(4, 4, 4), arrays(4, 4), arrays(3, 4)
    acts = ("SIGMOID_HARD", "SCALED_TANH", "TANH")
    for name, coupled, reverse in (("peepholes", False, False), ("coupled", True, True)):
        net = builder(["y"])
        net.add_unilstm(
            "cell", rec, w, b, 4, 3, ["x"], ["y"], *acts, peep=p, output_all=True, forget_bias=True,
            coupled_input_forget_gate=coupled, cell_clip_threshold=0.3, reverse_input=reverse,
        )  # fmt: skip
        ct.models.utils.save_spec(net.spec, str(FOLDER / f"{name}.mlmodel"))
        biases = [b[0], b[1] + 1, b[2], b[3]]
        seen = x[::-1] if reverse else x
        m, c = lstm_by_the_book(seen, w, rec, biases, p, acts, 0.3, coupled)
        turned = slice(None, None, -1 if reverse else 1)
        TRUTH.update({f"{name}:x": x, f"{name}:m": m[:, turned], f"{name}:c": c[:, turned]})
    w, rec, b = arrays(3, 4, 3), arrays(3, 4, 4), arrays(3, 4)
    net = builder(["y"])
    net.add_gru("cell", rec, w, b, 4, 3, ["x"], ["y"], output_all=True)
    ct.models.utils.save_spec(net.spec, str(FOLDER / "gru.mlmodel"))
    TRUTH.update({"gru:x": x, "gru:m": gru_by_the_book(x, w, rec, b, ("SIGMOID_HARD", "TANH"))})

    acts = ("SIGMOID", "TANH", "TANH")
    w, rec = arrays(4, 4, 3), arrays(4, 4, 4)
    zeros = [np.zeros(4, np.float32)] * 4
    net = builder(["y"])
    net.add_unilstm("cell", rec, w, None, 4, 3, ["x"], ["y"], *acts, output_all=True)
    model = quantize_weights(ct.models.MLModel(net.spec, skip_model_load=True), 5, "linear")
    spec = model.get_spec() if hasattr(model, "get_spec") else model
    ct.models.utils.save_spec(spec, str(FOLDER / "quantised.mlmodel"))
    weights = spec.neuralNetwork.layers[0].uniDirectionalLSTM.weightParams
    order = ("inputGate", "forgetGate", "outputGate", "blockInput")
    w, rec = (
        [widened(getattr(weights, f"{gate}{role}Matrix"), shape) for gate in order]
        for role, shape in (("Weight", (4, 3)), ("Recursion", (4, 4)))
    )
    m, c = lstm_by_the_book(x, w, rec, zeros, zeros, acts, 5e4, False)
    TRUTH.update({"quantised:x": x, "quantised:m": m, "quantised:c": c})


def widened(params, shape):
    """What coremltools itself makes of quantised weights."""
    from coremltools.models.neural_network.quantization_utils import _dequantize_wp

    if not params.rawValue:
        return np.asarray(params.floatValue, np.float32).reshape(shape)
    _dequantize_wp(params_copy := type(params).FromString(params.SerializeToString()), shape)
    return np.asarray(params_copy.floatValue, np.float32).reshape(shape)


def gru_program():
    """The operation gru of a program, backwards: its outputs come in the order of processing."""
    w, rec, b = arrays(3, 4, 3), arrays(3, 4, 4), arrays(3, 4)
    r, o, z = 1, 2, 0

    @Builder.program(input_specs=[Builder.TensorSpec((5, 2, 3))], opset_version=ct.target.iOS15)
    def program(x):
        return Builder.gru(
            x=x, initial_h=np.zeros((2, 4), np.float32),
            weight_ih=np.concatenate([w[r], w[o], w[z]]),
            weight_hh=np.concatenate([rec[r], rec[o], rec[z]]),
            bias=np.concatenate([b[r], b[o], b[z]]), direction="reverse", output_sequence=True,
            name="cell",
        )  # fmt: skip

    made = ct.convert(
        program, convert_to="mlprogram", compute_precision=ct.precision.FLOAT32,
        minimum_deployment_target=ct.target.iOS15,
    )  # fmt: skip
    made.save(str(FOLDER / "gru_program.mlpackage"))
    x = RNG.normal(size=(5, 2, 3)).astype(np.float32)
    m = gru_by_the_book(x[::-1], w, rec, b, ("SIGMOID", "TANH"))
    TRUTH.update({"gru_program:x": x, "gru_program:m": m[:, ::-1]})


converted()
built()
gru_program()
np.savez_compressed(FOLDER / "truth.npz", **TRUTH)


def schema():
    """Coremltools' own fields, by message: number, whether repeated, type."""
    import json

    from coremltools.proto import FeatureTypes_pb2, MIL_pb2, Model_pb2, NeuralNetwork_pb2

    scalars = {1: "double", 2: "float", 3: "int64", 4: "uint64", 5: "int32", 8: "bool",
               9: "string", 12: "bytes", 13: "uint32", 14: "int32"}  # fmt: skip
    known = {"Nothing": {}}

    def short(name):
        return name.removeprefix("CoreML.Specification.").removeprefix("MILSpec.")

    def add(message):
        fields = {}
        for field in message.fields:
            kind = scalars.get(field.type)
            if kind is None:
                target = field.message_type
                if target.GetOptions().map_entry:
                    value = target.fields_by_name["value"]
                    kind = scalars.get(value.type) or short(value.message_type.full_name)
                else:
                    kind = short(target.full_name)
            fields[field.name] = [field.number, field.is_repeated, kind]
        known[short(message.full_name)] = fields
        for nested in message.nested_types:
            add(nested)

    for module in (Model_pb2, FeatureTypes_pb2, MIL_pb2, NeuralNetwork_pb2):
        for message in module.DESCRIPTOR.message_types_by_name.values():
            add(message)
    from rnnscope.checkpoints.coreml.proto import SCHEMA

    ours = {line for line in SCHEMA.splitlines() if line and not line.startswith(" ")}
    read = {name: fields for name, fields in known.items() if name in ours}
    (FOLDER / "schema.json").write_text(json.dumps(read, separators=(",", ":")))


schema()
