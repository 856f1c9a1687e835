"""PaddlePaddle's files: states equal to those that it computes."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
from checkpoint_truth import DATA

import rnnscope
from rnnscope.checkpoints import read_checkpoint
from rnnscope.checkpoints.paddle.old_program import SCHEMA, TABLE
from rnnscope.errors import CheckpointError, RnnscopeError, UnsupportedCellError

FOLDER = DATA / "paddle"
FOLDERS = {"new": FOLDER, "old": FOLDER / "old"}
ENDS = {"new": ".json", "old": ".pdmodel"}
CLOSE = {"atol": 2e-6, "rtol": 0}
ONE_LEVEL = ("lstm", "both", "gru")


def truth_of(name, version="new"):
    with np.load(FOLDERS[version] / "truth.npz") as truth:
        return {key.split(":")[1]: truth[key] for key in truth if key.split(":")[0] == name}


def top(trace, state):
    """A state of the topmost level, its directions side by side."""
    names = [name for name, layer in trace.layers.items() if "merge" not in repr(layer)]
    level = names[-1].removesuffix("/backward").removesuffix("/forward")
    parts = [np.array(getattr(trace.layers[name], state))
             for name in names if name.startswith(level)]  # fmt: skip
    return np.concatenate(parts, -1)


@pytest.mark.parametrize("version", FOLDERS)
@pytest.mark.parametrize("name", [*ONE_LEVEL, "stack"])
def test_state_dicts(name, version):
    truth = truth_of(name, version)
    with rnnscope.run(FOLDERS[version] / f"{name}.pdparams", truth["x"]) as trace:
        for state in {"m", "c"} & set(truth):
            np.testing.assert_allclose(top(trace, state), truth[state], **CLOSE)


def test_a_simple_layer_whose_activation_is_not_stored():
    truth = truth_of("rnn")
    path = FOLDER / "rnn.pdparams"
    checkpoint = read_checkpoint(path)
    assert any("nn.SimpleRNN" in note and "tanh" in note for note in checkpoint.notes)
    with rnnscope.run(path, truth["x"], activation="relu") as trace:
        np.testing.assert_allclose(top(trace, "m"), truth["m"], **CLOSE)


def test_the_projection_of_a_cell():
    """Paddle keeps it the other way round than PyTorch."""
    truth = truth_of("cell")
    with rnnscope.run(FOLDER / "cell.pdparams", truth["x"]) as trace:
        np.testing.assert_allclose(top(trace, "m"), truth["m"], **CLOSE)
        np.testing.assert_allclose(top(trace, "c"), truth["c"], **CLOSE)


def test_names_of_cells_beside_those_of_layers_are_read_once():
    checkpoint = read_checkpoint(FOLDER / "stack.pdparams")
    assert len(checkpoint.network.recurrent) == 4
    assert any("16 arrays stand in the file twice" in note for note in checkpoint.notes)
    classes = {node.recurrent.cell.source_class for node in checkpoint.network.recurrent}
    assert classes == {"paddle nn.LSTM"}


@pytest.mark.parametrize("version", FOLDERS)
@pytest.mark.parametrize("name", [*ONE_LEVEL, "stack", "rnn"])
def test_programs(name, version):
    """From ids through the embedding; every layer held to the program's own operators."""
    truth, path = truth_of(name, version), FOLDERS[version] / f"{name}{ENDS[version]}"
    checkpoint = read_checkpoint(path)
    for node in checkpoint.network.recurrent:
        assert node.recurrent.evidence.kind == "proved"
        assert "the cell alone" not in str(node.recurrent.evidence)
    with rnnscope.run(path, truth["ids"], ids=True) as trace:
        for state in {"m", "c"} & set(truth):
            np.testing.assert_allclose(top(trace, state), truth[state], **CLOSE)


@pytest.mark.parametrize("version", FOLDERS)
def test_lengths_are_those_of_an_input(version):
    truth, path = truth_of("lengths", version), FOLDERS[version] / f"lengths{ENDS[version]}"
    with rnnscope.run(path, truth["x"], lengths=truth["n"].tolist()) as trace:
        np.testing.assert_allclose(top(trace, "outputs"), truth["m"], **CLOSE)
        finals = [layer.final for layer in trace.layers.values() if "merge" not in repr(layer)]
        for state, expected in (("m", truth["h"]), ("c", truth["c"])):
            np.testing.assert_allclose(np.stack([one[state] for one in finals]), expected, **CLOSE)


