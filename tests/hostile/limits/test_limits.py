"""Small files that ask for much: refused before memory or time is taken, unless that is asked."""

from __future__ import annotations

import io
import json
import signal
import struct
import sys
import time
import zipfile
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest

from rnnscope.checkpoints import read_checkpoint
from rnnscope.errors import CheckpointError, InputError, RnnscopeError
from rnnscope.files.guarding.limits import put_limits_back, set_limits, time_to_read
from rnnscope.files.hdf5 import probe as hdf5_probe
from rnnscope.files.tensorflow.proto_schema import message_class
from rnnscope.inputs import open_input

MEGABYTE = 2**20


@pytest.fixture
def limited():
    """`limited(**changes)`: other limits until the test ends."""
    before = set_limits()
    yield set_limits
    put_limits_back(before)


def test_zeros_that_unpack_to_more_than_they_may(files, limited, rnnscope):
    np.savez_compressed("zeros.npz", x=np.zeros((40, 1000, 2), "f4"))
    arguments = ("run", "w.npz", "zeros.npz", "--layout", "tf1", "-o", "t.h5", "--quiet")
    found = rnnscope(*arguments, "--max-bytes", "100KB")
    assert found.code == 2
    assert "The file unpacks to more than it may." in found.stderr
    assert "allow more with --max-bytes" in found.stderr
    assert rnnscope(*arguments, "--max-bytes", "1MB").code == 0


def test_many_members_count_together(files, limited):
    np.savez_compressed("zeros.npz", x=np.zeros((9, 1000, 2), "f4"), mask=np.ones((9, 1000), "?"))
    limited(max_bytes=75_000)
    with pytest.raises(InputError, match="unpacks to more"):
        open_input("zeros.npz")


def test_the_limit_grows_with_the_file(limited):
    limits = limited()
    assert limits.unpacked(10) == 256 * MEGABYTE
    assert limits.unpacked(10 * MEGABYTE) == 1000 * MEGABYTE
    limited(max_bytes=5)
    assert set_limits().unpacked(10 * MEGABYTE) == 5


def keras_zip(path, config, weights=b"x"):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.4.0"}))
        archive.writestr("config.json", config)
        archive.writestr("model.weights.h5", weights)


@pytest.mark.parametrize(
    ("config", "weights"), [(" " * (65 * MEGABYTE), b"x"), ("{}", bytes(257 * MEGABYTE))]
)
def test_members_of_blanks_and_zeros(tmp_path, config, weights):
    keras_zip(tmp_path / "m.keras", config, weights)
    started = time.process_time()
    with pytest.raises(CheckpointError):
        read_checkpoint(tmp_path / "m.keras")
    assert time.process_time() - started < 5


def test_compressed_weights_count_together(tmp_path, limited):
    from rnnscope.files.hdf5.safe_hdf5 import load_array, open_h5

    with h5py.File(tmp_path / "m.h5", "w") as file:
        for name in "ab":
            file.create_dataset(name, data=np.zeros(30_000, "f4"), compression="gzip")
    limited(max_bytes=150_000)
    with open_h5(tmp_path / "m.h5") as file:
        load_array(file["a"])
        with pytest.raises(CheckpointError, match="unpacks to more"):
            load_array(file["b"])


def doubling(levels):
    """Functions of which each calls the next one twice."""
    graph = message_class("GraphDef")()
    for level in range(levels):
        body = graph.library.function.add()
        body.signature.name = f"f{level}"
        for number in range(2):
            node = body.node_def.add(name=f"call{number}", op="PartitionedCall")
            node.attr["f"].func.name = f"f{level + 1}"
    node = graph.node.add(name="call", op="PartitionedCall")
    node.attr["f"].func.name = "f0"
    graph.node.add(name="x", op="Placeholder")
    return graph.SerializeToString()


def test_functions_that_double(tmp_path):
    """Sixteen levels are laid open, 2 to the 16th nodes: a limit of nodes, or an answer."""
    (tmp_path / "m.pb").write_bytes(doubling(40))
    started = time.process_time()
    with suppress(RnnscopeError):
        read_checkpoint(tmp_path / "m.pb")
    assert time.process_time() - started < 30


def exponential_key(levels):
    out = b"\x80\x02}" + b"K\x01"
    for level in range(levels):
        out += b"q" + bytes([level]) + b"h" + bytes([level]) + b"\x86"
    return out + b"K\x01s."


