"""The plain layers: worked by hand, and against Keras itself."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from rnnscope.errors import InputError, UnsupportedCellError
from rnnscope.model.layers import (
    Activation,
    ArgMax,
    BatchNormalization,
    BidirectionalMerge,
    Dense,
    Embedding,
    Flatten,
    GetItem,
    Join,
    LastOutput,
    LayerNormalization,
    Masking,
    Merge,
    Operation,
    PassThrough,
    Permute,
    RepeatVector,
    Reshape,
    TimeDistributed,
    Unsupported,
)
from rnnscope.model.layers.elementwise import Arithmetic, LastStep
from rnnscope.model.signal import Layer, Signal

X = np.random.default_rng(7).standard_normal((2, 3, 4)).astype(np.float32)
MASK = np.array([[True, True, False], [True, False, False]])


@pytest.fixture(scope="module")
def keras() -> Any:
    """Keras, as the oracle; imported here, so that collecting the tests stays quick."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return pytest.importorskip("keras")


def test_embedding_looks_up_rows_and_masks_zero() -> None:
    """Id 0 is padding where mask_zero is set."""
    table = np.arange(8, dtype=np.float32).reshape(4, 2)
    out = Embedding(table, mask_zero=True)(Signal(np.array([[3, 0]])))
    assert out.values.tolist() == [[[6, 7], [0, 1]]]
    assert out.mask is not None
    assert out.mask.tolist() == [[True, False]]
    assert Embedding(table)(Signal(np.array([[3, 0]]))).mask is None


def test_embedding_takes_whole_floats() -> None:
    """Ids that went through a float array are ids still."""
    out = Embedding(np.eye(3, dtype=np.float32))(Signal(np.array([[2.0]])))
    assert out.values.tolist() == [[[0, 0, 1]]]


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        ([[0, 3]], "ids from 0 to 2"),
        ([[-1, 0]], "ids from 0 to 2"),
        ([[0.5, 1]], "integers, or floats that are whole numbers"),
        ([[np.nan, 1]], "integers, or floats that are whole numbers"),
    ],
)
def test_embedding_refuses_what_is_no_id(ids: list[list[float]], said: str) -> None:
    """The message names the layer and the range."""
    layer = Embedding(np.eye(3, dtype=np.float32), name="words")
    with pytest.raises(InputError, match=r"words|embedding needs") as raised:
        layer(Signal(np.array(ids)))
    assert said in str(raised.value)


def test_masking_compares_in_the_dtype_of_the_input() -> None:
    """float32 0.1 is masked by mask_value 0.1, although it is not float64 0.1."""
    values = np.array([[[0.1, 0.1], [0.1, 1.0]]], np.float32)
    out = Masking(0.1)(Signal(values))
    assert out.mask is not None
    assert out.mask.tolist() == [[False, True]]
    assert out.values[0, 0].tolist() == [0, 0]
    assert out.values[0, 1].tolist() == values[0, 1].tolist()


def test_dense_by_hand() -> None:
    """relu([1, 2] @ [[1, -1], [1, -1]] + [0.5, 0]) = [3.5, 0]; the mask passes."""
    layer = Dense(np.array([[1, -1], [1, -1]], np.float32), np.array([0.5, 0], np.float32), "relu")
    mask = np.array([[True]])
    out = layer(Signal(np.array([[[1, 2]]], np.float32), mask))
    assert out.values.tolist() == [[[3.5, 0]]]
    assert out.mask is mask


@pytest.mark.parametrize(
    "layer",
    [
        Dense(np.ones((4, 2))),
        BatchNormalization(np.zeros(4), np.ones(4)),
        LayerNormalization(np.ones(4), np.zeros(4)),
        Activation("sigmoid"),
        Masking(),
        TimeDistributed(Dense(np.ones((4, 2)))),
    ],
    ids=lambda layer: layer.kind,
)
def test_float32_stays_float32(layer: Layer) -> None:
    """Even with float64 weights: the dtype of the input rules."""
    assert layer(Signal(X)).values.dtype == np.float32


