"""What the names of tensors say of states: ``h0``, ``init_cell``, ``hidden.weight``."""

from __future__ import annotations

import re
from typing import Literal

from rnnscope.deferred_dataclass import dataclass

Kind = Literal["c", "m", "either"]

M_WORDS = {"h", "hx", "hs", "hidden", "hid", "hiddens"}
C_WORDS = {"c", "cx", "cs", "cell", "cells", "memory"}
EITHER_WORDS = {"state", "states", "hc", "rnn", "lstm", "gru"}
ONLY_INITIAL = {"memory", "rnn", "lstm", "gru"}
"""Words that speak of a state only beside one that speaks of its being the first."""

INITIAL_WORDS = {
    "0", "init", "initial", "inits", "initializer", "learned", "learnable", "learnt", "start",
    "starting", "zero", "first", "default",
}  # fmt: skip
JOINED = re.compile(
    r"(init|initial|start|learned)(h|c|hidden|cell|state|states|hx|cx)|(h|c|state|hidden)(init|zero)"
)
"""Two words written as one."""

DENSE_ENDS = {"weight", "bias"}
DENSE_INITIAL = {"init", "initial", "inits", "initializer", "learned", "start", "starting"}
FIRST_STATE = re.compile(r"[hc]_?0")
"""Of layers, whose names are numbered as well: ``hidden_0`` is the first of several."""

NO_STATE_WORDS = {
    "token", "tokens", "query", "queries", "key", "keys", "value", "pos", "position", "positional",
    "pe", "embed", "embedding", "emb", "attn", "attention", "cls", "mask", "prompt", "pad", "sos",
    "eos", "bos", "mean", "std", "scale", "shift", "alpha", "beta", "gamma", "weight", "bias",
    "temperature", "v", "w", "u",
}  # fmt: skip
"""What vectors as wide as a state are also called."""


@dataclass(frozen=True)
class StateName:
    """What a tensor's name says of a state.

    Attributes
    ----------
    kind : {"c", "m", "either"}
    initial : bool
        It says that the state is the first one.
    dense : bool
        It is part of a layer that makes the state of something else.
    word : str
        The part of the name that says so.
    number : int or None
        Its place in a list of parameters.
    """

    kind: Kind
    initial: bool
    dense: bool
    word: str
    number: int | None = None


def speaks_of_state(name: str) -> StateName | None:
    """What the last part of a tensor's name says of a state, if anything."""
    parts = re.split(r"[./]", name)
    last, number = parts[-1], None
    dense = last in DENSE_ENDS and len(parts) > 1
    if dense or (last.isdigit() and len(parts) > 1):
        number = None if dense else int(last)
        parts = parts[:-1]
        last = parts[-1]
        if dense and last.isdigit() and len(parts) > 1:
            last = parts[-2]
    words = {*words_of(last)}
    initial = bool(INITIAL_WORDS & words)
    if dense:
        initial = bool(DENSE_INITIAL & words) or FIRST_STATE.fullmatch(last.lower()) is not None
        if not initial:
            return None
    kinds = (words & M_WORDS, words & C_WORDS, words & EITHER_WORDS)
    telling = set().union(*kinds)
    if not (telling if initial else telling - ONLY_INITIAL):
        return None
    m, c = bool(kinds[0]), bool(kinds[1])
    kind: Kind = "either" if m == c else "m" if m else "c"
    return StateName(kind, initial, dense, last, number)


def words_of(part: str) -> list[str]:
    """The words of a part of a name, in small letters; two that are written as one are parted."""
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", part).lower()
    words: list[str] = []
    for word in re.findall(r"[a-z]+|\d+", spaced):
        joined = JOINED.fullmatch(word)
        words.extend(filter(None, joined.groups()) if joined else [word])
    return words
