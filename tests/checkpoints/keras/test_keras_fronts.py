"""What stands in front of a recurrent layer, computed from the model's own input as Keras does."""

from __future__ import annotations

import numpy as np
import pytest

RNG = np.random.default_rng(12)
IMAGES = RNG.normal(size=(3, 9, 8, 2)).astype(np.float32)
ROWS = RNG.normal(size=(3, 11, 4)).astype(np.float32)
FLAT = RNG.normal(size=(3, 6)).astype(np.float32)

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def keras():
    """Keras 3, as the oracle."""
    return pytest.importorskip("keras")


def says(model, x):
    """What a model gives. Not by `predict`, which compiles each model for its one call."""
    made = model(x)
    return [np.asarray(one) for one in made] if isinstance(made, list) else np.asarray(made)


def in_rows(layers):
    """An image, one row of features a step."""
    return layers.TimeDistributed(layers.Flatten())


FRONTS = {
    "conv2d": (IMAGES, lambda k: [k.Conv2D(3, (3, 2), activation="relu"), in_rows(k)]),
    "conv2d_same_strided": (
        IMAGES, lambda k: [k.Conv2D(3, 3, strides=(2, 1), padding="same"), in_rows(k)],
    ),
    "conv2d_dilated_no_bias": (
        IMAGES, lambda k: [k.Conv2D(4, 2, dilation_rate=(3, 2), use_bias=False), in_rows(k)],
    ),
    "conv2d_groups": (IMAGES, lambda k: [k.Conv2D(4, 2, groups=2, padding="same"), in_rows(k)]),
    "pools": (
        IMAGES, lambda k: [k.MaxPooling2D(3, strides=2, padding="same"),
                           k.AveragePooling2D(2, padding="same"), in_rows(k)],
    ),
    "depthwise": (
        IMAGES, lambda k: [k.DepthwiseConv2D(3, depth_multiplier=2, padding="same"), in_rows(k)],
    ),
    "separable": (
        IMAGES, lambda k: [k.SeparableConv2D(3, 3, strides=2, activation="tanh"), in_rows(k)],
    ),
    "captcha": (
        IMAGES,
        lambda k: [k.Conv2D(4, 3, padding="same", activation="relu"), k.MaxPooling2D((2, 2)),
                   k.Dropout(0.2), k.Reshape((4, 16)), k.Dense(5, activation="relu")],
    ),
    "borders": (
        IMAGES, lambda k: [k.ZeroPadding2D(((1, 2), (0, 1))), k.Cropping2D((1, 2)),
                           k.UpSampling2D((2, 1)), in_rows(k)],
    ),
    "activations": (
        IMAGES, lambda k: [k.LeakyReLU(negative_slope=0.2), k.ELU(0.7), k.ReLU(6.0),
                           k.Rescaling(2.0, -0.5), k.Softmax(), in_rows(k)],
    ),
    "wrapped_images": (
        IMAGES[..., None],
        lambda k: [k.TimeDistributed(k.Conv2D(2, 2)), k.TimeDistributed(k.GlobalMaxPooling2D())],
    ),
    "causal": (ROWS, lambda k: [k.Conv1D(3, 3, padding="causal", dilation_rate=2)]),
    "conv1d_pool": (ROWS, lambda k: [k.Conv1D(3, 2), k.MaxPooling1D(2), k.AveragePooling1D(2)]),
    "separable1d": (ROWS, lambda k: [k.SeparableConv1D(3, 3, strides=2, padding="same")]),
    "borders1d": (ROWS, lambda k: [k.ZeroPadding1D((2, 1)), k.Cropping1D(1), k.UpSampling1D(2)]),
    "global_mean": (
        ROWS, lambda k: [k.GlobalAveragePooling1D(), k.RepeatVector(3)],
    ),
    "flat": (FLAT, lambda k: [k.Dense(4), k.RepeatVector(3)]),
}  # fmt: skip


def model_of(keras, name):
    """A front, an LSTM behind it, and random weights."""
    x, front = FRONTS[name]
    y = given = keras.Input(x.shape[1:], name="given")
    for layer in front(keras.layers):
        y = layer(y)
    model = keras.Model(given, keras.layers.LSTM(3, return_sequences=True, name="rec")(y))
    model.set_weights([RNG.uniform(0.2, 0.9, w.shape).astype(w.dtype) for w in model.get_weights()])
    return x, model


@pytest.mark.parametrize("file", ["model.h5", "model.keras"])
@pytest.mark.parametrize("name", FRONTS)
def test_a_front_is_computed_as_keras_does(keras, rnnscope, read_trace, tmp_path, name, file):
    x, model = model_of(keras, name)
    model.save(tmp_path / file)
    np.savez(tmp_path / "in.npz", given=x, other=x[:1])
    result = rnnscope("run", tmp_path / file, tmp_path / "in.npz", "--model-input", "-o",
                      tmp_path / "t.h5")  # fmt: skip
    assert (result.code, result.stderr) == (0, "")
    expected = says(model, x)
    np.testing.assert_allclose(
        read_trace(tmp_path / "t.h5")["rec/outputs"], expected, rtol=0, atol=3e-6
    )
    text = " ".join(result.stdout.split())
    assert "in.npz also holds 'other', which nothing reads." in text


