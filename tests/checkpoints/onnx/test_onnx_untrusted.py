"""ONNX files that nobody vouches for: cut off, with sizes that lie, with paths that lead away."""

from __future__ import annotations

import numpy as np
import pytest
from checkpoint_truth import DATA
from onnx_files import graph, node, save, simple, tensor, value, weights

from rnnscope.checkpoints import read_checkpoint
from rnnscope.checkpoints.onnx.graph.proto import PACKAGE, SCHEMA, TABLE, sniff_onnx
from rnnscope.errors import CheckpointError, RnnscopeError

MESSAGES = [line for line in SCHEMA.splitlines() if line and not line.startswith(" ")]


@pytest.mark.parametrize("name", MESSAGES)
def test_the_table_agrees_with_the_onnx_package(name):
    onnx = pytest.importorskip("onnx")
    theirs = getattr(onnx, name.split(".")[0]).DESCRIPTOR
    for part in name.split(".")[1:]:
        theirs = theirs.nested_types_by_name[part]
    assert theirs.full_name == f"{PACKAGE}.{name}"
    for field in TABLE.message_class(name).DESCRIPTOR.fields:
        real = theirs.fields_by_name[field.name]
        kind = field.TYPE_INT32 if real.type == real.TYPE_ENUM else real.type
        mine = (field.number, field.type, field.is_repeated)
        assert mine == (real.number, kind, real.is_repeated), field.name


def test_truncated_anywhere(tmp_path):
    whole = simple(tmp_path / "m.onnx").read_bytes()
    cut = tmp_path / "cut.onnx"
    for length in range(0, len(whole), 7):
        cut.write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            read_checkpoint(cut)


@pytest.mark.parametrize("name", ["tagger", "lstm_time_first", "gru_batch_first"])
def test_flipped_bytes_never_end_in_a_traceback(tmp_path, name):
    whole = (DATA / f"onnx/{name}.onnx").read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(400):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 4):
            damaged[place] = rng.integers(0, 256)
        path = tmp_path / "damaged.onnx"
        path.write_bytes(damaged)
        try:
            read_checkpoint(path)
        except RnnscopeError as error:
            assert error.what


@pytest.mark.parametrize(
    "dims", [(1, 16, 10**9), (2**40, 2**40), (-1, 16, 3), (1, 16, 4), (1,) * 40, (0, 2**62)]
)
def test_sizes_that_lie(tmp_path, dims):
    lying = tensor("W", np.zeros((1, 16, 3), "f4"))
    lying.dims[:] = dims
    arrays = weights()
    arrays.pop("W")
    nodes = [node("LSTM", ["X", "W", "R", "B"], ["Y"], "lstm")]
    made = graph(nodes, [value("X", (None, None, 3))], [value("Y")], arrays, [lying])
    with pytest.raises(CheckpointError, match="tensor"):
        read_checkpoint(save(tmp_path / "m.onnx", made))


def bombs():
    ones = np.ones((1, 16, 3), "f4")
    yield [node("Expand", ["one", "shape"], ["W"])], {"shape": np.array([1, 10**6, 10**6])}
    doubling = [
        node("Concat", [f"w{n}", f"w{n}"], [f"w{n + 1}" if n < 59 else "W"], axis=2)
        for n in range(60)
    ]
    yield doubling, {"w0": ones}
    yield (
        [node("Add", ["column", "row"], ["W"])],
        {"column": np.ones((10**6, 1), "f4"), "row": np.ones((1, 10**6), "f4")},
    )
    yield (
        [node("Gather", ["table", "many"], ["W"])],
        {"table": np.ones((1, 10**5), "f4"), "many": np.zeros(10**5, np.int64)},
    )


@pytest.mark.parametrize(
    ("nodes", "arrays"), list(bombs()), ids=["expand", "concat", "add", "gather"]
)
def test_small_constants_do_not_grow_without_bounds(tmp_path, nodes, arrays):
    given = {**weights(), "one": np.ones((1, 1, 1), "f4"), **arrays}
    given.pop("W")
    nodes = [*nodes, node("LSTM", ["X", "W", "R", "B"], ["Y"], "lstm")]
    network = read_checkpoint(simple(tmp_path / "m.onnx", nodes, given)).network
    assert "no constant of the graph" in network.nodes[-1].layer.reason


