"""A run as a value: the same from flags, a suite, JSON and Python, and refused alike."""

from __future__ import annotations

import json

import click
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnscope.cli.options.run import given_options, parse_run_set, run_options
from rnnscope.errors import OptionError, TraceError
from rnnscope.options import GROUPS, RUN_OPTIONS
from rnnscope.options.kinds import ByLayer, Many
from rnnscope.options.table import COMPRESSIONS, ENGINES, LAYOUTS, PADDING_RULES, VERIFIERS
from rnnscope.record.recipes.recipe import Recipe, refuse_execution

SAMPLES = {
    "inputs": ["enc"],
    "lengths": [[10, 6], "auto", "none", "lens.npy"],
    "mask": ["mask.npy", "none"],
    "offsets": ["starts.npy::s"],
    "resets": ["starts.npy", "none"],
    "reset_at": ["after"],
    "reset_to": ["zeros"],
    "initial_c": ["c0.npy"],
    "initial_m": ["m0.npy"],
    "ids": [True, False],
    "time_major": [True],
    "allow_nan": [True],
    "random": [[2, 10], [2, 10, 8]],
    "seed": [1],
    "model_input": [True],
    "trust_model": [True],
    "layers": [["encoder/*"], ["a", "b"]],
    "feed": [["dec"]],
    "after": [["dec=enc"]],
    "embedding": ["words"],
    "decoder_inputs": ["in.npz::dec"],
    "encoder": ["enc"],
    "decoder": ["dec"],
    "loop_function": ["linear:w,b"],
    "decoder_steps": [7],
    "forget_bias": [{"*": 0.5}, {"enc/*": 1.0, "dec/*": 0.0}],
    "activation": [{"*": "relu"}],
    "recurrent_activation": [{"enc": "hard_sigmoid"}],
    "cell_clip": [{"*": 0.5}, {"*": "none"}],
    "proj_clip": [{"*": "none"}],
    "cell": [{"*": "BasicLSTMCell"}],
    "padding": [{"*": "none"}, {"a": "hold"}],
    "layout": ["tf1"],
    "go_backwards": [True],
    "backward": [["enc/*"], ["a", "b"]],
    "override": [True],
    "gates": [True],
    "engine": ["reference"],
    "threads": [3],
    "memory": ["1MB"],
    "select": [["states=c", "steps=::2"]],
    "ragged": [True],
    "compress": ["gzip"],
    "verify": ["tensorflow", "onnxruntime"],
}
"""Values of every option, as a suite writes them."""

options = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from(values) for name, values in SAMPLES.items()}
)


def as_flags(values):
    """The same values as the command line has them."""
    words = []
    for option in RUN_OPTIONS:
        if option.name not in values:
            continue
        value, flag = values[option.name], option.flag_name
        if option.kind.is_switch:
            yes, _, no = flag.partition("/")
            words.append(yes if value else no)
        elif isinstance(option.kind, ByLayer):
            words += [part for layer, one in value.items() for part in (flag, f"{layer}={one}")]
        elif isinstance(option.kind, Many):
            words += [part for one in value for part in (flag, one)]
        else:
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            words += [flag, text]
    return words


def from_flags(words):
    found = {}

    @click.command()
    @run_options
    def command(**values):
        found.update(given_options(values))

    command.main(words, standalone_mode=False)
    return Recipe.make("m.ckpt", "x.npy", **found)


def test_every_option_has_a_sample_a_group_and_help():
    assert list(SAMPLES) == [option.name for option in RUN_OPTIONS]
    assert {option.group for option in RUN_OPTIONS} == set(GROUPS)
    assert all(option.help.rstrip(".") for option in RUN_OPTIONS)


@given(options)
def test_flags_suites_json_and_python_make_the_same_recipe(values):
    recipe = Recipe.make("m.ckpt", "x.npy", **values)
    assert from_flags(as_flags(values)) == recipe
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert json.loads(recipe.to_json())["options"].keys() <= values.keys()
    set_texts = [
        f"{name}={one}"
        for name, value in values.items()
        if isinstance(value, (str, int, list)) and not isinstance(value, bool)
        for one in (value if name in ("layers", "feed", "after", "select") else [value])
        if not isinstance(one, list)
    ]
    parsed = Recipe.make("m.ckpt", "x.npy", **parse_run_set(
        text for text in set_texts if not text.startswith("trust_model")
    ))  # fmt: skip
    assert set(parsed.options) <= set(recipe.options)