def turned_model(keras, order):
    """Layers of an image with features first or last, and how its axes go into rows."""
    k, given = keras.layers, {"data_format": order}
    first = order == "channels_first"
    x = keras.Input((2, 9, 8) if first else (9, 8, 2))
    y = k.Conv2D(3, 3, padding="same", strides=(2, 1), **given)(x)
    y = k.MaxPooling2D(2, **given)(y)
    y = k.BatchNormalization(axis=1 if first else -1)(y)
    y = k.ZeroPadding2D((1, 2), **given)(y)
    y = k.SeparableConv2D(4, 2, **given)(y)
    # Flatten turns features to the end by itself.
    y = k.RepeatVector(2)(k.Flatten(**given)(y))
    return keras.Model(x, k.LSTM(3, return_sequences=True, name="rec")(y))


@pytest.mark.parametrize("file", ["model.h5", "model.keras"])
def test_features_first(keras, rnnscope, read_trace, tmp_path, file):
    """TensorFlow convolves such images on a GPU alone: its own layers judge the turned image."""
    first, last = (turned_model(keras, order) for order in ("channels_first", "channels_last"))
    weights = [RNG.uniform(0.2, 0.9, w.shape).astype(w.dtype) for w in first.get_weights()]
    first.set_weights(weights)
    last.set_weights(weights)
    first.save(tmp_path / file)
    np.save(tmp_path / "x.npy", IMAGES.transpose(0, 3, 1, 2))
    result = rnnscope("run", tmp_path / file, tmp_path / "x.npy", "--model-input", "--quiet",
                      "-o", tmp_path / "t.h5")  # fmt: skip
    assert (result.code, result.stderr) == (0, "")
    expected = says(last, IMAGES)
    np.testing.assert_allclose(read_trace(tmp_path / "t.h5")["rec/outputs"], expected, atol=3e-6)


def test_images_are_read_in_slices(keras, rnnscope, read_trace, tmp_path):
    """A budget for one image at a time gives what the whole does."""
    x, model = model_of(keras, "conv2d")
    many = np.concatenate([x] * 20)
    model.save(tmp_path / "m.keras")
    np.save(tmp_path / "x.npy", many)
    run = ["run", tmp_path / "m.keras", tmp_path / "x.npy", "--model-input", "--quiet"]
    assert rnnscope(*run, "-o", tmp_path / "whole.h5").code == 0
    assert rnnscope(*run, "-o", tmp_path / "cut.h5", "--memory", "200KB").code == 0
    whole, cut = (read_trace(tmp_path / name)["rec/m"] for name in ("whole.h5", "cut.h5"))
    np.testing.assert_allclose(cut, whole, rtol=0, atol=1e-6)
    np.testing.assert_allclose(whole[3:6], whole[:3], rtol=0, atol=1e-6)


def test_an_image_that_is_not_said_to_be_the_models_input(rnnscope, keras, tmp_path):
    _, model = model_of(keras, "conv2d")
    model.save(tmp_path / "m.keras")
    np.save(tmp_path / "x.npy", IMAGES)
    result = rnnscope("run", tmp_path / "m.keras", tmp_path / "x.npy", "-o", tmp_path / "t.h5")
    assert result.code == 2
    assert "is this the model's own input, an image? Then say --model-input" in result.stderr


def test_lengths_for_an_image_are_refused(rnnscope, keras, tmp_path):
    _, model = model_of(keras, "conv2d")
    model.save(tmp_path / "m.keras")
    np.save(tmp_path / "x.npy", IMAGES)
    result = rnnscope("run", tmp_path / "m.keras", tmp_path / "x.npy", "--model-input",
                      "--lengths", "9,8,7", "-o", tmp_path / "t.h5")  # fmt: skip
    assert result.code == 2
    assert "steps are none of a sequence" in result.stderr


def test_a_front_that_is_not_computed_is_named(rnnscope, keras, tmp_path):
    given = keras.Input((9, 8, 2))
    y = keras.layers.Conv2DTranspose(3, 2, name="up")(given)
    y = keras.layers.TimeDistributed(keras.layers.Flatten())(y)
    keras.Model(given, keras.layers.LSTM(3, name="rec")(y)).save(tmp_path / "m.keras")
    np.save(tmp_path / "x.npy", IMAGES)
    result = rnnscope("run", tmp_path / "m.keras", tmp_path / "x.npy", "--model-input", "-o",
                      tmp_path / "t.h5")  # fmt: skip
    assert result.code == 2
    assert "Layer 'up' of class Conv2DTranspose stands in front of 'rec'" in result.stderr


