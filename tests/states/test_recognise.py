"""Which way a file is read: names, then shapes, then numbers; and an error where none tells."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rnnscope.errors import InputError
from rnnscope.files.containers.named_arrays import open_named
from rnnscope.states.interface import ReadOptions
from rnnscope.states.naming import ArrayName, is_backward, parse_array_name
from rnnscope.states.recognise import readings_of, recognise, recognise_one

RNG = np.random.default_rng(3)
C = (RNG.normal(size=(3, 5, 4)) * 3).astype(np.float32)
M = np.tanh(RNG.normal(size=(3, 5, 4))).astype(np.float32)
SMALL = M * np.float32(0.5)


def read(a, b, a_options=None, b_options=None):
    return recognise((str(a), str(b)), (a_options or ReadOptions(), b_options or ReadOptions()))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("c", ArrayName("", "c")),
        ("h", ArrayName("", "m")),
        ("encoder/m", ArrayName("encoder", "m")),
        ("fw_final_c", ArrayName("fw", "final/c")),
        ("final_l0_m", ArrayName("l0", "final/m")),
        ("rnn/lstm_cell/final/c", ArrayName("rnn/lstm_cell", "final/c")),
        ("rnn/lstm_cell/gates/i", ArrayName("rnn/lstm_cell", "gates/i")),
        ("torch_h_n", ArrayName("torch", "final/m")),
        ("initial_c", ArrayName("", "initial/c")),
        ("l0_outputs", ArrayName("l0", "outputs")),
        ("kernel", None),
        ("Y_h", None),
        ("x", None),
    ],
)
def test_names(name, expected):
    assert parse_array_name(name) == expected


@pytest.mark.parametrize("name", ["fw/bw", "backward_lstm", "enc_bw", "l0_reverse"])
def test_backward_by_name(name):
    assert is_backward(name)


def test_two_arrays_without_names_are_told_by_the_bound_of_m(tmp_path):
    np.savez(tmp_path / "a.npz", c=C, m=M)
    np.savez(tmp_path / "b.npz", M, C)
    _, b = read(tmp_path / "a.npz", tmp_path / "b.npz")
    assert b.reading.format == "keras"
    assert "|m| stays within 1" in b.reason


def test_two_small_arrays_are_told_by_the_other_operand(tmp_path):
    """Both within the bound of m, so that only equality with A tells."""
    np.savez(tmp_path / "a.npz", c=SMALL, m=M)
    np.savez(tmp_path / "b.npz", M, SMALL)
    _, b = read(tmp_path / "a.npz", tmp_path / "b.npz")
    assert b.reading.format == "keras"
    assert "its numbers are near A's" in b.reason


def test_what_nothing_tells_is_an_error_with_all_readings(tmp_path):
    np.savez(tmp_path / "a.npz", c=SMALL + 0.1, m=M + 0.1)
    np.savez(tmp_path / "b.npz", M, SMALL)
    with pytest.raises(InputError) as caught:
        read(tmp_path / "a.npz", tmp_path / "b.npz")
    assert "several ways" in caught.value.what
    assert "tuple (c, m)" in caught.value.expected
    assert "list [h, c]" in caught.value.expected
    assert "b_format" in caught.value.hint


def test_the_user_has_the_last_word(tmp_path):
    np.savez(tmp_path / "a.npz", c=C, m=M)
    np.savez(tmp_path / "b.npz", M, C)
    _, b = read(tmp_path / "a.npz", tmp_path / "b.npz", b_options=ReadOptions("tuple"))
    assert b.reading.format == "tuple"
    assert b.reason == "as a_format or b_format says"


def test_a_format_that_does_not_fit_says_what_it_expects(tmp_path):
    np.savez(tmp_path / "b.npz", M, C)
    with pytest.raises(InputError) as caught:
        readings_of(open_named(str(tmp_path / "b.npz")), ReadOptions("onnx"))
    assert "cannot be read as onnx" in caught.value.what
    assert "Y, Y_h, Y_c" in caught.value.expected


def test_a_projected_concat_is_cut_where_the_other_operand_says(tmp_path):
    m = M[..., :3]
    np.savez(tmp_path / "a.npz", c=C, m=m)
    np.savez(tmp_path / "b.npz", state=np.concatenate([C, m], -1))
    _, b = read(tmp_path / "a.npz", tmp_path / "b.npz")
    assert b.reading.words == "concat [c 4, m 3]"


def test_num_units_cuts_a_concat(tmp_path):
    np.savez(tmp_path / "b.npz", state=np.concatenate([C, M[..., :3]], -1))
    found = recognise_one(str(tmp_path / "b.npz"), ReadOptions("concat", (4,)))
    layer = found.states.layers[0]
    assert (layer.arrays["c"].shape[-1], layer.arrays["m"].shape[-1]) == (4, 3)


def test_a_stack_in_one_concat(tmp_path):
    """c0, m0, c1, m1 side by side, as MultiRNNCell(state_is_tuple=False) has them."""
    np.savez(tmp_path / "b.npz", state=np.concatenate([C, M, C[..., :2], M[..., :2]], -1))
    found = recognise_one(str(tmp_path / "b.npz"), ReadOptions("concat", (4, 2)))
    assert [layer.arrays["m"].shape[-1] for layer in found.states.layers] == [4, 2]
    np.testing.assert_array_equal(found.states.layers[1].arrays["c"].read(), C[..., :2])


def test_onnx_layouts_are_told_by_shape(tmp_path):
    y = M.transpose(1, 0, 2)[:, None]
    np.savez(tmp_path / "zero.npz", Y=y, Y_h=M[:, -1][None], Y_c=C[:, -1][None])
    np.savez(tmp_path / "one.npz", Y=M[:, :, None], Y_h=M[:, -1:], Y_c=C[:, -1:])
    for name, layout in (("zero", 0), ("one", 1)):
        found = recognise_one(str(tmp_path / f"{name}.npz"), ReadOptions())
        assert found.reading.words.endswith(f"layout {layout}")
        np.testing.assert_array_equal(found.states.layers[0].arrays["m"].read(), M)


def test_one_array_of_a_trace_or_file(tmp_path):
    np.savez(tmp_path / "a.npz", **{"enc/c": C, "enc/m": M})
    np.save(tmp_path / "m.npy", M)
    a, b = read(f"{tmp_path / 'a.npz'}::enc/m", tmp_path / "m.npy")
    assert list(a.states.layers[0].arrays) == ["m"]
    assert list(b.states.layers[0].arrays) == ["m"]


def test_lists_in_json(tmp_path):
    (tmp_path / "b.json").write_text(json.dumps([M.tolist(), C[..., :3].tolist()]))
    np.savez(tmp_path / "a.npz", c=C[..., :3], m=M)
    _, b = read(tmp_path / "a.npz", tmp_path / "b.json")
    assert b.reading.format == "keras"


@pytest.mark.parametrize("text", ["{", '{"c": "words"}', '{"c": ["a", "b"]}', "[[1], [2, [3]]"])
def test_json_that_holds_no_arrays(tmp_path, text):
    (tmp_path / "b.json").write_text(text)
    with pytest.raises(InputError):
        recognise_one(str(tmp_path / "b.json"), ReadOptions())


@pytest.mark.parametrize(
    "header",
    [
        b'{"c": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 1600]}}',
        b'{"c": {"dtype": "F32", "shape": [20, 20], "data_offsets": [0, 1600]}}',
        b'{"c": {"dtype": "PICKLE", "shape": [], "data_offsets": [0, 0]}}',
        b'{"c": 5}',
        b'{"c": ',
    ],
)
def test_damaged_safetensors(tmp_path, header):
    path = tmp_path / "b.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(16))
    with pytest.raises(InputError, match="safetensors"):
        recognise_one(str(path), ReadOptions())


def test_pickled_arrays_are_refused(tmp_path):
    np.save(tmp_path / "c.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError):
        recognise_one(str(tmp_path / "c.npy"), ReadOptions())


@pytest.mark.parametrize("name", ["keras", "tuple"])
def test_names_tell_more_than_places(tmp_path, name):
    """What arrays are called counts, whatever order the format would have them in."""
    for order in ({"c": C, "h": M}, {"h": M, "c": C}):
        np.savez(tmp_path / "b.npz", **order)
        found = recognise_one(str(tmp_path / "b.npz"), ReadOptions(name))
        np.testing.assert_array_equal(found.states.layers[0].arrays["c"].read(), C)
