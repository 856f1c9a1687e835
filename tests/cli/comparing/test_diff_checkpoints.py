"""What ``rnnscope diff`` says to people who port a model: two checkpoints, .pt files, one array."""

from __future__ import annotations

import pickletools
import zipfile
from pathlib import Path

import numpy as np
import pytest

from rnnscope.files.arrays.stored_array import LoadedArray
from rnnscope.files.containers.safetensors import write_safetensors

SAMPLES = Path(__file__).parents[3] / "sample_data"
TORCH_STATES = Path(__file__).parents[2] / "data/torch_states"
CKPT, KERAS = SAMPLES / "lstm_float64/model.ckpt", SAMPLES / "keras_mask/model.keras"
RNG = np.random.default_rng(11)
UNITS, FEATURES = 3, 2
GATES = "ifgo"  # of torch


def state_dict(path, **arrays):
    """A state dict of one nn.LSTM, as a .safetensors file."""
    path.unlink(missing_ok=True)
    write_safetensors(path, {f"lstm.{name}_l0": LoadedArray(a) for name, a in arrays.items()})
    return path


@pytest.fixture
def weights():
    return {
        "weight_ih": RNG.normal(size=(4 * UNITS, FEATURES)).astype(np.float32),
        "weight_hh": RNG.normal(size=(4 * UNITS, UNITS)).astype(np.float32),
        "bias_ih": RNG.normal(size=4 * UNITS).astype(np.float32),
        "bias_hh": RNG.normal(size=4 * UNITS).astype(np.float32),
    }


def in_order(array, order):
    """The blocks of a torch array as somebody who means another order writes them."""
    blocks = dict(zip(GATES, np.split(array, 4), strict=True))
    return np.concatenate([blocks[gate] for gate in order])


def one_bias(weights):
    return {**weights, "bias_hh": np.zeros_like(weights["bias_hh"])}


def diff_of(rnnscope, folder, a, b):
    done = rnnscope("diff", "--weights", state_dict(folder / "a.safetensors", **a),
                    state_dict(folder / "b.safetensors", **b))  # fmt: skip
    assert done.stderr == ""
    return done


def test_two_checkpoints_without_a_flag(rnnscope):
    done = rnnscope("diff", CKPT, KERAS)
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr == (
        "error: Both are checkpoints, which hold weights and no states.\n"
        f"  where: {CKPT} and {KERAS}\n"
        "  expected: how to compare them\n"
        "  found: neither --weights nor --input\n"
        "  next: --weights compares their recurrent weights and options; --input X runs both over "
        "X, an .npy or .npz, and compares their states\n"
    )


def test_a_checkpoint_and_states(rnnscope):
    truth = SAMPLES / "lstm_float64/truth.npz"
    done = rnnscope("diff", truth, CKPT)
    assert done.code == 2
    assert "error: B is a checkpoint, which holds weights and no states.\n" in done.stderr
    assert f"rnnscope explain {CKPT} INPUT {truth}\n" in done.stderr


def test_a_file_that_is_not_there_is_still_said_so(rnnscope, tmp_path):
    done = rnnscope("diff", tmp_path / "none.ckpt", TORCH_STATES / "truth.npz")
    assert done.stderr.startswith("error: There is no such file.\n")


@pytest.mark.parametrize("order", ["igfo", "fiog"])
def test_gates_in_another_order(rnnscope, tmp_path, weights, order):
    wrong = {name: in_order(array, order) for name, array in weights.items()}
    done = diff_of(rnnscope, tmp_path, weights, wrong)
    assert done.code == 1
    assert f"  - equal if B's gates are read as {' '.join(order)}\n" in done.stdout


def test_a_forget_bias_that_b_lacks(rnnscope, tmp_path, weights):
    a = one_bias(weights)
    a["bias_ih"] = a["bias_ih"] + np.repeat([0, 1, 0, 0], UNITS).astype(np.float32)
    done = diff_of(rnnscope, tmp_path, a, one_bias(weights))
    assert "  - B lacks forget_bias 1.0\n" in done.stdout
    done = diff_of(rnnscope, tmp_path, one_bias(weights), a)
    assert "  - A lacks forget_bias 1.0\n" in done.stdout


def test_only_one_bias_was_copied(rnnscope, tmp_path, weights):
    done = diff_of(rnnscope, tmp_path, weights, one_bias(weights))
    assert "what it looks like\n  - only bias_ih was copied\n" in done.stdout
    other = {**weights, "bias_ih": np.zeros(4 * UNITS, np.float32)}
    done = diff_of(rnnscope, tmp_path, weights, other)
    assert "  - only bias_hh was copied\n" in done.stdout


