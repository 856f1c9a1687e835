"""`.keras` files written here by hand: how weights are found, and what is refused."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from rnnscope.checkpoints.interface import Checkpoint
from rnnscope.checkpoints.keras import keras_members
from rnnscope.checkpoints.keras.keras_file import READER, to_snake_case
from rnnscope.errors import CheckpointError

KERNEL = np.arange(12, dtype=np.float32).reshape(3, 4)


def lstm(name: str) -> dict[str, Any]:
    settings = {"units": 1, "activation": "tanh", "recurrent_activation": "sigmoid"}
    config = {"name": name, "trainable": True, "return_sequences": True, **settings}
    return {"module": "keras.layers", "class_name": "LSTM", "config": config, "name": name}


def model(*layers: dict[str, Any]) -> dict[str, Any]:
    return {"class_name": "Sequential", "config": {"name": "s", "layers": list(layers)}}


TWO = model(lstm("first"), lstm("second"))


def arrays(first: float, inputs: int = 3) -> list[np.ndarray]:
    """An LSTM's weights of one unit; the first of them is telling."""
    kernel = np.full((inputs, 4), first, np.float32)
    return [kernel, np.zeros((1, 4), np.float32), np.zeros(4, np.float32)]


def weights_file(groups: dict[str, list[np.ndarray]], names: dict[str, str] | None = None) -> bytes:
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        for path, values in groups.items():
            group = file.create_group(f"{path}/vars")
            for number, value in enumerate(values):
                group[str(number)] = value
        for path, name in (names or {}).items():
            file.require_group(f"{path}/vars").attrs["name"] = name
    return memory.getvalue()


DEFAULT = {"layers/lstm/cell": arrays(1), "layers/lstm_1/cell": arrays(2, inputs=1)}


def write(
    path: Path,
    config: Any = TWO,
    weights: bytes | None = None,
    version: Any = "3.15.1",
    compression: int = zipfile.ZIP_STORED,
) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        archive.writestr("config.json", config if isinstance(config, str) else json.dumps(config))
        archive.writestr("model.weights.h5", weights or weights_file(DEFAULT))
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.keras"


def firsts(checkpoint: Checkpoint) -> list[float]:
    """By LSTM, the telling weight."""
    return [
        node.recurrent.cell.weights.kernel[0, 0].item()
        for node in checkpoint.network.recurrent
        if node.recurrent
    ]


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_layers_are_counted_by_class(path: Path, compression: int) -> None:
    """The groups lstm and lstm_1 are the first and the second LSTM, whatever their names."""
    write(path, compression=compression)
    assert READER.sniff(path)
    checkpoint = READER.read(path)
    assert checkpoint.framework == "Keras 3.15.1"
    assert [node.name for node in checkpoint.network.recurrent] == ["first", "second"]
    assert firsts(checkpoint) == [1, 2]
    assert checkpoint.network.recurrent[0].recurrent is not None
    assert checkpoint.network.recurrent[0].recurrent.cell.variables == tuple(
        f"layers/lstm/cell/vars/{number}" for number in range(3)
    )


def test_keras_2_13_counted_layers_with_weights_twice(path: Path) -> None:
    """Its container has another name, and its second LSTM the number 2; 10 comes after 2."""
    old = "_layer_checkpoint_dependencies"
    groups = {
        f"{old}/lstm": [],
        f"{old}/lstm/cell": arrays(1),
        f"{old}/lstm_2/cell": arrays(2, inputs=1),
        f"{old}/lstm_10/cell": arrays(3, inputs=1),
    }
    config = model(lstm("a"), lstm("b"), lstm("c"))
    checkpoint = READER.read(write(path, config, weights_file(groups), "2.13.1"))
    assert firsts(checkpoint) == [1, 2, 3]


