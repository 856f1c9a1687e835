"""An input of random numbers, for a first look at a model before there are data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rnnscope.errors import OptionError, spell
from rnnscope.options.held_array import HeldArray
from rnnscope.record.recipes.recipe import Recipe

if TYPE_CHECKING:
    from rnnscope.checkpoints.interface import Checkpoint

MOST_BYTES = 2**31


def random_input(recipe: Recipe, checkpoint: Checkpoint) -> HeldArray:
    """Numbers between -1 and 1 of the shape and seed that a recipe says.

    The bits of PCG64 are the same on every machine and in every version of numpy, and the numbers
    are made of them by `Generator.random`, so that the recipe alone gives them again.

    Parameters
    ----------
    recipe : Recipe
        Its ``random`` is (sequences, timesteps) or (sequences, timesteps, features).
    checkpoint : Checkpoint
        Says how many features its first layer takes, where the recipe does not.

    Returns
    -------
    HeldArray
        (sequence, timestep, feature), float64, or float32 where the layer is of that.

    Raises
    ------
    OptionError
        The shape is none, or an input is given as well.
    """
    shape = recipe["random"]
    if recipe.input != "":
        raise OptionError(
            f"{spell('random')} stands in the place of INPUT, and there is one.",
            where=recipe.input,
            hint="leave one of both out",
        )
    if recipe["ids"]:
        raise OptionError(
            f"{spell('random')} makes features, and no ids: leave {spell('ids')} out."
        )
    if len(shape) not in (2, 3):
        raise OptionError(
            f"{spell('random')} does not understand its value.",
            expected="N,T or N,T,F: sequences, timesteps, features",
            found=",".join(map(str, shape)),
            hint=spell("random", "2,10"),
        )
    first = checkpoint.network.recurrent[0].recurrent if checkpoint.network.recurrent else None
    if len(shape) == 2:
        shape = (*shape, 1 if first is None else first.cell.input_size)
    if np.prod(shape, dtype=float) * 8 > MOST_BYTES:
        raise OptionError(
            f"{spell('random')} is for a first look.",
            expected=f"at most {MOST_BYTES // 2**20} MB of numbers",
            found=" x ".join(map(str, shape)),
        )
    numbers = np.random.Generator(np.random.PCG64(recipe["seed"])).random(shape)
    dtype = np.float64 if first is None else first.cell.dtype
    return HeldArray.of((2 * numbers - 1).astype(dtype))
