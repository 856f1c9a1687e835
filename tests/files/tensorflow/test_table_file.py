"""The table file: what TensorFlow writes is read, and nothing damaged is taken for whole."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from rnnscope.errors import CheckpointError
from rnnscope.files.tensorflow.snappy import SNAPPY_MAX_RATIO, decompress_snappy, read_varint
from rnnscope.files.tensorflow.table import (
    FOOTER_SIZE,
    MAGIC,
    is_table_file,
    masked_crc32c,
    read_table,
)


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The index of 300 variables, so that there are several data blocks and shared prefixes."""
    prefix = tmp_path_factory.mktemp("table") / "many"
    names = [f"rnn/multi_rnn_cell/cell_{number}/lstm_cell/kernel" for number in range(300)]
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tf.constant(float(number)) for number in range(300)],
    )
    return prefix.with_name("many.index")


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def entry(shared: int, key: bytes, value: bytes) -> bytes:
    return varint(shared) + varint(len(key)) + varint(len(value)) + key + value


def block(contents: bytes, compression: int = 0) -> bytes:
    stored = contents + bytes([compression])
    return stored + masked_crc32c(stored).to_bytes(4, "little")


def restarts(count: int = 1) -> bytes:
    return bytes(4 * count) + count.to_bytes(4, "little")


def table(data: bytes, compression: int = 0, *, index: bytes | None = None) -> bytes:
    """A table file of one data block; `index` replaces the contents of its index block."""
    stored = block(data, compression)
    if index is None:
        index = entry(0, b"z", varint(0) + varint(len(data))) + restarts()
    footer = varint(0) + varint(0) + varint(len(stored)) + varint(len(index))
    return stored + block(index) + footer.ljust(FOOTER_SIZE - len(MAGIC), b"\0") + MAGIC


def read_bytes(folder: Path, content: bytes) -> dict[bytes, bytes]:
    path = folder / "made.index"
    path.write_bytes(content)
    return read_table(path)


def test_reads_what_tensorflow_wrote(index: Path) -> None:
    keys = list(read_table(index))
    names = [name.encode() for name, _ in tf.train.list_variables(str(index)[: -len(".index")])]
    assert keys == [b"", *sorted(names)]


def test_is_table_file_goes_by_content(index: Path, tmp_path: Path) -> None:
    assert is_table_file(index)
    for content in (b"", b"short", b"\x89HDF\r\n\x1a\n" * 20):
        other = tmp_path / "other.index"
        other.write_bytes(content)
        assert not is_table_file(other)
    assert not is_table_file(tmp_path)
    assert not is_table_file(tmp_path / "missing")


def test_shared_prefixes_are_spelled_out(tmp_path: Path) -> None:
    data = entry(0, b"cell/bias", b"1") + entry(5, b"kernel", b"2") + restarts()
    assert read_bytes(tmp_path, table(data)) == {b"cell/bias": b"1", b"cell/kernel": b"2"}


