"""What is fetched of a store: what a reader needs, within limits; what an address is."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from rnnscope.errors import CheckpointError, OptionError, called
from rnnscope.files.arrays.reference import split_reference
from rnnscope.files.guarding.limits import limited
from rnnscope.files.remote.addresses import as_address, url_of, without_secrets
from rnnscope.files.remote.fetching import fetched, kept_copy, show_fetching

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def store():
    """``store({name: bytes})`` puts files into memory and gives their address."""
    root = f"memory://{uuid.uuid4().hex}"

    def put(files):
        system = fsspec.filesystem("memory")
        system.pipe({f"{root[8:]}/{name}": content for name, content in files.items()})
        return root

    return put


def names(folder):
    return sorted(str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file())


SAVER = ("m.ckpt.index", "m.ckpt.meta", "m.ckpt.data-00000-of-00001")
OTHERS = ("huge.bin", "m.ckpt-2.index", "notes.txt", "m.h5", "sub/weights.bin")


@pytest.mark.parametrize(
    ("asked", "files", "expected"),
    [
        ("m.ckpt", SAVER, SAVER),
        ("m.ckpt.index", SAVER, SAVER),
        ("m.ckpt.meta", SAVER, SAVER),
        ("m.h5", (), ("m.h5",)),
        ("net.xml", ("net.xml", "net.bin", "nets.bin"), ("net.xml", "net.bin")),
        ("p.pdmodel", ("p.pdmodel", "p.pdiparams"), ("p.pdmodel", "p.pdiparams")),
        ("p.pdiparams", ("p.json", "p.pdiparams"), ("p.json", "p.pdiparams")),
        ("g.onnx", ("g.onnx", "g.onnx.data", "g.onnx_data", "h.onnx"),
         ("g.onnx", "g.onnx.data", "g.onnx_data")),
        ("w.safetensors.index.json",
         ("w.safetensors.index.json", "w-00001-of-00002.safetensors",
          "w-00002-of-00002.safetensors"),
         ("w.safetensors.index.json", "w-00001-of-00002.safetensors",
          "w-00002-of-00002.safetensors")),
        ("w.safetensors", ("w.safetensors", "config.json"), ("w.safetensors", "config.json")),
        ("sub", (), ("sub/weights.bin",)),
        ("old-00000-of-00002", ("old-00000-of-00002", "old-00001-of-00002", "old.meta"),
         ("old-00000-of-00002", "old-00001-of-00002", "old.meta")),
    ],
)  # fmt: skip
def test_what_belongs_to_a_file_comes_with_it_and_nothing_else(store, asked, files, expected):
    root = store(dict.fromkeys((*files, *OTHERS), b"x"))
    with fetched(Path(f"{root}/{asked}"), CheckpointError, "checkpoint") as copy:
        found = set(names(copy.parent))
        assert copy.name == asked
    if asked == "m.ckpt":  # the prefix of another step begins the same
        found.discard("m.ckpt-2.index")
    assert found == set(expected)
    assert not copy.parent.exists()


def test_messages_call_a_copy_by_its_address(store):
    root = store({"a/x.bin": b"1"})
    with fetched(Path(f"{root}/a/x.bin"), CheckpointError, "checkpoint") as copy:
        assert called(f"{copy}: kernel") == f"{root}/a/x.bin: kernel"
        assert CheckpointError("no", where=copy).where == f"{root}/a/x.bin"
    assert called(str(copy)) == str(copy)


def test_the_limit_holds_before_anything_is_fetched(store):
    root = store({"m.index": b"1" * 60, "m.data-00000-of-00001": b"1" * 60})
    seen = []
    show_fetching(lambda *told: seen.append(told))
    try:
        with (
            limited(max_bytes=100),
            pytest.raises(CheckpointError, match="larger than what is fetched") as caught,
            fetched(Path(f"{root}/m"), CheckpointError, "checkpoint"),
        ):
            pass
    finally:
        show_fetching(None)
    assert caught.value.found == "120 bytes in 2 files"
    assert seen == []


def test_a_surface_is_told_what_is_fetched_and_how_much_came(store):
    from contextlib import contextmanager

    root, told = store({"x.bin": b"1" * 77}), []

    @contextmanager
    def show(url, size):
        told.append((url, size))
        yield told.append

    show_fetching(show)
    try:
        with fetched(Path(f"{root}/x.bin"), CheckpointError, "checkpoint") as copy:
            assert copy.read_bytes() == b"1" * 77
    finally:
        show_fetching(None)
    assert told == [(f"{root}/x.bin", 77), 77]


def test_a_path_is_no_address_and_is_read_where_it_is(tmp_path):
    with fetched(tmp_path / "x", CheckpointError, "checkpoint") as same:
        assert same == tmp_path / "x"
    assert kept_copy(tmp_path / "x", CheckpointError, "checkpoint") == tmp_path / "x"
    assert as_address(f"file://{tmp_path}/x") == tmp_path / "x"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("s3://b/a/x.npz", "s3://b/a/x.npz"),
        (Path("s3://b/a/x.npz"), "s3://b/a/x.npz"),
        ("S3://b/x", "s3://b/x"),
        ("abfs://container@account/x", "abfs://container@account/x"),
        ("x.npz", None),
        ("/a/s3:/b", None),
        ("C:/models/x.h5", None),
        ("http://b/x", None),
        ("simplecache::s3://b/x", None),
    ],
)
def test_which_texts_are_addresses(given, expected):
    assert url_of(given) == expected


def test_an_address_goes_where_a_path_goes():
    place = as_address("s3://b/a/x.npz")
    assert (place.name, place.suffix, str(place.with_name("y"))) == ("x.npz", ".npz", "s3://b/a/y")
    assert str(place.parent / "z") == "s3://b/a/z"
    assert not place.exists()
    path, name = split_reference("s3://b/x.npz::c/m")
    assert (str(path), name) == ("s3://b/x.npz", "c/m")


@pytest.mark.parametrize(
    "address",
    ["s3://key:hunter2@b/x", "s3://key@b/x", "abfs://a:hunter2@b/x", "gs://b/x?sig=hunter2",
     "s3://b/s3://word/x", "s3://b/x::s3://word", "memory://a/../word"],
)  # fmt: skip
def test_what_an_address_may_not_hold(address):
    with pytest.raises(OptionError, match="An address holds what it must not") as caught:
        as_address(address)
    if "@" in address or "?" in address:
        assert "hunter2" not in str(caught.value)


def test_keys_are_taken_out_of_what_libraries_say():
    said = "GET https://k:s@b.s3.amazonaws.com/x?X-Amz-Credential=AKIA&Signature=s failed (403)"
    assert without_secrets(said) == "GET https://…@b.s3.amazonaws.com/x?… failed (403)"


def test_a_missing_package_is_named_with_the_line_for_pip(monkeypatch):
    from rnnscope.files.remote import addresses

    monkeypatch.setattr(addresses, "find_spec", lambda name: None if name == "gcsfs" else name)
    with (
        pytest.raises(CheckpointError, match="pip install gcsfs"),
        fetched(Path("gs://b/x"), CheckpointError, "checkpoint"),
    ):
        pass
