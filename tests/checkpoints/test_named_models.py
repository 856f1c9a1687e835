"""Checkpoints without a graph: names and shapes tell the cells, and what they do not is said."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from rnnscope.checkpoints import read_checkpoint
from rnnscope.checkpoints.tf1.names import read_named_model
from rnnscope.checkpoints.weights_only.variables import natural_key, parse_name
from rnnscope.files.tensorflow.bundle import VariableInfo

X = np.random.default_rng(5).normal(size=(3, 6, 3)).astype(np.float32)


@dataclass
class Held:
    """Variables of given shapes, each filled with numbers of its own."""

    shapes: dict[str, tuple[int, ...]]
    files: tuple[Path, ...] = field(default=())

    @property
    def variables(self):
        return {name: VariableInfo(name, "float32", shape) for name, shape in self.shapes.items()}

    def read(self, name):
        rng = np.random.default_rng(sum(map(ord, name)))
        return rng.normal(size=self.shapes[name]).astype(np.float32)


def model(**shapes):
    return read_named_model(Held({name.replace("__", "/"): s for name, s in shapes.items()}))


def cells(found):
    return {node.name: node.recurrent.cell for node in found.network.recurrent}


@pytest.mark.parametrize(
    ("names", "scope", "source_class"),
    [
        (("RNN/BasicLSTMCell/Linear/Matrix", "RNN/BasicLSTMCell/Linear/Bias"),
         "RNN/BasicLSTMCell", "BasicLSTMCell"),
        (("RNN/LSTMCell/W_0", "RNN/LSTMCell/B"), "RNN/LSTMCell", "LSTMCell"),
        (("RNN/LSTMBlockCell/W", "RNN/LSTMBlockCell/b"), "RNN/LSTMBlockCell", "LSTMBlockCell"),
        (("rnn/lstm_cell/weights", "rnn/lstm_cell/biases"), "rnn/lstm_cell", "LSTMCell"),
        (("rnn/basic_lstm_cell_1/kernel", "rnn/basic_lstm_cell_1/bias"),
         "rnn/basic_lstm_cell_1", "BasicLSTMCell"),
        (("lstm_fused_cell/kernel", "lstm_fused_cell/bias"),
         "lstm_fused_cell", "LSTMBlockFusedCell"),
        (("rnn/my_cell/kernel", "rnn/my_cell/bias"), "rnn/my_cell", "LSTM cell"),
    ],
)  # fmt: skip
def test_every_era_names_its_lstm(names, scope, source_class):
    found = read_named_model(Held({names[0]: (7, 16), names[1]: (16,)}))
    (cell,) = cells(found).values()
    assert list(cells(found)) == [scope]
    assert (cell.source_class, cell.input_size, cell.num_units) == (source_class, 3, 4)
    origin = "guess" if source_class == "LSTM cell" else "class default"
    assert cell.options.forget_bias.value == 1.0
    assert cell.options.forget_bias.origin == origin
    stored = Held({names[0]: (7, 16)}).read(names[0])
    i, g, f, o = np.split(stored, 4, axis=1)
    np.testing.assert_array_equal(cell.weights.kernel, np.concatenate([i, f, g, o], 1)[:3])
    assert "no graph" in found.notes[0]


def test_block_cells_of_old_clipped_c_by_default():
    (cell,) = cells(model(RNN__LSTMBlockCell__W=(7, 16), RNN__LSTMBlockCell__b=(16,))).values()
    assert cell.options.cell_clip.value == 3.0
    assert cell.options.cell_clip.origin == "class default"


def test_unit_shards_and_partitions_are_joined_in_the_order_of_numbers():
    shards = {f"RNN/LSTMCell/W_{n}": (1, 16) for n in range(12)}
    held = Held({**shards, "RNN/LSTMCell/B": (16,)})
    (cell,) = cells(read_named_model(held)).values()
    assert cell.input_size == 8
    rows = np.concatenate([held.read(f"RNN/LSTMCell/W_{n}") for n in range(12)])
    np.testing.assert_array_equal(cell.weights.kernel[:, :4], rows[:8, :4])
    held = Held({"rnn/lstm_cell/kernel/part_0": (7, 8), "rnn/lstm_cell/kernel/part_1": (7, 8),
                 "rnn/lstm_cell/bias": (16,)})  # fmt: skip
    (cell,) = cells(read_named_model(held)).values()
    assert (cell.input_size, cell.num_units) == (3, 4)


def test_dense_layers_that_look_like_an_lstm_are_left_out():
    found = model(
        rnn__lstm_cell__kernel=(7, 16), rnn__lstm_cell__bias=(16,),
        lstm_head__kernel=(8, 32), lstm_head__bias=(32,),
        rnn__logits__kernel=(40, 32), rnn__logits__bias=(32,),
    )  # fmt: skip
    assert list(cells(found)) == ["rnn/lstm_cell"]
    assert {entry.name: entry.reason for entry in found.left_out} == {
        name: "dense layer" if name.endswith("kernel") else "not recurrent"
        for name in ("lstm_head/kernel", "lstm_head/bias", "rnn/logits/kernel", "rnn/logits/bias")
    }


def test_cells_that_are_not_computed_are_named():
    found = model(rnn__nas_cell__kernel=(3, 32), rnn__nas_cell__recurrent_kernel=(4, 32),
                  rnn__nas_cell__bias=(32,))  # fmt: skip
    assert not found.network.recurrent
    assert all("NASCell" in entry.reason for entry in found.left_out)


def test_what_optimizers_and_averages_keep_is_left_out():
    found = model(
        rnn__lstm_cell__kernel=(7, 16), rnn__lstm_cell__bias=(16,),
        rnn__lstm_cell__kernel__Adam=(7, 16), rnn__lstm_cell__bias__Adam_1=(16,),
        rnn__lstm_cell__kernel__ExponentialMovingAverage=(7, 16), global_step=(),
        training__Adam__rnn__lstm_cell__kernel__m=(7, 16),
    )  # fmt: skip
    reasons = {entry.name: entry.reason for entry in found.left_out}
    assert list(cells(found)) == ["rnn/lstm_cell"]
    assert reasons["rnn/lstm_cell/kernel/Adam"] == "optimizer slot"
    assert reasons["rnn/lstm_cell/kernel/ExponentialMovingAverage"] == "moving average"
    assert reasons["training/Adam/rnn/lstm_cell/kernel/m"] == "optimizer slot"
    assert reasons["global_step"] == "training step"


def test_a_stack_is_wired_in_the_order_of_numbers_and_said_to_be_guessed():
    shapes, width = {}, 3
    for number in range(12):
        scope = f"rnn/multi_rnn_cell/cell_{number}/lstm_cell"
        shapes[f"{scope}/kernel"] = (width + number + 1, 4 * (number + 1))
        shapes[f"{scope}/bias"] = (4 * (number + 1),)
        width = number + 1
    found = read_named_model(Held(shapes))
    order = [f"rnn/multi_rnn_cell/cell_{number}/lstm_cell" for number in range(12)]
    assert [node.name for node in found.network.nodes] == order
    reads = [node.inputs[0] for node in found.network.nodes]
    assert reads == ["input", *order[:-1]]
    assert {node.wiring for node in found.network.nodes} == {"guess"}


def test_directions_are_read_from_names_and_joined_in_a_stack():
    shapes, width = {}, 3
    for level in (0, 1):
        for direction in ("fw", "bw"):
            scope = f"stack_bidirectional_rnn/cell_{level}/bidirectional_rnn/{direction}/lstm_cell"
            shapes |= {f"{scope}/kernel": (width + 4, 16), f"{scope}/bias": (16,)}
        width = 8
    found = read_named_model(Held(shapes))
    joined = "stack_bidirectional_rnn/cell_0/bidirectional_rnn/concat"
    assert found.network.node(joined).inputs == tuple(
        f"stack_bidirectional_rnn/cell_0/bidirectional_rnn/{way}/lstm_cell" for way in ("fw", "bw")
    )
    for node in found.network.recurrent:
        assert node.recurrent.backward.value == ("/bw/" in node.name)
        assert node.recurrent.backward.origin == "guess"
        assert node.inputs == ((joined,) if "cell_1" in node.name else ("input",))


def test_layers_side_by_side_read_inputs_of_their_own_width():
    found = model(
        answer__rnn__lstm_cell__kernel=(6, 16), answer__rnn__lstm_cell__bias=(16,),
        question__rnn__lstm_cell__kernel=(9, 20), question__rnn__lstm_cell__bias=(20,),
    )  # fmt: skip
    assert found.network.inputs == ("input (2 features)", "input (4 features)")


def test_other_cells_are_known_by_their_variables():
    norms = {f"rnn/layer_norm_basic_lstm_cell/{part}/{norm}": (4,)
             for part in ("input", "transform", "forget", "output", "state")
             for norm in ("gamma", "beta")}  # fmt: skip
    found = read_named_model(Held({
        "rnn/gru_cell/gates/kernel": (7, 8), "rnn/gru_cell/gates/bias": (8,),
        "rnn/gru_cell/candidate/kernel": (7, 4), "rnn/gru_cell/candidate/bias": (4,),
        "rnn/basic_rnn_cell/kernel": (7, 4), "rnn/basic_rnn_cell/bias": (4,),
        "RNN/CoupledInputForgetGateLSTMCell/W_0": (7, 12),
        "RNN/CoupledInputForgetGateLSTMCell/B": (12,),
        "rnn/layer_norm_basic_lstm_cell/kernel": (7, 16), **norms,
        "lstm/kernel": (3, 16), "lstm/recurrent_kernel": (4, 16), "lstm/bias": (16,),
        "gru/kernel": (3, 12), "gru/recurrent_kernel": (4, 12), "gru/bias": (2, 12),
    }))  # fmt: skip
    assert {name: cell.kind for name, cell in cells(found).items()} == {
        "RNN/CoupledInputForgetGateLSTMCell": "coupled_lstm",
        "gru": "gru",
        "lstm": "lstm",
        "rnn/basic_rnn_cell": "simple_rnn",
        "rnn/gru_cell": "gru",
        "rnn/layer_norm_basic_lstm_cell": "layer_norm_lstm",
    }
    assert cells(found)["gru"].options.reset_after.value is True
    assert cells(found)["lstm"].stored_gate_order == "i f g o"


def test_names_sort_and_parse_by_their_numbers():
    assert sorted(["cell_10", "cell_2", "cell"], key=natural_key) == ["cell", "cell_2", "cell_10"]
    assert parse_name("rnn/lstm_cell/w_f_diag").role == "peephole_f"
    assert parse_name("softmax_w") is None


def test_a_checkpoint_without_its_meta_gives_tensorflows_states(
    tf1, rnnscope, read_trace, tmp_path
):
    """Peepholes, projection and a stack, with flags for what the file does not hold."""

    def build():
        stack = tf1.stack(
            tf1.cell(4, forget_bias=0.3, peepholes=True, proj=2), tf1.cell(5, forget_bias=0.3)
        )
        return tf1.v1.nn.dynamic_rnn(stack, tf1.placeholder(), tf1.lengths(), dtype="float32")

    lengths = np.array([6, 4, 1], np.int32)
    prefix, (outputs, _) = tf1.save(build, {"x": X, "lengths": lengths})
    prefix.with_name("model.ckpt.meta").unlink()
    np.savez(tmp_path / "in.npz", x=X, lengths=lengths)
    trace = tmp_path / "trace.h5"
    done = rnnscope("run", prefix, tmp_path / "in.npz", "-o", trace, "--forget-bias", "0.3")
    assert done.code == 0, done.stderr
    assert "guessed" in done.stdout
    found = read_trace(trace)["rnn/multi_rnn_cell/cell_1/lstm_cell/outputs"]
    np.testing.assert_allclose(found, outputs, atol=5e-6)
    options = read_checkpoint(prefix).network.recurrent[0].recurrent.cell.options
    assert options.cell_clip.origin == "class default"
