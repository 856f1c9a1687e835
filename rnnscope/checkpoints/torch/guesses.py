"""What a state dict does not say, guessed: by widths what feeds a module, by name its direction."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rnnscope.deferred_dataclass import dataclass
from rnnscope.files.arrays.loadable_arrays import LoadableArray


@dataclass
class PlacedModule:
    """A module in the network: what it reads and what it returns, by width."""

    name: str
    last: str
    input_size: int | None
    output_size: int | None
    reads: tuple[str, ...]
    computed: bool = True


IN_LIST = re.compile(r"(?P<stem>|.*[./])(?P<number>\d{1,4})")
"""A module in a list of modules: ``rnn.layers.1``."""


def guess_source(modules: Sequence[PlacedModule], width: int | None, name: str = "") -> str | None:
    """What feeds a module that takes so many features; None if it fits nothing in front.

    Parameters
    ----------
    modules : sequence of PlacedModule
        Those in front of it, in the file's order; at least one.
    width : int or None
        Of its input, if that is known.
    name : str
        Its own: a module in a list reads the one before it there, if that fits.
    """
    before = _before_in_list(modules, name)
    if before is not None and width is not None and before.output_size == width:
        return before.last
    return _same_input(modules[0], width) or _before(modules, width)


def _before_in_list(modules: Sequence[PlacedModule], name: str) -> PlacedModule | None:
    found = IN_LIST.fullmatch(name)
    if found is None or found["number"] == "0":
        return None
    wanted = f"{found['stem']}{int(found['number']) - 1}"
    return next((one for one in reversed(modules) if one.name == wanted), None)


def _same_input(first: PlacedModule, width: int | None) -> str | None:
    """What the first module reads, if a module may read the same."""
    if width is None or width != first.input_size:
        return None
    if not first.computed and first.output_size == width:
        return None  # it may as well read the first
    return first.reads[0] if first.reads else None


def _before(modules: Sequence[PlacedModule], width: int | None) -> str | None:
    """The nearest module in front that returns so many features."""
    if width is None:
        return None
    # Where nothing fits, the module waits for an input of its own width.
    return next((one.last for one in reversed(modules) if one.output_size in (width, None)), None)


def looks_like_embedding(array: LoadableArray) -> bool:
    """Whether a tensor is a matrix that its name calls an embedding."""
    return "emb" in array.name.lower() and len(array.shape) == 2


BACKWARD_WORDS = {
    "backward", "backwards", "bw", "bwd", "rev", "reverse", "reversed", "back", "r2l", "rtl",
}  # fmt: skip
"""Words in the names of modules that are given their input turned round."""


def says_backward(name: str) -> bool:
    """Whether a module's name says that its input is turned round."""
    words = re.sub(r"([a-z\d])([A-Z])", r"\1_\2", name).lower()
    return bool(BACKWARD_WORDS & set(re.split(r"[^a-z\d]+|(?<=[a-z])(?=\d+(?:[^a-z\d]|$))", words)))
