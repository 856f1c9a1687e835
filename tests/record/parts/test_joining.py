"""Recording parts of a run and tying them: in any order, on any machine, to the bits of one run."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

import rnnscope
from rnnscope.cli.main import cli
from rnnscope.errors import OptionError, TraceError
from rnnscope.record.inspecting import inspect_path
from rnnscope.record.parts.folders import folder_for_parts
from rnnscope.record.parts.one_part import record_part
from rnnscope.record.recipes.recipe import Recipe
from rnnscope.record.recording import record
from rnnscope.record.targets import PartOfRun, Target
from rnnscope.trace import Trace

CHECKPOINT = "sample_data/lstm_float64/model.ckpt"
STACK = "sample_data/keras_stack/model.h5"


def every_array(path):
    """Every dataset but the table of parts, read by h5py, by name."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: item[()]})
                if isinstance(item, h5py.Dataset) and not name.startswith("parts")
                else None
            )
        )
    return found


def require_same_bytes(one, tied):
    """The same arrays: as plain HDF5 reads them, and as rnnscope does."""
    a, b = every_array(one), every_array(tied)
    assert a.keys() == b.keys()
    for name, values in a.items():
        assert values.dtype == b[name].dtype
        assert values.tobytes() == b[name].tobytes(), name
    assert rnnscope.diff(one, tied, exact=True, padding=True).verdict == "same"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    rng = np.random.default_rng(11)
    arrays = {"inputs": rng.normal(size=(130, 9, 8)), "lengths": rng.integers(1, 10, 130)}
    np.savez(folder / "x.npz", **arrays)
    return folder / "x.npz"


def tiny_checkpoint(folder):
    """An LSTM by PyTorch's names, read in no time."""
    rng = np.random.default_rng(4)
    shapes = {"weight_ih_l0": (20, 3), "weight_hh_l0": (20, 5), "bias_ih_l0": 20, "bias_hh_l0": 20}
    arrays = {f"lstm.{name}": rng.normal(size=shape) / 3 for name, shape in shapes.items()}
    np.savez(folder / "lstm.npz", **{name: array.astype("f4") for name, array in arrays.items()})
    return folder / "lstm.npz"


def test_64_parts_out_of_order_are_the_trace_of_one_run(tmp_path):
    checkpoint, inputs = tiny_checkpoint(tmp_path), tmp_path / "x.npy"
    np.save(inputs, np.random.default_rng(6).normal(size=(130, 20, 3)).astype("f4"))
    how = {"layout": "torch"}
    rnnscope.run(checkpoint, inputs, output=tmp_path / "one.h5", **how).close()
    order = list(range(1, 65))
    random.Random(3).shuffle(order)  # noqa: S311
    for number in order:
        rnnscope.run_part(checkpoint, inputs, part=(number, 64), output=tmp_path / "t.h5", **how)
    parts = [tmp_path / "t.h5.parts" / f"{number:04d}-of-0064.h5" for number in order]
    report = rnnscope.join(parts, tmp_path / "t.h5")
    assert (report.parts, report.sequences) == (64, 130)
    require_same_bytes(tmp_path / "one.h5", tmp_path / "t.h5")
    with Trace.open(tmp_path / "one.h5") as one, Trace.open(tmp_path / "t.h5") as tied:
        assert json.loads(tied.checks) == json.loads(one.checks)


