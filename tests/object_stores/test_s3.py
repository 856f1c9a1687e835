"""Checkpoints, inputs and traces in an S3 store: every command, wrong input, keys, strangers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import rnnscope
from rnnscope.cli.main import run as run_cli
from rnnscope.errors import InputError, OptionError, TraceError
from rnnscope.record.recipes.recipe import REFERENCES
from rnnscope.trace import LayerHeader, TraceHeader, TraceWriter
from rnnscope.trace.stores.zarr_place import RemotePlace

zarr = pytest.importorskip("zarr")
xarray = pytest.importorskip("xarray")

LSTM = Path(__file__).parents[2] / "sample_data" / "lstm_float64"
MODEL, X = str(LSTM / "model.ckpt"), str(LSTM / "inputs.npz")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def command(here, capsys):
    """``command("show", path)`` gives the code, stdout and stderr."""

    def call(*arguments):
        code = run_cli([str(argument) for argument in arguments])
        said = capsys.readouterr()
        assert os.environ["AWS_SECRET_ACCESS_KEY"] not in said.out + said.err
        return code, said.out, said.err

    return call


@pytest.fixture
def stored(bucket, s3):
    """The sample as it lies in a bucket, beside other things that nobody asks for."""
    s3.put(str(LSTM), f"{bucket[5:]}/lstm", recursive=True)
    s3.pipe(f"{bucket[5:]}/lstm/huge.bin", b"0" * 300_000)
    return f"{bucket}/lstm"


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    path = tmp_path_factory.mktemp("local") / "t.h5"
    rnnscope.run(MODEL, X, output=path).close()
    return path


def work_folders():
    import tempfile

    return sorted(Path(tempfile.gettempdir()).glob("rnnscope-fetched-*"))


# Checkpoints and inputs


def test_a_run_of_what_lies_in_a_bucket_gives_the_states_of_tensorflow(command, stored):
    """The prefix of a TensorFlow checkpoint is no object: its files are found by listing."""
    before = work_folders()
    code, out, err = command("run", f"{stored}/model.ckpt", f"{stored}/inputs.npz", "-o", "t.h5")
    assert (code, err) == (0, "")
    assert out.startswith(f"checkpoint  {stored}/model.ckpt (tf1-saver, TensorFlow 1.15.5)\n")
    assert command("diff", "t.h5", LSTM / "truth.npz", "--quiet") == (0, "", "")
    assert not {*work_folders()} - {*before}  # what killed processes left is swept
    with h5py.File("t.h5") as file:
        recipe = json.loads(file.attrs["recipe"])
        assert (recipe["checkpoint"], recipe["input"]) == (
            f"{stored}/model.ckpt",
            f"{stored}/inputs.npz",
        )
        texts = [str(value) for value in file.attrs.values()]
    assert not [text for text in texts if "rnnscope-fetched" in text]


def test_only_what_is_needed_is_fetched(command, stored, monkeypatch):
    """`huge.bin` lies in the same folder, and --max-bytes would not let it pass."""
    code, _, err = command("inspect", f"{stored}/model.ckpt", "--max-bytes", "250KB")
    assert (code, err) == (0, "")
    code, _, err = command("inspect", f"{stored}/model.ckpt", "--max-bytes", "10KB")
    assert code == 2
    assert "larger than what is fetched" in err
    assert f"where: {stored}/model.ckpt" in err


def test_without_o_the_trace_lies_in_the_current_folder(command, stored):
    code, _, err = command("run", f"{stored}/model.ckpt", f"{stored}/inputs.npz::x")
    assert code == 0
    assert "no -o: the trace is inputs.trace.h5" in err
    assert Path("inputs.trace.h5").is_file()


def test_an_array_in_a_file_and_lengths_are_found_there(command, stored, s3):
    np.save("lengths.npy", np.array([10, 6]))
    s3.put("lengths.npy", f"{stored[5:]}/lengths.npy")
    code, _, err = command(
        "run", MODEL, f"{stored}/inputs.npz::x", "--lengths", f"{stored}/lengths.npy", "-o", "t.h5"
    )
    assert (code, err) == (0, "")
    assert command("diff", "t.h5", LSTM / "truth.npz", "--quiet")[0] == 0


def test_a_rerun_fetches_when_the_user_says_so_and_notices_a_changed_object(command, stored, s3):
    command("run", f"{stored}/model.ckpt", f"{stored}/inputs.npz", "-o", "t.h5", "--quiet")
    assert command("rerun", "t.h5", "--allow-remote", "--quiet") == (0, "", "")
    with np.load(X) as held:
        arrays = dict(held)
    arrays["x"] = arrays["x"] + 0.5
    np.savez("x.npz", **arrays)
    s3.put("x.npz", f"{stored[5:]}/inputs.npz")
    code, out, _ = command("check", "t.h5", "--recompute", "--allow-remote")
    assert code == 1
    assert "inputs.npz::x is not the input of the trace: its SHA-256 differs" in out.replace(
        "\n    ", " "
    )
    assert command("rerun", "t.h5", "--allow-remote", "--quiet")[0] == 1


@pytest.mark.parametrize("named", ["checkpoint", "input", *sorted({"resets", *REFERENCES})])
@pytest.mark.parametrize("arguments", [("rerun",), ("check", "--recompute")])
def test_the_recipe_of_a_stranger_has_nothing_fetched(
    command, stored, local, monkeypatch, arguments, named
):
    """Otherwise a trace could have this machine ask any store, with the user's keys."""
    shutil.copy(local, "t.h5")
    with h5py.File("t.h5", "r+") as file:
        recipe = json.loads(file.attrs["recipe"])
        inside = recipe if named in recipe else recipe["options"]
        inside[named] = f"{stored}/model.ckpt"
        file.attrs["recipe"] = json.dumps(recipe)
    asked = []
    monkeypatch.setattr("rnnscope.files.remote.fetching.file_system", lambda *a: asked.append(a))
    name, *rest = arguments
    code, _, err = command(name, "t.h5", *rest)
    assert code == 2
    assert f"The recipe's {named} is at an address; only you can have it fetched" in err
    assert "next: if you trust the file: --allow-remote" in err
    assert asked == []