@pytest.mark.parametrize("layer", [BatchNormalization, LayerNormalization])
def test_only_the_last_axis_is_normalized(layer: Any) -> None:
    """Another axis is named and refused; the last one may be counted from the front."""
    arrays = {"gamma": np.ones(4, np.float32)}
    if layer is BatchNormalization:
        arrays |= {"moving_mean": np.zeros(4), "moving_variance": np.ones(4)}
    with pytest.raises(UnsupportedCellError, match="norm_1"):
        layer(**arrays, axis=1, name="norm_1")(Signal(X))
    np.testing.assert_array_equal(
        layer(**arrays, axis=2)(Signal(X)).values, layer(**arrays, axis=-1)(Signal(X)).values
    )


def test_shapes() -> None:
    """Shape layers keep the first axis and drop the mask."""
    signal = Signal(X, MASK)
    assert Flatten()(signal).values.shape == (2, 12)
    assert Reshape((-1, 2))(signal).values.shape == (2, 6, 2)
    assert Permute((2, 1))(signal).values.shape == (2, 4, 3)
    assert RepeatVector(5)(Signal(X[:, 0])).values.shape == (2, 5, 4)
    assert all(layer(signal).mask is None for layer in (Flatten(), Reshape((12,)), Permute((2, 1))))


@pytest.mark.parametrize("layer", [Reshape((5, 5)), Permute((1, 2, 3))], ids=["reshape", "permute"])
def test_shapes_that_do_not_fit(layer: Layer) -> None:
    """An input of another shape than the model's is an input error."""
    with pytest.raises(InputError, match="does not fit"):
        layer(Signal(X))


def test_merge_masks_by_both_rules() -> None:
    """Keras before 3.4 joins masks by AND of those there are, later ones by OR of all."""
    other = np.array([[True, False, False], [True, True, False]])
    both = (Signal(X, MASK), Signal(X, other))
    for kind in ("Add", "Concatenate"):
        old, new = (Merge(kind, mask_rule=rule)(*both).mask for rule in ("all", "any"))
        np.testing.assert_array_equal(old, MASK & other)
        np.testing.assert_array_equal(new, MASK | other)
    one = (Signal(X, MASK), Signal(X))
    np.testing.assert_array_equal(Merge("Add")(*one).mask, MASK)
    assert Merge("Add", mask_rule="any")(*one).mask is None
    assert Merge("Concatenate")(Signal(X), Signal(X)).mask is None


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("Add", 9.0),
        ("Subtract", 3.0),
        ("Multiply", 18.0),
        ("Average", 4.5),
        ("Maximum", 6.0),
        ("Minimum", 3.0),
    ],
)
def test_element_wise_merges(kind: str, expected: float) -> None:
    """6 and 3, merged."""
    six, three = (Signal(np.full((1, 1), value, np.float32)) for value in (6, 3))
    out = Merge(kind)(six, three).values
    assert out.item() == expected
    assert out.dtype == np.float32


def test_merge_of_different_ranks() -> None:
    """Keras inserts axes behind the first: one vector is added to every step."""
    out = Merge("Add")(Signal(X), Signal(X[:, 0])).values
    np.testing.assert_array_equal(out, X + X[:, :1])


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("concat", [6.0, 3.0]), ("sum", [9.0]), ("ave", [4.5]), ("mul", [18.0])],
)
def test_bidirectional_merge(mode: str, expected: list[float]) -> None:
    """The four modes; the mask of the forward direction stands."""
    forward, backward = (np.full((1, 2, 1), value, np.float32) for value in (6, 3))
    mask = np.array([[True, False]])
    out = BidirectionalMerge(mode)(Signal(forward, mask), Signal(backward, mask))
    assert out.values[0, 0].tolist() == expected
    assert out.mask is mask


def test_bidirectional_merge_turns_a_forward_second_direction() -> None:
    """Keras reverses the second direction's outputs whichever way it reads."""
    steps = np.arange(3, dtype=np.float32).reshape(1, 3, 1)
    out = BidirectionalMerge("sum", flip_second=True)(Signal(steps), Signal(steps))
    assert out.values.ravel().tolist() == [2, 2, 2]


def test_pass_through_keeps_the_signal_and_the_name() -> None:
    """Dropout is nothing at inference."""
    signal = Signal(X, MASK)
    layer = PassThrough("SpatialDropout1D")
    assert layer(signal) is signal
    assert layer.kind == "SpatialDropout1D"