OPTIONS = {
    "compiled": (CHECKPOINT, {"engine": "compiled"}),
    # Slices of 13 sequences, whose borders are not those of the parts.
    "numpy": (CHECKPOINT, {"engine": "numpy", "memory": "300kB"}),
    "reference": (CHECKPOINT, {"engine": "reference", "memory": "300kB", "threads": 3}),
    "gates": (CHECKPOINT, {"gates": True, "engine": "compiled"}),
    "selection": (CHECKPOINT, {"select": ["states=c", "units=0:5", "steps=last:3"]}),
    "ragged": (CHECKPOINT, {"ragged": True}),
    "gzip": (CHECKPOINT, {"compress": "gzip"}),
    "in time": (CHECKPOINT, {"memory": "40kB", "engine": "compiled"}),
    "stack of two directions": (STACK, {"engine": "numpy"}),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_parts_have_the_bits_of_one_run(tmp_path, inputs, case):
    checkpoint, options = OPTIONS[case]
    if case == "in time":
        source = tmp_path / "x.npy"
        np.save(source, np.random.default_rng(2).normal(size=(7, 300, 8)))
    elif checkpoint == STACK:
        source = tmp_path / "x.npy"
        shape = np.load("sample_data/keras_stack/inputs.npz")["x"].shape[1:]
        np.save(source, np.random.default_rng(2).normal(size=(29, *shape)).astype("float32"))
    else:
        source = inputs
    rnnscope.run(checkpoint, source, output=tmp_path / "one.h5", **options).close()
    for number in (3, 1, 5, 4, 2):
        rnnscope.run_part(checkpoint, source, part=(number, 5), output=tmp_path / "t.h5", **options)
    rnnscope.join(tmp_path / "t.h5.parts", tmp_path / "t.h5")
    require_same_bytes(tmp_path / "one.h5", tmp_path / "t.h5")
    rnnscope.join(tmp_path / "t.h5.parts", tmp_path / "copy.h5", copy=True)
    shutil.rmtree(tmp_path / "t.h5.parts")
    require_same_bytes(tmp_path / "one.h5", tmp_path / "copy.h5")


def test_slices_of_the_numpy_engine_are_not_those_of_the_part():
    """Else the case above would prove nothing: other slices give other bits."""
    x = np.random.default_rng(1).normal(size=(6, 9, 8))

    def states(part):
        recipe = Recipe.make(CHECKPOINT, x[part], engine="numpy", lengths="none")
        with record(recipe).open() as trace:
            return trace.read_layer("rnn/lstm_cell").states.c

    whole = states(slice(None))
    apart = [states(slice(row, row + 1)) for row in range(6)]
    assert not np.array_equal(whole, np.concatenate(apart))


@pytest.fixture
def parts(tmp_path, inputs):
    for number in range(1, 5):
        rnnscope.run_part(CHECKPOINT, inputs, part=(number, 4), output=tmp_path / "t.h5")
    return tmp_path / "t.h5.parts"


def test_missing_parts_are_listed_and_nothing_is_written(parts, tmp_path):
    for number in (2, 3):
        (parts / f"{number:04d}-of-0004.h5").unlink()
    with pytest.raises(TraceError, match="Parts are missing") as caught:
        rnnscope.join(parts, tmp_path / "t.h5")
    assert caught.value.where == "missing: parts 2-3 of 4 (sequences 32-96)"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.h5.parts"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"forget_bias": 0.5, "override": True}, "other options"),
        ({"engine": "reference"}, "engine: numpy, reference"),
        ({"part": (4, 5)}, "one of 5 parts"),
        ({"input": "other"}, "input: "),
    ],
)
def test_parts_of_another_run_are_refused_and_it_is_said_in_what_they_differ(
    parts, tmp_path, inputs, options, told
):
    given = dict(options)
    source = inputs
    if given.pop("input", None):
        with np.load(inputs) as stored:
            source = tmp_path / "other.npz"
            np.savez(source, inputs=stored["inputs"] + 1, lengths=stored["lengths"])
    part = given.pop("part", (4, 4))
    rnnscope.run_part(CHECKPOINT, source, part=part, output=tmp_path / "t.h5", force=True, **given)
    with pytest.raises(TraceError, match="not of the same run") as caught:
        rnnscope.join(parts, tmp_path / "t.h5")
    assert told in caught.value.found
    assert not (tmp_path / "t.h5").exists()


def test_parts_of_another_version_are_refused(parts, tmp_path):
    with h5py.File(parts / "0002-of-0004.h5", "r+") as file:
        file.attrs["rnnscope_version"] = "0.0.9"
    with pytest.raises(TraceError, match="not of the same run") as caught:
        rnnscope.join(parts, tmp_path / "t.h5")
    assert "version of rnnscope: 0.1.0, 0.0.9" in caught.value.found


def test_other_numbers_of_threads_matter_where_blas_sums(tmp_path, inputs):
    recipe = Recipe.make(CHECKPOINT, inputs, engine="numpy")
    (tmp_path / "t.h5.parts").mkdir()
    for number in (1, 2):
        part = PartOfRun(number, 2, threads=number)
        record(recipe, Target(part.path(tmp_path / "t.h5")), part=part)
    with pytest.raises(TraceError, match="not of the same run") as caught:
        rnnscope.join(tmp_path / "t.h5.parts", tmp_path / "t.h5")
    assert "threads" in caught.value.found


