"""What takes options of a run reads every one that it takes, and refuses the others."""

from __future__ import annotations

from pathlib import Path

import pytest

import rnnscope
from rnnscope.cli.main import cli
from rnnscope.errors import OptionError
from rnnscope.options import RUN_OPTIONS
from rnnscope.record.recipes.recipe import Recipe

SAMPLE = Path(__file__).resolve().parents[2] / "sample_data/lstm_float64"
MODEL, INPUT, TRUTH = SAMPLE / "model.ckpt", SAMPLE / "inputs.npz", SAMPLE / "truth.npz"

UNREAD = {
    "gates": True, "engine": "reference", "threads": 1, "memory": "1GB", "select": "states=c",
    "ragged": True, "compress": "gzip", "verify": "onnxruntime",
}  # fmt: skip
"""A value for each option that says how a run is computed, and what is kept of it."""

OTHERS = {
    "inputs": "x", "lengths": [10, 6], "mask": "none", "offsets": "none", "resets": "none",
    "reset_at": "after", "reset_to": "zeros", "initial_c": "c.npy", "initial_m": "m.npy",
    "ids": True, "time_major": True, "allow_nan": True, "random": (2, 10), "seed": 3,
    "model_input": True, "trust_model": True, "layers": "*", "feed": "rnn/lstm_cell",
    "after": "a=b", "embedding": "e", "decoder_inputs": "y.npy", "encoder": "e", "decoder": "d",
    "loop_function": "none", "decoder_steps": 2,
}  # fmt: skip
"""Of what is computed of an input, and of the network: what only layers are made of lacks them."""


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "trace.h5"
    rnnscope.run(MODEL, INPUT, output=path).close()
    return path


def explain(trace, folder, **options):
    rnnscope.explain(MODEL, INPUT, TRUTH, **options)


def explain_a_trace(trace, folder, **options):
    rnnscope.explain(trace, TRUTH, **options)


def recompute(trace, folder, **options):
    rnnscope.check(trace, recompute=True, **{"verify": None, **options})


def stream(trace, folder, **options):
    rnnscope.check(trace, stream=[3], **options)


def stream_a_model(trace, folder, **options):
    rnnscope.check(MODEL, input=INPUT, stream=[3], **options)


def step(trace, folder, **options):
    for _ in rnnscope.open_model(MODEL).steps(INPUT, **options):
        pass


def convert(trace, folder, **options):
    rnnscope.convert(SAMPLE.parent / "keras_stack/model.h5", "torch", dry_run=True, **options)


def vectors(trace, folder, **options):
    rnnscope.write_vectors(
        SAMPLE.parent / "keras2_masked/model.h5", folder / "vectors", steps=4, sequences=2,
        force=True, **options,
    )  # fmt: skip


def compare(trace, folder, **options):
    rnnscope.diff(MODEL, MODEL, input=str(INPUT), **options)


def run(trace, folder, **options):
    rnnscope.run(MODEL, INPUT, output=folder / "t.h5", force=True, **options).close()


ASKED = (explain, explain_a_trace, recompute, stream, stream_a_model, step, convert, vectors,
         compare, run)  # fmt: skip

OWN = {"recompute": {"verify", "layers"}, "stream": {"layers", "verify"},
       "stream_a_model": {"layers", "verify"}, "convert": {"layers"},
       "vectors": {"seed"}}  # fmt: skip
"""Arguments of the functions themselves, which are called as an option of a run is."""


@pytest.mark.parametrize("ask", ASKED, ids=lambda ask: ask.__name__)
def test_an_option_is_read_or_refused(ask, trace, tmp_path, monkeypatch):
    read = set[str]()
    value_of = Recipe.__getitem__

    def noted(recipe, name):
        read.add(name)
        return value_of(recipe, name)

    monkeypatch.setattr(Recipe, "__getitem__", noted)
    ask(trace, tmp_path)
    monkeypatch.undo()
    values = {**OTHERS, **UNREAD}
    read |= {"seed"} if "random" in read else set()
    unread = {option.name for option in RUN_OPTIONS} - read - OWN.get(ask.__name__, set())
    if ask is compare:
        unread.add("verify")  # it is computed for a report that nobody sees
    assert unread <= values.keys()
    refused = set[str]()
    for name in unread:
        with pytest.raises(OptionError, match="would change nothing") as caught:
            ask(trace, tmp_path, **{name: values[name]})
        refused.add(str(caught.value.found))
    assert len(refused) == len(unread)
    assert refused == set() or ask is not run


@pytest.mark.parametrize(("command", "ask"), [("explain", explain), ("convert", convert),
                                              ("vectors", vectors)])  # fmt: skip
def test_a_command_offers_no_option_that_is_refused(command, ask, trace, tmp_path):
    offered = {parameter.name for parameter in cli.get_command(None, command).params}
    values = {**OTHERS, **UNREAD}
    refused = {name for name in (offered & values.keys()) - OWN.get(command, set())
               if is_refused(ask, trace, tmp_path, {name: values[name]})}  # fmt: skip
    assert refused == set()


def is_refused(ask, trace, folder, given):
    try:
        ask(trace, folder, **given)
    except rnnscope.RnnscopeError as error:
        return "would change nothing" in str(error)
    return False
