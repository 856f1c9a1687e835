"""Bundles: read as TensorFlow reads them, and never taken for whole when damaged."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from rnnscope.errors import CheckpointError
from rnnscope.files.tensorflow.bundle import TensorBundle, VariableInfo, is_bundle_index
from rnnscope.files.tensorflow.bundle_index import SLICE_PREFIX, index_path
from rnnscope.files.tensorflow.ordered_code import FULL_EXTENT, slice_key
from rnnscope.files.tensorflow.proto_schema import message_class
from rnnscope.files.tensorflow.table import (
    FOOTER_SIZE,
    MAGIC,
    is_table_file,
    masked_crc32c,
    read_table,
)

RNG = np.random.default_rng(7)

PLAIN = {
    "rnn/lstm_cell/kernel": RNG.normal(size=(5, 8)).astype(np.float32),
    "rnn/lstm_cell/bias": np.zeros(8, np.float32),
    "double": RNG.normal(size=(2, 3, 4)),
    "half": RNG.normal(size=7).astype(np.float16),
    "bfloat": RNG.normal(size=(2, 2)).astype(tf.bfloat16.as_numpy_dtype),
    "global_step": np.int64(1000),
    "int8": np.arange(-3, 3, dtype=np.int8),
    "uint64": np.array([2**63], np.uint64),
    "flags": np.array([True, False, True]),
    "complex": np.array([1 + 2j], np.complex64),
    "empty": np.zeros((0, 4), np.float32),
    "text": np.array([b"", b"\xff\0bytes", b"x" * 300], dtype=object).reshape(3, 1),
    "graph": b"a scalar string",
    "größe": np.float32(1),
}


def save(prefix: Path, tensors: dict[str, Any], slices: dict[str, str] | None = None) -> None:
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(tensors),
        shape_and_slices=[(slices or {}).get(name, "") for name in tensors],
        tensors=[tf.constant(value) for value in tensors.values()],
    )


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    prefix = tmp_path_factory.mktemp("plain") / "model.ckpt-100"
    save(prefix, PLAIN)
    return prefix


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle small enough that random damage meets every part of it."""
    prefix = tmp_path_factory.mktemp("small") / "m"
    save(prefix, {"b": np.arange(3, dtype=np.float32), "t": b"text"})
    return prefix


