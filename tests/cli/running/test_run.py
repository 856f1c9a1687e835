"""``rnnscope run`` as users meet it: exit code, stdout and stderr of all that can go wrong."""

from __future__ import annotations

import json
import os
import shutil
from types import SimpleNamespace

import h5py
import numpy as np
import pytest


@pytest.fixture
def model(small, tmp_path):
    """A copy of the small checkpoint that a test may damage, in a folder of its own."""
    folder = tmp_path / "model"
    shutil.copytree(small.prefix.parent, folder)
    return SimpleNamespace(
        folder=folder,
        prefix=folder / "model.ckpt",
        index=folder / "model.ckpt.index",
        shard=folder / "model.ckpt.data-00000-of-00001",
        meta=folder / "model.ckpt.meta",
    )


@pytest.fixture
def out(tmp_path):
    """A folder for traces alone, so that whatever is left behind is seen."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture
def npz(tmp_path):
    def save(**arrays):
        path = tmp_path / "given.npz"
        np.savez(path, **arrays)
        return path

    return save


def assert_trouble(result, out, *words):
    """Exit 2, one error in words on stderr, nothing on stdout, nothing left behind."""
    assert result.code == 2, result.stdout + result.stderr
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr, result.stderr
    assert list(out.iterdir()) == []


def test_a_run_reports_on_stdout_and_writes_one_file(small, rnnscope, out, read_trace):
    result = rnnscope("run", small.prefix, small.inputs, "-o", out / "trace.h5")
    assert (result.code, result.stderr) == (0, "")
    for word in (small.layer, "forget_bias", "0.7", "last-output-is-m", "outputs past the length"):
        assert word in result.stdout
    assert "fail" not in result.stdout
    assert [path.name for path in out.iterdir()] == ["trace.h5"]
    trace = read_trace(out / "trace.h5")
    np.testing.assert_allclose(trace[f"{small.layer}/outputs"], small.outputs, atol=2e-6)
    np.testing.assert_allclose(trace[f"{small.layer}/final/c"], small.final_c, atol=2e-6)
    assert f"{small.layer}/gates/i" not in trace


@pytest.mark.parametrize("engine", ["numpy", "compiled", "reference"])
def test_the_trace_names_the_engine_that_computed_it(small, rnnscope, out, engine):
    if engine == "compiled":
        pytest.importorskip("llvmlite", reason="llvmlite is not installed")
    result = rnnscope("run", small.prefix, small.inputs, "-o", out / "trace.h5", "--engine", engine)
    assert result.code == 0, result.stderr
    assert f"engine      {engine}," in result.stdout
    with h5py.File(out / "trace.h5") as trace:
        assert trace.attrs["engine"] == engine


def test_gates_are_written_when_asked_for(small, rnnscope, out, read_trace):
    result = rnnscope("run", small.prefix, small.inputs, "-o", out / "t.h5", "--gates", "--quiet")
    assert (result.code, result.stdout, result.stderr) == (0, "", "")
    trace = read_trace(out / "t.h5")
    i, f, g, o = (trace[f"{small.layer}/gates/{gate}"] for gate in "ifgo")
    c, m = trace[f"{small.layer}/c"], trace[f"{small.layer}/m"]
    valid = np.arange(5) + 1 < small.lengths[:, None]
    np.testing.assert_allclose(
        (f * np.roll(c, 1, 1) + i * g)[:, 1:][valid], c[:, 1:][valid], atol=1e-6
    )
    np.testing.assert_allclose((o * np.tanh(c))[:, 1:][valid], m[:, 1:][valid], atol=1e-6)


def test_json_stands_alone_on_stdout(small, rnnscope, out):
    arguments = ["run", small.prefix, small.inputs, "-o", out / "t.h5", "--format", "json"]
    result = rnnscope(*arguments)
    assert (result.code, result.stderr) == (0, "")
    report = json.loads(result.stdout)
    assert (report["schema_version"], report["report"]) == (1, "run")
    assert report["status"] in ("pass", "warn")
    assert report["layers"][0]["name"] == small.layer
    # A reader of JSON gets the error as a whole document, rather than half a report.
    again = rnnscope(*arguments)
    assert (again.code, json.loads(again.stdout)["report"]) == (2, "error")


def test_a_failed_check_exits_with_1_and_keeps_the_trace(small, rnnscope, out, npz):
    """Without tanh and with inputs near the end of float32, c runs over: infinite, and said."""
    huge = npz(x=np.full((3, 6, 3), 3e38, np.float32))
    flags = ["--activation", "linear", "--override"]
    result = rnnscope("run", small.prefix, huge, "-o", out / "t.h5", *flags)
    assert result.code == 1, result.stderr
    assert "fail" in result.stdout
    assert "NaN or infinity" in result.stdout
    # --quiet is silent about what is well, not about this.
    quiet = rnnscope("run", small.prefix, huge, "-o", out / "q.h5", "--quiet", *flags)
    assert quiet.code == 1
    assert "NaN or infinity" in quiet.stdout
    assert sorted(path.name for path in out.iterdir()) == ["q.h5", "t.h5"]


def test_a_failed_verification_exits_with_1(tf, small, rnnscope, out, monkeypatch):
    arguments = ["run", small.prefix, small.inputs, "-o", out / "t.h5", "--force"]
    arguments += ["--verify", "tensorflow"]
    result = rnnscope(*arguments)
    assert result.code == 0
    assert "verified with TensorFlow" in result.stdout
    assert "BlockLSTM" in result.stdout

    # No two engines agree to the last bit; with no room for that, the verification fails.
    monkeypatch.setattr("rnnscope.oracles.differences.LIMIT_EPS", 0)
    result = rnnscope(*arguments, "--format", "json")
    assert result.code == 1
    report = json.loads(result.stdout)
    assert report["status"] == "fail"
    assert {row["kernel"] for row in report["verify"]} == {"BlockLSTM"}
    assert not all(row["ok"] for row in report["verify"])


def test_verify_without_tensorflow_is_trouble_before_anything_is_written(
    small, rnnscope, out, monkeypatch
):
    import sys

    monkeypatch.setitem(sys.modules, "tensorflow", None)
    arguments = ["run", small.prefix, small.inputs, "-o", out / "t.h5", "--verify", "tensorflow"]
    assert_trouble(rnnscope(*arguments), out, "pip install tensorflow")


# What the user says against what the file says.


def test_a_flag_that_contradicts_the_file_needs_override(small, rnnscope, out, read_trace):
    arguments = ["run", small.prefix, small.inputs, "-o", out / "t.h5", "--forget-bias", "0.2"]
    result = rnnscope(*arguments)
    assert_trouble(
        result, out, "--forget-bias contradicts the file", small.layer, "0.7", "0.2", "--override"
    )
    result = rnnscope(*arguments, "--override")
    assert (result.code, result.stderr) == (0, "")
    assert "0.2" in result.stdout
    assert "flag" in result.stdout
    trace = read_trace(out / "t.h5")
    assert np.abs(trace[f"{small.layer}/c"] - 0).max() > 0
    assert np.abs(trace[f"{small.layer}/outputs"] - small.outputs).max() > 1e-3


def test_a_flag_that_agrees_with_the_file_is_no_contradiction(small, rnnscope, out):
    for flags in (["--forget-bias", "0.7"], ["--activation", "tanh"], ["--cell-clip", "none"]):
        result = rnnscope("run", small.prefix, small.inputs, "-o", out / "t.h5", "--force", *flags)
        assert (result.code, result.stderr) == (0, "")


def test_a_flag_for_one_layer_of_two(two_layers, rnnscope, out, npz, read_trace):
    first, second = two_layers.layers
    inputs = npz(x=two_layers.x)
    assert rnnscope("run", two_layers.prefix, inputs, "-o", out / "a.h5", "--quiet").code == 0
    result = rnnscope(
        "run", two_layers.prefix, inputs, "-o", out / "b.h5", "--quiet", "--override",
        "--forget-bias", f"{second}=3",
    )  # fmt: skip
    assert result.code == 0
    plain, changed = read_trace(out / "a.h5"), read_trace(out / "b.h5")
    np.testing.assert_array_equal(plain[f"{first}/c"], changed[f"{first}/c"])
    assert np.abs(plain[f"{second}/c"] - changed[f"{second}/c"]).max() > 0.01


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--forget-bias", "nowhere=1"], ["names a layer that is not there", "rnn/lstm_cell"]),
        (["--forget-bias", "much"], ["--forget-bias does not understand its value", "much"]),
        (["--activation", "tangent"], ["--activation", "tangent", "softsign"]),
        (["--padding", "mirror"], ["--padding", "mirror", "zeros"]),
        (["--cell", "GRUCell"], ["--cell", "BasicLSTMCell"]),
        (["--proj-clip", "0.5"], ["--proj-clip", "projection"]),
        (["--padding", "hold"], ["--padding contradicts the file", "zeros"]),
        (["--layer", "decoder*"], ["--layer fits no recurrent layer", "rnn/lstm_cell", "decoder*"]),
        (["--ids"], ["Ids must be integers", "float32"]),
    ],
)
def test_flags_that_cannot_be(small, rnnscope, out, flags, words):
    result = rnnscope("run", small.prefix, small.inputs, "-o", out / "t.h5", *flags)
    assert_trouble(result, out, *words)


@pytest.mark.parametrize("bound", ["-1", "0", "nan", "inf"])
def test_a_clip_must_be_a_bound(small, rnnscope, out, bound):
    arguments = ["run", small.prefix, small.inputs, "-o", out / "t.h5", "--override"]
    assert_trouble(rnnscope(*arguments, "--cell-clip", bound), out, "--cell-clip")


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_forget_bias_must_be_finite(small, rnnscope, out, value):
    arguments = ["run", small.prefix, small.inputs, "-o", out / "t.h5", "--override"]
    assert_trouble(rnnscope(*arguments, "--forget-bias", value), out, "--forget-bias")


def test_layer_runs_what_it_needs_and_no_more(two_layers, rnnscope, out, npz, read_trace):
    first, second = two_layers.layers
    inputs = npz(x=two_layers.x)
    arguments = ["run", two_layers.prefix, inputs, "--quiet", "--force", "-o", out / "t.h5"]
    assert rnnscope(*arguments, "--layer", "*cell_0*").code == 0
    assert not any(name.startswith(second) for name in read_trace(out / "t.h5"))
    assert rnnscope(*arguments, "--layer", "*cell_1*").code == 0
    trace = read_trace(out / "t.h5")
    np.testing.assert_allclose(trace[f"{second}/outputs"], two_layers.outputs, atol=2e-6)
    assert any(name.startswith(first) for name in trace)


@pytest.mark.parametrize("name", ["click", "no"])
def test_usage_errors_are_trouble_too(small, rnnscope, out, name):
    arguments = ["run", small.prefix] if name == "click" else ["run", "a", "b", "-o", "c", "--no"]
    result = rnnscope(*arguments)
    assert (result.code, result.stdout) == (2, "")
    assert "Error" in result.stderr
    assert "Traceback" not in result.stderr


# Inputs.


def test_a_wrong_width_says_what_fits_and_guesses_swapped_axes(small, rnnscope, out, npz):
    wrong = npz(x=np.zeros((3, 6, 5), np.float32))
    result = rnnscope("run", small.prefix, wrong, "-o", out / "t.h5")
    assert_trouble(result, out, "wrong number of features", "3 (layer 'rnn/lstm_cell')", "5 feat")
    swapped = npz(x=np.zeros((6, 3, 5), np.float32))
    result = rnnscope("run", small.prefix, swapped, "-o", out / "t.h5")
    assert_trouble(result, out, "another order")


def test_time_major_input(small, rnnscope, out, npz, read_trace):
    turned = npz(x=small.x.swapaxes(0, 1), lengths=small.lengths)
    arguments = ["run", small.prefix, turned, "-o", out / "t.h5", "--quiet"]
    assert rnnscope(*arguments, "--time-major").code == 0
    trace = read_trace(out / "t.h5")
    np.testing.assert_allclose(trace[f"{small.layer}/outputs"], small.outputs, atol=2e-6)


def test_lengths_in_every_form(small, rnnscope, out, tmp_path, read_trace):
    np.save(
        tmp_path / "x.npy",
        np.where(np.arange(6)[:, None] < small.lengths[:, None, None], small.x, 0),
    )
    np.save(tmp_path / "len.npy", small.lengths)
    (tmp_path / "len.csv").write_text("6\n4\n2\n")
    np.savez(tmp_path / "named.npz", x=small.x, steps=small.lengths)
    forms = [
        (tmp_path / "x.npy", "6,4,2"),
        (tmp_path / "x.npy", "auto"),
        (tmp_path / "x.npy", tmp_path / "len.npy"),
        (tmp_path / "x.npy", tmp_path / "len.csv"),
        (tmp_path / "named.npz", "steps"),
    ]
    for inputs, lengths in forms:
        result = rnnscope(
            "run", small.prefix, inputs, "-o", out / "t.h5", "--force", "--quiet",
            "--lengths", lengths,
        )  # fmt: skip
        assert (result.code, result.stderr) == (0, ""), lengths
        trace = read_trace(out / "t.h5")
        assert trace["lengths"].tolist() == [6, 4, 2]
        np.testing.assert_allclose(trace[f"{small.layer}/outputs"], small.outputs, atol=2e-6)
    result = rnnscope(
        "run", small.prefix, small.inputs, "-o", out / "t.h5", "--force", "--lengths", "none"
    )
    assert result.code == 0
    assert "lengths" not in read_trace(out / "t.h5")


@pytest.mark.parametrize(
    ("lengths", "words"),
    [
        ("6,4", ["one length for each sequence", "3 lengths", "2 lengths"]),
        ("7,4,2", ["A length does not fit", "sequence 0", "from 0 to 6", "7"]),
        ("6,4,-1", ["A length does not fit", "sequence 2", "-1"]),
        ("nothing", ["--lengths", "nothing", "one of"]),
    ],
)
def test_lengths_that_do_not_fit(small, rnnscope, out, lengths, words):
    # The = form: a leading minus would look like a flag.
    result = rnnscope("run", small.prefix, small.inputs, "-o", out / "t.h5", f"--lengths={lengths}")
    assert_trouble(result, out, *words)


def test_a_length_of_zero_leaves_the_state_as_it_was(small, rnnscope, out, read_trace):
    arguments = ["run", small.prefix, small.inputs, "-o", out / "t.h5", "--quiet"]
    assert rnnscope(*arguments, "--lengths", "6,0,2").code == 0
    trace = read_trace(out / "t.h5")
    assert not trace[f"{small.layer}/c"][1].any()
    assert not trace[f"{small.layer}/final/m"][1].any()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_input_that_is_not_finite_names_the_place(small, rnnscope, out, npz, value):
    x = small.x.copy()
    x[1, 4, 2] = value
    result = rnnscope("run", small.prefix, npz(x=x, lengths=small.lengths), "-o", out / "t.h5")
    assert_trouble(result, out, "sequence 1, timestep 4, feature 2", "padding (length 4)")


def test_initial_states_by_name_and_of_the_wrong_width(small, rnnscope, out, npz, read_trace):
    c = np.full((3, 4), 0.25, np.float32)
    arguments = ["run", small.prefix, npz(x=small.x, initial_c=c), "-o", out / "t.h5"]
    assert rnnscope(*arguments, "--quiet").code == 0
    np.testing.assert_array_equal(read_trace(out / "t.h5")[f"{small.layer}/initial/c"], c)
    (out / "t.h5").unlink()
    arguments[2] = npz(x=small.x, initial_c=c[:, :3])
    assert_trouble(rnnscope(*arguments), out, "initial state does not fit", "width 4")


def test_an_input_that_is_not_there(small, rnnscope, out, tmp_path):
    result = rnnscope("run", small.prefix, tmp_path / "no.npz", "-o", out / "t.h5")
    assert_trouble(result, out, "no.npz")


# The trace.


def test_an_existing_trace_is_kept_without_force(small, rnnscope, out):
    trace = out / "t.h5"
    trace.write_bytes(b"precious")
    result = rnnscope("run", small.prefix, small.inputs, "-o", trace)
    assert result.code == 2
    assert result.stdout == ""
    assert "--force" in result.stderr
    assert trace.read_bytes() == b"precious"
    assert rnnscope("run", small.prefix, small.inputs, "-o", trace, "--force").code == 0
    assert trace.read_bytes()[:4] == b"\x89HDF"
    assert [path.name for path in out.iterdir()] == ["t.h5"]


def test_an_existing_trace_survives_a_run_that_fails_half_way(small, rnnscope, out, npz):
    trace = out / "t.h5"
    trace.write_bytes(b"precious")
    x = small.x.copy()
    x[2, 1, 0] = np.nan
    result = rnnscope("run", small.prefix, npz(x=x), "-o", trace, "--force")
    assert result.code == 2
    assert trace.read_bytes() == b"precious"
    assert [path.name for path in out.iterdir()] == ["t.h5"]


def test_a_bug_shows_its_traceback_and_exits_with_2(small, rnnscope, out, monkeypatch):
    """So that 1 always is a verdict; and it leaves nothing behind either."""

    def broken(*arguments, **named):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("rnnscope.trace.TraceWriter.set_checks", broken)
    result = rnnscope("run", small.prefix, small.inputs, "-o", out / "t.h5")
    assert (result.code, result.stdout) == (2, "")
    assert "ZeroDivisionError: a bug" in result.stderr
    assert list(out.iterdir()) == []


def test_a_trace_is_not_written_over_the_checkpoint(model, small, rnnscope):
    before = {path: path.read_bytes() for path in model.folder.iterdir()}
    for target in (model.index, model.shard, model.meta):
        result = rnnscope("run", model.prefix, small.inputs, "-o", target, "--force")
        assert result.code == 2
    assert {path: path.read_bytes() for path in model.folder.iterdir()} == before


def test_a_folder_that_is_not_there(small, rnnscope, out):
    result = rnnscope("run", small.prefix, small.inputs, "-o", out / "deep" / "t.h5")
    assert_trouble(result, out, "folder", "mkdir")


# Checkpoints.


def run_damaged(rnnscope, model, small, out):
    return rnnscope("run", model.prefix, small.inputs, "-o", out / "t.h5")


def test_a_missing_shard(model, small, rnnscope, out):
    model.shard.unlink()
    result = run_damaged(rnnscope, model, small, out)
    assert_trouble(result, out, model.shard.name)


def test_a_truncated_shard(model, small, rnnscope, out):
    os.truncate(model.shard, model.shard.stat().st_size - 8)
    result = run_damaged(rnnscope, model, small, out)
    assert_trouble(result, out, model.shard.name)


def test_a_flipped_bit_in_a_shard(model, small, rnnscope, out):
    content = bytearray(model.shard.read_bytes())
    content[len(content) // 2] ^= 1
    model.shard.write_bytes(content)
    result = run_damaged(rnnscope, model, small, out)
    assert_trouble(result, out, "CRC", "rnn/lstm_cell/")


@pytest.mark.parametrize("keep", [0, 1, 40, -1, -48])
def test_a_truncated_index(model, small, rnnscope, out, keep):
    content = model.index.read_bytes()
    model.index.write_bytes(content[:keep])
    result = run_damaged(rnnscope, model, small, out)
    assert_trouble(result, out, model.index.name)


@pytest.mark.parametrize("keep", [0, 1, 100])
def test_a_truncated_meta_graph(model, small, rnnscope, out, keep):
    model.meta.write_bytes(model.meta.read_bytes()[:keep])
    result = run_damaged(rnnscope, model, small, out)
    assert_trouble(result, out)


def test_an_empty_file(small, rnnscope, out, tmp_path):
    for name in ("empty.h5", "empty.ckpt", "empty.keras"):
        (tmp_path / name).touch()
        result = rnnscope("run", tmp_path / name, small.inputs, "-o", out / "t.h5")
        assert_trouble(result, out, "empty", name)


def test_no_file_at_all(small, rnnscope, out, tmp_path):
    result = rnnscope("run", tmp_path / "no.ckpt", small.inputs, "-o", out / "t.h5")
    assert_trouble(result, out, "does not exist", "no.ckpt")


def test_another_kind_of_file(small, rnnscope, out, tmp_path):
    (tmp_path / "notes.txt").write_text("to do: train the network\n")
    result = rnnscope("run", tmp_path / "notes.txt", small.inputs, "-o", out / "t.h5")
    assert_trouble(result, out, "notes.txt", "it is a text file", "name a saved model")


def test_a_folder_with_two_checkpoints_asks_which(model, small, rnnscope, out):
    (model.folder / "checkpoint").unlink()
    for path in list(model.folder.glob("model.ckpt.*")):
        shutil.copy(path, model.folder / path.name.replace("model", "other"))
    result = rnnscope("run", model.folder, small.inputs, "-o", out / "t.h5")
    assert_trouble(result, out, "model.ckpt", "other.ckpt")


def strange_graph(tf, tf1, last):
    """A cell with three gates and a rule of its own, over a placeholder."""
    x = tf1.placeholder()
    kernel = tf1.v1.get_variable("strange/kernel", [3 + 4, 12])

    def step(m, now):
        a, b, c = tf.split(tf.matmul(tf.concat([now, m], 1), kernel), 3, axis=1)
        return tf.sigmoid(a) * tf.tanh(b) - m * last(c)

    zero = tf.zeros([tf.shape(x)[0], 4])
    return tf.transpose(tf.scan(step, tf.transpose(x, [1, 0, 2]), zero), [1, 0, 2])


def test_a_graph_whose_cell_nobody_knows(tf, tf1, small, rnnscope, out):
    prefix, _ = tf1.save(lambda: strange_graph(tf, tf1, lambda c: c * tf.random.normal([])))
    result = rnnscope("run", prefix, small.inputs, "-o", out / "t.h5")
    assert_trouble(result, out, "strange/kernel", "no recurrent layer")


def test_a_cell_of_its_own_rule_runs_as_the_graph_has_it(tf, tf1, small, rnnscope, read_trace, out):
    x = np.load(small.inputs)["x"]
    prefix, states = tf1.save(lambda: strange_graph(tf, tf1, tf.sin), {"x": x})
    result = rnnscope("run", prefix, small.inputs, "-o", out / "t.h5")
    assert result.code == 0, result.stderr
    np.testing.assert_allclose(read_trace(out / "t.h5")["strange/m"], states, rtol=0, atol=1e-6)


def test_control_characters_in_names_do_not_reach_the_terminal(small, rnnscope, out, npz):
    result = rnnscope(
        "run", small.prefix, small.inputs, "-o", out / "t.h5", "--layer", "\x1b[31mred\x07"
    )
    assert result.code == 2
    assert "\x1b" not in result.stderr
    assert "\x07" not in result.stderr
