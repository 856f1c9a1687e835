"""References whose numbers say little, are many, are rounded, or say more than states."""

from __future__ import annotations

import numpy as np
import pytest
from explaining.confused_loop import run
from explaining.real_cases import program, save_safetensors, torch_weights
from explaining.references import arrays_of
from explaining.small_models import SUBJECTS, Draw, keras_lstm, torch_subject

import rnnscope
from rnnscope.checkpoints import read_checkpoint
from rnnscope.errors import InputError, UnsupportedCellError
from rnnscope.explaining import explain as explaining
from rnnscope.explaining.compared import subject as subjects
from rnnscope.explaining.compared.subject import _above, _one_mask
from rnnscope.explaining.separating import _differ
from rnnscope.model.network import Network, Node

ORDER = {"gate-order": "i o f g"}


def readings(found):
    return [{one.id: one.value for one in fit.reading} for fit in found.fits]


def said(subject, reference, folder, **options):
    return rnnscope.explain(
        subject.write(folder), subject.x, reference, **subject.run_options, **options
    )


@pytest.fixture
def torch():
    return SUBJECTS["torch, full length"]


def layer_of(subject, made):
    return run(subject.model, subject.x, subject.lengths, made).levels[0][0]


def test_zeros_alone_tell_nothing(tmp_path, torch):
    with pytest.raises(InputError, match="zero everywhere: no reading can be told") as raised:
        said(torch, {"m": np.zeros((3, 10, 5))}, tmp_path)
    assert raised.value.found == "m (3, 10, 5)"


def test_zeros_are_no_small_states(tmp_path):
    """Somebody's c that stayed zero is not ours, however small ours is."""
    draw = Draw(1)
    cell = draw.cell("ifgo", "torch", 3, 5, two_biases=True)
    tiny = torch_subject(((cell,),), (draw.x(3) * 1e-6).astype("f4"))
    for name in ("bias", "recurrent_bias"):
        getattr(cell, name)[...] = 0
    layer = layer_of(tiny, {})
    assert np.abs(layer.c).max() < 1e-5
    reference = {"m": layer.m.astype("f4"), "c": np.zeros((3, 10, 5), "f4")}
    assert readings(said(tiny, reference, tmp_path, budget=3)) == []
    assert readings(said(tiny, {**reference, "c": layer.c.astype("f4")}, tmp_path)) == [{}]


def test_digits_round_small_arrays_as_much_as_large_ones(tmp_path, torch):
    """Three digits of states of 0.01 are one digit of them."""
    layer = layer_of(torch, ORDER)
    small = np.round(layer.m * 0.9, 3)
    assert readings(said(torch, {"c": np.round(layer.c, 3), "m": small}, tmp_path, budget=3)) == []
    rounded = {"c": np.round(layer.c * 1.0, 3), "m": np.round(layer.m, 3)}
    assert readings(said(torch, rounded, tmp_path)) == [ORDER]
    draw = Draw(2)
    cell = draw.cell("ifgo", "torch", 3, 5, two_biases=True)
    cell.bias[15:] = -7  # o is nearly shut: m is a hundredth of c
    shut = torch_subject(((cell,),), draw.x(3))
    layer = layer_of(shut, {})
    assert 20 * np.abs(layer.m).max() < np.abs(layer.c).max()
    rounded = {"c": np.round(layer.c, 3), "m": np.round(layer.m, 3)}
    assert readings(said(shut, rounded, tmp_path)) == [{}]


def test_all_sequences_of_many_are_a_reference_of_the_first(tmp_path, torch, monkeypatch):
    """Of a large input only the first sequences are looked at; the reference has all."""
    layer = layer_of(torch, ORDER)
    monkeypatch.setattr(subjects, "MOST_INPUT_VALUES", 2 * 10 * 3)
    found = said(torch, {"c": layer.c.astype("f4"), "m": layer.m.astype("f4")}, tmp_path)
    assert readings(found) == [ORDER]
    assert "the first 2 of 3 sequences were compared" in found.notes


@pytest.mark.parametrize("names", [("c", "m"), ("thing", "other")])
def test_too_many_values_are_refused_before_they_are_read(tmp_path, torch, monkeypatch, names):
    layer = layer_of(torch, {})
    monkeypatch.setattr(explaining, "MOST_REFERENCE_VALUES", 100)
    reference = dict(zip(names, (layer.c, layer.m), strict=True))
    with pytest.raises(InputError, match="more values than can be searched"):
        said(torch, reference, tmp_path)


def test_lengths_beside_arrays_of_no_format_are_lengths(tmp_path):
    subject = SUBJECTS["torch"]
    made = {"lengths": "9, 4, 10"}
    outputs = layer_of(subject, made).outputs.astype("f4")
    outputs[0, 9:] = outputs[1, 4:] = 0.5  # whatever the other side has there
    reference = {"output_sequence": outputs[:, :4], "seq_lens": np.array([9, 4, 10])}
    assert "seq_lens" not in " ".join(said(subject, reference, tmp_path).notes)


def test_what_is_no_result_is_named(tmp_path, torch):
    outputs = layer_of(torch, {}).outputs.astype("f4")
    reference = {"thing": outputs, "labels": np.arange(3), "words": np.array(["a", "b"])}
    found = said(torch, reference, tmp_path)
    assert readings(found) == [{}]
    assert "not read of the reference: labels (int64 (3,))" in found.notes
    assert any("words" in note for note in found.notes)


