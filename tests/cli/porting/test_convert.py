"""``rnnscope convert``: refusals by their words, targets, options."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = ROOT / "sample_data"
TF1, OPTIONS, STACK, MASKED = (
    SAMPLES / name
    for name in (
        "lstm_float64/model.ckpt", "lstm_float32/model.ckpt", "keras_stack/model.h5",
        "keras_mask/model.keras",
    )
)  # fmt: skip
HARD = ROOT / "tests/data/explain/keras2_hard_sigmoid.h5"


def refused(rnnscope, *arguments):
    result = rnnscope("convert", *arguments)
    assert result.code == 2
    assert result.stdout == ""
    return result.stderr


def test_a_model_is_written_and_said(rnnscope, tmp_path):
    out = tmp_path / "lstm.pt"
    result = rnnscope("convert", TF1, "--to", "torch", "-o", out)
    assert (result.code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == f"wrote {out} (torch, 1 recurrent layer)"
    assert "folded: forget_bias=1 of 'rnn/lstm_cell' is in the bias of f." in lines
    assert lines[-3:] == [
        "load it with",
        "  model = torch.nn.LSTM(8, 64, batch_first=True).double()",
        f'  model.load_state_dict(torch.load("{out}", weights_only=True))',
    ]
    assert [*tmp_path.iterdir()] == [out]


def test_what_torch_cannot_compute_is_named_with_what_could(rnnscope, tmp_path):
    assert refused(rnnscope, OPTIONS, "--to", "torch", "-o", tmp_path / "out.pt") == (
        "error: Torch's nn.LSTM, nn.GRU and nn.RNN cannot compute what the model does.\n"
        f"  where: {OPTIONS}\n"
        "  found: 'rnn/lstm_cell' has peepholes; 'rnn/lstm_cell' has cell_clip=0.9; "
        "'rnn/lstm_cell' has proj_clip=0.5\n"
        "  next: these could: --to npz --as-layout tf1, --to tf1\n"
    )
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("to", "title"),
    [
        ("torch", "Torch's nn.LSTM, nn.GRU and nn.RNN"),
        ("keras", "Keras 3's LSTM, GRU and SimpleRNN"),
        ("tf1", "TensorFlow 1's cells"),
    ],
)
def test_the_old_hard_sigmoid_is_of_few(rnnscope, to, title):
    assert refused(rnnscope, HARD, "--to", to, "--dry-run") == (
        f"error: {title} cannot compute what the model does.\n"
        f"  where: {HARD}\n"
        "  found: 'lstm_1' has recurrent_activation=hard_sigmoid, clip(0.2 z + 0.5), that of "
        "Keras 1 and 2\n"
        "  next: these could: --to onnx, --to tfjs\n"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--to", "torch"], "error: Where the model goes is not said."),
        (["--to", "torch", "-o", "x.npz"], "  expected: .pt or .pth"),
        (["--to", "torch", "--expose-states", "--dry-run"], "  expected: --to onnx"),
        (["--to", "onnx", "--as-layout", "tf1", "--dry-run"], "  expected: --to npz"),
        (["--to", "npz", "--as-layout", "keras", "--dry-run"], "  expected: torch, tf1"),
        (["--to", "torch", "--layer", "no", "--dry-run"], "  expected: one of rnn/lstm_cell"),
    ],
)
def test_mistakes_are_named(rnnscope, arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert words in refused(rnnscope, TF1, *arguments).splitlines()
    assert not [*tmp_path.iterdir()]


def test_an_existing_file_is_replaced_only_if_told(rnnscope, tmp_path):
    out = tmp_path / "out.pt"
    out.write_bytes(b"mine")
    told = refused(rnnscope, TF1, "--to", "torch", "-o", out)
    assert told.startswith("error: The converted model exists already.\n")
    assert out.read_bytes() == b"mine"
    assert rnnscope("convert", TF1, "--to", "torch", "-o", out, "--force", "--quiet").stdout == ""
    assert out.read_bytes().startswith(b"PK")


def test_the_source_is_never_replaced(rnnscope, tmp_path):
    source = tmp_path / "model.keras"
    source.write_bytes(MASKED.read_bytes())
    told = refused(rnnscope, source, "--to", "keras", "-o", source, "--force")
    assert told.startswith("error: The converted model would replace a file that the run reads.\n")
    assert source.read_bytes() == MASKED.read_bytes()


def test_a_folder_is_new(rnnscope, tmp_path):
    out = tmp_path / "model"
    assert rnnscope("convert", TF1, "--to", "tf1", "-o", out).code == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "checkpoint", "model.ckpt.data-00000-of-00001", "model.ckpt.index"
    ]  # fmt: skip
    told = refused(rnnscope, TF1, "--to", "tf1", "-o", out, "--force")
    assert told.startswith("error: The folder exists already.\n")


def test_chosen_layers_alone(rnnscope, tmp_path):
    out = tmp_path / "out.npz"
    result = rnnscope(
        "convert", STACK, "--to", "npz", "-o", out, "--layers", "lstm_1", "--format", "json"
    )
    document = json.loads(result.stdout)
    assert [layer["name"] for layer in document["layers"]] == ["lstm_1"]
    assert document["left_out"][0] == (
        "Layers that were not chosen or stand behind the last one: 'lstm', 'lstm_2'."
    )
    with np.load(out) as arrays:
        assert arrays["weight_ih_l0"].shape == (32, 12)


def test_a_gap_in_a_chain_is_refused(rnnscope):
    told = refused(
        rnnscope, STACK, "--to", "onnx", "--dry-run", "--layer", "lstm", "--layer", "lstm_2"
    )
    assert "  where: lstm_2\n  expected: a layer that reads 'lstm'\n" in told
    assert "found: one that reads 'lstm_1'" in told


def test_options_of_layers_count_as_if_the_file_held_them(rnnscope, tmp_path):
    """A forget bias that the user states is folded in place of the file's."""
    arrays = {}
    for value in ("0", "2.5"):
        out = tmp_path / f"out{value}.npz"
        given = ["--forget-bias", value, "--override"]
        assert rnnscope("convert", TF1, "--to", "npz", "-o", out, *given).code == 0
        with np.load(out) as file:
            arrays[value] = file["bias_ih_l0"]
    difference = arrays["2.5"] - arrays["0"]
    np.testing.assert_allclose(difference[64:128], 2.5, rtol=1e-15)
    assert not difference[:64].any()
    assert not difference[128:].any()


def test_python_prints_what_the_command_prints(rnnscope, tmp_path):
    import rnnscope as library

    printed = rnnscope("convert", STACK, "--to", "onnx", "--dry-run").stdout
    assert f"{library.convert(STACK, 'onnx', dry_run=True)}\n" == printed