def copied(tmp_path, name="lstm"):
    for end in (".json", ".pdiparams"):
        shutil.copy(FOLDER / f"{name}{end}", tmp_path / f"m{end}")
    return tmp_path / "m.json"


def test_a_program_without_its_parameters(tmp_path):
    path = copied(tmp_path)
    path.with_suffix(".pdiparams").unlink()
    with pytest.raises(CheckpointError, match=r"m\.pdiparams"):
        read_checkpoint(path)


def test_parameters_of_another_program(tmp_path):
    path = copied(tmp_path)
    shutil.copy(FOLDER / "gru.pdiparams", tmp_path / "m.pdiparams")
    with pytest.raises(CheckpointError, match="do not belong to each other"):
        read_checkpoint(path)


def test_parameters_that_are_cut_off(tmp_path):
    path = copied(tmp_path)
    stored = path.with_suffix(".pdiparams")
    stored.write_bytes(stored.read_bytes()[:-9])
    with pytest.raises(CheckpointError, match="damaged"):
        read_checkpoint(path)


def test_a_mode_that_is_not_known_is_named(tmp_path):
    path = copied(tmp_path)
    text = path.read_text()
    assert '"LSTM"' in text
    path.write_text(text.replace('"LSTM"', '"SRU"'))
    with pytest.raises(UnsupportedCellError, match="mode SRU"):
        read_checkpoint(path)


def test_an_operation_without_its_attributes(tmp_path):
    path = copied(tmp_path)
    whole = json.loads(path.read_text())
    for op in whole["program"]["regions"][0]["blocks"][0]["ops"]:
        if op["#"] == "1.transpose":
            op["A"] = []
    path.write_text(json.dumps(whole))
    with pytest.raises(CheckpointError, match="transpose"):
        read_checkpoint(path)


def test_an_old_program_that_is_cut_off(tmp_path):
    for end in (".pdmodel", ".pdiparams"):
        shutil.copy(FOLDER / "old" / f"lstm{end}", tmp_path / f"m{end}")
    path = tmp_path / "m.pdmodel"
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(CheckpointError, match="PaddlePaddle program"):
        read_checkpoint(path)


def test_what_an_old_operation_takes_that_is_not_read_is_named(tmp_path):
    for end in (".pdmodel", ".pdiparams"):
        shutil.copy(FOLDER / "old" / f"lstm{end}", tmp_path / f"m{end}")
    path = tmp_path / "m.pdmodel"
    program = TABLE.message_class("ProgramDesc").FromString(path.read_bytes())
    for op in program.blocks[0].ops:
        if op.type == "rnn":
            next(one for one in op.attrs if one.name == "mode").s = "SRU"
    path.write_bytes(program.SerializeToString())
    with pytest.raises(UnsupportedCellError, match="mode SRU"):
        read_checkpoint(path)


def test_the_table_is_what_paddles_own_messages_say():
    """``schema.json`` lists Paddle's fields; the script beside this test wrote it."""
    known = json.loads((FOLDER / "old" / "schema.json").read_text())
    seen, message = 0, ""
    for line in filter(None, SCHEMA.splitlines()):
        if not line.startswith(" "):
            message = line
            continue
        for field in filter(None, (one.strip() for one in line.split("  "))):
            name, rest = field.split("=")
            number, kind = rest.split(" ")
            own = known[message][name]
            assert own == [int(number), kind.startswith("*"), kind.lstrip("*")], (message, name)
            seen += 1
    assert seen > 30


def test_an_array_whose_bytes_do_not_fit(tmp_path):
    """Found by fuzzing: another dtype for the same bytes."""
    raw = (FOLDER / "cell.pdparams").read_bytes()
    assert raw.count(b"\x8c\x02f4") == 1
    (tmp_path / "m.pdparams").write_bytes(raw.replace(b"\x8c\x02f4", b"\x8c\x02f8"))
    with pytest.raises(CheckpointError, match="damaged"):
        read_checkpoint(tmp_path / "m.pdparams")


def test_a_size_without_end(tmp_path):
    """Found by fuzzing: JSON knows Infinity."""
    path = copied(tmp_path)
    path.write_text(re.sub(r"\[16, ?3\]", "[16,Infinity]", path.read_text()))
    with pytest.raises(CheckpointError):
        read_checkpoint(path)


def test_a_state_dict_that_was_cut_off(tmp_path):
    path = tmp_path / "m.pdparams"
    path.write_bytes((FOLDER / "lstm.pdparams").read_bytes()[:900])
    with pytest.raises(RnnscopeError):
        read_checkpoint(path)
