"""Files that name others: followed inside their own folder, elsewhere only if the user says so."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rnnscope.checkpoints import read_checkpoint
from rnnscope.errors import CheckpointError

SAMPLE = Path(__file__).resolve().parents[3] / "sample_data/lstm_float32"


@pytest.fixture
def elsewhere(files):
    """A checkpoint in a folder beside the current one."""
    return Path(shutil.copytree(SAMPLE, files.parent / "elsewhere"))


def state_file(folder, path):
    folder.mkdir(exist_ok=True)
    (folder / "checkpoint").write_text(f'model_checkpoint_path: "{path}"\n')
    return folder


@pytest.mark.parametrize("how", ["absolute", "relative", "over a link"])
def test_a_checkpoint_file_is_followed_inside_its_folder_alone(files, elsewhere, rnnscope, how):
    path = elsewhere / "model.ckpt"
    if how == "relative":
        path = Path("../../elsewhere/model.ckpt")
    folder = state_file(files / "training", path)
    if how == "over a link":
        (folder / "inside").symlink_to(elsewhere)
        state_file(folder, "inside/model.ckpt")
    found = rnnscope("inspect", folder)
    assert found.code == 2
    assert "A file names another one outside its own folder." in found.stderr
    assert "--allow-outside" in found.stderr
    assert rnnscope("inspect", folder, "--allow-outside").code == 0
    # What one command allows does not outlive it.
    with pytest.raises(CheckpointError, match="allow_outside"):
        read_checkpoint(folder)


def test_the_path_of_the_machine_that_trained_is_no_path_outside(files, elsewhere, rnnscope):
    """TensorFlow writes absolute paths; the checkpoint lies beside its file."""
    state_file(elsewhere, "/home/someone/train/model.ckpt")
    assert rnnscope("inspect", elsewhere).code == 0


SUITE = """
[[case]]
checkpoint = "w.npz"
input = "x.npy"
golden = "{golden}"
run = {{ layout = "tf1" }}
"""


@pytest.mark.parametrize("golden", ["../golden.h5", "{folder}/golden.h5", "link/golden.h5"])
def test_a_suite_writes_golden_traces_inside_its_folder_alone(files, rnnscope, golden):
    outside = files.parent
    Path("link").symlink_to(outside)
    Path("s.toml").write_text(SUITE.format(golden=golden.format(folder=outside)))
    found = rnnscope("check", "--suite", "s.toml", "--update-golden")
    assert found.code == 2
    assert "outside its own folder" in found.stderr
    assert not (outside / "golden.h5").exists()
    found = rnnscope("check", "--suite", "s.toml", "--update-golden", "--allow-outside")
    assert found.code == 0
    assert (outside / "golden.h5").exists()


def test_a_golden_trace_below_the_suite_is_fine(files, rnnscope):
    Path("s.toml").write_text(SUITE.format(golden="deep/golden.h5"))
    assert rnnscope("check", "--suite", "s.toml", "--update-golden").code == 0
    assert Path("deep/golden.h5").exists()