@pytest.mark.parametrize("name", ["checkpoint", "input", "mask", "resets"])
def test_a_suite_has_nothing_fetched_without_leave(command, stored, name):
    """A suite may be a stranger's, too."""
    case = {"checkpoint": MODEL, "input": X, name: f"{stored}/x"}
    run = f"run = {{{name} = '{case.pop(name)}'}}\n" if name in REFERENCES else ""
    lines = [f"{key} = '{value}'" for key, value in case.items()]
    Path("rnnscope.toml").write_text("[[case]]\n" + "\n".join(lines) + f"\n{run}")
    code, _, err = command("check")
    assert code == 2
    assert f"The recipe's {name} is at an address; only you can have it fetched" in err


def test_a_suite_that_may_is_run_on_what_lies_in_a_bucket(command, stored):
    Path("rnnscope.toml").write_text(
        f"[[case]]\ncheckpoint = '{stored}/model.ckpt'\ninput = '{stored}/inputs.npz'\n"
    )
    code, out, err = command("check", "--allow-remote")
    assert (code, err) == (0, "no TRACE: the suite is rnnscope.toml\n"), out


def test_what_the_user_names_in_place_of_it_needs_no_leave(command, stored, local):
    code, _, err = command(
        "rerun", local, "--checkpoint", f"{stored}/model.ckpt", "--input", f"{stored}/inputs.npz",
        "--quiet",
    )  # fmt: skip
    assert (code, err) == (0, "")