def test_the_state_that_the_reference_started_from_is_tried(tmp_path, torch):
    w = torch_weights(5, 3, 4)
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    arrays = {f"rnn.{name}": one for name, one in zip(names, w, strict=True)}
    path = save_safetensors(tmp_path / "m.safetensors", arrays)
    random = np.random.default_rng(5)
    x = random.normal(size=(2, 6, 3)).astype("f4")
    start = random.uniform(-0.5, 0.5, (2, 2, 4)).astype("f4")
    made = [program(one, w[0], w[1], w[2] + w[3], start=(c, m))
            for one, c, m in zip(x, *start, strict=True)]  # fmt: skip
    reference = {
        "c": np.stack([one["c"] for one in made]), "m": np.stack([one["m"] for one in made]),
        "initial/c": start[0], "initial/m": start[1],
    }  # fmt: skip
    found = rnnscope.explain(path, x, reference)
    assert readings(found) == [{"initial-state": "of the reference"}]


def test_the_checkpoint_is_no_reference_for_itself(tmp_path, torch):
    path = torch.write(tmp_path)
    with pytest.raises(InputError, match="The reference is the checkpoint itself"):
        rnnscope.explain(path, torch.x, path)


def test_a_dense_layer_has_the_bias_of_its_own_name(tmp_path):
    """fc1 is not fc10."""
    w = torch_weights(1, 3, 4)
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    arrays = {f"rnn.{name}": one for name, one in zip(names, w, strict=True)}
    random = np.random.default_rng(3)
    dense = {f"fc{n}.{what}": random.normal(size=shape).astype("f4")
             for n in (10, 1) for what, shape in (("bias", (5,)), ("weight", (5, 4)))}  # fmt: skip
    path = save_safetensors(tmp_path / "m.safetensors", {**dense, **arrays})
    x = random.normal(size=(2, 6, 3)).astype("f4")
    m = np.stack([program(one, w[0], w[1], w[2] + w[3])["m"] for one in x])
    for n in (1, 10):
        logits = m @ dense[f"fc{n}.weight"].T + dense[f"fc{n}.bias"]
        assert readings(rnnscope.explain(path, x, logits.astype("f4"))) == [{}]


def test_every_array_of_a_layer_is_compared(tmp_path, torch):
    """One that is wrong among many that are right is not passed over."""
    arrays = arrays_of(torch, layer_of(torch, {}))
    arrays["final/c"] = arrays["final/c"] + 0.1
    assert readings(said(torch, arrays, tmp_path, budget=3)) == []


@pytest.mark.parametrize("keras", ["2.4.0", "3.3.3"])
def test_a_command_that_reproduces_gives_the_numbers(tmp_path, keras):
    """hard_sigmoid is another formula in Keras 2 than in Keras 3, and so is its flag."""
    subject = keras_lstm(14, version=keras)
    for value in ("hard_sigmoid", "hard_sigmoid_keras3"):
        layer = layer_of(subject, {"recurrent-activation": value})
        (fit,) = said(subject, {"c": layer.c.astype("f4")}, tmp_path).fits
        assert fit.reading[0].value == value
        if fit.reproduces:
            flag = fit.command.partition("--recurrent-activation ")[2].split()[0]
            options = {"recurrent_activation": flag, "override": True}
            trace = rnnscope.run(subject.write(tmp_path), subject.x, **options)
            np.testing.assert_allclose(trace.layers["lstm"].c[...], layer.c, atol=1e-5)


def test_states_of_several_sequences_do_not_stop_the_search(tmp_path, torch):
    """They fit no other number of sequences: axes that are changed over are no reading then."""
    draw = np.random.default_rng(2)
    start = {"initial_c": draw.normal(size=(3, 5)), "initial_m": draw.normal(size=(3, 5))}
    path = torch.write(tmp_path)
    trace = rnnscope.run(path, torch.x, forget_bias=1, override=True, **start)
    given = {"m": trace.layers["rnn/l0"].m[...]}
    found = rnnscope.explain(path, torch.x, given, **start)
    assert [(one.id, one.value) for one in found.fits[0].reading] == [("forget-bias", "1")]


def test_results_that_are_twice_as_large_are_others():
    one = [np.array([[1.0, -0.5]]), np.array([[0.01, np.nan]])]
    assert not _differ(one, [array.copy() for array in one], 1e-3)
    assert _differ(one, [2 * array for array in one], 1e-3)
    assert _differ(one, [one[0], one[1] + 1e-4], 1e-3)  # small beside the other array alone


def test_inputs_with_masks_of_their_own_are_refused():
    mask = np.array([[True, False]])
    assert _one_mask([mask, mask.copy()], ["a", "b"]) is mask
    assert _one_mask([None, None], ["a", "b"]) is None
    for other in (None, ~mask):
        with pytest.raises(UnsupportedCellError, match="different masks"):
            _one_mask([mask, other], ["a", "b"])


def test_stacks_side_by_side_are_joined_level_by_level(tmp_path, torch):
    """TensorFlow's bidirectional_rnn of MultiRNNCells: only the upper outputs are handed out."""
    layer = read_checkpoint(torch.write(tmp_path)).network.recurrent[0].layer
    reads = {"f0": "x", "b0": "x", "f1": "f0", "b1": "b0", "f2": "f1"}
    nodes = {name: Node(name, layer, (below,)) for name, below in reads.items()}
    network = Network(("x",), tuple(nodes.values()))
    pairs = {"f0": "b0"}
    assert _above(network, nodes["f1"], pairs) is nodes["b1"]
    assert _above(network, nodes["f0"], pairs) is None
    assert _above(network, nodes["f2"], {**pairs, "f1": "b1"}) is None  # nothing stands on b1