@pytest.fixture(scope="session")
def partitioned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One variable in four slices over two shards, as a partitioner and a sharded Saver leave it.

    The offsets reach past 63, where the coding of the keys takes a second byte.
    """
    folder = tmp_path_factory.mktemp("partitioned")
    whole = whole_kernel()
    names = []
    for shard, columns in enumerate([slice(0, 70), slice(70, 200)]):
        name = tf.raw_ops.ShardedFilename(
            basename=str(folder / "part"), shard=shard, num_shards=2
        ).numpy()
        names.append(name)
        width = columns.stop - columns.start
        specs = [f"6 200 {row},3:{columns.start},{width}" for row in (0, 3)]
        tf.raw_ops.SaveV2(
            prefix=name,
            tensor_names=["cell/kernel", "cell/kernel", f"other_{shard}"],
            shape_and_slices=[*specs, ""],
            tensors=[
                tf.constant(whole[:3, columns]),
                tf.constant(whole[3:, columns]),
                tf.constant(float(shard)),
            ],
        )
    prefix = folder / "model.ckpt"
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=names, destination_prefix=str(prefix))
    return prefix


def whole_kernel() -> np.ndarray[Any, Any]:
    return np.arange(1200, dtype=np.float32).reshape(6, 200)


def agrees_with_tensorflow(prefix: Path) -> None:
    reader = tf.train.load_checkpoint(str(prefix))
    bundle = TensorBundle.open(prefix)
    shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    assert set(bundle.variables) == set(shapes)
    for name, info in bundle.variables.items():
        assert (info.name, info.shape) == (name, tuple(shapes[name]))
        assert info.dtype == dtypes[name].name
        expected = np.asarray(reader.get_tensor(name))
        if info.dtype in {"float16", "bfloat16"}:
            expected = expected.astype(np.float32)
        if info.dtype == "string":
            expected = expected.astype(object)
        np.testing.assert_array_equal(bundle.read(name), expected, strict=True)


def test_agrees_with_tensorflow_on_every_dtype(plain: Path) -> None:
    agrees_with_tensorflow(plain)
    assert list(TensorBundle.open(plain).variables) == sorted(PLAIN)


def test_agrees_with_tensorflow_on_an_object_based_checkpoint(tmp_path: Path) -> None:
    saved = tf.train.Checkpoint(cell=tf.train.Checkpoint(kernel=tf.Variable([[1.0, 2.0]])))
    prefix = Path(saved.write(str(tmp_path / "ckpt")))
    agrees_with_tensorflow(prefix)
    graph = TensorBundle.open(prefix).read("_CHECKPOINTABLE_OBJECT_GRAPH").item()
    nodes = message_class("TrackableObjectGraph").FromString(graph).nodes
    assert nodes[0].children[0].local_name == "cell"


def test_agrees_with_tensorflow_on_a_tf1_partitioned_variable(tmp_path: Path) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        split = v1.fixed_size_partitioner(3)
        v1.get_variable("kernel", [7, 4], partitioner=split, use_resource=False)
        session.run(v1.global_variables_initializer())
        prefix = Path(v1.train.Saver().save(session, str(tmp_path / "model.ckpt")))
    agrees_with_tensorflow(prefix)
    assert TensorBundle.open(prefix).variables["kernel"].parts == 3


def test_slices_over_two_shards_are_joined(partitioned: Path) -> None:
    agrees_with_tensorflow(partitioned)
    bundle = TensorBundle.open(partitioned)
    assert bundle.variables["cell/kernel"] == VariableInfo("cell/kernel", "float32", (6, 200), 4)
    np.testing.assert_array_equal(bundle.read("cell/kernel"), whole_kernel(), strict=True)
    assert [path.name for path in bundle.files] == [
        "model.ckpt.index",
        "model.ckpt.data-00000-of-00002",
        "model.ckpt.data-00001-of-00002",
    ]


@pytest.mark.parametrize("start", [0, 1, 63, 64, 8191, 8192, 1 << 20, 1 << 27, (1 << 40) + 5])
def test_slice_keys_are_tensorflows(tmp_path: Path, start: int) -> None:
    """Each width of the coded numbers, by the key under which TensorFlow stores such a slice."""
    spec = f"{start + 3} 1 {start},2:-"
    save(tmp_path / "m", {"größe": np.zeros((2, 1), np.float32)}, {"größe": spec})
    keys = [key for key in read_table(tmp_path / "m.index") if key.startswith(SLICE_PREFIX)]
    assert keys == [slice_key("größe".encode(), [(start, 2), (0, FULL_EXTENT)])]


def test_arrays_can_be_written_to(plain: Path) -> None:
    bundle = TensorBundle.open(plain)
    for name in ("rnn/lstm_cell/kernel", "half", "bfloat"):
        bundle.read(name)[0] = 0


def test_only_the_index_of_a_bundle_is_one(plain: Path, tmp_path: Path) -> None:
    assert is_bundle_index(index_path(plain))
    assert not is_bundle_index(plain.with_name(plain.name + ".data-00000-of-00001"))
    assert not is_bundle_index(tmp_path)
    assert not is_bundle_index(tmp_path / "missing")


def test_a_v1_checkpoint_is_a_table_but_no_bundle(tmp_path: Path) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        v1.get_variable("kernel", [7, 4], use_resource=False)
        session.run(v1.global_variables_initializer())
        saver = v1.train.Saver(write_version=v1.train.SaverDef.V1)
        path = Path(saver.save(session, str(tmp_path / "model.ckpt")))
    assert is_table_file(path)
    assert not is_bundle_index(path)
    shutil.copy(path, tmp_path / "copy.index")
    with pytest.raises(CheckpointError, match="not the index of a checkpoint"):
        TensorBundle.open(tmp_path / "copy")


def test_an_unknown_variable_brings_the_nearest_names(plain: Path) -> None:
    with pytest.raises(CheckpointError, match="rnn/lstm_cell/kernel") as caught:
        TensorBundle.open(plain).read("rnn/lstm_cell/kernels")
    assert str(caught.value.hint).startswith("did you mean rnn/lstm_cell/kernel")


def test_other_dtypes_are_listed_but_not_read(tmp_path: Path) -> None:
    save(tmp_path / "m", {"q": tf.quantization.quantize([1.0], -1.0, 1.0, tf.qint8).output})
    bundle = TensorBundle.open(tmp_path / "m")
    assert bundle.variables["q"].dtype == "qint8"
    with pytest.raises(CheckpointError, match="found: qint8"):
        bundle.read("q")


# --- damage ---------------------------------------------------------------------------------


def copy(prefix: Path, folder: Path) -> Path:
    for path in prefix.parent.glob(f"{prefix.name}.*"):
        shutil.copy(path, folder)
    return folder / prefix.name


def shard_of(prefix: Path, number: int = 0, count: int = 1) -> Path:
    return prefix.with_name(f"{prefix.name}.data-{number:05d}-of-{count:05d}")


def test_a_missing_shard_names_it_and_what_is_there(partitioned: Path, tmp_path: Path) -> None:
    prefix = copy(partitioned, tmp_path)
    shard_of(prefix, 1, 2).unlink()
    with pytest.raises(CheckpointError, match="shard of a checkpoint is missing") as caught:
        TensorBundle.open(prefix)
    assert caught.value.expected == "model.ckpt.data-00001-of-00002"
    assert caught.value.found == "model.ckpt.data-00000-of-00002"


def test_a_truncated_shard_names_the_variable_and_the_bytes(plain: Path, tmp_path: Path) -> None:
    prefix = copy(plain, tmp_path)
    whole = shard_of(prefix).read_bytes()
    shard_of(prefix).write_bytes(whole[:-1])
    with pytest.raises(CheckpointError, match="shard of a checkpoint is truncated") as caught:
        TensorBundle.open(prefix)
    assert caught.value.found == f"a file of {len(whole) - 1} bytes"
    assert "variable größe" in str(caught.value.where)


def test_a_shard_that_shrinks_after_opening_is_noticed(small: Path, tmp_path: Path) -> None:
    prefix = copy(small, tmp_path)
    bundle = TensorBundle.open(prefix)
    shard_of(prefix).write_bytes(b"")
    with pytest.raises(CheckpointError, match="12 bytes"):
        bundle.read("b")
    shard_of(prefix).unlink()
    with pytest.raises(CheckpointError, match="cannot be read"):
        bundle.read("b")


def test_a_flipped_bit_in_a_shard_names_the_variable(small: Path, tmp_path: Path) -> None:
    prefix = copy(small, tmp_path)
    damaged = bytearray(shard_of(prefix).read_bytes())
    damaged[0] ^= 1
    shard_of(prefix).write_bytes(damaged)
    with pytest.raises(CheckpointError, match="CRC32C") as caught:
        TensorBundle.open(prefix).read("b")
    assert "variable b, byte 0 of m.data-00000-of-00001" in str(caught.value.where)


def test_an_empty_index_and_a_missing_one(tmp_path: Path) -> None:
    (tmp_path / "m.index").touch()
    with pytest.raises(CheckpointError, match="is empty"):
        TensorBundle.open(tmp_path / "m")
    with pytest.raises(CheckpointError, match="cannot be opened"):
        TensorBundle.open(tmp_path / "none")


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def write_index(prefix: Path, table: dict[bytes, bytes]) -> None:
    """An index with valid checksums, so that only its contents can be wrong."""

    def block(entries: dict[bytes, bytes]) -> bytes:
        stored = b"".join(
            b"\0" + varint(len(key)) + varint(len(value)) + key + value
            for key, value in entries.items()
        )
        stored += bytes(4) + (1).to_bytes(4, "little") + b"\0"
        return stored + masked_crc32c(stored).to_bytes(4, "little")

    data = block(dict(sorted(table.items())))
    index = block({b"\xff": varint(0) + varint(len(data) - 5)})
    footer = varint(0) * 2 + varint(len(data)) + varint(len(index) - 5)
    index_path(prefix).write_bytes(
        data + index + footer.ljust(FOOTER_SIZE - len(MAGIC), b"\0") + MAGIC
    )


def edited(source: Path, folder: Path, key: bytes, kind: str, **fields: Any) -> Path:
    """A copy of a bundle with some fields of one message in its index replaced."""
    prefix = copy(source, folder)
    table = read_table(index_path(prefix))
    message = message_class(kind).FromString(table[key])
    message.MergeFrom(message_class(kind)(**fields))
    write_index(prefix, {**table, key: message.SerializeToString()})
    return prefix


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"endianness": 1}, "big-endian"),
        ({"version": {"min_consumer": 2}}, "newer format"),
        ({"num_shards": 1 << 30}, "shard of a checkpoint is missing"),
    ],
)
def test_headers_that_cannot_be_honoured(
    small: Path, tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    prefix = edited(small, tmp_path, b"", "BundleHeaderProto", **fields)
    with pytest.raises(CheckpointError, match=message):
        TensorBundle.open(prefix)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"size": 1 << 50}, "12 bytes for float32"),
        ({"shape": {"dim": [{"size": 1 << 40}]}}, "for float32"),
        ({"dtype": 2}, "24 bytes for float64"),
        ({"offset": 1 << 50}, "truncated"),
        ({"offset": -4}, "truncated"),
        ({"shard_id": 1}, "a shard below 1"),
        ({"shard_id": -1}, "a shard below 1"),
        ({"dtype": 20, "size": -1}, "truncated"),
        ({"shape": {"unknown_rank": True}}, "impossible shape"),
    ],
)
def test_entries_that_do_not_fit_their_shard(
    small: Path, tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    prefix = edited(small, tmp_path, b"b", "BundleEntryProto", **fields)
    with pytest.raises(CheckpointError, match=message):
        TensorBundle.open(prefix)


def slice_of(*extents: tuple[int, int]) -> dict[str, Any]:
    return {"extent": [{"start": start, "length": length} for start, length in extents]}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"slices": [slice_of((0, 3), (0, 70))]}, "1200 elements in all"),
        ({"slices": [slice_of((0, 3), (0, 71))]}, "none in the index"),
        ({"slices": [slice_of((0, 3))]}, "slices with 2 axes"),
        ({"slices": [slice_of((0, 3), (190, 70))]}, "slices within"),
        ({"slices": [slice_of((-3, 3), (0, 70))]}, "slices within"),
        ({"dtype": 2}, "expected: float64"),
        ({"dtype": 7}, "found: string"),
        ({"shape": {"dim": [{"size": 2}]}}, "slices with 3 axes"),
    ],
)
def test_slices_that_do_not_make_a_whole(
    partitioned: Path, tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    prefix = edited(partitioned, tmp_path, b"cell/kernel", "BundleEntryProto", **fields)
    bundle = TensorBundle.open(prefix)
    with pytest.raises(CheckpointError, match=message):
        bundle.read("cell/kernel")


def test_slices_that_overlap_or_share_bytes(tmp_path: Path) -> None:
    """Slices [0, 2) twice: the count fits the whole, the cover does not."""
    whole = np.zeros(4, np.float32)
    save(tmp_path / "m", {"v": whole[:2], "w": whole}, {"v": "4 0,2"})
    prefix = edited(
        tmp_path / "m", mkdir(tmp_path / "x"), b"v", "BundleEntryProto", slices=[slice_of((0, 2))]
    )
    with pytest.raises(CheckpointError, match="slices that overlap"):
        TensorBundle.open(prefix).read("v")
    repeated = {"slices": [slice_of((0, 2))] * 99, "shape": {"dim": [{"size": 50}]}}
    table = read_table(tmp_path / "m.index")
    message = message_class("BundleEntryProto")(dtype=1, **repeated)
    message.shape.dim[0].size = 198
    write_index(prefix, {**table, b"v": message.SerializeToString()})
    with pytest.raises(CheckpointError, match="slices of at most 24 bytes"):
        TensorBundle.open(prefix).read("v")


def mkdir(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("shape", "message"),
    [((5,), "the lengths of 5|bytes"), ((1000,), "the lengths of 1000"), ((0,), "4 bytes")],
)
def test_strings_that_do_not_fit_their_shape(
    small: Path, tmp_path: Path, shape: tuple[int, ...], message: str
) -> None:
    fields = {"shape": {"dim": [{"size": size} for size in shape]}}
    prefix = edited(small, tmp_path, b"t", "BundleEntryProto", **fields)
    with pytest.raises(CheckpointError, match=message):
        TensorBundle.open(prefix).read("t")


def damage(data: st.DataObject, whole: bytes) -> bytes:
    """One flipped byte, or everything from some byte on cut off."""
    place = data.draw(st.integers(0, len(whole) - 1))
    flip = data.draw(st.integers(0, 255))
    return whole[:place] + (bytes([whole[place] ^ flip]) + whole[place + 1 :] if flip else b"")


@given(st.data())
def test_damage_gives_the_right_data_or_a_checkpoint_error(
    small: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp() / "damaged"
    folder.mkdir(exist_ok=True)
    prefix = copy(small, folder)
    target = data.draw(st.sampled_from([index_path(prefix), shard_of(prefix)]))
    target.write_bytes(damage(data, target.read_bytes()))
    is_bundle_index(index_path(prefix))
    try:
        bundle = TensorBundle.open(prefix)
        read = {name: bundle.read(name).tolist() for name in bundle.variables}
    except CheckpointError as error:
        assert str(folder) in str(error.where)
    else:
        assert read == {"b": [0.0, 1.0, 2.0], "t": b"text"}
    for path in bundle_files(folder):
        path.unlink()


def bundle_files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file()]


@given(st.data())
def test_damage_with_valid_checksums_raises_checkpoint_errors_only(
    small: Path,
    partitioned: Path,
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
) -> None:
    """A hostile index has valid checksums, so that only the checks behind them are left."""
    folder = tmp_path_factory.getbasetemp() / "hostile"
    folder.mkdir(exist_ok=True)
    prefix = copy(data.draw(st.sampled_from([small, partitioned])), folder)
    table = read_table(index_path(prefix))
    key = data.draw(st.sampled_from(list(table)))
    write_index(prefix, {**table, key: damage(data, table[key])})
    try:
        bundle = TensorBundle.open(prefix)
        for name in bundle.variables:
            bundle.read(name)
    except CheckpointError as error:
        assert str(folder) in str(error.where)