def test_the_same_part_twice_is_fine_if_it_is_the_same(parts, tmp_path, inputs):
    other = tmp_path / "elsewhere"
    other.mkdir()
    twice = shutil.copy(parts / "0002-of-0004.h5", other / "again.h5")
    rnnscope.join([twice, parts], tmp_path / "t.h5")
    with h5py.File(twice, "r+") as file:
        file.attrs["part_sha256"] = "0" * 64
    with pytest.raises(TraceError, match="Two files hold the same part"):
        rnnscope.join([parts, twice], tmp_path / "u.h5")


@pytest.mark.parametrize(
    "way", [".", "files", "..", "link beside", "link elsewhere", "linked folder"]
)
def test_parts_may_be_named_in_any_way(parts, tmp_path, monkeypatch, way):
    """What was joined opens, wherever the command ran and whatever links led it to the parts."""
    trace = tmp_path / "t.h5"
    (tmp_path / "elsewhere").mkdir()
    if way == ".":
        monkeypatch.chdir(parts)
        given, trace = ".", "../t.h5"
    elif way == "files":
        monkeypatch.chdir(parts)
        given, trace = sorted(path.name for path in parts.iterdir()), "../t.h5"
    elif way == "..":
        (parts / "below").mkdir()
        monkeypatch.chdir(parts / "below")
        given = ".."
    elif way == "link beside":
        parts.rename(tmp_path / "elsewhere" / "p")
        parts.symlink_to(tmp_path / "elsewhere" / "p")
        given = parts
    elif way == "link elsewhere":
        given = tmp_path / "elsewhere" / "link"
        given.symlink_to(parts)
    else:
        given = tmp_path / "elsewhere" / "all" / parts.name
        given.parent.symlink_to(tmp_path)
    report = rnnscope.join(given, trace)
    assert Path(report.folder).resolve() == parts.resolve()
    with Trace.open(trace) as tied:
        assert tied.read_array("rnn/lstm_cell", "c").shape == (130, 9, 64)


def test_a_part_that_is_a_link_is_refused_when_it_is_joined(parts, tmp_path):
    """A trace would not open it: that is said now, and not by whoever reads the trace."""
    other = (parts / "0002-of-0004.h5").rename(tmp_path / "two.h5")
    (parts / "0002-of-0004.h5").symlink_to(other)
    with pytest.raises(TraceError, match="is a link"):
        rnnscope.join(parts, tmp_path / "t.h5")
    rnnscope.join(parts, tmp_path / "t.h5", copy=True)


@pytest.mark.parametrize("name", ["50%.h5", "a:b.h5", "a\\b.h5"])
def test_a_name_that_no_trace_in_parts_can_have_is_refused_before_anything_runs(tmp_path, name):
    with pytest.raises(TraceError, match="a name that HDF5 would read otherwise"):
        rnnscope.run_part(CHECKPOINT, np.zeros((3, 4, 8)), part=(1, 2), output=tmp_path / name)
    with pytest.raises(TraceError, match="folder for the trace does not exist"):
        rnnscope.run_part(CHECKPOINT, np.zeros((3, 4, 8)), part=(1, 2), output=tmp_path / "n/t.h5")
    assert not [*tmp_path.iterdir()]


def test_what_is_no_part_or_not_in_its_place_is_refused(parts, tmp_path, inputs):
    rnnscope.run(CHECKPOINT, inputs, output=tmp_path / "whole.h5").close()
    with pytest.raises(TraceError, match="no part of a run"):
        rnnscope.join([parts, tmp_path / "whole.h5"], tmp_path / "t.h5")
    (tmp_path / "below").mkdir()
    with pytest.raises(TraceError, match="not beside the trace"):
        rnnscope.join(parts, tmp_path / "below" / "t.h5")
    (parts / "0001-of-0004.h5").rename(parts / "first.h5")
    with pytest.raises(TraceError, match="not where a trace looks for it"):
        rnnscope.join(parts, tmp_path / "t.h5")
    with pytest.raises(OptionError, match="no parts"):
        rnnscope.join([], tmp_path / "t.h5")
    (tmp_path / "empty").mkdir()
    with pytest.raises(TraceError, match="holds no parts"):
        rnnscope.join(tmp_path / "empty", tmp_path / "t.h5")


