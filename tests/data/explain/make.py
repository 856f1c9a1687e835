"""Make the files of this folder: what old and new programs of others save and compute.

Every part runs where its program is installed, and leaves the others' files alone:

    python3.7 make.py tf1      # TensorFlow 1.15.5 and Keras 2.2.4 (h5py 2.10, protobuf 3.20)
    python    make.py keras3   # Keras 3 on TensorFlow 2.21, after tf1
    python    make.py ort      # onnx and ONNX Runtime, after tf1

`tests/explaining/real_cases.py` says which thread each file is for. The numbers called `reference`
are those of the program that its author held against the model, mistake and all.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

HERE = Path(__file__).resolve().parent


def at(name):
    return str(HERE / name)


def draw(seed, *shapes):
    """Arrays far from zero, so that no mistake in reading them can hide."""
    rng = np.random.RandomState(seed)
    return [rng.normal(scale=0.7, size=shape).astype(np.float32) for shape in shapes]


# TensorFlow 1.15 and Keras 2.2.4


def tf1():
    forget_bias_without_meta()
    fed_to_keras()
    stack_fed_to_keras()
    hard_sigmoid()
    masked()
    backward()


def saved(session, name, meta):
    """Save every variable of the session under a folder; without its graph, if so wished."""
    import tensorflow as tf

    (HERE / name).mkdir(exist_ok=True)
    tf.compat.v1.train.Saver().save(
        session, at(name + "/model.ckpt"), write_meta_graph=meta, write_state=False
    )


def assigned(session, seed):
    """Give every variable numbers of our own, and return them by name."""
    import tensorflow as tf

    variables = tf.compat.v1.trainable_variables()
    found = {}
    for number, value in enumerate(draw(seed, *(v.shape.as_list() for v in variables))):
        variables[number].load(value, session)
        found[variables[number].op.name] = value
    return found


def telling(cell):
    """The cell with c beside its output."""
    import tensorflow as tf

    class Telling(tf.compat.v1.nn.rnn_cell.RNNCell):
        state_size = property(lambda self: cell.state_size)
        output_size = property(lambda self: 2 * cell.output_size)

        def __call__(self, x, state, scope=None):
            m, new = cell(x, state)
            return tf.concat([m, new.c], 1), new

    return Telling()


def forget_bias_without_meta():
    """BasicLSTMCell(forget_bias=0.7): the .meta, which alone knows it, is lost."""
    import tensorflow as tf

    (x,) = draw(1, (3, 7, 4))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        cell = tf.compat.v1.nn.rnn_cell.BasicLSTMCell(6, forget_bias=0.7)
        both, _ = tf.compat.v1.nn.dynamic_rnn(telling(cell), tf.constant(x), dtype="float32")
        assigned(session, 2)
        m, c = np.split(session.run(both), 2, axis=2)
        saved(session, "tf1_forget_bias", meta=False)
    np.savez(at("tf1_forget_bias/reference.npz"), c=c, m=m)
    np.save(at("tf1_forget_bias/x.npy"), x)


def fed_to_keras():
    """Two cells of TensorFlow, their gates put in Keras' order, in Keras' LSTM as it comes."""
    import keras
    import tensorflow as tf

    x = np.arange(4, dtype=np.float32).reshape(1, 2, 2)[:, ::-1]
    reference = {}
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        keras.backend.set_session(session)
        place = tf.compat.v1.placeholder("float32", [None, 2, 2], "x")
        for name in ("fw", "bw"):
            cell = tf.compat.v1.nn.rnn_cell.LSTMCell(3, name=name)
            tf.compat.v1.nn.dynamic_rnn(cell, place, dtype="float32")
        values = assigned(session, 3)
        saved(session, "tf1_fed_to_keras", meta=True)
        for name in ("fw", "bw"):
            kernel, bias = values[f"rnn/{name}/kernel"], values[f"rnn/{name}/bias"]
            turned = kernel.reshape(5, 4, 3)[:, [0, 2, 1, 3]].reshape(5, 12)
            inputs = keras.layers.Input((2, 2))
            layer = keras.layers.LSTM(3, return_state=True)
            model = keras.models.Model(inputs, layer(inputs))
            layer.set_weights(
                [turned[:2], turned[2:], bias.reshape(4, 3)[[0, 2, 1, 3]].reshape(12)]
            )
            _, h, c = model.predict(x)
            reference[f"rnn/{name}/final/m"], reference[f"rnn/{name}/final/c"] = h, c
    np.savez(at("tf1_fed_to_keras/reference.npz"), **reference)
    np.save(at("tf1_fed_to_keras/x.npy"), x)


def stack_fed_to_keras():
    """A stack of two cells whose kernels are cut in two and set as they are in tf.keras' cells."""
    import tensorflow as tf

    (x,) = draw(4, (2, 6, 3))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        place = tf.compat.v1.placeholder("float32", [None, None, 3], "x")
        cells = [tf.compat.v1.nn.rnn_cell.LSTMCell(4) for _ in range(2)]
        stack = tf.compat.v1.nn.rnn_cell.MultiRNNCell(cells)
        tf.compat.v1.nn.dynamic_rnn(stack, place, dtype="float32")
        values = assigned(session, 5)
        saved(session, "tf1_stack", meta=True)
    weights = cut([values[name] for name in NAMES], 3)
    np.save(at("tf1_stack/x.npy"), x)
    np.savez(at("tf1_stack/reference_tf1_keras.npz"), outputs=stacked(tf.keras, weights, x))
    np.savez(at("tf1_stack/reference_forget_bias.npz"), outputs=without_forget_bias(values, x))