def test_unsupported_names_the_layer_when_called() -> None:
    """It exists quietly; calling it says what stands in the way and what to do."""
    layer = Unsupported("Lambda", "scale")
    with pytest.raises(UnsupportedCellError, match="'scale' of class Lambda") as raised:
        layer(Signal(X))
    assert raised.value.hint


def _set(keras_layer: Any, *shape: int) -> Any:
    """A built Keras layer with random weights; variances positive."""
    rng = np.random.default_rng(3)
    keras_layer.build(shape)
    keras_layer.set_weights(
        [rng.uniform(0.2, 1.5, weight.shape).astype(np.float32) for weight in keras_layer.weights]
    )
    return keras_layer


def test_dense_as_keras(keras: Any) -> None:
    """On the last axis of three."""
    oracle = _set(keras.layers.Dense(5, activation="tanh"), 2, 3, 4)
    ours = Dense(*oracle.get_weights(), activation="tanh")(Signal(X)).values
    np.testing.assert_allclose(ours, oracle(X), atol=2e-6)


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("center", [True, False])
def test_batch_normalization_as_keras(keras: Any, *, scale: bool, center: bool) -> None:
    """At inference, with and without gamma and beta."""
    oracle = _set(keras.layers.BatchNormalization(scale=scale, center=center), 2, 3, 4)
    arrays = {
        weight.name: value
        for weight, value in zip(oracle.weights, oracle.get_weights(), strict=True)
    }
    ours = BatchNormalization(**arrays, epsilon=oracle.epsilon)(Signal(X)).values
    np.testing.assert_allclose(ours, oracle(X, training=False), atol=2e-6)


def test_layer_normalization_as_keras(keras: Any) -> None:
    """Over the last axis."""
    oracle = _set(keras.layers.LayerNormalization(), 2, 3, 4)
    ours = LayerNormalization(*oracle.get_weights(), epsilon=oracle.epsilon)(Signal(X)).values
    np.testing.assert_allclose(ours, oracle(X), atol=3e-6)


def test_masking_as_keras(keras: Any) -> None:
    """Values and mask."""
    values = np.where(MASK[..., None], X, np.float32(0.3))
    oracle = keras.layers.Masking(mask_value=0.3)
    ours = Masking(0.3)(Signal(values))
    np.testing.assert_array_equal(ours.values, oracle(values))
    np.testing.assert_array_equal(ours.mask, oracle.compute_mask(values))


def test_time_distributed_as_keras(keras: Any) -> None:
    """A layer that changes the shape of a step, applied to every step."""
    values = X.reshape(2, 3, 2, 2)
    ours = TimeDistributed(Flatten())(Signal(values, MASK))
    np.testing.assert_array_equal(
        ours.values, keras.layers.TimeDistributed(keras.layers.Flatten())(values)
    )
    assert ours.mask is MASK


@pytest.mark.parametrize("kind", ["Concatenate", "Add", "Multiply", "Average", "Maximum"])
def test_merges_as_keras(keras: Any, kind: str) -> None:
    """Values and joined mask, by the rule of Keras 3.4 and later."""
    other = MASK[::-1]
    oracle = getattr(keras.layers, kind)()
    ours = Merge(kind, mask_rule="any")(Signal(X, MASK), Signal(X[::-1], other))
    np.testing.assert_allclose(ours.values, oracle([X, X[::-1]]), rtol=1e-6)
    np.testing.assert_array_equal(ours.mask, oracle.compute_mask([X, X[::-1]], [MASK, other]))


def test_the_output_that_is_the_final_state() -> None:
    """The last valid step, or the first behind a layer that ends there; zeros without one."""
    holes = np.array([[False, True, False], [False, False, False]])
    last = LastOutput()(Signal(X, holes))
    np.testing.assert_array_equal(last.values, [X[0, 1], np.zeros(4)])
    assert last.mask is None
    np.testing.assert_array_equal(LastOutput(first=True)(Signal(X, MASK)).values, X[:, 0])
    np.testing.assert_array_equal(LastOutput(masked=False)(Signal(X, holes)).values, X[:, -1])
    np.testing.assert_array_equal(LastOutput(first=True)(Signal(X)).values, X[:, 0])


def test_operations_take_numbers_where_they_stand() -> None:
    """And drop the mask, as Keras does."""
    made = Operation("Subtract", (1.0, None))(Signal(X, MASK))
    np.testing.assert_array_equal(made.values, 1 - X)
    assert made.values.dtype == np.float32
    assert made.mask is None
    with pytest.raises(InputError, match="does not fit"):
        Operation("Add", (None, None))(Signal(X), Signal(X[:, :2]))