def test_python_refuses_the_same_and_a_block_allows_it(here, stored):
    rnnscope.run(f"{stored}/model.ckpt", f"{stored}/inputs.npz", output="t.h5").close()
    with rnnscope.open_trace("t.h5") as opened:
        for ask in (
            lambda: rnnscope.rerun("t.h5"),
            lambda: rnnscope.rerun(opened),
            lambda: rnnscope.explain(opened, "t.h5"),
            lambda: rnnscope.check(opened, recompute=True),
        ):
            with pytest.raises(OptionError, match="only you can have it fetched"):
                ask()
        with rnnscope.limits(allow_remote=True), rnnscope.rerun(opened) as again:
            assert rnnscope.diff(opened, again).verdict == "same"


def test_open_model_reads_its_arrays_after_the_call(stored):
    model = rnnscope.open_model(f"{stored}/model.ckpt")
    x = np.load(X)["x"]
    with rnnscope.run(f"{stored}/model.ckpt", x, lengths=[10, 6]) as trace:
        found, truth = trace.layers["rnn/lstm_cell"].c, np.load(LSTM / "truth.npz")["c"]
        for row, length in enumerate((10, 6)):
            np.testing.assert_allclose(found[row, :length], truth[row, :length], atol=1e-12)
    assert model.layers["rnn/lstm_cell"].weights.kernel.shape == (8, 256)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("s3://{bucket}/none.npz", "There is no such input"),
        ("s3://no-such-bucket-here/x.npz", "There is no such input"),
        ("s3://key:{secret}@{bucket}/x.npz", "a key or a password before @"),
        ("s3://{bucket}/x.npz?X-Amz-Signature={secret}", "a query, in which keys are"),
        ("simplecache::s3://{bucket}/x.npz", "."),
        ("s3://{bucket}/x.npz::file://etc/passwd", "another address"),
        ("s3://{bucket}/../x.npz", ".."),
        ("ftp://{bucket}/x.npz", "This is an address"),
        ("github://a:b@main/x.npz", "This is an address"),
        ("https://{bucket}/x.npz?Signature={secret}", "This is an address"),
    ],
)
def test_addresses_that_are_not_taken(command, bucket, address, says):
    """No key is ever printed (`command` looks for it), and no other protocol is looked up."""
    secret = os.environ["AWS_SECRET_ACCESS_KEY"]
    given = address.format(bucket=bucket[5:], secret=secret)
    code, out, err = command("run", MODEL, given, "-o", "t.h5")
    assert (code, out) == (2, "")
    assert says in err
    assert not Path("t.h5").exists()


def test_an_object_that_changes_while_it_is_fetched_is_refused(stored, monkeypatch, here):
    monkeypatch.setattr(
        "rnnscope.files.remote.fetching._needed",
        lambda _, root: (root.rpartition("/")[0], {"inputs.npz": 100}),
    )
    with pytest.raises(InputError, match="100 bytes were announced, and"):
        rnnscope.run(MODEL, f"{stored}/inputs.npz")


# Traces


@pytest.mark.slow
def test_a_trace_in_a_bucket_is_that_of_the_disk_to_every_command(command, bucket, local):
    address = f"{bucket}/deep/states.zarr"
    code, out, err = command("run", MODEL, X, "-o", address)
    assert (code, err) == (0, "")
    assert f"trace       {address}\n" in out
    for arguments in (
        ("diff", local, address, "--exact", "--quiet"),
        ("diff", f"{local}::rnn/lstm_cell/c", f"{address}::rnn/lstm_cell/c", "--quiet"),
        ("check", address),
        ("rerun", address, "--quiet"),
        ("inspect", address),
        ("show", address),
        ("pool", address, "--method", "mean", "-o", "p.npz"),
        ("report", address, "-o", "p.html", "--quiet"),
        ("export", address, "--to", "torch", "-o", "h.npz"),
        ("export", address, "--to", "hdf5", "-o", "back.h5"),
        ("explain", local, address),
    ):
        code, out, err = command(*arguments)
        assert (code, err) == (0, ""), arguments
        assert "rnnscope-" not in out or arguments[0] == "show", arguments
    assert command("diff", local, "back.h5", "--exact", "--quiet") == (0, "", "")


