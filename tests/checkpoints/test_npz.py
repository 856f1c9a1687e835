"""The same LSTM in all layouts of an .npz gives the same states."""

from __future__ import annotations

import numpy as np
import pytest
from checkpoint_truth import DATA
from click.testing import CliRunner

import rnnscope
from rnnscope.checkpoints import read_checkpoint
from rnnscope.checkpoints.npz import EXAMPLES, LAYOUTS, sniff
from rnnscope.cli.main import cli
from rnnscope.cli.options.layout import LAYOUTS as OFFERED
from rnnscope.engines.numpy_engine import run_layer
from rnnscope.errors import CheckpointError, OptionError, UnsupportedCellError

RNG = np.random.default_rng(2)
GATES = {gate: RNG.normal(size=(3 + 4 + 1, 4)).astype("f4") for gate in "ifgo"}
X = RNG.normal(size=(2, 5, 3)).astype("f4")


def gates(order):
    """Kernel (input, 16), recurrent kernel (4, 16) and bias, in an order of gates."""
    wide = np.concatenate([GATES[gate] for gate in order], axis=1)
    return wide[:3], wide[3:7], wide[7]


def tf1():
    kernel, recurrent, bias = gates("igfo")
    bias = bias.copy()
    bias[8:12] -= 1.0  # LSTMCell adds its forget bias at run time
    return {
        "rnn/lstm_cell/kernel": np.concatenate([kernel, recurrent]),
        "rnn/lstm_cell/bias": bias,
    }


def keras():
    return dict(
        zip(("lstm/kernel", "lstm/recurrent_kernel", "lstm/bias"), gates("ifgo"), strict=True)
    )


def torch():
    kernel, recurrent, bias = gates("ifgo")
    return {
        "lstm.weight_ih_l0": kernel.T,
        "lstm.weight_hh_l0": recurrent.T,
        "lstm.bias_ih_l0": 0.25 * bias,
        "lstm.bias_hh_l0": 0.75 * bias,
    }


def onnx():
    kernel, recurrent, bias = gates("iofg")
    both = np.concatenate([0.25 * bias, 0.75 * bias])
    return {"lstm_W": kernel.T[None], "lstm_R": recurrent.T[None], "lstm_B": both[None]}


def equinox():
    kernel, recurrent, bias = gates("ifgo")
    return {".lstm.weight_ih": kernel.T, ".lstm.weight_hh": recurrent.T, ".lstm.bias": bias}


def mlx():
    kernel, recurrent, bias = gates("ifgo")
    return {"lstm.Wx": kernel.T, "lstm.Wh": recurrent.T, "lstm.bias": bias}


def flax():
    made = {}
    for gate, wide in GATES.items():
        made |= {f"lstm/i{gate}/kernel": wide[:3], f"lstm/h{gate}/kernel": wide[3:7]}
        made[f"lstm/h{gate}/bias"] = wide[7]
    return made


def haiku():
    kernel, recurrent, bias = gates("igfo")
    bias = bias.copy()
    bias[8:12] -= 1.0  # hk.LSTM adds it at run time
    return {"lstm/linear/w": np.concatenate([kernel, recurrent]), "lstm/linear/b": bias}


def custom():
    made = {}
    for gate, wide in GATES.items():
        made |= {f"lstm.W_{gate}.weight": wide[:3].T, f"lstm.U_{gate}.weight": wide[3:7].T}
        made |= {f"lstm.W_{gate}.bias": 0.25 * wide[7], f"lstm.U_{gate}.bias": 0.75 * wide[7]}
    return made


MAKE = {
    "tf1": tf1, "keras": keras, "torch": torch, "onnx": onnx,
    "equinox": equinox, "mlx": mlx, "flax": flax, "haiku": haiku, "custom": custom,
}  # fmt: skip