def test_two_mistakes_are_both_said(rnnscope, tmp_path, weights):
    wrong = {name: in_order(array, "igfo") for name, array in one_bias(weights).items()}
    done = diff_of(rnnscope, tmp_path, weights, wrong)
    assert "equal if B's gates are read as i g f o" in done.stdout
    assert "only bias_ih was copied" in done.stdout


def test_a_turned_recurrent_kernel(rnnscope, tmp_path, weights):
    parts = np.split(weights["weight_hh"], 4)
    wrong = {**weights, "weight_hh": np.concatenate([part.T for part in parts])}
    done = diff_of(rnnscope, tmp_path, weights, wrong)
    assert "equal if B's recurrent kernel is turned, gate by gate" in done.stdout


def test_nothing_is_said_of_weights_that_are_others(rnnscope, tmp_path, weights):
    wrong = {**weights, "weight_ih": weights["weight_ih"] + 0.1}
    done = diff_of(rnnscope, tmp_path, weights, wrong)
    assert done.code == 1
    assert "what it looks like" not in done.stdout
    assert diff_of(rnnscope, tmp_path, weights, weights).code == 0


def test_only_shorter_sequences_differ(rnnscope, tmp_path):
    """Final states of torch without packing: those of the last step, whatever the length."""
    m = np.tanh(RNG.normal(size=(3, 6, UNITS)))
    c = RNG.normal(size=(3, 6, UNITS))
    lengths = np.array([6, 2, 4])
    np.savez(tmp_path / "a.npz", c=c, m=m, lengths=lengths)
    np.savez(tmp_path / "b.npz", h_n=m[None, :, -1], c_n=c[None, :, -1])
    done = rnnscope("diff", tmp_path / "a.npz", tmp_path / "b.npz")
    assert done.code == 1
    assert "  - only sequences shorter than 6 differ: were lengths given?\n" in done.stdout
    np.savez(tmp_path / "b.npz", h_n=m[None, :, -1] + 1e-3, c_n=c[None, :, -1])
    assert (
        "were lengths given" not in rnnscope("diff", tmp_path / "a.npz", tmp_path / "b.npz").stdout
    )


def test_no_word_for_a_format_leads_to_itself(rnnscope, tmp_path):
    """What the error says to type is typed, and does it."""
    x = SAMPLES / "lstm_float64/truth.npz"
    np.save(tmp_path / "one.npy", 3 + RNG.normal(size=(4, 5, 6)))
    first = rnnscope("diff", x, tmp_path / "one.npy")
    assert first.code == 2
    assert first.stderr.endswith("  next: say which: --b-format single:c\n")
    again = rnnscope("diff", x, tmp_path / "one.npy", *first.stderr.split()[-2:])
    assert again.code == 1
    assert "(single: c): as --a-format or --b-format says" in " ".join(again.stdout.split())


@pytest.mark.parametrize("name", ["tuple.pt", "dict.pt"])
def test_states_that_torch_saved(rnnscope, name):
    done = rnnscope("diff", TORCH_STATES / name, TORCH_STATES / "truth.npz", "--exact")
    assert (done.code, done.stderr) == (0, "")
    count = 36 if name == "tuple.pt" else 12
    assert f"of 1 layer, {count} values" in done.stdout.splitlines()[0]


def test_a_pt_file_is_written_as_torch_writes_it(rnnscope, tmp_path):
    """The opcodes of its pickle are those of torch's own file for the same dict of tensors."""
    target = tmp_path / "again.pt"
    done = rnnscope("export", TORCH_STATES / "dict.pt", "--to", "torch", "--steps", "final",
                    "-o", target, "--quiet")  # fmt: skip
    assert (done.code, done.stderr) == (0, "")
    assert rnnscope("diff", target, TORCH_STATES / "truth.npz", "--exact").code == 0

    def calls(path):
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
            names = [name.partition("/")[2] for name in archive.namelist()]
            inside = next(name for name in archive.namelist() if name.endswith("data.pkl"))
            pickle = archive.read(inside)
        assert {"data.pkl", "data/0", "data/1", "version"} <= set(names)
        return {str(argument) for op, argument, _ in pickletools.genops(pickle)
                if op.name in ("GLOBAL", "BINUNICODE")}  # fmt: skip

    ours, theirs = calls(target), calls(TORCH_STATES / "dict.pt")
    assert ours - {"lengths", "2", "torch LongStorage"} == theirs


def test_a_model_in_a_pt_file_is_no_states(rnnscope):
    model = Path(__file__).parents[2] / "data/torch/tagger.pt"
    done = rnnscope("diff", model, TORCH_STATES / "truth.npz")
    assert done.stderr.startswith("error: A is a checkpoint, which holds weights and no states.\n")
