"""Traces of schema 1, as the rnnscope before wrote them, open and say the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import pytest

from rnnscope.record.checking.trace_checks import check_trace
from rnnscope.trace import Trace

FOLDER = Path(__file__).parent / "schema_1"
OVERRIDDEN = FOLDER / "overridden.h5"
"""sample_data/lstm_float32 with ``--padding none --cell-clip none --override``."""
DECODER = FOLDER / "decoder.h5"
"""An encoder and a decoder of tf.keras 2.4."""


def test_no_value_and_the_padding_rule_none_are_told_apart():
    with Trace.open(OVERRIDDEN) as trace:
        (layer,) = trace.layers
    assert layer.options["padding"] == ("none", "flag")
    assert layer.options["cell_clip"] == (None, "flag")
    assert layer.options["proj_clip"] == (0.5, "graph")


def test_a_projection_is_known_by_the_names_of_its_variables():
    with Trace.open(OVERRIDDEN) as trace:
        assert [layer.projected for layer in trace.layers] == [True]
    with Trace.open(DECODER) as trace:
        assert [layer.projected for layer in trace.layers] == [False, False]


@pytest.mark.parametrize("keeps", [True, False])
def test_what_a_decoder_starts_from_is_known_also_by_words_alone(tmp_path, keeps):
    """The first traces of schema 1 had no attribute for it."""
    path = shutil.copyfile(DECODER, tmp_path / "trace.h5")
    if not keeps:
        with h5py.File(path, "r+") as file:
            del file["decoder"].attrs["initial_from"], file["decoder"].attrs["initial_join"]
    with Trace.open(path) as trace:
        encoder, decoder = trace.layers
    assert encoder.initial_from == ()
    assert decoder.initial_from == ("encoder",)
    assert decoder.initial_join == "concat"
    assert set(decoder.initial_states) == {"c", "m"}
    handoff = {f.layer: f.status for f in check_trace(path).findings if f.check == "handoff"}
    assert handoff == {"encoder": "skip", "decoder": "pass"}


@pytest.mark.parametrize(
    ("words", "layers"),
    [
        ("final state of layer 'encoder'", ("encoder",)),
        ("the final state of 'encoder'", ("encoder",)),
        ("h from h of layer 'encoder', c from c of layer 'encoder'", ("encoder",)),
        ("h from h of layer 'encoder', c from c of layer 'other'", ()),
        ("c from h of layer 'encoder', h from c of layer 'encoder'", ()),
        ("zeros", ()),
    ],
)
def test_the_words_of_every_format(tmp_path, words, layers):
    path = shutil.copyfile(DECODER, tmp_path / "trace.h5")
    with h5py.File(path, "r+") as file:
        attributes = file["decoder"].attrs
        del attributes["initial_from"], attributes["initial_join"]
        attributes["option_initial_state"] = words
    with Trace.open(path) as trace:
        assert trace.layer("decoder").initial_from == layers


def test_states_that_were_given_are_known_by_words(tmp_path):
    path = shutil.copyfile(DECODER, tmp_path / "trace.h5")
    with h5py.File(path, "r+") as file:
        file["encoder"].attrs["option_initial_state"] = "given with the input"
    with Trace.open(path) as trace:
        assert set(trace.layer("encoder").initial_given) == {"c", "m"}
        assert trace.layer("decoder").initial_given == ()