def test_xarray_and_zarr_open_it_lazily(bucket, local):
    address = f"{bucket}/states.zarr"
    rnnscope.run(MODEL, X, output=address).close()
    with xarray.open_datatree(address, engine="zarr") as tree:
        c = tree["rnn/lstm_cell/c"]
        assert c.dims == ("sequence", "timestep", "unit")
        with h5py.File(local) as file:
            np.testing.assert_array_equal(c.values, file["rnn/lstm_cell/c"])


def test_a_trace_is_replaced_with_force_alone_and_nothing_lies_beside_it(command, bucket, s3):
    address = f"{bucket}/states.zarr"
    command("run", MODEL, X, "-o", address, "--quiet")
    code, _, err = command("run", MODEL, X, "-o", address, "--quiet")
    assert code == 2
    assert "The trace exists already" in err
    assert command("run", MODEL, X, "-o", address, "--quiet", "--force", "--gates") == (0, "", "")
    assert s3.ls(bucket[5:], refresh=True) == [address[5:]]
    with rnnscope.open_trace(address) as trace:
        assert set(trace.layers["rnn/lstm_cell"].gates) == set("ifgo")


def test_a_layer_may_be_called_like_a_pattern(bucket, s3):
    """Fsspec takes ``[0]`` and ``*`` for patterns in some of its calls."""
    names = ["a[0]/*", "b?", "a\\b"]
    layers = [LayerHeader(name, 2) for name in names]
    address, rows = f"{bucket}/t.zarr", slice(0, 3)
    for _ in range(2):  # the second replaces, which copies and removes
        with TraceWriter(address, TraceHeader(), layers, 3, 4, force=True) as writer:
            for number, name in enumerate(names):
                writer.write_outputs(name, np.full((3, 4, 2), number, np.float32), rows)
            writer.write_common(rows, input_steps=np.zeros(3, int))
    document = json.loads(s3.cat_file(f"{address[5:]}/zarr.json"))
    del document["consolidated_metadata"]  # so that every node is read by itself
    s3.pipe_file(f"{address[5:]}/zarr.json", json.dumps(document).encode())
    with rnnscope.open_trace(address) as trace:
        assert list(trace.layers) == names
        for number, name in enumerate(names):
            assert (np.asarray(trace.layers[name].outputs) == number).all()


def broken_after(monkeypatch, method, count):
    """The store fails at the so-manieth call of a method."""
    real, calls = getattr(RemotePlace, method), []

    def fail(self, *arguments):
        calls.append(arguments)
        if len(calls) > count:
            raise OSError("the network is gone")
        return real(self, *arguments)

    monkeypatch.setattr(RemotePlace, method, fail)


def test_a_run_that_fails_removes_what_it_wrote(here, bucket, s3, monkeypatch):
    broken_after(
        monkeypatch, "write", 1
    )  # metadata at the beginning pass, the root's at the end not
    with pytest.raises(TraceError, match="the network is gone"):
        rnnscope.run(MODEL, X, output=f"{bucket}/states.zarr")
    assert s3.find(bucket[5:]) == []


def test_a_failing_run_leaves_the_older_trace_as_it_was(here, bucket, s3, monkeypatch):
    address = f"{bucket}/states.zarr"
    rnnscope.run(MODEL, X, output=address).close()
    before = {name: s3.cat(name) for name in s3.find(bucket[5:])}
    broken_after(monkeypatch, "write", 1)
    with pytest.raises(TraceError, match="the network is gone"):
        rnnscope.run(MODEL, X, output=address, force=True)
    s3.invalidate_cache()
    assert {name: s3.cat(name) for name in s3.find(bucket[5:])} == before