def test_get_item_never_picks_among_sequences() -> None:
    whole = slice(None)
    np.testing.assert_array_equal(GetItem((whole, -1))(Signal(X, MASK)).values, X[:, -1])
    np.testing.assert_array_equal(GetItem((..., 0))(Signal(X)).values, X[..., 0])
    for index in ((whole, 3), (..., 0, 0, 0), (whole, whole, whole, whole)):
        with pytest.raises(InputError, match="index of the model"):
            GetItem(index)(Signal(X))


def test_join_brings_no_mask() -> None:
    made = Join(1)(Signal(X, MASK), Signal(X, MASK))
    np.testing.assert_array_equal(made.values, np.concatenate([X, X], axis=1))
    assert made.mask is None
    with pytest.raises(InputError, match="does not fit"):
        Join()(Signal(X), Signal(X[:, :2]))


# What a layer may be used for


IDS = np.array([[3, 0, 1], [1, 2, 0]])
LAYERS = {
    "pass through": (PassThrough("Dropout"), True, [X]),
    "activation": (Activation("softmax"), True, [X]),
    "argmax": (ArgMax(), True, [X]),
    "dense": (Dense(np.ones((4, 2), np.float32)), True, [X]),
    "batch norm": (BatchNormalization(np.zeros(4), np.ones(4)), True, [X]),
    "layer norm": (LayerNormalization(), True, [X]),
    "time distributed": (TimeDistributed(Dense(np.ones((4, 2), np.float32))), True, [X]),
    "arithmetic": (Arithmetic("Add", np.float32(1)), True, [X]),
    "embedding": (Embedding(np.eye(4, dtype=np.float32)), True, [IDS]),
    "masking": (Masking(), True, [X]),
    "operation": (Operation("Multiply", (None, None)), True, [X, X]),
    "add": (Merge("Add"), True, [X, X]),
    "features joined": (Merge("Concatenate"), True, [X, X]),
    "features joined on axis 2": (Merge("Concatenate", axis=2), True, [X, X]),
    "time joined": (Merge("Concatenate", axis=1), False, [X, X]),
    "time joined from the end": (Merge("Concatenate", axis=-2), False, [X, X]),
    "joined": (Join(), True, [X, X]),
    "joined in time": (Join(axis=1), False, [X, X]),
    "directions": (BidirectionalMerge("concat"), True, [X, X]),
    "directions, one turned": (BidirectionalMerge("sum", flip_second=True), False, [X, X]),
    "flatten": (Flatten(), False, [X]),
    "reshape": (Reshape((4, 3)), False, [X]),
    "permute": (Permute((2, 1)), False, [X]),
    "last output": (LastOutput(), False, [X]),
    "last step": (LastStep(), False, [X]),
    "item": (GetItem((slice(None), -1)), False, [X]),
    "repeat": (RepeatVector(3), False, [X[:, 0]]),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_that_goes_step_by_step_computes_the_same_step_by_step(name: str) -> None:
    """One that does not says so."""
    layer, step_by_step, arrays = LAYERS[name]
    assert layer.step_by_step is step_by_step
    if step_by_step:
        whole = layer(*map(Signal, arrays)).values
        for step in range(3):
            one = layer(*(Signal(array[:, step : step + 1]) for array in arrays)).values
            np.testing.assert_allclose(one, whole[:, step : step + 1], rtol=1e-6)


def test_what_else_layers_say_of_themselves() -> None:
    plain, stand_in = Dense(np.eye(2)), Unsupported("attention", "a")
    assert Embedding(np.eye(2)).takes_ids
    assert Embedding(np.eye(2)).makes_mask
    assert Masking().makes_mask
    assert Merge("Add").merges_with_x
    assert BidirectionalMerge("concat").joins_directions
    assert stand_in.of_own_output
    assert not stand_in.computed
    assert not Unsupported("Lambda", "a").of_own_output
    assert plain.computed
    assert not any(
        (plain.takes_ids, plain.makes_mask, plain.merges_with_x, plain.joins_directions,
         plain.of_own_output, Masking().takes_ids, PassThrough("Dropout").makes_mask)
    )  # fmt: skip
