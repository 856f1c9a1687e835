"""One reader of .safetensors: whoever opens a file learns the same of it."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

RNG = np.random.default_rng(1)
LSTM = {
    "lstm.weight_ih_l0": RNG.normal(size=(16, 3)).astype("<f4"),
    "lstm.weight_hh_l0": RNG.normal(size=(16, 4)).astype("<f4"),
    "lstm.bias_ih_l0": RNG.normal(size=16).astype("<f4"),
    "lstm.bias_hh_l0": RNG.normal(size=16).astype("<f4"),
}


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def write(path, arrays, change=None, tail=b""):
    header, body = {}, b""
    for name, array in arrays.items():
        header[name] = entry("F32", list(array.shape), len(body), len(body) + array.nbytes)
        body += array.tobytes()
    if change is not None:
        change(header, len(body))
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body + tail)
    return path


def both(rnnscope, path):
    """The exit codes of inspect and of a diff with itself, and what they said."""
    inspected = rnnscope("inspect", path)
    compared = rnnscope("diff", path, path, "--a-format", "arrays", "--b-format", "arrays")
    return inspected, compared


def odd(**changes):
    def change(header, _size):
        header["lstm.weight_hh_l0"] |= changes

    return change


@pytest.mark.parametrize(
    "change",
    [
        odd(shape=["16", 4]),
        odd(shape=[16.0, 4]),
        odd(shape=[True, 4]),
        odd(shape=[-16, -4]),
        odd(shape=[16, 5]),
        odd(shape=None),
        odd(shape=[1] * 33),
        odd(data_offsets=[0]),
        odd(data_offsets=["0", 256]),
        odd(data_offsets=[256, 0]),
        odd(data_offsets=[0, 10**12]),
        odd(dtype=None, data_offsets=[None, None]),
        lambda header, _: header.update(extra=3),
    ],
    ids=range(13),
)
def test_a_damaged_header_is_damaged_to_everyone(rnnscope, tmp_path, change):
    path = write(tmp_path / "m.safetensors", LSTM, change)
    for result in both(rnnscope, path):
        assert result.code == 2
        assert "The .safetensors file is truncated or damaged." in result.stderr
        assert "Traceback" not in result.stderr


def test_a_file_that_is_cut_off_is_so_to_everyone(rnnscope, tmp_path):
    path = write(tmp_path / "m.safetensors", LSTM)
    path.write_bytes(path.read_bytes()[:-1])
    for result in both(rnnscope, path):
        assert result.code == 2
        assert "truncated or damaged" in result.stderr


def test_a_type_that_numpy_lacks_is_no_harm_to_the_others(rnnscope, tmp_path):
    """An F8 tensor beside float32 ones: it is named, and only what needs it is refused."""

    def add(header, size):
        header["scale"] = entry("F8_E4M3", [2], size, size + 2)

    states = {"c": RNG.normal(size=(2, 3, 4)).astype("<f4")}
    path = write(tmp_path / "m.safetensors", {**LSTM, **states}, add, tail=b"ab")
    inspected, compared = both(rnnscope, path)
    assert inspected.code == 0, inspected.stderr
    assert compared.code == 0, compared.stderr
    assert "scale" in compared.stdout


def test_a_weight_of_such_a_type_is_refused_by_name(rnnscope, tmp_path):
    def change(header, _size):
        header["lstm.weight_hh_l0"]["dtype"] = "F8_E5M2"

    path = write(tmp_path / "m.safetensors", LSTM, change)
    result = rnnscope("inspect", path)
    assert result.code == 2
    assert "lstm.weight_hh_l0" in result.stderr
    assert "F8_E5M2" in result.stderr