def without_forget_bias(values, x):
    """The same stack of TensorFlow, whose forget gates are given nothing beside their bias."""
    import tensorflow as tf

    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        cells = [tf.compat.v1.nn.rnn_cell.LSTMCell(4, forget_bias=0.0) for _ in range(2)]
        stack = tf.compat.v1.nn.rnn_cell.MultiRNNCell(cells)
        outputs, _ = tf.compat.v1.nn.dynamic_rnn(stack, tf.constant(x), dtype="float32")
        for variable in tf.compat.v1.trainable_variables():
            variable.load(values[variable.op.name], session)
        return session.run(outputs)


NAMES = [
    f"rnn/multi_rnn_cell/cell_{number}/lstm_cell/{part}"
    for number in (0, 1)
    for part in ("kernel", "bias")
]


def cut(values, features):
    """Kernels of TensorFlow as kernel and recurrent kernel: the rows of x stand first."""
    found = []
    for place in range(0, len(values), 2):
        kernel, bias = values[place : place + 2]
        found += [kernel[:features], kernel[features:], bias]
        features = len(bias) // 4
    return found


def stacked(keras, weights, x):
    cells = [keras.layers.LSTMCell(4) for _ in range(2)]
    layer = keras.layers.RNN(keras.layers.StackedRNNCells(cells), return_sequences=True)
    model = keras.Sequential([keras.layers.Input((None, 3)), layer])
    layer.set_weights(weights)
    return np.asarray(model.predict(x))


def hard_sigmoid():
    """LSTM(5) of Keras 2, whose gates are hard sigmoids unless one says otherwise."""
    import keras

    keras.backend.clear_session()
    (x,) = draw(6, (1, 8, 3))
    model = keras.models.Sequential([keras.layers.LSTM(5, input_shape=(8, 3))])
    model.set_weights(draw(7, (3, 20), (5, 20), (20,)))
    model.save(at("keras2_hard_sigmoid.h5"), include_optimizer=False)
    np.savez(at("keras2_hard_sigmoid.npz"), x=x, keras2=model.predict(x))


def masked():
    """Masking and LSTM, every output kept: Keras repeats the last one where rows are masked."""
    import keras

    keras.backend.clear_session()
    (x,) = draw(8, (3, 6, 3))
    for row, length in enumerate((6, 4, 2)):
        x[row, length:] = 0
    layers = [
        keras.layers.Masking(input_shape=(6, 3)),
        keras.layers.LSTM(4, return_sequences=True, recurrent_activation="sigmoid"),
    ]
    model = keras.models.Sequential(layers)
    model.set_weights(draw(9, (3, 16), (4, 16), (16,)))
    model.save(at("keras2_masked.h5"), include_optimizer=False)
    np.savez(at("keras2_masked.npz"), x=x, keras2=model.predict(x))