def test_subgraphs_without_end(tmp_path):
    inner = graph([node("Relu", ["X"], ["Y"])])
    for _ in range(20):
        inner = graph([node("If", ["X"], ["Y"], "if", then_branch=inner)])
    with pytest.raises(CheckpointError):
        read_checkpoint(save(tmp_path / "m.onnx", inner))


def test_nodes_that_read_each_other(tmp_path):
    nodes = [
        node("Identity", ["b"], ["a"]),
        node("Identity", ["a"], ["b"]),
        node("LSTM", ["X", "a", "b", "B", "a", "a", "b"], ["Y"], "lstm"),
        node("LSTM", ["X", "W", "R", "B", "a", "a", "b"], ["Y2"], "other"),
    ]
    network = read_checkpoint(simple(tmp_path / "m.onnx", nodes)).network
    names = {entry.name for entry in network.nodes}
    assert names == {"lstm", "other/initial_m", "other/initial_c", "other/X", "other"}
    assert network.uncomputed_start(network.node("other")) is not None
    assert "runs in a circle" in network.node("other/X").layer.reason


# External data


def external(path, location, offset=None, length=None):
    """An LSTM whose W lies in a file beside the model."""
    held = tensor("W", np.zeros((1, 16, 3), "f4"))
    held.ClearField("raw_data")
    held.data_location = 1
    entries = {"location": location, "offset": offset, "length": length}
    for key, text in entries.items():
        if text is not None:
            held.external_data.add(key=key, value=str(text))
    arrays = weights()
    w = arrays.pop("W")
    nodes = [node("LSTM", ["X", "W", "R", "B"], ["Y"], "lstm")]
    save(path, graph(nodes, [value("X", (None, None, 3))], [value("Y")], arrays, [held]))
    return w


def test_external_data_beside_the_model(tmp_path):
    path = tmp_path / "m.onnx"
    w = external(path, "weights.bin", 16, 192)
    (tmp_path / "weights.bin").write_bytes(bytes(16) + w.tobytes())
    checkpoint = read_checkpoint(path)
    kernel = checkpoint.network.recurrent[0].recurrent.cell.weights.kernel
    np.testing.assert_array_equal(np.sort(kernel.ravel()), np.sort(w.ravel()))
    assert [file.name for file in checkpoint.files] == ["m.onnx", "weights.bin"]


@pytest.mark.parametrize(
    "location", ["../secret.bin", "sub/../../secret.bin", "ABSOLUTE", "link.bin"]
)
def test_external_data_outside_the_folder(tmp_path, location):
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(192))
    (folder / "link.bin").symlink_to(secret)
    path = folder / "m.onnx"
    external(path, str(secret) if location == "ABSOLUTE" else location)
    with pytest.raises(CheckpointError, match="outside the model's folder"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("location", "offset", "length"),
    [
        ("missing.bin", None, None),
        ("", None, None),
        (".", None, None),
        ("a\0b", None, None),
        ("weights.bin", 4, None),
        ("weights.bin", -4, None),
        ("weights.bin", "x", None),
        ("weights.bin", 0, 10**15),
        ("weights.bin", 10**15, 192),
    ],
)
def test_external_data_that_is_not_there(tmp_path, location, offset, length):
    path = tmp_path / "m.onnx"
    external(path, location, offset, length)
    (tmp_path / "weights.bin").write_bytes(bytes(192))
    with pytest.raises(CheckpointError, match="external data"):
        read_checkpoint(path)


def test_sniffing_looks_at_content(tmp_path):
    model = simple(tmp_path / "model.h5")
    assert sniff_onnx(model)
    assert not sniff_onnx(tmp_path)
    assert not sniff_onnx(tmp_path / "missing")
    for head in (b"\x08\x01\x12\x02ab", b"\x0a\x02ab", b"{}", b"\x08\x07", b"\x08\x07\x3a"):
        other = tmp_path / "other"
        other.write_bytes(head)
        assert not sniff_onnx(other)
    assert not sniff_onnx(DATA / "torch/tagger.pt")
