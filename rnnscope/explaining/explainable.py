"""Whether `rnnscope.explain` takes a trace, so that nobody is sent there in vain."""

from __future__ import annotations

from pathlib import Path

from rnnscope.errors import RnnscopeError
from rnnscope.options.held_array import HeldArray
from rnnscope.record.replaying.rerun import recipe_to_rerun
from rnnscope.trace import Trace


def is_explainable(trace: Path) -> bool:
    """Whether a file is a trace that can be explained, as far as it tells itself.

    The checkpoint and the input are looked for and not read: what only they tell, such as a decoder
    with a mask of its own, is refused when it is explained.

    Parameters
    ----------
    trace : Path
        Any file, or none.
    """
    try:
        if not trace.is_file():
            return False
        with Trace.open(trace) as opened:
            if not opened.header.recipe or opened.resets is not None:
                return False
            feeds_itself = any(
                header.options.get("loop_function", ("none",))[0] not in ("none", None)
                for header in opened.layers
            )
        recipe = recipe_to_rerun(trace)  # refuses a part, and a recipe whose files are gone
    except (RnnscopeError, OSError):
        return False
    held = [recipe.input, *(value for _, value in recipe.options)]
    return not feeds_itself and not any(isinstance(one, HeldArray) for one in held)
