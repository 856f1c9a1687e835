"""TensorFlow Lite files made with TensorFlow's schema, and what its interpreter makes."""

import numpy as np

LSTM_INPUTS = {
    **{f"kernel_{gate}": 1 + n for n, gate in enumerate("ifgo")},
    **{f"recurrent_{gate}": 5 + n for n, gate in enumerate("ifgo")},
    "peephole_i": 9, "peephole_f": 10, "peephole_o": 11,
    **{f"bias_{gate}": 12 + n for n, gate in enumerate("ifgo")},
    "projection": 16, "projection_bias": 17, "state_m": 18, "state_c": 19,
    **{f"norm_{gate}": 20 + n for n, gate in enumerate("ifgo")},
}  # fmt: skip
"""The inputs of UNIDIRECTIONAL_SEQUENCE_LSTM by role."""

STATES = ("state_m", "state_c")


class LiteFile:
    """Collects the tensors and operators of one subgraph."""

    def __init__(self):
        from tensorflow.lite.python import schema_py_generated as schema

        self.schema = schema
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.description = "made for a test"
        self.model.buffers = [schema.BufferT()]
        self.model.operatorCodes = []
        self.model.subgraphs = []
        self.begin("main")

    def begin(self, name):
        """Another subgraph; what follows is part of it."""
        self.graph = self.schema.SubGraphT()
        self.graph.name, self.graph.tensors, self.graph.operators = name, [], []
        self.model.subgraphs.append(self.graph)

    def end(self, inputs, outputs):
        """Say what goes into the subgraph and comes out."""
        self.graph.inputs, self.graph.outputs = inputs, outputs

    def tensor(self, name, shape, values=None, *, kind="FLOAT32", variable=False, scale=None,
               zero=0, open_batch=False):  # fmt: skip
        one = self.schema.TensorT()
        one.name, one.shape = name, list(shape)
        one.type = getattr(self.schema.TensorType, kind)
        one.isVariable = variable
        one.buffer = 0
        if open_batch:
            one.shapeSignature = [-1, *shape[1:]]
        if values is not None:
            buffer = self.schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
            one.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        if scale is not None:
            one.quantization = self.schema.QuantizationParametersT()
            one.quantization.scale, one.quantization.zeroPoint = [scale], [zero]
        self.graph.tensors.append(one)
        return len(self.graph.tensors) - 1

    def operator(self, op, inputs, outputs, options=None, **values):
        code = self.schema.OperatorCodeT()
        code.builtinCode = getattr(self.schema.BuiltinOperator, op)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = values.pop("version", 1)
        self.model.operatorCodes.append(code)
        one = self.schema.OperatorT()
        one.opcodeIndex = len(self.model.operatorCodes) - 1
        one.inputs, one.outputs = inputs, outputs
        if options:
            one.builtinOptionsType = getattr(self.schema.BuiltinOptions, options)
            one.builtinOptions = getattr(self.schema, f"{options}T")()
            for name, value in values.items():
                assert hasattr(one.builtinOptions, name)
                setattr(one.builtinOptions, name, value)
        self.graph.operators.append(one)

    def write(self, path, inputs=None, outputs=None):
        import flatbuffers

        if inputs is not None:
            self.end(inputs, outputs)
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), file_identifier=b"TFL3")
        path.write_bytes(bytes(builder.Output()))
        return path


def lstm_weights(rng, inputs, units, *, proj=None, peepholes=False, coupled=False, norm=False,
                 proj_bias=False):  # fmt: skip
    """Random weights by role."""
    out = proj or units
    gates = "fgo" if coupled else "ifgo"

    def draw(*shape):
        return rng.normal(scale=0.6, size=shape).astype(np.float32)

    found = {f"kernel_{gate}": draw(units, inputs) for gate in gates}
    found |= {f"recurrent_{gate}": draw(units, out) for gate in gates}
    found |= {f"bias_{gate}": draw(units) for gate in gates}
    if peepholes:
        found |= {f"peephole_{gate}": draw(units) for gate in gates if gate != "g"}
    if norm:
        found |= {f"norm_{gate}": draw(units) for gate in gates}
    if proj:
        found["projection"] = draw(proj, units)
    if proj_bias:
        found["projection_bias"] = draw(out)
    return found


def eight_bits(weights):
    """Matrices and peepholes as 8-bit numbers: (numbers, scale) by role; the rest as it is."""
    found = {}
    for role, array in weights.items():
        if role.startswith(("kernel", "recurrent", "peephole")) or role == "projection":
            scale = float(np.float32(np.abs(array).max() / 127))
            found[role] = (np.rint(array / scale).astype(np.int8), scale)
        else:
            found[role] = array
    return found


def add_weights(file, weights, prefix=""):
    """The tensors of weights, by role."""
    places = {}
    for role, array in weights.items():
        if isinstance(array, tuple):
            numbers, scale = array
            places[role] = file.tensor(prefix + role, numbers.shape, numbers, kind="INT8",
                                       scale=scale)  # fmt: skip
        else:
            places[role] = file.tensor(prefix + role, array.shape, array)
    return places


def states(file, batch, units, out, prefix=""):
    """The two variables."""
    return {
        "state_m": file.tensor(f"{prefix}m", (batch, out), variable=True),
        "state_c": file.tensor(f"{prefix}c", (batch, units), variable=True),
    }


def interpreted(path, x, wanted):
    """What the interpreter makes of each sequence: the results, and variables by number.

    Parameters
    ----------
    path : Path
    x : ndarray (sequence, …)
    wanted : list of int
        Numbers of tensors.
    """
    import tensorflow as tf

    kind = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = tf.lite.Interpreter(
        str(path), experimental_preserve_all_tensors=True, experimental_op_resolver_type=kind
    )
    interpreter.allocate_tensors()
    (taken,) = interpreter.get_input_details()
    made = {number: [] for number in wanted}
    for row in x:
        interpreter.reset_all_variables()
        interpreter.set_tensor(taken["index"], row[None].astype(taken["dtype"]))
        interpreter.invoke()
        for number in wanted:
            made[number].append(interpreter.get_tensor(number)[0])
    return {number: np.stack(rows) for number, rows in made.items()}