def save(path, arrays):
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_agree(tmp_path, layout):
    path = save(tmp_path / "w.npz", MAKE[layout]())
    expected = read_checkpoint(save(tmp_path / "k.npz", keras()), layout="keras")
    made = read_checkpoint(path, layout=layout)
    (ours,), (theirs,) = made.network.recurrent, expected.network.recurrent
    np.testing.assert_allclose(
        run_layer(ours.recurrent, X).states["c"],
        run_layer(theirs.recurrent, X).states["c"],
        atol=1e-6,
    )
    origins = {option.origin for _, option in ours.recurrent.cell.options.items()}
    assert origins <= {"class default", "guess"}


@pytest.mark.parametrize(
    ("weight", "bias", "module"),
    [("enc_w", "enc_b", "enc"), ("w", "b", ""), ("W", "b", ""), ("a.b.weight", "a.b.bias", "a.b"),
     ("a/lstm_weight", "a/lstm_bias", "a/lstm")],
)  # fmt: skip
def test_short_names_of_what_was_copied_out_of_pytorch(tmp_path, weight, bias, module):
    short = {"weight": weight, "bias": bias}
    arrays = {
        f"{short[role]}_{end}": array
        for name, array in torch().items()
        for role, end in [name.removeprefix("lstm.").removesuffix("_l0").split("_", 1)]
    }
    expected = read_checkpoint(save(tmp_path / "t.npz", torch()), layout="torch")
    made = read_checkpoint(save(tmp_path / "w.npz", arrays), layout="torch")
    (ours,), (theirs,) = made.network.recurrent, expected.network.recurrent
    assert ours.name == (module or "lstmcell")
    np.testing.assert_array_equal(
        run_layer(ours.recurrent, X).states["c"], run_layer(theirs.recurrent, X).states["c"]
    )


def test_dense_layers_beside_arrays_named_by_hand_are_left_out(tmp_path):
    arrays = {f"enc_{name.removeprefix('lstm.').removesuffix('_l0')}": array
              for name, array in torch().items()}  # fmt: skip
    dense = {"enc_fc_w": np.zeros((2, 4), "f4"), "enc_fc_b": np.zeros(2, "f4")}
    made = read_checkpoint(save(tmp_path / "w.npz", {**arrays, **dense}), layout="torch")
    assert {entry.name for entry in made.left_out} == set(dense)
    assert len(made.network.recurrent) == 1


@pytest.mark.parametrize("extra", ["enc_ln_g", "enc_w_ci", "enc.peephole"])
def test_other_parts_of_a_cell_named_by_hand_are_refused(tmp_path, extra):
    arrays = {f"enc_{name.removeprefix('lstm.').removesuffix('_l0')}": array
              for name, array in torch().items()}  # fmt: skip
    path = save(tmp_path / "w.npz", {**arrays, extra: np.ones(4, "f4")})
    with pytest.raises(UnsupportedCellError, match=extra):
        read_checkpoint(path, layout="torch")


def test_the_command_line_offers_every_layout():
    assert tuple(LAYOUTS) == OFFERED
    assert set(EXAMPLES) == set(LAYOUTS)


def test_without_a_layout_it_is_asked_for(tmp_path):
    path = save(tmp_path / "w.npz", onnx())
    with pytest.raises(OptionError, match=r"layout=tf1"):
        read_checkpoint(path)


def test_another_layout_finds_nothing_and_says_what_there_is(tmp_path):
    path = save(tmp_path / "w.npz", onnx())
    for layout in ("tf1", "keras", "torch"):
        with pytest.raises(UnsupportedCellError, match="lstm_W"):
            read_checkpoint(path, layout=layout)


def test_files_that_tell_their_layout_take_no_flag():
    with pytest.raises(OptionError, match="layout says nothing of this file"):
        read_checkpoint(DATA / "torch/nobias.pt", layout="torch")


