"""What torch itself computed with state dicts that were written: see ``make_converted_torch``."""

from __future__ import annotations

import hashlib
import io
import pickletools
import zipfile

import numpy as np
import pytest
from data.make_converted_torch import CASES, LENGTHS, ROOT, SUFFIXES

import rnnscope
from rnnscope.checkpoints import read_checkpoint
from rnnscope.converting.modules import state_dict
from rnnscope.converting.plan import plan_levels
from rnnscope.engines.numpy_engine import run_layer

TRUTH = ROOT / "tests/data/converted/torch_truth.npz"


@pytest.fixture(scope="module")
def truth():
    with np.load(TRUTH) as file:
        return dict(file)


@pytest.mark.parametrize("case", CASES)
def test_torch_computes_the_sources_states(case, truth, tmp_path):
    """The bytes are those that torch loaded, and its numbers are those of the source."""
    name, to = CASES[case]
    path = tmp_path / f"out{SUFFIXES[to]}"
    rnnscope.convert(ROOT / name, to, path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == str(truth[f"{case}:sha256"])
    network = read_checkpoint(ROOT / name).network
    made = state_dict(plan_levels(network, (), name), apart=to == "npz")
    mask = np.arange(9) < np.array(LENGTHS)[:, None]
    for own, module in made.modules:
        x = truth[f"{case}:{own}:x"]
        tolerance = {"rtol": 0, "atol": 3e-6 if x.dtype == np.float32 else 1e-13}
        finals = {"h": [], "c": []}
        for level in module.levels:
            parts = [run_layer(_packed(layer), x, mask) for layer in level.layers]
            finals["h"] += [part.final["m"] for part in parts]
            finals["c"] += [part.final["c"] for part in parts if "c" in part.final]
            x = np.concatenate([part.outputs for part in parts], axis=-1)
        np.testing.assert_allclose(x, truth[f"{case}:{own}:outputs"], **tolerance)
        for key, arrays in finals.items():
            if arrays:
                np.testing.assert_allclose(
                    np.stack(arrays), truth[f"{case}:{own}:{key}"], **tolerance
                )


def _packed(layer):
    """The layer as torch runs packed sequences: turned within the length, zeros behind it."""
    from dataclasses import replace

    return replace(layer, reversal="within length", padding=replace(layer.padding, value="zeros"))


def test_the_pickle_is_plain_opcodes_and_three_names(tmp_path):
    """Nothing but what ``torch.load(weights_only=True)`` takes is in it."""
    path = tmp_path / "out.pt"
    rnnscope.convert(ROOT / CASES["forget_bias"][0], "torch", path)
    with zipfile.ZipFile(path) as archive:
        pickle = archive.read("archive/data.pkl")
        names = archive.namelist()
        begins = [archive.open(name)._fileobj.tell() for name in names]
    assert names == [
        "archive/data.pkl", "archive/byteorder", "archive/data/0", "archive/data/1",
        "archive/data/2", "archive/data/3", "archive/version",
    ]  # fmt: skip
    assert {begin % 64 for begin in begins} == {0}
    found = {arg for op, arg, _ in pickletools.genops(io.BytesIO(pickle)) if op.name == "GLOBAL"}
    assert found == {
        "collections OrderedDict", "torch DoubleStorage", "torch._utils _rebuild_tensor_v2"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (
            "keras2_masked",
            "Past a sequence's length layer 'lstm' goes on giving its last valid output, where "
            "torch gives zeros.",
        ),
        (
            "keras_stack",
            "Past a sequence's length layers 'lstm', 'lstm_1' and 'lstm_2' go on giving their last "
            "valid output, where torch gives zeros.",
        ),
    ],
)
def test_what_torch_gives_past_a_length_is_told_in_a_sentence(model, said):
    """Read once: the name is that of a layer, and the verb agrees with it."""
    done = rnnscope.convert(ROOT / f"sample_data/{model}/model.h5", "torch", dry_run=True)
    assert [note for note in done.notes if "zeros." in note and "packed" not in note] == [said]