def test_snappy_blocks_are_decompressed(tmp_path: Path) -> None:
    plain = entry(0, b"key", b"v" * 40) + restarts()
    start = plain.index(b"v") + 1
    # A literal up to the first v, a copy of 39 more from one byte back, a literal for the rest.
    packed = varint(len(plain)) + bytes([(start - 1) << 2]) + plain[:start]
    packed += bytes([(39 - 1) << 2 | 2]) + (1).to_bytes(2, "little")
    packed += bytes([(8 - 1) << 2]) + plain[-8:]
    assert read_bytes(tmp_path, table(packed, compression=1)) == {b"key": b"v" * 40}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"x" * 20, "too short"),
        (b"x" * 200, "truncated, or no table file"),
        (table(b"\x00"), "restart offsets"),
        (table(b"\xff\xff\xff\xff"), "restart offsets"),
        (table(b"\x80" + restarts()), "entry within 1 bytes"),
        (table(b"\xff" * 12 + restarts()), "more than 10 bytes"),
        (table(varint(9) + varint(1) + varint(0) + b"k" + restarts()), "shares 9"),
        (table(varint(0) + varint(1 << 60) + varint(0) + restarts()), "entry within"),
        (table(entry(0, b"b", b"") + entry(0, b"a", b"") + restarts()), "key above"),
        (table(restarts(), compression=7), "compression type"),
        (table(varint(1 << 40) + b"\0", compression=1), "declared size"),
        (table(restarts(), index=entry(0, b"z", b"\x80") + restarts()), "block handle"),
        (
            table(restarts(), index=entry(0, b"z", varint(1 << 60) + varint(8)) + restarts()),
            "room for 0 bytes",
        ),
        (
            table(restarts(), index=entry(0, b"z", varint(0) + varint(1 << 62)) + restarts()),
            "room for",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_malformed_tables_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        read_bytes(tmp_path, content)
    assert str(tmp_path / "made.index") in str(caught.value.where)
    assert caught.value.hint


def test_keys_cannot_outgrow_their_block(tmp_path: Path) -> None:
    """A few bytes an entry must not spell out a long key again and again."""
    long = entry(0, b"k" * 1000, b"")
    data = long + b"".join(entry(1000, bytes([n]), b"") for n in range(200)) + restarts()
    with pytest.raises(CheckpointError, match="keys of at most"):
        read_bytes(tmp_path, table(data))


def test_a_flipped_bit_names_the_block_and_both_checksums(index: Path, tmp_path: Path) -> None:
    damaged = bytearray(index.read_bytes())
    damaged[10] ^= 1
    with pytest.raises(CheckpointError, match="masked CRC32C") as caught:
        read_bytes(tmp_path, bytes(damaged))
    assert "block at byte 0" in str(caught.value.where)


def test_missing_file_and_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.index"):
        with pytest.raises(CheckpointError, match="cannot be opened"):
            read_table(path)


@given(st.integers(0, (1 << 64) - 1), st.binary(max_size=4))
def test_varints_round_trip(value: int, rest: bytes) -> None:
    encoded = varint(value)
    assert read_varint(encoded + rest, 0) == (value, len(encoded))


@given(st.binary(max_size=64))
def test_decompression_fails_with_value_errors_only(data: bytes) -> None:
    with suppress(ValueError):
        assert len(decompress_snappy(data)) <= SNAPPY_MAX_RATIO * len(data)


@pytest.mark.parametrize(
    ("packed", "plain"),
    [
        (b"\x00", b""),
        (b"\x03\x08abc", b"abc"),
        (b"\x08\x08abc\x05\x03" + b"", b"abcabcab"[:3] + b"abcab"),  # one-byte offset, overlapping
        (b"\x05\x00a\x0f\x01\x00\x00\x00", b"aaaaa"),  # four-byte offset
        (b"\x41\xf0\x40" + b"x" * 65, b"x" * 65),  # literal length in one byte behind the tag
    ],
)
def test_every_kind_of_snappy_element(packed: bytes, plain: bytes) -> None:
    assert decompress_snappy(packed) == plain


@pytest.mark.parametrize(
    "packed",
    [b"", b"\x05\x00a", b"\x02\x0cab", b"\x04\x01\x01", b"\x04\x00a\x01\x02", b"\x01\x04ab"],
)
def test_malformed_snappy_is_a_value_error(packed: bytes) -> None:
    with pytest.raises(ValueError, match=r"bytes|block|varint"):
        decompress_snappy(packed)


@given(st.data())
def test_truncation_and_flips_never_pass_unseen(
    index: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Any one flipped byte, or any truncation, gives the right table or a CheckpointError."""
    whole = index.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    flip = data.draw(st.integers(0, 255))
    damaged = whole[:place] + (bytes([whole[place] ^ flip]) + whole[place + 1 :] if flip else b"")
    path = tmp_path_factory.getbasetemp() / "damaged.index"
    path.write_bytes(damaged)
    try:
        assert read_table(path) == read_table(index)
    except CheckpointError as error:
        assert str(path) in str(error.where)