def test_the_layers_name_beside_the_weights_checks_the_counting(path: Path) -> None:
    """Keras 3 writes it; another layer's weights are never taken."""
    names = {"layers/lstm": "first", "layers/lstm_1": "second"}
    assert firsts(READER.read(write(path, TWO, weights_file(DEFAULT, names)))) == [1, 2]
    swapped = {"layers/lstm": "second", "layers/lstm_1": "first"}
    write(path, TWO, weights_file(DEFAULT, swapped))
    with pytest.raises(CheckpointError, match="not where its configuration says") as raised:
        READER.read(path)
    assert raised.value.expected == "the weights of layer 'first'"


def test_operations_are_not_counted_among_the_layers(path: Path) -> None:
    """An operation may share its class name with a layer."""
    operation = {
        "module": "keras.src.ops.numpy",
        "class_name": "LSTM",
        "config": {"name": "odd"},
        "name": "odd",
    }
    checkpoint = READER.read(write(path, model(lstm("first"), operation, lstm("second"))))
    assert firsts(checkpoint) == [1, 2]


def test_a_module_of_ones_own_is_not_keras(path: Path) -> None:
    """A class named LSTM from another module is not computed as one; others stay counted."""
    foreign = {**lstm("mine"), "module": "my_package"}
    checkpoint = READER.read(write(path, model(foreign, lstm("second"))))
    assert firsts(checkpoint) == [2]
    assert [row.name for row in checkpoint.left_out] == ["mine"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("LSTM", "lstm"),
        ("LSTMCell", "lstm_cell"),
        ("TimeDistributed", "time_distributed"),
        ("Conv1D", "conv1d"),
        ("CuDNNLSTM", "cu_dnnlstm"),
    ],
)
def test_snake_case_is_keras_own(name: str, expected: str) -> None:
    assert to_snake_case(name) == expected


@pytest.mark.parametrize(
    "broken",
    [
        {"config": "{"},
        {"config": "[]"},
        {"config": {"class_name": "MyModel", "config": {}}},
        {"config": model({"class_name": "LSTM"})},
        {"weights": b"no hdf5"},
        {"weights": weights_file({})},
        {"weights": weights_file(DEFAULT)[:-1]},
        {"weights": weights_file({**DEFAULT, "layers/lstm/cell": arrays(1)[:2]})},
        {"weights": weights_file({**DEFAULT, "layers/lstm/cell": [np.zeros((3, 5))] * 3})},
    ],
)
def test_broken_files_end_in_a_message(path: Path, broken: dict[str, Any]) -> None:
    """What is wrong, and where."""
    write(path, **broken)
    assert READER.sniff(path)
    with pytest.raises(CheckpointError) as raised:
        READER.read(path)
    assert "model" in str(raised.value.where)


@pytest.mark.parametrize("version", [None, 3, ["3.0"]])
def test_a_version_that_is_none(path: Path, version: Any) -> None:
    """It is said, and nothing breaks on it."""
    assert READER.read(write(path, version=version)).framework == "Keras (version not stated)"


@pytest.mark.parametrize("cut", [60, 500, -1])
def test_truncated_zips(path: Path, cut: int) -> None:
    """Recognised by their first member, so that the message is about the damage."""
    write(path)
    path.write_bytes(path.read_bytes()[:cut])
    assert READER.sniff(path)
    with pytest.raises(CheckpointError, match="truncated or damaged"):
        READER.read(path)


def test_sniffing_goes_by_content(path: Path, tmp_path: Path) -> None:
    """Other zips, other files, folders and nothing at all: not ours, and no error."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "")
    (tmp_path / "text.keras").write_text("PK")
    (tmp_path / "empty.keras").touch()
    for other in (path, tmp_path, *tmp_path.glob("*.keras"), tmp_path / "none"):
        assert not READER.sniff(other)
    with pytest.raises(CheckpointError, match="no such file"):
        READER.read(tmp_path / "none")


def test_a_member_is_missing_or_there_twice(path: Path) -> None:
    """Two members of one name: which is meant is anybody's guess."""
    write(path)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(CheckpointError, match="does not hold") as raised:
        READER.read(path)
    assert raised.value.found == "2 of that name among 4 members"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(TWO))
        archive.writestr("metadata.json", "{}")
    with pytest.raises(CheckpointError, match="does not hold"):
        READER.read(path)


