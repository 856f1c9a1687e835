"""``rnnscope inspect`` as users meet it."""

from __future__ import annotations

import json
import shutil

import pytest


def test_it_shows_cell_sizes_options_with_origin_and_what_was_left_out(tf1, rnnscope):
    def build():
        x = tf1.placeholder()
        outputs, _ = tf1.v1.nn.dynamic_rnn(
            tf1.cell(4, peepholes=True, proj=2, cell_clip=0.5, forget_bias=0.3),
            x,
            tf1.lengths(),
            dtype="float32",
        )
        tf1.v1.get_variable("output/kernel", [2, 5])
        tf1.v1.train.get_or_create_global_step()
        return outputs

    prefix, _ = tf1.save(build)
    result = rnnscope("inspect", prefix)
    assert (result.code, result.stderr) == (0, "")
    for words in (
        "rnn/lstm_cell  LSTMCell  forward",
        "peepholes, projection to 2",
        "gates stored as i g f o",
        "sequence_length from placeholder 'lengths' (graph)",
        "rnn/lstm_cell/w_f_diag",
        "dense layer: output/kernel (2 x 5)",
        "training step: global_step",
    ):
        assert " ".join(words.split()) in " ".join(result.stdout.split()), result.stdout
    lines = [line.split()[:3] for line in result.stdout.splitlines()]
    for row in (["forget_bias", "0.3", "graph"], ["cell_clip", "0.5", "graph"]):
        assert row in lines


def test_json_stands_alone_on_stdout(small, rnnscope):
    result = rnnscope("inspect", small.prefix, "--format", "json")
    assert (result.code, result.stderr) == (0, "")
    report = json.loads(result.stdout)
    assert (report["schema_version"], report["report"]) == (1, "inspect")
    (layer,) = report["layers"]
    assert (layer["name"], layer["input_size"], layer["num_units"]) == (small.layer, 3, 4)
    options = {option["name"]: option for option in layer["options"]}
    assert options["forget_bias"]["value"] == 0.7
    assert options["forget_bias"]["origin"] == "graph"
    assert options["forget_bias"]["detail"].endswith("add/y")


def test_the_wiring_of_a_stack(two_layers, rnnscope):
    first, second = two_layers.layers
    result = rnnscope("inspect", two_layers.prefix)
    assert result.code == 0
    assert f"{first} reads x" in result.stdout
    report = json.loads(rnnscope("inspect", two_layers.prefix, "--format", "json").stdout)
    assert [layer["reads"] for layer in report["layers"]] == [["x"], [first]]
    assert second == report["layers"][1]["name"]


def test_a_file_without_recurrent_layers_is_no_error_here(tf1, rnnscope):
    """It is inspected, not run: what it holds is the answer."""
    prefix, _ = tf1.save(lambda: tf1.v1.get_variable("dense/kernel", [3, 4]))
    result = rnnscope("inspect", prefix)
    assert (result.code, result.stderr) == (0, "")
    assert "no recurrent layer was found" in result.stdout
    assert "dense/kernel" in result.stdout


def test_an_unknown_cell_is_named_with_its_variable(tf, tf1, rnnscope):
    """What is random can be neither known nor evaluated."""

    def build():
        cell = tf1.cell(4, activation=lambda z: tf.random.normal(tf.shape(z)) * z)
        return tf1.v1.nn.dynamic_rnn(cell, tf1.placeholder(), dtype="float32")

    prefix, _ = tf1.save(build)
    result = rnnscope("inspect", prefix)
    assert result.code == 0
    flat = " ".join(result.stdout.split())
    assert "no LSTM that rnnscope knows" in flat
    assert "rnn/lstm_cell/kernel" in flat
    assert "no recurrent layer was found" in flat


def test_a_cell_that_is_no_stock_cell_is_said_to_be_the_graphs(tf, tf1, rnnscope):
    def build():
        cell = tf1.cell(4, activation=lambda z: tf.sin(z) * z)
        return tf1.v1.nn.dynamic_rnn(cell, tf1.placeholder(), dtype="float32")

    prefix, _ = tf1.save(build)
    flat = " ".join(rnnscope("inspect", prefix).stdout.split())
    assert "'rnn/lstm_cell' is no stock cell" in flat
    assert "evidence the graph's own computation, op by op" in flat
    report = json.loads(rnnscope("inspect", prefix, "--format", "json").stdout)
    (layer,) = report["layers"]
    assert (layer["kind"], layer["evidence"]["kind"]) == ("graph", "evaluated")


def test_a_folder_that_has_moved(small, rnnscope, tmp_path):
    """Its `checkpoint` file names the old place; the files beside it are meant."""
    moved = tmp_path / "elsewhere"
    shutil.copytree(small.prefix.parent, moved)
    result = rnnscope("inspect", moved)
    assert (result.code, result.stderr) == (0, "")
    assert str(moved / "model.ckpt") in "".join(result.stdout.split())  # a long path is folded


@pytest.mark.parametrize("path", ["nowhere.ckpt", "empty.h5"])
def test_trouble_is_2_with_no_report_on_stdout(rnnscope, tmp_path, path):
    (tmp_path / "empty.h5").touch()
    for report_format in ("text", "json"):
        result = rnnscope("inspect", tmp_path / path, "--format", report_format)
        assert result.code == 2
        assert result.stderr.startswith("error: ")
        if report_format == "text":
            assert result.stdout == ""
        else:
            assert json.loads(result.stdout)["report"] == "error"
        assert path in result.stderr