def test_a_key_whose_hash_takes_for_ever(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.pt", "w") as archive:
        archive.writestr("m/data.pkl", exponential_key(60))
        archive.writestr("m/version", "3")
    started = time.process_time()
    with pytest.raises(RnnscopeError):
        read_checkpoint(tmp_path / "m.pt")
    assert time.process_time() - started < 5


def test_dotted_keys_of_a_suite(tmp_path, rnnscope):
    (tmp_path / "s.toml").write_text(".".join("a" * 3000) + " = 1\n")
    found = rnnscope("check", "--suite", tmp_path / "s.toml")
    assert found.code == 2
    assert "a line with 2999 dots" in found.stderr


def test_time_to_read_ends(files, limited, rnnscope):
    sample = Path(__file__).resolve().parents[3] / "sample_data/lstm_float32/model.ckpt"
    found = rnnscope("inspect", sample, "--max-seconds", "0.0001")
    assert found.code == 2
    assert "Reading the file takes too long." in found.stderr
    assert "allow more with --max-seconds" in found.stderr
    with time_to_read():
        assert read_checkpoint(sample)


@pytest.mark.parametrize("size", ["0", "-1", "many", "1XB"])
def test_a_size_that_is_none(rnnscope, size):
    assert rnnscope("inspect", "x", "--max-bytes", size).code == 2


posix = pytest.mark.skipif(sys.platform == "win32", reason="a fork is of POSIX")


def with_heap(path):
    """A file with text attributes, which lie in a global heap."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = "x" * 300
        file["a"] = np.arange(3)
    content = path.read_bytes()
    return bytearray(content), content.find(b"GCOL")


def break_heap(path):
    """The free space of the heap gets length 0: HDF5 steps over it without getting further."""
    content, at = with_heap(path)
    place = at + 16
    while True:
        index, length = struct.unpack("<H6xQ", content[place : place + 16])
        if index == 0:
            content[place + 8 : place + 16] = bytes(8)
            break
        place += 16 + -(-length // 8) * 8
    path.write_bytes(content)


@posix
def test_a_heap_that_keeps_hdf5_for_ever(tmp_path, limited):
    limited(max_seconds=3)  # of which the child has a share
    break_heap(tmp_path / "m.h5")
    with pytest.raises(CheckpointError, match="does not come to an end"):
        read_checkpoint(tmp_path / "m.h5")


@posix
@pytest.mark.parametrize("sent", ["with the question", "ahead"])
@pytest.mark.parametrize("ended", ["crash", "hang"])
def test_how_the_child_ends_is_told(tmp_path, limited, monkeypatch, ended, sent):
    import os

    with_heap(tmp_path / "m.h5")
    limited(probe_always=True, max_seconds=1)

    def walk(_):
        if ended == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        while True:
            pass

    monkeypatch.setattr(hdf5_probe, "walk", walk)
    if sent == "ahead":
        hdf5_probe.begin(tmp_path / "m.h5")
        monkeypatch.setattr(hdf5_probe, "_send", lambda *_: pytest.fail("sent twice"))
        hdf5_probe.begin(tmp_path / "m.h5")
    words = "crashes on it" if ended == "crash" else "does not come to an end"
    for _ in range(2):  # the second time it is known
        with pytest.raises(CheckpointError, match=words):
            hdf5_probe.probe(tmp_path / "m.h5", "m.h5", CheckpointError)
        monkeypatch.setattr(hdf5_probe, "_send", lambda *_: pytest.fail("looked at twice"))
    hdf5_probe.begin(tmp_path / "m.h5")


@posix
def test_no_child_is_sent_ahead_in_a_program_of_python(tmp_path, limited, monkeypatch):
    """A fork would cut off its threads; and what is not there is told by whoever opens it."""
    monkeypatch.setattr(hdf5_probe, "_send", lambda *_: pytest.fail("forked"))
    with_heap(tmp_path / "m.h5")
    hdf5_probe.begin(tmp_path / "m.h5")
    limited(probe_always=True)
    hdf5_probe.begin(tmp_path / "nothing.h5")


def test_good_heaps_are_not_odd(tmp_path):
    with_heap(tmp_path / "m.h5")
    assert not hdf5_probe.looks_odd(tmp_path / "m.h5", 1)
    assert not hdf5_probe.looks_odd(io.BytesIO((tmp_path / "m.h5").read_bytes()), 1)
    assert hdf5_probe.looks_odd(tmp_path / "m.h5", 2**30)
    break_heap(tmp_path / "m.h5")
    assert hdf5_probe.looks_odd(tmp_path / "m.h5", 1)