def test_an_existing_trace_is_replaced_only_if_asked_and_only_by_a_whole_one(parts, tmp_path):
    (tmp_path / "t.h5").write_text("mine")
    with pytest.raises(TraceError, match="exists already"):
        rnnscope.join(parts, tmp_path / "t.h5")
    (parts / "0001-of-0004.h5").unlink()
    with pytest.raises(TraceError, match="missing"):
        rnnscope.join(parts, tmp_path / "t.h5", force=True)
    assert (tmp_path / "t.h5").read_text() == "mine"


def test_resume_keeps_a_whole_part_and_makes_a_damaged_one_again(parts, tmp_path, inputs):
    rnnscope.join(parts, tmp_path / "t.h5")
    whole, damaged = parts / "0001-of-0004.h5", parts / "0002-of-0004.h5"
    before = whole.stat().st_mtime_ns
    with h5py.File(damaged, "r+") as file:
        digest = file.attrs["part_sha256"]
        file["rnn/lstm_cell/m"][0, 0, 0] = 9
    reports = [
        rnnscope.run_part(
            CHECKPOINT, inputs, part=(number, 4), output=tmp_path / "t.h5", resume=True
        )
        for number in (1, 2)
    ]
    assert [report.part.kept for report in reports] == [True, False]
    assert whole.stat().st_mtime_ns == before
    with h5py.File(damaged) as file:
        assert file.attrs["part_sha256"] == digest, "the same numbers"
    fresh = rnnscope.run_part(CHECKPOINT, inputs, part=(1, 4), output=tmp_path / "u.h5")
    assert reports[0].findings == fresh.findings
    assert reports[0].padding == fresh.padding
    with pytest.raises(TraceError, match="of another run"):
        rnnscope.run_part(
            CHECKPOINT, inputs, part=(1, 4), output=tmp_path / "t.h5", resume=True,
            forget_bias=0.5, override=True,
        )  # fmt: skip
    with pytest.raises(TraceError, match="exists already"):
        rnnscope.run_part(CHECKPOINT, inputs, part=(1, 4), output=tmp_path / "t.h5")


def test_parts_of_other_lengths_in_a_file_of_one_name_are_neither_joined_nor_kept(tmp_path, inputs):
    """The recipe has the name of the file alone; what lies in it decides the numbers, too."""
    lengths = tmp_path / "lengths.npy"
    how = {"lengths": str(lengths), "output": tmp_path / "t.h5"}
    np.save(lengths, np.full(130, 9))
    rnnscope.run_part(CHECKPOINT, inputs, part=(1, 2), **how)
    np.save(lengths, np.full(130, 2))
    rnnscope.run_part(CHECKPOINT, inputs, part=(2, 2), **how)
    with pytest.raises(TraceError, match="not of the same run") as caught:
        rnnscope.join(tmp_path / "t.h5.parts", tmp_path / "t.h5")
    assert "another content" in str(caught.value.found)
    with pytest.raises(TraceError, match="of another run"):
        rnnscope.run_part(CHECKPOINT, inputs, part=(1, 2), resume=True, **how)
    np.save(lengths, np.full(130, 9))
    rnnscope.run_part(CHECKPOINT, inputs, part=(2, 2), force=True, **how)
    assert rnnscope.run_part(CHECKPOINT, inputs, part=(1, 2), resume=True, **how).part.kept
    assert rnnscope.join(tmp_path / "t.h5.parts", tmp_path / "t.h5")


def test_a_part_that_fails_leaves_neither_file_nor_folder(tmp_path):
    x = np.zeros((4, 3, 8))
    x[3, 1, 1] = np.nan
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(rnnscope.RnnscopeError):
        rnnscope.run_part(
            CHECKPOINT, tmp_path / "x.npy", part=(2, 2), output=tmp_path / "t.h5", lengths="none"
        )
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]


def test_a_part_is_not_run_again_by_itself_but_the_whole_is(parts, tmp_path):
    with pytest.raises(OptionError, match="part of a run is not run again"):
        rnnscope.check(parts / "0002-of-0004.h5", recompute=True)
    with pytest.raises(OptionError, match="part of a run is not run again"):
        rnnscope.rerun(parts / "0002-of-0004.h5")
    rnnscope.join(parts, tmp_path / "t.h5")
    with rnnscope.rerun(tmp_path / "t.h5") as again:
        assert rnnscope.diff(tmp_path / "t.h5", again, exact=True).verdict == "same"
    found = rnnscope.check(tmp_path / "t.h5", recompute=True, only=["padding-leak"])
    assert found.status == "pass"


