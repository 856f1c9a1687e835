"""The command that a recipe is printed as makes the recipe again."""

from __future__ import annotations

import shlex

import numpy as np
import pytest
from hypothesis import given
from record.recipes.test_recipe import from_flags, options

from rnnscope.record.recipes.command_line import run_command
from rnnscope.record.recipes.recipe import Recipe


@given(options)
def test_the_command_says_the_recipe(values):
    recipe = Recipe.make("m.ckpt", "x.npy", **values)
    words = shlex.split(run_command(recipe))
    assert words[:4] == ["rnnscope", "run", "m.ckpt", "x.npy"]
    assert words[-2:] == ["-o", "trace.h5"]
    assert from_flags(words[4:-2]) == recipe


@pytest.mark.parametrize(
    ("number", "text"), [(0.0, "0"), (1.0, "1"), (0.7, "0.7"), (1e-7, "1e-07")]
)
def test_numbers_are_as_short_as_they_can_be(number, text):
    recipe = Recipe.make("m", "x.npy", forget_bias=number)
    assert run_command(recipe) == f"rnnscope run m x.npy --forget-bias {text} -o trace.h5"


def test_names_are_quoted_and_arrays_have_a_stand_in():
    recipe = Recipe.make("my model", np.zeros((1, 2, 3)), initial_c=np.zeros((1, 4)))
    words = shlex.split(run_command(recipe, "a b.h5"))
    assert words == ["rnnscope", "run", "my model", "input.npy", "--initial-c", "initial_c.npy",
                     "-o", "a b.h5"]  # fmt: skip