def backward():
    """LSTM(go_backwards=True): Keras leaves the outputs in the order in which it made them."""
    import keras

    keras.backend.clear_session()
    (x,) = draw(10, (2, 5, 3))
    layer = keras.layers.LSTM(4, input_shape=(5, 3), go_backwards=True, return_sequences=True,
                              recurrent_activation="sigmoid")  # fmt: skip
    model = keras.models.Sequential([layer])
    model.set_weights(draw(11, (3, 16), (4, 16), (16,)))
    model.save(at("keras2_backward.h5"), include_optimizer=False)
    np.savez(at("keras2_backward.npz"), x=x, keras2=model.predict(x))


# Keras 3


def keras3():
    import h5py
    import keras
    import tensorflow as tf

    reader = tf.train.load_checkpoint(at("tf1_stack/model.ckpt"))
    weights = cut([reader.get_tensor(name) for name in NAMES], 3)
    x = np.load(at("tf1_stack/x.npy"))
    np.savez(at("tf1_stack/reference_keras3.npz"), outputs=stacked(keras, weights, x))

    held = dict(np.load(at("keras2_hard_sigmoid.npz")))
    with h5py.File(at("keras2_hard_sigmoid.h5")) as file:
        (group,) = file["model_weights"].values()
        names = group.attrs["weight_names"]
        weights = [group[name.decode() if isinstance(name, bytes) else name][()] for name in names]
    layer = keras.layers.LSTM(5, recurrent_activation="hard_sigmoid")
    model = keras.Sequential([keras.layers.Input((8, 3)), layer])
    layer.set_weights(weights)
    held["keras3"] = model.predict(held["x"])
    np.savez(at("keras2_hard_sigmoid.npz"), **held)


# ONNX Runtime


def ort():
    """Layers of Keras as converters write them, and Y as ONNX Runtime gives it."""
    lens = np.array([6, 4, 2], np.int32)
    converted("keras2_masked", "onnx_lengths.onnx", lens, "forward")
    converted("keras2_backward", "onnx_backward.onnx", None, "reverse")


def converted(name, model, lens, direction):
    import h5py
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper, save_model

    held, found = dict(np.load(at(name + ".npz"))), {}

    def keep(path, item):
        if isinstance(item, h5py.Dataset):
            found[path.split("/")[-1].split(":")[0]] = item[()]

    with h5py.File(at(name + ".h5")) as file:
        file["model_weights"].visititems(keep)

    def turned(array):
        order = [0, 3, 1, 2]  # i f g o of Keras as i o f g
        return array.reshape(-1, 4, 4)[:, order].reshape(-1, 16).T[None]

    bias = np.concatenate([turned(found["bias"])[..., 0], np.zeros((1, 16), np.float32)], 1)
    arrays = {"W": turned(found["kernel"]), "R": turned(found["recurrent_kernel"]), "B": bias}
    floats, whole = TensorProto.FLOAT, TensorProto.INT32
    inputs = [helper.make_tensor_value_info("X", floats, [None, None, 3])]
    feed = {"X": held["x"].transpose(1, 0, 2)}
    if lens is not None:
        inputs.append(helper.make_tensor_value_info("lens", whole, [None]))
        feed["lens"] = lens
    node = helper.make_node("LSTM", ["X", "W", "R", "B", *list(feed)[1:]], ["Y", "Y_h", "Y_c"],
                            hidden_size=4, name="lstm", direction=direction)  # fmt: skip
    graph = helper.make_graph(
        [node], name, inputs,
        [helper.make_tensor_value_info("Y", floats, [None, 1, None, 4])],
        [numpy_helper.from_array(np.ascontiguousarray(a), key) for key, a in arrays.items()],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    save_model(made, at(model))
    session = onnxruntime.InferenceSession(made.SerializeToString())
    (held["ort"],) = session.run(["Y"], feed)  # (timestep, direction, sequence, unit)
    np.savez(at(name + ".npz"), **held)


if __name__ == "__main__":
    for part in sys.argv[1:]:
        {"tf1": tf1, "keras3": keras3, "ort": ort}[part]()