def test_every_other_command_reads_a_trace_in_parts(parts, tmp_path):
    trace = tmp_path / "t.h5"
    rnnscope.join(parts, trace)
    rnnscope.export(trace, "arrays", tmp_path / "states.npz")
    assert rnnscope.diff(trace, tmp_path / "states.npz").verdict == "same"
    assert "130 sequences" in str(rnnscope.show(trace)) or "sequence 130" in str(
        rnnscope.show(trace)
    )
    rnnscope.write_report(trace, output=tmp_path / "page.html")
    rnnscope.plot(trace, tmp_path / "m.png")
    found = rnnscope.explain(trace, tmp_path / "states.npz")
    assert found.verdict
    with rnnscope.open_trace(trace) as opened:
        assert opened.layers["rnn/lstm_cell"].c[129, 0].shape == (64,)


def test_a_part_of_other_threads_is_made_again_where_all_have_to_have_the_same(tmp_path, inputs):
    """Else a run that another machine began would fail when it is tied, after all its work."""
    recipe, trace = Recipe.make(CHECKPOINT, inputs, engine="numpy"), tmp_path / "t.h5"
    record_part(recipe, trace, PartOfRun(1, 2, threads=1))
    kept = record_part(recipe, trace, PartOfRun(1, 2, threads=1), resume=True)
    made = record_part(recipe, trace, PartOfRun(1, 2, threads=2), resume=True)
    assert (kept.part.kept, made.part.kept) == (True, False)
    record_part(recipe, trace, PartOfRun(2, 2, threads=2))
    rnnscope.join(tmp_path / "t.h5.parts", trace)


def test_a_dry_run_of_a_part_says_what_the_part_would_be(tmp_path, inputs):
    def dry(*more):
        called = ["run", CHECKPOINT, str(inputs), "-o", str(tmp_path / "t.h5"), "--dry-run", *more]
        return CliRunner().invoke(cli, called)

    (tmp_path / "t.h5").touch()  # a part does not replace it
    said = dry("--part", "2/2", "--format", "json")
    assert said.exit_code == 0, said.output
    report = json.loads(said.stdout)
    assert report["trace"] == str(tmp_path / "t.h5.parts" / "0002-of-0002.h5")
    assert (report["part"]["first_sequence"], report["part"]["sequences"]) == (65, 65)
    (tmp_path / "t.h5").unlink()
    whole = json.loads(dry("--format", "json").stdout)
    assert report["bytes_of_states"] * 2 == whole["bytes_of_states"]
    for wrong in (("--part", "3/2"), ("--part", "1/131"), ("--dask", "local", "--parts", "131")):
        assert isinstance(dry(*wrong).exception, OptionError)
    assert dry("--dask", "local").exit_code == 0
    assert not [*tmp_path.iterdir()]


def test_parts_without_a_cluster_are_refused_in_python_too(tmp_path, inputs):
    with pytest.raises(OptionError, match="parts says into how many parts dask divides"):
        rnnscope.run(CHECKPOINT, inputs, output=tmp_path / "t.h5", parts=4)


def test_inspect_names_a_part_that_is_missing(parts, tmp_path):
    rnnscope.join(parts, tmp_path / "t.h5")
    (parts / "0002-of-0004.h5").unlink()
    with pytest.raises(TraceError, match="A part of the trace is missing"):
        inspect_path(tmp_path / "t.h5")


@pytest.mark.parametrize("folder", ["..", ".", "a/b", "", 3])
def test_a_trace_of_a_stranger_names_no_folder_whose_parts_are_removed(tmp_path, folder):
    """With --force the parts of the trace that is replaced go when the new one is there."""
    path = tmp_path / "here" / "t.h5"
    path.parent.mkdir()
    with h5py.File(path, "w") as file:
        file.attrs["parts_folder"], file.attrs["parts_run"] = folder, "a run"
    made = folder_for_parts(path, Target(path, force=True), "another", ())
    assert made == (path.with_name("t.h5.parts"), [], None)


