"""What traces of schema 1 say in words, or in one text for two things, read as schema 2 says it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from rnnscope.trace.schema import LayerHeader, OptionValue

TEXT_OPTIONS = ("padding",)
"""Options of which schema 1 kept a text that may be ``none``; in others the text meant None."""

_PROJECTION = re.compile(r"projection|w_p_\d|weight_hr", re.IGNORECASE)
"""In the names of variables of a cell with a projection (TensorFlow's eras, torch)."""

_FINAL_STATE = re.compile(r"(?:the )?final state of (?:layer )?'([^']+)'")
_KERAS_PARTS = re.compile(r"\b([hc]) from ([hc]) of layer '([^']+)'")
_GIVEN = "given with the input"


def option_value(name: str, value: OptionValue) -> OptionValue:
    """An option's value as schema 1 kept it: the text ``none`` stood for None, too."""
    return None if value == "none" and name not in TEXT_OPTIONS else value


def completed(header: LayerHeader) -> LayerHeader:
    """The header with what schema 2 has in attributes of their own."""
    words, _ = header.options.get("initial_state", ("", ""))
    layers = header.initial_from or _layers_named(str(words))
    return replace(
        header,
        projected=_is_projected(header.variables),
        initial_from=layers,
        initial_join=header.initial_join or ("concat" if layers else ""),
        initial_states=tuple(header.widths) if layers else (),
        initial_given=tuple(header.widths) if words == _GIVEN else (),
    )


def _is_projected(variables: Iterable[str]) -> bool:
    return any(_PROJECTION.search(name) for name in variables)


def _layers_named(words: str) -> tuple[str, ...]:
    """The layer whose final state a layer starts from, where its initial state's words say so."""
    whole = _FINAL_STATE.fullmatch(words)
    if whole:
        return (whole[1],)
    # Keras hands over the parts one by one.
    parts = _KERAS_PARTS.findall(words)
    layers = {layer for mine, theirs, layer in parts if mine == theirs}
    return tuple(layers) if len(layers) == 1 else ()