def test_an_embedding_of_whole_numbers_is_computed(keras, rnnscope, read_trace, tmp_path):
    """Quantized rows and their scales are a table like any other."""
    ids = keras.Input((7,), dtype="int32")
    y = keras.layers.Embedding(20, 8, mask_zero=True)(ids)
    model = keras.Model(ids, keras.layers.LSTM(3, return_sequences=True, name="rec")(y))
    model.set_weights([RNG.normal(size=w.shape).astype(w.dtype) for w in model.get_weights()])
    model.quantize("int8")
    model.save(tmp_path / "m.keras")
    x = RNG.integers(0, 20, (3, 7))
    np.savez(tmp_path / "in.npz", ids=x)
    result = rnnscope("run", tmp_path / "m.keras", tmp_path / "in.npz", "--quiet", "-o",
                      tmp_path / "t.h5")  # fmt: skip
    assert (result.code, result.stderr) == (0, "")
    np.testing.assert_allclose(
        read_trace(tmp_path / "t.h5")["rec/outputs"], says(model, x), atol=3e-6
    )


def test_states_by_the_names_of_the_models_inputs(keras, rnnscope, read_trace, tmp_path):
    """An inference decoder: the arrays are named as the model names what it takes."""
    shapes = {"dec": (None, 4), "h_in": (3,), "c_in": (3,)}
    x, h, c = (keras.Input(shape, name=name) for name, shape in shapes.items())
    made = keras.layers.LSTM(3, return_sequences=True, name="rec")(x, initial_state=[h, c])
    model = keras.Model([x, h, c], made)
    model.save(tmp_path / "m.keras")
    arrays = {"dec": ROWS, "h_in": FLAT[:, :3], "c_in": FLAT[:, 3:]}
    np.savez(tmp_path / "in.npz", **arrays)
    result = rnnscope("run", tmp_path / "m.keras", tmp_path / "in.npz", "-o", tmp_path / "t.h5")
    assert (result.code, result.stderr) == (0, "")
    expected = says(model, [*arrays.values()])
    np.testing.assert_allclose(read_trace(tmp_path / "t.h5")["rec/outputs"], expected, atol=3e-6)
    assert "The initial m of 'rec' is in.npz::h_in, the model's input." in result.stdout

    # Of another layout they are refused: not used, they would be zeros without a word.
    np.savez(tmp_path / "in.npz", **{**arrays, "h_in": FLAT[None, :, :3]})
    result = rnnscope("run", tmp_path / "m.keras", tmp_path / "in.npz", "-o", tmp_path / "u.h5")
    assert result.code != 0
    assert "in.npz::h_in" in result.stderr
    assert not (tmp_path / "u.h5").exists()


@pytest.mark.parametrize("file", ["model.h5", "model.keras"])
@pytest.mark.parametrize("way", ["keyword", "position"])
def test_constants_of_keras_3(keras, rnnscope, read_trace, tmp_path, file, way):
    """A mask and states as arrays; the layer behind, which Keras gives the mask too."""
    x = keras.Input((11, 4), name="x")
    mask = RNG.uniform(size=(3, 11)) > 0.4
    state = [FLAT[:, :3], FLAT[:, 3:]]
    layer = keras.layers.LSTM(3, return_sequences=True, name="rec")
    y = layer(x, state, mask) if way == "position" else layer(x, mask=mask, initial_state=state)
    z = keras.layers.GRU(2, return_sequences=True, name="behind")(y)
    model = keras.Model(x, [y, z])
    model.save(tmp_path / file)
    np.save(tmp_path / "x.npy", ROWS)
    result = rnnscope("run", tmp_path / file, tmp_path / "x.npy", "-o", tmp_path / "t.h5")
    assert (result.code, result.stderr) == (0, "")
    trace = read_trace(tmp_path / "t.h5")
    for name, expected in zip(("rec", "behind"), says(model, ROWS), strict=True):
        np.testing.assert_allclose(trace[f"{name}/outputs"], expected, atol=3e-6, err_msg=name)


MODES = ["sum", "mul", "ave", "concat", None]


@pytest.mark.parametrize("file", ["model.h5", "model.keras"])
@pytest.mark.parametrize("mode", MODES)
def test_a_backward_layer_of_ones_own(keras, rnnscope, read_trace, tmp_path, mode, file):
    """Other activations, no bias: more weights in one direction than in the other."""
    k = keras.layers
    x = keras.Input((11, 4), name="x")
    back = k.LSTM(3, return_sequences=True, go_backwards=True, activation="relu",
                  recurrent_activation="hard_sigmoid", use_bias=False, name="b")  # fmt: skip
    both = k.Bidirectional(k.LSTM(3, return_sequences=True, name="f"), merge_mode=mode,
                           backward_layer=back, name="bi")  # fmt: skip
    model = keras.Model(x, both(x))
    model.set_weights([RNG.normal(0, 0.5, w.shape).astype(w.dtype) for w in model.get_weights()])
    model.save(tmp_path / file)
    np.save(tmp_path / "x.npy", ROWS)
    result = rnnscope("run", tmp_path / file, tmp_path / "x.npy", "-o", tmp_path / "t.h5")
    assert (result.code, result.stderr) == (0, "")
    trace, expected = read_trace(tmp_path / "t.h5"), says(model, ROWS)
    names = ["bi_layer/outputs"] if mode is not None else ["bi/forward_f/m", "bi/b/m"]
    for name, true in zip(names, expected if mode is None else [expected], strict=True):
        np.testing.assert_allclose(trace[name], true, atol=3e-6, err_msg=name)