def test_members_elsewhere_are_not_touched(path: Path, tmp_path: Path) -> None:
    """Nothing is unpacked, so a member that climbs out of the folder writes nothing."""
    write(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../climbed.txt", "out")
    READER.read(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.keras"]
    assert not (tmp_path.parent / "climbed.txt").exists()


def test_a_bomb_is_refused_before_it_is_unpacked(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its declared size; and one that lies about its size is cut off there."""
    write(path, config=" " * 3_000_000, compression=zipfile.ZIP_DEFLATED)
    monkeypatch.setattr(keras_members, "MAX_CONFIG", 1_000_000)
    with pytest.raises(CheckpointError, match="declares more bytes"):
        READER.read(path)
    monkeypatch.undo()
    monkeypatch.setattr(keras_members, "MAX_RATIO", 10)
    with pytest.raises(CheckpointError, match="declares more bytes"):
        READER.read(path)


def test_an_encrypted_member_is_named(path: Path) -> None:
    """The flag alone makes zipfile ask for a password."""
    raw = bytearray(write(path).read_bytes())
    entry = raw.index(b"PK\x01\x02")
    raw[entry + 8] |= 1
    local = raw.index(b"PK\x03\x04")
    raw[local + 6] |= 1
    path.write_bytes(raw)
    with pytest.raises(CheckpointError, match="cannot be read") as raised:
        READER.read(path)
    assert "metadata.json" in str(raised.value.where)


def test_another_compression_is_named(path: Path) -> None:
    """What deflate can do at most is known; what others can is not."""
    write(path, compression=zipfile.ZIP_BZIP2)
    with pytest.raises(CheckpointError, match="Keras does not use"):
        READER.read(path)


@pytest.mark.parametrize(
    ("compression", "step"), [(zipfile.ZIP_STORED, 31), (zipfile.ZIP_DEFLATED, 3)]
)
def test_no_byte_that_is_wrong_gets_through_as_another_error(
    path: Path, compression: int, step: int
) -> None:
    """Every so many bytes one turned over: a checkpoint, or a `CheckpointError`."""
    whole = write(path, compression=compression).read_bytes()
    for place in range(0, len(whole), step):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        READER.sniff(path)
        try:
            READER.read(path)
        except CheckpointError:
            continue


@pytest.mark.parametrize("in_place_from", [0, 10**9])
def test_weights_are_the_same_where_they_lie_in_the_zip(
    path: Path, monkeypatch: pytest.MonkeyPatch, in_place_from: int
) -> None:
    """Behind a local header that has an extra field, which the list of members need not have."""
    content = weights_file(DEFAULT)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
        archive.writestr("config.json", json.dumps(TWO))
        with archive.open("model.weights.h5", "w", force_zip64=True) as member:
            member.write(content)
    monkeypatch.setattr(keras_members, "READ_IN_PLACE_BYTES", in_place_from)
    assert firsts(READER.read(path)) == [1, 2]
    with keras_members.read_members(path).open_weights() as file:
        assert file.read() == content


@pytest.mark.parametrize("in_place_from", [0, 10**9])
def test_weights_whose_checksum_is_wrong_are_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch, in_place_from: int
) -> None:
    raw = write(path).read_bytes()
    place = raw.index(np.full(4, 2, np.float32).tobytes())
    path.write_bytes(raw[:place] + b"\x01" + raw[place + 1 :])
    monkeypatch.setattr(keras_members, "READ_IN_PLACE_BYTES", in_place_from)
    with pytest.raises(CheckpointError, match="truncated or damaged") as raised:
        READER.read(path)
    assert "model.weights.h5" in str(raised.value.where)
