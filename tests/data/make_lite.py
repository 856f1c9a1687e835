"""Make tests/data/lite: files of TensorFlow's own converter, and the states of Keras beside them.

Run once with Keras 3 and once with tf_keras (``make_lite.py tf_keras``), TensorFlow 2.21. c is what
Keras returns as the state after every prefix; outputs are what the interpreter makes.
"""

import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import tensorflow as tf

if "tf_keras" in sys.argv:
    import tf_keras as keras
else:
    import keras

HERE = Path(__file__).parent / "lite"
L = keras.layers
STEPS, FEATURES = 7, 5


def fill(model, seed=3):
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if "float32" in str(weight.dtype):
            weight.assign(rng.normal(scale=0.5, size=weight.shape).astype(np.float32))


def build(layers, batch):
    entry = keras.Input((STEPS, FEATURES), batch_size=batch)
    x = entry
    for layer in layers:
        x = layer(x)
    model = keras.Model(entry, x)
    fill(model)
    return model


def convert(model, name, **options):
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    for key, value in options.items():
        setattr(converter, key, value)
    path = HERE / f"{name}.tflite"
    path.write_bytes(converter.convert())
    return path


def interpreted(path, x):
    interpreter = tf.lite.Interpreter(
        str(path),
        experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    made = []
    for row in x:
        interpreter.reset_all_variables()
        interpreter.set_tensor(taken["index"], row[None])
        interpreter.invoke()
        made.append(interpreter.get_tensor(given["index"])[0])
    return np.stack(made)


def cells(layer):
    if isinstance(layer, L.Bidirectional):
        return [layer.forward_layer, layer.backward_layer]
    return [layer]


def states(layer, x, mask):
    """M and c (sequence, timestep, unit) in input order: the state after every prefix."""
    steps = x.shape[1]
    back = layer.go_backwards
    kept = layer.return_sequences, layer.return_state
    layer.return_sequences, layer.return_state = False, True
    made = []
    for t in range(1, steps + 1):
        part = x[:, steps - t :] if back else x[:, :t]
        given = {} if mask is None else {"mask": tf.constant(mask[:, :t])}
        made.append([np.asarray(one) for one in layer(tf.constant(part), **given)[1:]])
    layer.return_sequences, layer.return_state = kept
    found = [np.stack(parts, axis=1) for parts in zip(*made, strict=True)]
    return [one[:, ::-1] if back else one for one in found]


def write(name, layers, x, batch=1, **options):
    model = build(layers, batch)
    path = convert(model, name, **options)
    # TensorFlow's own ops (lists) need a delegate that its Python package does not have.
    truth = {"x": x, "outputs": np.asarray(model(x)) if batch is None else interpreted(path, x)}
    value, mask = x, None
    for number, layer in enumerate(layers):
        if isinstance(layer, L.Masking):
            mask = (x != 0).any(axis=-1)
        if isinstance(layer, (L.LSTM, L.GRU, L.SimpleRNN, L.Bidirectional)):
            for way, cell in zip(("", "_back"), cells(layer), strict=False):
                for kind, one in zip("mc", states(cell, value, mask), strict=False):
                    truth[f"layer{number}{way}_{kind}"] = one
        given = {"mask": tf.constant(mask)} if mask is not None and number else {}
        value = np.asarray(layer(tf.constant(value), **given))
    np.savez(HERE / f"{name}_truth.npz", **truth)


def main():
    HERE.mkdir(exist_ok=True)
    x = np.random.default_rng(0).normal(size=(2, STEPS, FEATURES)).astype(np.float32)
    masked = x.copy()
    masked[1, 5:] = masked[0, 2] = 0
    if "tf_keras" in sys.argv:
        write("fused_both_ways", [L.Bidirectional(L.LSTM(4, return_sequences=True)),
                                  L.LSTM(3, return_sequences=True)], x)  # fmt: skip
        write(
            "while_hard_sigmoid",
            [L.LSTM(4, return_sequences=True, recurrent_activation="hard_sigmoid")],
            x,
        )
        write("fused_whole_numbers", [L.LSTM(6, return_sequences=True)], x,
              optimizations=[tf.lite.Optimize.DEFAULT], representative_dataset=samples,
              target_spec=whole_numbers())  # fmt: skip
        return
    write("while_lstm", [L.LSTM(6, return_sequences=True), L.Dense(3)], x)
    write("while_both_ways", [L.Bidirectional(L.LSTM(4, return_sequences=True)),
                              L.LSTM(3, return_sequences=True)], x)  # fmt: skip
    write("while_masked", [L.Masking(), L.LSTM(6, return_sequences=True)], masked)
    write("while_others", [L.Dense(4), L.SimpleRNN(6, return_sequences=True),
                           L.GRU(4, return_sequences=True)], x)  # fmt: skip
    write("while_lists", [L.LSTM(6, return_sequences=True)], x, batch=None,
          target_spec=with_own_ops(), _experimental_lower_tensor_list_ops=False)  # fmt: skip
    write("unrolled_lstm", [L.LSTM(4, return_sequences=True, unroll=True)], x)


def samples():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        yield [rng.normal(size=(1, STEPS, FEATURES)).astype(np.float32)]


def with_own_ops():
    target = tf.lite.TargetSpec()
    target.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    return target


def whole_numbers():
    target = tf.lite.TargetSpec()
    target.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return target


main()
