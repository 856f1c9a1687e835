"""A trace as a zarr store: what zarr itself reads, whole or not there, refused where it is not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest

from rnnscope.errors import OptionError, RnnscopeError, TraceError
from rnnscope.model.states import LayerFacts, LayerStates
from rnnscope.trace import LayerHeader, Trace, TraceHeader, TraceWriter, parse_selection

zarr = pytest.importorskip("zarr")

N, T, U, W = 7, 5, 4, 3
GATES = ("i", "f", "g", "o")
PLAIN = LayerHeader(
    "rnn/cell", W, {"c": U, "m": W}, "float64", gates=GATES, variables=("a", "b"),
    options={"forget_bias": (1.0, "graph"), "cell_clip": (None, "config"),
             "limit": (float("inf"), "flag"), "use": (True, "config")},
    outputs_are_m=True,
)  # fmt: skip
OTHER = LayerHeader("join", 6)
FACTS = LayerFacts("l", padding="zeros")


def states(rng, rows=N, dtype=np.float64):
    c, m = rng.standard_normal((rows, T, U)), rng.standard_normal((rows, T, W))
    ends = {"c": c[:, 0], "m": m[:, 0]}
    gates = {gate: rng.random((rows, T, U)).astype(dtype) for gate in GATES}
    c, m = c.astype(dtype), m.astype(dtype)
    return LayerStates({"c": c, "m": m}, m, ends, ends, gates)


def part_of(part, named):
    return {key: np.ascontiguousarray(array[part]) for key, array in named.items()}


def write(path, *, rows=3, **options):
    """The same trace into any store, in slices of so many sequences."""
    rng = np.random.default_rng(1)
    whole, joined = states(rng), rng.standard_normal((N, T, 6)).astype(np.float32)
    lengths = np.array([5, 3, 1, 0, 5, 2, 4])
    with TraceWriter(
        path, TraceHeader(created="2020", notes=("ünï", "two")), [PLAIN, OTHER], N, T,
        has_lengths=True, **options,
    ) as writer:  # fmt: skip
        for start in range(0, N, rows):
            part = slice(start, min(start + rows, N))
            pick = partial(part_of, part)
            writer.write_layer(
                PLAIN.name,
                LayerStates(
                    pick(whole.states), np.ascontiguousarray(whole.outputs[part]),
                    pick(whole.initial), pick(whole.final), pick(whole.gates),
                ),
                part,
            )  # fmt: skip
            writer.write_outputs(OTHER.name, joined[part], part)
            writer.write_common(part, lengths[part], None, lengths[part])
    return whole


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    write(folder / "t.h5")
    write(folder / "t.zarr")
    return folder


def plain(value):
    """An attribute as a value of Python, whichever library read it."""
    if isinstance(value, dict):  # a number that JSON has no word for
        return float(value["float"])
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def nodes_of_hdf5(path):
    found = {}
    with h5py.File(path) as file:

        def note(name, item):
            scales = ("CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST")
            attributes = {
                key: plain(value) for key, value in item.attrs.items() if key not in scales
            }
            if isinstance(item, h5py.Dataset):
                scales = [axis[0].name.rpartition("/")[2] for axis in item.dims if len(axis)]
                names = tuple(scales) or (name.rpartition("/")[2],)
                found[name] = (attributes, names, item[()])
            else:
                found[name] = (attributes, None, None)

        note("", file)
        for name in all_names(file):  # visititems shows one of two names alone
            note(name, file[name])
    return found


def all_names(group, prefix=""):
    for name, item in group.items():
        yield f"{prefix}{name}"
        if isinstance(item, h5py.Group):
            yield from all_names(item, f"{prefix}{name}/")


def test_zarr_reads_the_names_dimensions_attributes_and_values_of_the_hdf5_trace(stores):
    """The judges are h5py and zarr: neither knows of the other, nor of us."""
    expected = nodes_of_hdf5(stores / "t.h5")
    root = zarr.open_group(stores / "t.zarr", mode="r")
    found = {"": root} | dict(root.members(max_depth=None))
    assert found.keys() == expected.keys()
    for name, (attributes, dimensions, values) in expected.items():
        node = found[name]
        own = {key: plain(value) for key, value in node.attrs.items() if key != "same_as"}
        assert own == attributes, name
        if values is not None:
            assert node.metadata.dimension_names == dimensions, name
            assert node.dtype == values.dtype
            np.testing.assert_array_equal(node[...], values)


def test_what_we_read_of_both_is_the_same(stores):
    with Trace.open(stores / "t.h5") as one, Trace.open(stores / "t.zarr") as other:
        assert one.header == other.header
        assert one.layers == other.layers
        assert one.merges == other.merges
        assert other.layer(PLAIN.name).outputs_are_m
        assert other.layer(PLAIN.name).options["limit"] == (float("inf"), "flag")
        np.testing.assert_array_equal(one.lengths, other.lengths)
        for name in ("c", "m", "outputs", "gates/f", "initial/c", "final/m"):
            for rows in (slice(None), slice(2, 3), slice(6, 2)):
                found = other.read_array(PLAIN.name, name, rows)
                np.testing.assert_array_equal(one.read_array(PLAIN.name, name, rows), found)
                assert found.dtype == np.float64


def test_states_are_in_shards_with_small_chunks_inside(tmp_path):
    """32 MiB of states are one object, and one sequence is read without the others."""
    layer = LayerHeader("l", 512, {"m": 512})
    rows, steps = 40, 512
    with TraceWriter(tmp_path / "t.zarr", TraceHeader(), [layer], rows, steps) as writer:
        m = np.ones((rows, steps, 512), np.float32)
        ends = {"m": m[:, 0].copy()}
        writer.write_layer("l", LayerStates({"m": m}, m + 1, ends, ends, {}), slice(0, rows))
        writer.write_common(slice(0, rows), input_steps=np.ones(rows, int))
    array = zarr.open_array(tmp_path / "t.zarr", path="l/m", mode="r")
    assert array.chunks == (1, 512, 512)
    assert array.shards == (20, 512, 512)
    objects = [file for file in (tmp_path / "t.zarr/l/m/c").rglob("*") if file.is_file()]
    assert len(objects) == 2


@pytest.mark.parametrize("compress", ["gzip", "zstd"])
def test_compression_is_that_of_the_chunks(tmp_path, stores, compress):
    write(tmp_path / "t.zarr", compress=compress)
    array = zarr.open_array(tmp_path / "t.zarr", path="rnn/cell/c", mode="r")
    assert [type(codec).__name__.lower() for codec in array.compressors] == [f"{compress}codec"]
    with Trace.open(stores / "t.h5") as one, Trace.open(tmp_path / "t.zarr") as other:
        np.testing.assert_array_equal(
            one.read_array("rnn/cell", "c"), other.read_array("rnn/cell", "c")
        )


def test_the_same_trace_whatever_the_slices(tmp_path, stores):
    write(tmp_path / "one.zarr", rows=1)
    write(tmp_path / "all.zarr", rows=N)
    contents = [
        {
            file.relative_to(folder): file.read_bytes()
            for file in folder.rglob("*")
            if file.is_file()
        }
        for folder in (stores / "t.zarr", tmp_path / "one.zarr", tmp_path / "all.zarr")
    ]
    assert contents[0] == contents[1] == contents[2]


def test_a_selection_and_ragged_rows_are_kept_like_in_hdf5(tmp_path):
    for options in ({"selection": parse_selection(("units=1,3", "states=c"))},
                    {"ragged": np.array([5, 3, 1, 0, 5, 2, 4])}):  # fmt: skip
        layer = LayerHeader("l", W, {"c": U, "m": W}, "float64", facts=FACTS)
        read = []
        for name in ("t.h5", "t.zarr"):
            path, rows = tmp_path / name, slice(0, N)
            made = states(np.random.default_rng(3))
            with TraceWriter(
                path, TraceHeader(), [layer], N, T, has_lengths=True, force=True, **options
            ) as writer:
                writer.write_layer(
                    "l", LayerStates(made.states, made.outputs * 2, made.initial, made.final, {}),
                    rows,
                )  # fmt: skip
                lengths = np.array([5, 3, 1, 0, 5, 2, 4])
                writer.write_common(rows, lengths, None, lengths)
            with Trace.open(path) as trace:
                read.append(trace.read_array("l", "c"))
                assert trace.is_cut("l") == ("selection" in options)
        np.testing.assert_array_equal(read[0], read[1])


# Whole or not there


def fail(path, error, **options):
    with TraceWriter(path, TraceHeader(), [OTHER], N, T, **options) as writer:
        writer.write_outputs(OTHER.name, np.zeros((3, T, 6), np.float32), slice(0, 3))
        raise error


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt()])
def test_a_run_that_fails_leaves_nothing(tmp_path, error):
    with pytest.raises(type(error)):
        fail(tmp_path / "t.zarr", error)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_fails_leaves_the_older_trace_as_it_was(tmp_path):
    write(tmp_path / "t.zarr")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    with pytest.raises(ValueError, match="x"):
        fail(tmp_path / "t.zarr", ValueError("x"), force=True)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_an_existing_store_is_replaced_with_force_alone(tmp_path):
    write(tmp_path / "t.zarr")
    with pytest.raises(TraceError, match="exists already"):
        write(tmp_path / "t.zarr")
    (tmp_path / "t.zarr/stray").write_text("of the older one")
    write(tmp_path / "t.zarr", force=True)
    assert not (tmp_path / "t.zarr/stray").exists()
    assert [one.name for one in tmp_path.iterdir()] == ["t.zarr"]


def test_a_folder_of_other_things_is_never_replaced(tmp_path):
    (tmp_path / "t.zarr").mkdir()
    (tmp_path / "t.zarr/thesis.tex").write_text("…")
    with pytest.raises(TraceError, match="would replace a folder"):
        write(tmp_path / "t.zarr", force=True)
    assert (tmp_path / "t.zarr/thesis.tex").read_text() == "…"


@pytest.mark.parametrize(
    ("options", "match"),
    [({"resume": True}, "cannot be continued"), ({"compress": "lzf"}, "no such compression")],
)
def test_what_a_zarr_store_does_not_do_is_refused_by_name(tmp_path, options, match):
    with pytest.raises(OptionError, match=match):
        write(tmp_path / "t.zarr", **options)
    assert list(tmp_path.iterdir()) == []


def test_without_zarr_the_error_has_the_line_for_pip(tmp_path, monkeypatch):
    from rnnscope.trace.stores import naming

    monkeypatch.setattr(naming, "find_spec", lambda _: None)
    with pytest.raises(OptionError, match=r"pip install 'rnnscope\[zarr\]'"):
        write(tmp_path / "t.zarr")


def test_a_process_that_wrote_and_read_a_store_ends(stores, tmp_path):
    """Zarr's threads keep no process alive."""
    code = (
        "from rnnscope.trace import Trace\n"
        f"t = Trace.open({str(stores / 't.zarr')!r})\n"
        "print(t.read_array('rnn/cell', 'c').shape)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"({N}, {T}, {U})\n", "")


# Stores of strangers


@pytest.fixture
def store(stores, tmp_path):
    shutil.copytree(stores / "t.zarr", tmp_path / "t.zarr")
    return tmp_path / "t.zarr"


def change(store, path, *keys, value):
    """Put a value into the metadata of a node, where it stands by itself and in the root's."""
    for file, inside in (
        (store / path / "zarr.json", ()),
        (store / "zarr.json", ("consolidated_metadata", "metadata", path)),
    ):
        document = json.loads(file.read_text())
        place = document
        for key in (*(inside if path else ()), *keys[:-1]):
            place = place[key]
        place[keys[-1]] = value
        file.write_text(json.dumps(document))
        if not path:
            return


def read_all(store):
    with Trace.open(store) as trace:
        for header in (*trace.layers, *trace.merges):
            trace.read_outputs(header.name)
            if header.widths:
                trace.read_states(header.name)


def refusal(store):
    with pytest.raises(RnnscopeError) as caught:
        read_all(store)
    return caught.value


SHARDING = ("codecs", 0, "configuration")
C = "rnn/cell/c"


@pytest.mark.parametrize(
    ("path", "keys", "value", "says"),
    [
        ("", ("attributes", "complete"), 0, "not complete"),
        ("", ("zarr_format",), 2, "zarr_format 3"),
        ("", ("attributes", "schema"), "other", "no rnnscope trace"),
        (C, ("data_type",), "string", "a data_type of"),
        (C, ("data_type",), {"name": "numpy.datetime64"}, "a data_type of"),
        (C, ("shape",), [7, 5, 2**61], "expected: "),
        (C, ("shape",), [7, 5, -1], "sizes from 0"),
        (C, ("shape",), [700, 5, 4], "expected"),
        (C, ("chunk_grid", "name"), "rectangular", "regular chunk_grid"),
        (C, ("chunk_grid", "configuration", "chunk_shape"), [7, 5, 0], "sizes from 1"),
        (C, ("chunk_grid", "configuration", "chunk_shape"), [7 * 2**40, 5, 4], "expected"),
        (C, ("chunk_key_encoding", "name"), "v2", "chunk_key_encoding"),
        (C, ("codecs",), [{"name": "numcodecs.pickle"}], "codecs of"),
        (C, (*SHARDING, "codecs"), [{"name": "numcodecs.python"}], "codecs of"),
        (C, (*SHARDING, "codecs"), "bytes", "a short list of codecs"),
        (C, (*SHARDING, "index_codecs"), [{"name": "bytes"}, {"name": "gzip"}], "index_codecs"),
        (C, (*SHARDING, "chunk_shape"), [3, 5, 4], "fill a shard"),
        (C, ("storage_transformers",), [{"name": "x"}], "storage_transformers"),
        (C, ("dimension_names",), ["a"], "dimension_names"),
        ("rnn/cell", ("attributes",), [1], "attributes by name"),
        ("rnn/cell", ("attributes", "dtype"), "object", "float32 or float64"),
        ("lengths", ("data_type",), "float64", "integers"),
    ],
)  # fmt: skip
def test_metadata_that_no_trace_has_are_refused(store, path, keys, value, says):
    change(store, path, *keys, value=value)
    assert says in str(refusal(store))


def test_a_name_that_leads_elsewhere_is_refused(store):
    document = json.loads((store / "zarr.json").read_text())
    inside = document["consolidated_metadata"]["metadata"]
    inside["../../secret"] = inside["lengths"]
    (store / "zarr.json").write_text(json.dumps(document))
    assert "names that are no paths elsewhere" in str(refusal(store))


def test_a_shard_that_is_missing_is_never_made_up(store):
    """Zarr gives the fill value for what is not there; a state of 0 would pass for one."""
    (store / "rnn/cell/m/c/0/0/0").unlink()
    assert "A part of the zarr store is missing" in str(refusal(store))


def test_a_shard_that_was_cut_is_named(store):
    file = store / "rnn/cell/c/c/0/0/0"
    file.write_bytes(file.read_bytes()[:-40])
    assert "rnn/cell/c" in str(refusal(store))


@pytest.mark.parametrize("kind", ["link to a file", "link to a folder", "pipe"])
def test_links_and_pipes_are_refused(store, tmp_path, kind):
    """A link would have another file of this machine read as states."""
    place = store / "rnn/cell/c/c/0/0/0"
    if kind == "link to a folder":
        place = store / "rnn/cell/c/c"
        shutil.move(place, tmp_path / "elsewhere")
        place.symlink_to(tmp_path / "elsewhere")
    else:
        place.rename(tmp_path / "elsewhere")
        os.mkfifo(place) if kind == "pipe" else place.symlink_to(tmp_path / "elsewhere")
    assert ("a pipe" if kind == "pipe" else "a link") in str(refusal(store))


def test_without_consolidated_metadata_every_node_is_read(store):
    document = json.loads((store / "zarr.json").read_text())
    del document["consolidated_metadata"]
    (store / "zarr.json").write_text(json.dumps(document))
    with Trace.open(store) as trace:
        assert trace.read_array("rnn/cell", "c").shape == (N, T, U)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: (p / ".zgroup").write_text("{}"), "a zarr store of version 2"),
        (lambda p: (p / "a.txt").write_text("x"), "a folder that holds a.txt"),
        (lambda p: (p / "zarr.json").write_text("[" * 100_000), "JSON"),
        (lambda p: (p / "zarr.json").write_text("3"), "an object of JSON"),
    ],
)
def test_other_folders_are_told_by_what_they_are(tmp_path, make, says):
    (tmp_path / "t.zarr").mkdir()
    make(tmp_path / "t.zarr")
    assert says in str(refusal(tmp_path / "t.zarr"))


def test_nothing_is_told_as_nothing(tmp_path):
    assert "no such trace" in str(refusal(Path(tmp_path / "no.zarr")))