def test_joining_anew_keeps_what_was_pooled_from_the_same_run(tmp_path, inputs, monkeypatch):
    """A part that was mended needs its parts joined again; of another run nothing stays."""
    monkeypatch.setattr("rnnscope.trace.parts.kept_pooled.COPIED_BYTES", 10_000)
    trace = tmp_path / "t.h5"
    run = Recipe.make(STACK, np.ones((40, 7, 5), "f4"))
    for number in (1, 2):
        record_part(run, trace, PartOfRun(number, 2))
    rnnscope.join(tmp_path / "t.h5.parts", trace)
    rnnscope.pool(trace, "all", state=("c", "m"), store=True)
    before = every_array(trace)
    attributes = attributes_of(trace)
    rnnscope.join(tmp_path / "t.h5.parts", trace, force=True)
    after = every_array(trace)
    assert before.keys() == after.keys()
    assert all(values.tobytes() == after[name].tobytes() for name, values in before.items())
    assert attributes == attributes_of(trace)
    assert sum(name.startswith("pooled/") for name in after) >= 3 * 2 * 6
    with rnnscope.open_trace(trace) as opened, rnnscope.open_trace(trace) as other:
        assert rnnscope.diff(opened, other, exact=True).verdict == "same"
    rnnscope.pool(trace, "mean", state=("c", "m"), store=True, force=True)
    for number in (1, 2):
        record_part(run.with_options(padding="zeros", override=True), trace,
                    PartOfRun(number, 2), force=True)  # fmt: skip
    rnnscope.join(tmp_path / "t.h5.parts", trace, force=True)
    assert not [name for name in every_array(trace) if name.startswith("pooled")]


def attributes_of(path):
    """Every attribute of what is pooled, and where its axes lie."""
    found = {}

    def note(name, item):
        own = {key: str(value) for key, value in item.attrs.items() if "LIST" not in key}
        axes = [axis[0].name for axis in item.dims if len(axis)] if hasattr(item, "dims") else []
        found[name] = own, axes

    with h5py.File(path) as file:
        file["pooled"].visititems(note)
    return found


@pytest.mark.parametrize(
    "odd", [h5py.SoftLink("/sequence"), np.array([b"a", b"b"], object)], ids=["link", "texts"]
)
def test_pooled_arrays_that_cannot_be_kept_are_told_before_they_are_gone(tmp_path, inputs, odd):
    trace = tmp_path / "t.h5"
    for number in (1, 2):
        rnnscope.run_part(CHECKPOINT, inputs, part=(number, 2), output=trace)
    rnnscope.join(tmp_path / "t.h5.parts", trace)
    rnnscope.pool(trace, "mean", store=True)
    with h5py.File(trace, "r+") as file:
        file["pooled/odd"] = odd
    before = trace.read_bytes()
    with pytest.raises(TraceError, match="pooled arrays of the trace that is replaced"):
        rnnscope.join(tmp_path / "t.h5.parts", trace, force=True)
    assert trace.read_bytes() == before


def test_more_parts_than_sequences_are_refused(tmp_path):
    with pytest.raises(OptionError, match="more parts than sequences"):
        rnnscope.run_part(CHECKPOINT, np.zeros((3, 4, 8)), part=(1, 4), output=tmp_path / "t.h5")


def test_the_commands_say_what_was_done(tmp_path, inputs):
    run = CliRunner()
    trace = str(tmp_path / "t.h5")
    for number in (2, 1):
        said = run.invoke(
            cli, ["run", CHECKPOINT, str(inputs), "--part", f"{number}/2", "-o", trace]
        )
        assert said.exit_code == 0, said.output
        assert f"part        {number} of 2, sequences {65 * (number - 1)}-" in said.stdout
    said = run.invoke(cli, ["join", f"{trace}.parts", "-o", trace, "--format", "json"])
    assert said.exit_code == 0, said.output
    report = json.loads(said.stdout)
    assert (report["report"], report["parts"], report["sequences"]) == ("join", 2, 130)
    assert report["bytes_of_trace"] < 100_000 < report["bytes_of_parts"]
    said = run.invoke(cli, ["check", trace, "-q"])
    assert said.exit_code == 0, said.output
    said = run.invoke(cli, ["run", CHECKPOINT, str(inputs), "--part", "0/2", "-o", trace])
    assert isinstance(said.exception, OptionError)