def test_a_replacement_that_is_cut_off_says_where_the_new_trace_is(here, bucket, s3, monkeypatch):
    """An object store has no renaming: between the two there is a time without a whole trace."""
    address = f"{bucket}/states.zarr"
    rnnscope.run(MODEL, X, output=address).close()
    broken_after(monkeypatch, "copy_from", 0)
    with pytest.raises(TraceError, match="could not be replaced") as caught:
        rnnscope.run(MODEL, X, output=address, force=True)
    with pytest.raises(TraceError, match="not complete"):
        rnnscope.open_trace(address)
    whole = caught.value.hint.rpartition(" ")[2]
    copied = f"{bucket}/again.zarr"
    s3.copy(whole[5:], copied[5:], recursive=True)
    with rnnscope.open_trace(copied) as trace:
        assert rnnscope.diff(trace, str(LSTM / "truth.npz")).verdict == "same"


def test_two_runs_to_one_new_place_are_told(here, bucket, s3, monkeypatch):
    """The second finds the mark of the first, which was not there when it looked."""
    address = f"{bucket}/states.zarr"
    s3.pipe(f"{address[5:]}/zarr.json", b"{}")
    monkeypatch.setattr(RemotePlace, "sizes", lambda _: {})
    with pytest.raises(TraceError, match="Another run is writing this trace"):
        rnnscope.run(MODEL, X, output=address)


def test_an_unfinished_trace_is_refused_by_name(command, bucket, s3):
    address = f"{bucket}/states.zarr"
    command("run", MODEL, X, "-o", address, "--quiet")
    document = json.loads(s3.cat(f"{address[5:]}/zarr.json"))
    document["attributes"]["complete"] = 0
    s3.pipe(f"{address[5:]}/zarr.json", json.dumps(document).encode())
    code, _, err = command("show", address)
    assert code == 2
    assert "The trace is not complete" in err
    assert f"where: {address}" in err


def test_a_lost_object_is_no_state_of_zero(command, bucket, s3):
    address = f"{bucket}/states.zarr"
    command("run", MODEL, X, "-o", address, "--quiet")
    s3.rm(f"{address[5:]}/rnn/lstm_cell/m/c/0/0/0")
    code, _, err = command("diff", address, LSTM / "truth.npz")
    assert code == 2
    assert "A part of the zarr store is missing" in err


@pytest.mark.parametrize(
    ("name", "says"),
    [("t.h5", "What is written to an object store is a zarr store"), ("t.zarr", "bucket")],
)
def test_a_target_that_cannot_be_is_refused_before_the_run(command, name, says):
    code, out, err = command("run", MODEL, X, "-o", f"s3://no-such-bucket-here/{name}")
    assert (code, out) == (2, "")
    assert says in err


def test_pooling_into_it_is_refused_with_the_way_that_goes(command, bucket):
    address = f"{bucket}/states.zarr"
    command("run", MODEL, X, "-o", address, "--quiet")
    code, _, err = command("pool", address, "--method", "mean")
    assert code == 2
    assert "next: name a file with -o pooled.npz" in err


def test_an_hdf5_trace_in_a_bucket_is_fetched(command, bucket, local, s3):
    s3.put(str(local), f"{bucket[5:]}/t.h5")
    before = work_folders()
    code, out, err = command("show", f"{bucket}/t.h5")
    assert (code, err) == (0, "")
    assert f"{bucket}/t.h5" in out
    assert command("diff", f"{bucket}/t.h5", local, "--exact", "--quiet")[0] == 0
    assert len(work_folders()) - len(before) <= 1  # kept until the process ends


@pytest.mark.slow
def test_a_process_ends_and_leaves_no_copy(server, bucket, stored, here):
    """Threads of fsspec and zarr keep no process alive; copies that are kept go at its end."""
    before = work_folders()
    lines = ["run", f"{stored}/model.ckpt", f"{stored}/inputs.npz", "-o", f"{bucket}/a.zarr", "-q"]
    for arguments in (lines, ["inspect", f"{stored}/model.ckpt"]):
        done = subprocess.run(
            [sys.executable, "-m", "rnnscope", *arguments],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
    assert not {*work_folders()} - {*before}  # what killed processes left is swept
