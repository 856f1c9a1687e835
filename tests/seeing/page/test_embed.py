"""The contents of a page: which values it holds, and what it says of those it does not."""

from __future__ import annotations

import base64
import itertools

import numpy as np
import pytest
from seen_traces import waves, write_trace

from rnnscope.checks.result import Subject
from rnnscope.errors import InputError, OptionError
from rnnscope.seeing.labels import TokenLabels
from rnnscope.seeing.page.embed import PageRequest, embed_trace
from rnnscope.trace import Trace

CHECKED = Subject("t.h5")


def embedded(path, arrays, request=None, **changes):
    with Trace.open(write_trace(path / "t.h5", arrays, **changes)) as trace:
        return embed_trace(trace, request or PageRequest(), CHECKED)


def values(contents, array):
    series = next(one for one in contents.facts.series.values() if one.array == array)
    raw = np.frombuffer(base64.b64decode(contents.blocks[series.data]), series.held)
    shape = (len(series.sequences), series.planes, series.units, series.bins)
    numbers = raw.reshape(shape)
    return series, numbers * series.step if series.held == "int16" else numbers


def test_small_arrays_are_there_bit_for_bit_units_by_timesteps(tmp_path):
    arrays = waves(2, 9, 4)
    contents = embedded(tmp_path, arrays, lengths=[9, 4])
    for name in ("c", "m", "i", "o"):
        series, found = values(contents, name)
        assert (series.sequences, series.bins, series.planes, series.held) == (
            (0, 1),
            9,
            1,
            "float32",
        )
        np.testing.assert_array_equal(found[:, 0], arrays[name].transpose(0, 2, 1))
        assert series.valid == (((0, 9),), ((0, 4),))
        assert series.held_words == "Values as stored (float32)."
    assert contents.facts.layers[0].label == "rnn/lstm"


def test_equal_values_are_embedded_once(tmp_path):
    arrays = waves(1, 5, 3)
    arrays["i"] = arrays["f"]
    contents = embedded(tmp_path, arrays)
    assert len(contents.facts.series) == 6
    assert len(contents.blocks) == 5


def test_large_arrays_come_in_bins_with_the_least_and_the_greatest(tmp_path):
    arrays = waves(1, 1000, 8)
    request = PageRequest(budget=12_000)
    contents = embedded(tmp_path, {"c": arrays["c"], "m": arrays["m"]}, request, lengths=[900])
    series, found = values(contents, "c")
    assert (series.bins, series.planes, series.held) == (128, 2, "int16")
    assert "1000 timesteps in 128 bins, the least and the greatest of each" in series.held_words
    edges = np.arange(129) * 1000 // 128
    for bin_, (start, stop) in enumerate(itertools.pairwise(edges)):
        part = arrays["c"][0, start : min(stop, 900) if start < 900 else stop]
        np.testing.assert_allclose(found[0, 0, :, bin_], part.min(axis=0), atol=series.step)
        np.testing.assert_allclose(found[0, 1, :, bin_], part.max(axis=0), atol=series.step)


def test_arrays_that_have_no_room_are_named(tmp_path):
    arrays = waves(1, 40, 64)
    contents = embedded(tmp_path, arrays, PageRequest(budget=20_000))
    shown = [series.array for series in contents.facts.series.values()]
    assert shown[:2] == ["c", "m"]  # states stay, gates go
    assert len(shown) == 3
    assert contents.notes[0].startswith(
        "3 arrays did not fit into this page: gates/f of rnn/lstm, "
    )


def test_sequences_that_are_asked_for_and_negative_ones(tmp_path):
    contents = embedded(tmp_path, waves(4, 5, 2), PageRequest(sequences=(-1, 1)))
    series = contents.facts.series["s0"]
    assert series.sequences == (1, 3)
    assert "2 of 4 sequences (1, 3)" in series.held_words
    with pytest.raises(OptionError, match="no such sequence"):
        embedded(tmp_path / "..", waves(4, 5, 2), PageRequest(sequences=(9,)))


def test_units_and_timesteps_keep_the_names_of_the_run(tmp_path):
    contents = embedded(tmp_path, waves(1, 12, 6), selection=["steps=2:8", "units=1,4"])
    series = contents.facts.series["s0"]
    assert series.step_names == (2, 3, 4, 5, 6, 7)
    assert series.unit_names == (1, 4)


def test_tokens_of_every_sequence_and_none_that_fit(tmp_path):
    labels = TokenLabels("x", (("a", "b", "c"), ("d", "e", "f")))
    contents = embedded(tmp_path, waves(2, 3, 2), PageRequest(labels=labels))
    assert contents.facts.tokens == (("a", "b", "c"), ("d", "e", "f"))
    assert contents.facts.series["s0"].tokens == (0, 1)
    wrong = TokenLabels("x", (("a",),), shared=True)
    with Trace.open(tmp_path / "t.h5") as trace, pytest.raises(InputError, match="do not fit"):
        embed_trace(trace, PageRequest(labels=wrong, labels_asked=True), CHECKED)
    with Trace.open(tmp_path / "t.h5") as trace:  # the input's own, which nobody asked for
        assert embed_trace(trace, PageRequest(labels=wrong), CHECKED).facts.tokens == ()


def test_a_layer_that_no_glob_fits(tmp_path):
    with pytest.raises(OptionError, match="No layer fits"):
        embedded(tmp_path, waves(1, 3, 2), PageRequest(layers=("nothing*",)))


def test_a_trace_without_sequences_has_no_states_to_show(tmp_path):
    arrays = {name: array[:0] for name, array in waves(1, 3, 2).items()}
    contents = embedded(tmp_path, arrays)
    assert contents.facts.layers == ()
    assert contents.facts.series == {}
