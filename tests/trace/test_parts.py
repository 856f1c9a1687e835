"""Parts of a trace: which sequences they hold, and what of a master is believed."""

from __future__ import annotations

import shutil

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rnnscope
from rnnscope.errors import OptionError, RnnscopeError, TraceError
from rnnscope.trace import Trace
from rnnscope.trace.parts import PartPlace, parse_part, parts_words

CHECKPOINT = "sample_data/lstm_float64/model.ckpt"
SEQUENCES, PARTS = 11, 4


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run as a whole, and in four parts that are tied."""
    folder = tmp_path_factory.mktemp("parts")
    rng = np.random.default_rng(5)
    np.savez(
        folder / "x.npz",
        inputs=rng.normal(size=(SEQUENCES, 60, 8)),
        lengths=rng.integers(1, 61, SEQUENCES),
    )
    rnnscope.run(CHECKPOINT, folder / "x.npz", output=folder / "one.h5").close()
    for number in (3, 1, 4, 2):
        rnnscope.run_part(
            CHECKPOINT, folder / "x.npz", part=(number, PARTS), output=folder / "t.h5"
        )
    rnnscope.join(folder / "t.h5.parts", folder / "t.h5")
    return folder


@pytest.fixture
def tied(made, tmp_path):
    """A copy of the tied trace, to be damaged."""
    shutil.copytree(made / "t.h5.parts", tmp_path / "t.h5.parts")
    shutil.copy(made / "t.h5", tmp_path / "t.h5")
    return tmp_path / "t.h5"


@given(st.integers(1, 300), st.integers(1, 300))
def test_parts_hold_every_sequence_once_and_differ_by_one_at_most(sequences, of):
    places = [PartPlace(number, of, sequences) for number in range(1, of + 1)]
    rows = [row for place in places for row in range(place.rows.start, place.rows.stop)]
    assert rows == list(range(sequences))
    assert max(place.count for place in places) - min(place.count for place in places) <= 1
    assert len({place.file_name for place in places}) == of


def test_names_of_parts_sort_in_their_order():
    names = [PartPlace(number, 12345, 0).file_name for number in (2, 10, 999, 1000, 12345)]
    assert names == sorted(names)
    assert PartPlace(3, 64, 0).file_name == "0003-of-0064.h5"


@pytest.mark.parametrize("text", ["0/4", "5/4", "3", "3/", "-1/4", "a/b", "", "1/1000000", "1/4/8"])
def test_what_is_no_part_is_refused(text):
    with pytest.raises(OptionError, match="not to be understood"):
        parse_part(text)


def test_missing_parts_are_told_as_ranges_with_their_sequences():
    told = parts_words([17, 3, 18, 20, 19], 64, 640)
    assert told == "parts 3, 17-20 of 64 (sequences 20-29, 160-199)"
    assert parts_words([1], 2, 10) == "part 1 of 2 (sequences 0-4)"


def test_a_tied_trace_is_the_trace_of_one_run_in_every_array_and_attribute(made):
    """For plain h5py, too, which follows the virtual datasets itself."""
    alone = {"parts_folder", "parts_run", "parts_note"}
    with h5py.File(made / "one.h5") as one, h5py.File(made / "t.h5") as tied:
        names = []
        one.visit(names.append)
        for name in [*names, "rnn/lstm_cell/outputs"]:
            ours, theirs = tied[name], one[name]
            skipped = {"DIMENSION_LIST", "REFERENCE_LIST"}
            assert {*ours.attrs} - skipped == {*theirs.attrs} - skipped
            for key in {*theirs.attrs} - skipped:
                assert np.array_equal(ours.attrs[key], theirs.attrs[key]), (name, key)
            if isinstance(theirs, h5py.Dataset):
                assert ours.dtype == theirs.dtype
                assert ours[()].tobytes() == theirs[()].tobytes(), name
                assert [axis[0].name for axis in ours.dims if len(axis)] == [
                    axis[0].name for axis in theirs.dims if len(axis)
                ]
        found = []
        tied.visit(found.append)
        assert {*found} - {*names} == {
            "parts", "parts/part", "parts/byte", "parts/bytes", "parts/sha256",
            "parts/ends_sha256",
        }  # fmt: skip
        assert {*tied.attrs} - {*one.attrs} == alone
        own = {"created", "command", "checks"}
        assert all(np.array_equal(tied.attrs[key], one.attrs[key]) for key in {*one.attrs} - own)


def test_every_way_of_reading_gives_the_bytes_of_one_run(made):
    with Trace.open(made / "one.h5") as one, Trace.open(made / "t.h5") as tied:
        assert tied.lengths.tolist() == one.lengths.tolist()
        assert tied.input_steps.tolist() == one.input_steps.tolist()
        for rows in (slice(None), slice(0, 0), slice(2, 3), slice(1, 9), slice(10, 11)):
            a, b = (trace.read_layer("rnn/lstm_cell", rows) for trace in (one, tied))
            assert b.first_sequence == a.first_sequence
            for key in ("c", "m", "outputs"):
                ours = getattr(b.states, key)
                assert ours.tobytes() == getattr(a.states, key).tobytes()
                assert ours.shape == getattr(a.states, key).shape
            assert b.states.final["c"].tobytes() == a.states.final["c"].tobytes()
    assert rnnscope.diff(made / "one.h5", made / "t.h5", exact=True).verdict == "same"
    part = f"{made / 't.h5'}::rnn/lstm_cell/m"
    assert rnnscope.diff(f"{made / 'one.h5'}::rnn/lstm_cell/m", part, exact=True).complete


def test_xarray_opens_it_as_one(made):
    xarray = pytest.importorskip("xarray")
    with (
        xarray.open_datatree(made / "one.h5", engine="h5netcdf") as one,
        xarray.open_datatree(made / "t.h5", engine="h5netcdf") as tied,
    ):
        ours, theirs = tied["rnn/lstm_cell/c"], one["rnn/lstm_cell/c"]
        assert ours.dims == theirs.dims
        assert ours.sel(sequence=7).identical(theirs.sel(sequence=7))


def test_checks_say_the_same_of_it(made):
    reports = [rnnscope.check(made / name).subjects[0] for name in ("one.h5", "t.h5")]
    assert reports[0].findings == reports[1].findings
    assert reports[0].padding == reports[1].padding


def test_a_part_is_a_trace_with_the_numbers_of_the_whole_run(made):
    path = made / "t.h5.parts" / "0003-of-0004.h5"
    place = PartPlace(3, 4, SEQUENCES)
    with Trace.open(path) as part:
        assert part.part.place == place
        assert part.first_sequence == place.rows.start == 5
    with h5py.File(path) as file:
        assert file["sequence"][()].tolist() == list(range(5, 8))
    with_nan = shutil.copy(path, made / "nan.h5")
    with h5py.File(with_nan, "r+") as file:
        file["rnn/lstm_cell/c"][1, 2, 3] = np.nan
    found = next(
        one for one in rnnscope.check(with_nan).subjects[0].findings if one.check == "finite"
    )
    assert (found.status, found.place.sequence) == ("fail", 6)


def test_pooling_writes_into_the_master_alone(tied, made):
    parts = sorted((tied.parent / "t.h5.parts").iterdir())
    before = [path.read_bytes() for path in parts]
    pooled = rnnscope.pool(tied, "mean", store=True)
    one = rnnscope.pool(made / "one.h5", "mean")
    assert pooled["rnn/lstm_cell"].tobytes() == one["rnn/lstm_cell"].tobytes()
    assert [path.read_bytes() for path in parts] == before
    with h5py.File(tied) as file:
        assert file["pooled/rnn/lstm_cell/m/mean"].shape == (SEQUENCES, 64)
    assert rnnscope.diff(tied, made / "one.h5", exact=True).verdict == "same"


def test_missing_parts_are_named_with_their_sequences(tied):
    for number in (2, 3):
        (tied.parent / "t.h5.parts" / PartPlace(number, PARTS, 0).file_name).unlink()
    with pytest.raises(TraceError, match=r"Parts of the trace are missing") as caught:
        Trace.open(tied)
    assert caught.value.where.endswith("parts 2-3 of 4 (sequences 2-7)")
    assert "resume" in caught.value.hint


def _truncated(path):
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 100)


def _of_another_run(path):
    rnnscope.run_part(
        CHECKPOINT, path.parents[1] / "x.npz", part=(2, PARTS), output=path.parents[1] / "t.h5",
        force=True, forget_bias=0.5, override=True,
    )  # fmt: skip


def _replaced_by_another_part(path):
    shutil.copy(path.with_name(PartPlace(3, PARTS, 0).file_name), path)


def _linked(path):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


@pytest.mark.parametrize(
    "damage", [_truncated, _of_another_run, _replaced_by_another_part, _linked]
)
def test_a_part_that_is_another_file_than_was_joined_is_named(tied, made, damage):
    shutil.copy(made / "x.npz", tied.parent)
    damage(tied.parent / "t.h5.parts" / PartPlace(2, PARTS, 0).file_name)
    with pytest.raises(TraceError, match="A part of the trace is damaged") as caught:
        Trace.open(tied)
    assert "part 2 of 4 (sequences 2-4)" in caught.value.where


def test_a_byte_of_the_numbers_that_changed_is_found_by_check(tied):
    path = tied.parent / "t.h5.parts" / PartPlace(3, PARTS, 0).file_name
    with h5py.File(path) as file:
        place = file["rnn/lstm_cell/c"].id.get_offset() + 8 * 10_000
    assert 2**16 < place < path.stat().st_size - 2**16, "else the look at both ends tells"
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)
        file.seek(place)
        file.write(bytes([byte[0] ^ 1]))
    Trace.open(tied).close()
    with pytest.raises(TraceError, match="damaged") as caught:
        rnnscope.check(tied)
    assert "part 3 of 4 (sequences 5-7)" in caught.value.where
    assert "SHA-256" in caught.value.found


def test_a_part_that_goes_while_the_trace_is_open_is_no_silent_nan(tied):
    with Trace.open(tied) as trace:
        shutil.rmtree(tied.parent / "t.h5.parts")
        with pytest.raises(TraceError, match="damaged"):
            trace.read_layer("rnn/lstm_cell")
    with h5py.File(tied) as file:
        assert np.isnan(file["rnn/lstm_cell/c"][()]).all(), "what plain h5py makes of it"
        assert (file["sequence"][()] == -1).all()
        assert (file["lengths"][()] > 0).all(), "small ones are copied"
        assert "NaN" in file.attrs["parts_note"]


def test_variables_of_the_environment_do_not_move_the_parts(tied, made, tmp_path, monkeypatch):
    other = tmp_path / "prefix" / "t.h5.parts"
    shutil.copytree(made / "t.h5.parts", other)
    for path in other.iterdir():
        with h5py.File(path, "r+") as file:
            file["rnn/lstm_cell/c"][...] = 7
    monkeypatch.setenv("HDF5_VDS_PREFIX", str(tmp_path / "prefix"))
    with Trace.open(tied) as trace, Trace.open(made / "one.h5") as one:
        ours, theirs = (t.read_layer("rnn/lstm_cell").states.c for t in (trace, one))
        assert ours.tobytes() == theirs.tobytes()


@pytest.mark.parametrize(
    "folder", ["../t.h5.parts", "/etc", "", ".", "..", "a/b", "t%b", "a\\b", "c:x", 7, b"\xff"]
)
def test_a_folder_that_is_no_plain_name_beside_the_master_is_refused(tied, folder):
    with h5py.File(tied, "r+") as file:
        file.attrs["parts_folder"] = folder
    with pytest.raises(TraceError):
        Trace.open(tied)


def _retied(path, change):
    """The master with one virtual dataset that is tied otherwise."""
    with h5py.File(path, "r+") as file:
        old = file["rnn/lstm_cell/c"]
        layout = h5py.VirtualLayout(old.shape, old.dtype)
        for number in range(1, PARTS + 1):
            rows = PartPlace(number, PARTS, SEQUENCES).rows
            name = f"t.h5.parts/{PartPlace(number, PARTS, 0).file_name}"
            shape = (rows.stop - rows.start, *old.shape[1:])
            what = change(number, {"name": name, "dset": "rnn/lstm_cell/c", "rows": rows})
            layout[what["rows"]] = h5py.VirtualSource(what["name"], what["dset"], shape=shape)
        del file["rnn/lstm_cell/c"]
        file.create_virtual_dataset("rnn/lstm_cell/c", layout)


@pytest.mark.parametrize(
    "change",
    [
        lambda number, what: what | ({"name": "/etc/passwd"} if number == 2 else {}),
        lambda number, what: what | ({"name": "../secret.h5"} if number == 2 else {}),
        lambda number, what: what | {"name": "." if number == 1 else what["name"]},
        lambda number, what: what | {"dset": "rnn/lstm_cell/m"},
        lambda number, what: (
            what
            | {"name": what["name"].replace("0002-of", "0003-of") if number == 2 else what["name"]}
        ),
    ],
    ids=["absolute", "above", "itself", "dataset", "part"],
)
def test_virtual_sources_other_than_join_writes_are_refused(tied, change):
    _retied(tied, change)
    with pytest.raises(TraceError, match="not tied to its parts"), Trace.open(tied) as trace:
        trace.read_layer("rnn/lstm_cell")


def test_virtual_datasets_of_a_trace_that_is_no_master_are_refused_as_ever(tied):
    with h5py.File(tied, "r+") as file:
        del file.attrs["parts_folder"]
    with pytest.raises(RnnscopeError, match="not all in its file"), Trace.open(tied) as trace:
        trace.read_layer("rnn/lstm_cell")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bytes", np.array([-1, 0, 0, 0])),
        ("bytes", np.zeros((4, 2), np.int64)),
        ("bytes", np.zeros(3, np.int64)),
        ("bytes", np.zeros(10**6, np.int64)),
        ("sha256", np.zeros((4, 31), np.uint8)),
        ("ends_sha256", np.zeros((4, 32))),
    ],
)
def test_a_table_of_parts_that_is_damaged_is_refused(tied, name, value):
    with h5py.File(tied, "r+") as file:
        del file[f"parts/{name}"]
        file[f"parts/{name}"] = value
    with pytest.raises(TraceError):
        Trace.open(tied)


def test_marks_that_contradict_the_file_are_refused(made, tmp_path):
    for name, value in (("part", 2), ("parts", 5), ("first_sequence", 0), ("part", "x")):
        path = shutil.copy(made / "t.h5.parts" / "0003-of-0004.h5", tmp_path / "p.h5")
        with h5py.File(path, "r+") as file:
            file.attrs[name] = value
        with pytest.raises(TraceError, match="does not fit"):
            Trace.open(path)


def test_a_trace_in_parts_can_be_moved_with_its_folder(tied, tmp_path, made):
    (tmp_path / "away").mkdir()
    for one in (tied, tied.parent / "t.h5.parts"):
        shutil.move(one, tmp_path / "away")
    renamed = (tmp_path / "away" / "t.h5").rename(tmp_path / "away" / "u.h5")
    assert rnnscope.diff(renamed, made / "one.h5", exact=True).verdict == "same"