def test_onnx_arrays_of_two_directions_and_a_layer_on_top(tmp_path):
    arrays = {
        "first_W": np.ones((2, 9, 3), "f4"), "first_R": np.ones((2, 9, 3), "f4"),
        "second_W": np.ones((1, 2, 6), "f4"), "second_R": np.ones((1, 2, 2), "f4"),
        "dense": np.ones((2, 2), "f4"),
    }  # fmt: skip
    checkpoint = read_checkpoint(save(tmp_path / "w.npz", arrays), layout="onnx")
    assert [(node.name, node.reads) for node in checkpoint.network.nodes] == [
        ("first/forward", ("input",)),
        ("first/backward", ("input",)),
        ("first", ("first/forward", "first/backward")),
        ("second", ("first",)),
    ]
    assert [node.recurrent.cell.kind for node in checkpoint.network.recurrent] == [
        "gru", "gru", "simple_rnn"
    ]  # fmt: skip
    assert [entry.name for entry in checkpoint.left_out] == ["dense"]
    assert "a guess from widths" in checkpoint.notes[0]


@pytest.mark.parametrize("shape", [(1, 15, 3), (16, 3), (1, 16, 3, 1)])
def test_onnx_arrays_that_do_not_fit(tmp_path, shape):
    arrays = {**onnx(), "lstm_W": np.ones(shape, "f4")}
    with pytest.raises(CheckpointError, match="has a W of shape"):
        read_checkpoint(save(tmp_path / "w.npz", arrays), layout="onnx")


@pytest.mark.parametrize("layout", ["torch", "flax", "haiku", "mlx", "equinox", "custom"])
def test_the_layout_that_knows_the_names_is_told(tmp_path, layout):
    path = save(tmp_path / "w.npz", MAKE[layout]())
    with pytest.raises(OptionError) as error:
        read_checkpoint(path)
    assert error.value.hint == f"the names are those of layout={layout}"


def test_objects_and_damage_are_refused(tmp_path):
    path = tmp_path / "w.npz"
    np.savez(path, **{"lstm.weight_ih_l0": np.array([{}], object)})
    with pytest.raises(CheckpointError, match="pickle"):
        read_checkpoint(path, layout="torch")
    whole = save(tmp_path / "w.npz", torch()).read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 3] ^= 0xFF
    path.write_bytes(damaged)
    with pytest.raises(CheckpointError):
        read_checkpoint(path, layout="torch")


def test_sniffing_looks_at_members(tmp_path):
    assert sniff(save(tmp_path / "w.npz", torch()))
    assert not sniff(DATA / "torch/nobias.pt")
    assert not sniff(tmp_path)


def test_inspect_takes_the_layout(tmp_path):
    path = save(tmp_path / "w.npz", torch())
    result = CliRunner().invoke(cli, ["inspect", str(path), "--layout", "torch"])
    assert result.exit_code == 0
    assert "lstm/l0" in result.stdout


def test_two_names_for_one_weight_are_refused(tmp_path):
    arrays = torch()
    arrays["lstm_w_ih_l0"] = arrays["lstm.weight_ih_l0"] + 1
    with pytest.raises(CheckpointError, match=r"same name.*\n.*lstm\.weight_ih_l0"):
        read_checkpoint(save(tmp_path / "w.npz", arrays), layout="torch")


def test_a_matrix_inside_a_tree_of_modules_is_a_part_of_its_module(tmp_path):
    arrays = {**torch(), "lstm.gate": np.zeros((2, 2), "f4")}
    with pytest.raises(UnsupportedCellError, match=r"lstm\.gate"):
        read_checkpoint(save(tmp_path / "w.npz", arrays), layout="torch")


@pytest.mark.parametrize("layout", ["torch", "keras"])
def test_weights_beside_their_input_are_not_told_as_read_by_nobody(tmp_path, layout):
    shapes = {
        "torch": {"enc_w_ih": (16, 3), "enc_w_hh": (16, 4), "enc_b_ih": 16, "enc_b_hh": 16},
        "keras": {"lstm/kernel": (3, 16), "lstm/recurrent_kernel": (4, 16), "lstm/bias": 16},
    }[layout]
    weights = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    path = tmp_path / "both.npz"
    np.savez(path, x=np.ones((2, 5, 3), np.float32), other=np.zeros(3), **weights)
    trace = rnnscope.run(path, path, layout=layout, inputs="x")
    assert trace.report.input.unread == ("other",)
