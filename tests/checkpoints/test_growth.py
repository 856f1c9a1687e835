"""What is done for each layer of a file does not grow with their number: counted, not timed.

Times are those of ``tests/benchmarks/reading.py``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from checkpoint_truth import DATA

import rnnscope
from rnnscope.checkpoints import read_checkpoint
from rnnscope.checkpoints.keras.listed_weights import ListedWeights
from rnnscope.checkpoints.keras.weights import LayerKey
from rnnscope.checkpoints.onnx.evaluation.evaluator import Evaluation, NodeError, OnnxProgram
from rnnscope.checkpoints.onnx.evaluation.trial import Trial
from rnnscope.checkpoints.onnx.evaluation.work import Work
from rnnscope.checkpoints.onnx.graph.flattening import flatten
from rnnscope.checkpoints.onnx.graph.proto import TABLE
from rnnscope.checkpoints.onnx.graph.stored_values import StoredValues
from rnnscope.checkpoints.onnx.graph.tensors import TensorStore
from rnnscope.checkpoints.onnx.proof import whole_graph
from rnnscope.checkpoints.translated.messages import GraphUnderConstruction, OnnxModel
from rnnscope.model.ops import EvaluationError

LENGTH = 200


@pytest.fixture
def chain(tmp_path):
    """A program that begins with what is not computed, and its values in order."""
    model = OnnxModel()
    graph = model.graph
    last, keys = graph.one("Unknown", [graph.input("x", 1, [2])], "first"), []
    for number in range(LENGTH):
        last = graph.one("Relu", [last], f"relu_{number}")
        keys.append(last)
    graph.output(last)
    flat = flatten(model.proto, tmp_path)
    return OnnxProgram(flat, StoredValues(flat, TensorStore(tmp_path))), keys


def test_what_failed_is_not_tried_again(monkeypatch, chain):
    asked = []
    needs = Evaluation._needs
    monkeypatch.setattr(
        Evaluation, "_needs", lambda own, key: (asked.append(key), needs(own, key))[1]
    )
    program, keys = chain
    evaluation = program.evaluation({"x": np.ones(2, np.float32)})
    words = set()
    for key in keys:
        with pytest.raises(NodeError, match="op Unknown") as caught:
            evaluation.value(key)
        words.add(str(caught.value))
    assert len(words) == 1
    assert len(asked) < 3 * LENGTH


def test_what_was_too_much_work_is_tried_again(chain):
    program, keys = chain
    evaluation = program.evaluation({"first": np.ones(8, np.float32)}, Work(20))
    with pytest.raises(EvaluationError, match="more than 20 operations"):
        evaluation.value(keys[-1])
    evaluation.work.allow(10_000)
    assert evaluation.value(keys[-1]).tolist() == [1] * 8


def test_all_nodes_share_the_second_trial(tmp_path, monkeypatch):
    """A stack whose lengths are constant, so that each node asks for it."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    from model_files import writers

    made = []

    def counted(*arguments, **options):
        made.append(options)
        return Trial(*arguments, **options)

    monkeypatch.setattr(whole_graph, "Trial", counted)
    written = writers()["OpenVINO"](tmp_path / "m", 4, 0)
    assert len(rnnscope.open_model(written.path).layers) == 4
    assert len(made) == 1


def test_names_that_are_wanted_again():
    """Numbers are not counted from 2 again; those that are taken are passed over."""

    class Counted(dict):
        asked = 0

        def __contains__(self, key):
            Counted.asked += 1
            return super().__contains__(key)

    graph = GraphUnderConstruction(TABLE.message_class("GraphProto")(), Counted())
    assert [graph.unique(name) for name in ("a", "a_3", "a", "a", "a_3", "a_2")] == [
        "a", "a_3", "a_2", "a_4", "a_3_2", "a_2_2",
    ]  # fmt: skip
    body = graph.body()
    made = [(body if number % 2 else graph).unique("int") for number in range(LENGTH)]
    assert made == ["int", *(f"int_{number}" for number in range(2, LENGTH + 1))]
    assert Counted.asked < 4 * LENGTH


class Weights(ListedWeights):
    """Names alone."""

    where = "here"

    def variable(self, name):
        raise NotImplementedError

    def of(self, names):
        return Weights(names)


def shared_out(names, *keys):
    """The names that each layer gets; a nested model is one whose name begins with "model"."""
    keys = [LayerKey(key, "LSTM", key.startswith("model")) for key in keys]
    return [list(one.names) for one in Weights(tuple(names)).layers(keys)]


def test_listed_weights_go_to_their_layers_in_the_files_order():
    names = ["lstm/kernel", "m/lstm_1/kernel", "lstm_2/kernel", "dense_1/kernel", "m/lstm_1/bias",
             "lstm/bias", "lstm_2/bias", "dense_2/kernel", "lstm_x/kernel", "other", "dense_1/bias",
             "in/lstm/lstm/w"]  # fmt: skip
    assert shared_out(names, "lstm", "lstm_2", "dense", "model", "gru") == [
        ["lstm/kernel", "lstm/bias", "in/lstm/lstm/w"],
        ["lstm_2/kernel", "lstm_2/bias"],
        ["dense_1/kernel", "dense_2/kernel", "dense_1/bias"],  # of a name that was taken
        [name for name in names if not name.startswith(("lstm/", "lstm_2/", "in/"))],
        [],
    ]
    assert shared_out(names, "m") == [["m/lstm_1/kernel", "m/lstm_1/bias"]]
    assert shared_out(["lstm_1/a", "lstm_2/b", "lstm_1/c"], "lstm", "lstm_2") == [
        ["lstm_1/a", "lstm_1/c"], ["lstm_2/b"],
    ]  # fmt: skip


def test_names_of_listed_weights_are_looked_at_once():
    class Name(str):
        __slots__ = ()
        asked = 0

        def split(self, *arguments):
            Name.asked += 1
            return super().split(*arguments)

    keys = [f"lstm_{number}" for number in range(LENGTH)]
    names = [Name(f"{key}/{role}") for key in keys for role in ("kernel", "bias")]
    assert shared_out(names, *keys) == [[f"{key}/kernel", f"{key}/bias"] for key in keys]
    assert Name.asked <= 2 * len(names)


def test_all_arrays_of_orbax_are_opened_with_one_cache(monkeypatch):
    tensorstore = pytest.importorskip("tensorstore")
    opened = []

    def noted(spec, **options):
        opened.append((spec["kvstore"]["cache_pool"], id(options["context"])))
        return plain(spec, **options)

    plain = tensorstore.open
    monkeypatch.setattr(tensorstore, "open", noted)
    assert read_checkpoint(DATA / "array_trees/new_orbax_ocdbt").network.recurrent
    assert len(opened) > 2
    assert len({*opened}) == 1