@given(options)
def test_the_fingerprint_is_of_what_changes_numbers(values):
    recipe = Recipe.make("m.ckpt", "x.npy", **values)
    assert recipe.fingerprint() == recipe.with_options(verify=None).fingerprint()
    assert recipe.fingerprint() != recipe.with_options(engine="compiled").fingerprint()
    assert "m.ckpt" not in recipe.fingerprint()


def test_a_value_at_its_default_is_the_same_as_none():
    plain = Recipe.make("m", "x")
    assert Recipe.make("m", "x", engine="auto", memory="256MB", gates=False, layers=()) == plain
    assert plain["engine"] == "auto"
    assert plain["forget_bias"] is None


def test_arrays_are_held_and_told_by_their_digest():
    x, c0 = np.arange(6.0).reshape(1, 2, 3), np.ones((1, 4), np.float32)
    recipe = Recipe.make("m", x, initial_c=c0, lengths=np.array([2]))
    assert recipe.input.array is x
    again = Recipe.from_json(recipe.to_json())
    assert again == recipe
    assert again.input.array is None
    assert again != Recipe.make("m", x + 1, initial_c=c0, lengths=np.array([2]))
    assert str(again.input) == "an array of shape (1, 2, 3), float64"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("lenghts", "3", "Did you mean 'lengths'?"),
        ("lengths", 1.5, "whole numbers, a key"),
        ("lengths", [1.5], "whole numbers, a key"),
        ("forget_bias", "much", "a number"),
        ("forget_bias", "nan", "a finite number"),
        ("forget_bias", True, "a number"),
        ("cell_clip", -1, "a number above 0, or none"),
        ("padding", "zero", "one of zeros, hold, none"),
        ("activation", "tan", "one of "),
        ("engine", "fast", "one of auto"),
        ("gates", 1, "true or false"),
        ("decoder_steps", 0, "a whole number of 1 or more"),
        ("threads", 1.5, "a whole number of 0 or more"),
        ("memory", "much", "a size such as 256MB"),
        ("encoder", "", "a text"),
        ("mask", 3, "a key of the input file, a file, or an array"),
    ],
)
def test_what_is_not_understood_is_refused_with_what_would_be(name, value, words):
    with pytest.raises(OptionError) as caught:
        Recipe.make("m", "x", where="here", **{name: value})
    assert words in str(caught.value)
    assert "here" in str(caught.value)


def test_a_recipe_never_executes_a_model_by_itself():
    recipe = Recipe.make("m", "x", model_input=True, trust_model=True)
    with pytest.raises(OptionError, match="only you can say so"):
        refuse_execution(recipe, "trace.h5")
    refuse_execution(recipe.with_options(trust_model=None), "trace.h5")


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "7", '{"recipe_version": 1}', '{"recipe_version": 1, "checkpoint": "m", '
     '"input": {"array": 3}, "options": {}}', '{"recipe_version": 1, "checkpoint": "m", '
     '"input": "x", "options": []}', "[" * 100_000],
)  # fmt: skip
def test_a_damaged_recipe_is_an_error_that_says_so(text):
    with pytest.raises(TraceError, match="not to be understood"):
        Recipe.from_json(text)


def test_a_recipe_of_a_later_version_is_refused():
    with pytest.raises(TraceError, match="another version"):
        Recipe.from_json('{"recipe_version": 2}')


def test_references_of_a_suite_are_found_in_its_folder(tmp_path):
    (tmp_path / "lens.npy").write_bytes(b"")
    recipe = Recipe.make("m", "x", lengths="lens.npy::a", mask="mask").relative_to(tmp_path)
    assert recipe["lengths"] == str(tmp_path / "lens.npy::a")
    assert recipe["mask"] == "mask"


def test_the_names_in_the_table_are_those_of_the_rooms():
    from rnnscope.checkpoints.npz import LAYOUTS as KNOWN_LAYOUTS
    from rnnscope.engines.choose import ENGINES as KNOWN_ENGINES
    from rnnscope.model.recurrent_layer import PaddingRule
    from rnnscope.oracles.verifiers import VERIFIERS as KNOWN_VERIFIERS
    from rnnscope.trace.storage import Compression

    assert tuple(KNOWN_ENGINES) == ENGINES
    assert tuple(KNOWN_LAYOUTS) == LAYOUTS
    assert tuple(KNOWN_VERIFIERS) == VERIFIERS
    assert set(COMPRESSIONS) == set(Compression.__args__)
    assert PaddingRule.__args__ == PADDING_RULES
