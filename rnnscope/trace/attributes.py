"""Headers to HDF5 attributes and back.

Booleans are 0 and 1. An option whose value is None has its origin alone; elsewhere None is
``"none"``.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from rnnscope.errors import TraceError
from rnnscope.model.states import LayerFacts
from rnnscope.trace import schema_1
from rnnscope.trace.schema import (
    SCHEMA_VERSION,
    LayerHeader,
    OptionValue,
    TraceHeader,
    storable_text,
)

NONE = "none"
LAYER, POSITION, KIND = "layer", "position", "kind"
RECURRENT, OUTPUTS_ONLY = "recurrent", "outputs"
CHECKS = "checks"
SELECTION = "selection"
FULL, FULL_TIMESTEPS = "full_", "full_timesteps"
"""Sizes as they would be had nothing been left out: ``full_c``, ``full_outputs`` …"""
OPTION, ORIGIN = "option_", "_origin"
INITIAL_FROM, INITIAL_JOIN, OWN_TIME = "initial_from", "initial_join", "own_time"
INITIAL_STATES = "initial_states"
"""Of decoders alone."""
INITIAL_GIVEN = "initial_given"
PROJECTED = "projected"
EVIDENCE = "evidence"
"""In words; only of layers that a stored model gave."""

Attributes = dict[str, Any]

LAYER_TEXTS = ("dtype", "source_class", "stored_gate_order", "wiring")
LAYER_LISTS = ("variables", "inputs")
FACT_TEXTS = ("cell", "reversal", "padding")
FACT_FLAGS = ("backward", "outputs_in_input_order", "outputs_are_m")


def encode_header(header: TraceHeader) -> Attributes:
    """The root's attributes, without schema and complete."""
    return {item.name: _encode(getattr(header, item.name)) for item in fields(header)}


def decode_header(attributes: Attributes) -> TraceHeader:
    """The header from the root's attributes; what is absent is empty."""
    texts = {
        item.name: _text(attributes.get(item.name, ""))
        for item in fields(TraceHeader)
        if item.name != "notes"
    }
    return TraceHeader(**texts, notes=decode_texts(attributes.get("notes", ())))


def encode_layer(header: LayerHeader, position: int) -> Attributes:
    """A layer group's attributes; `position` is the layer's place in the run."""
    facts = header.known_facts
    attributes: Attributes = {
        LAYER: _encode(header.name),
        POSITION: position,
        KIND: RECURRENT if header.widths else OUTPUTS_ONLY,
        "reads_input": int(header.reads_input),
        "m_bound": _encode(facts.m_bound),
        PROJECTED: int(header.projected),
    }
    attributes |= {name: _encode(getattr(header, name)) for name in LAYER_TEXTS + LAYER_LISTS}
    attributes |= {name: _encode(getattr(facts, name)) for name in FACT_TEXTS + FACT_FLAGS}
    if header.initial_from:
        attributes[INITIAL_FROM] = _encode(header.initial_from)
        attributes[INITIAL_JOIN] = header.initial_join
        attributes[INITIAL_STATES] = _encode(header.initial_states)
    if header.initial_given:
        attributes[INITIAL_GIVEN] = _encode(header.initial_given)
    if header.evidence:
        attributes[EVIDENCE] = _encode(header.evidence)
    if header.own_time:
        attributes[OWN_TIME] = 1
    for name, (value, origin) in header.options.items():
        if value is not None:
            attributes[OPTION + name] = _encode(value)
        attributes[OPTION + name + ORIGIN] = origin
    return attributes


def decode_layer(
    attributes: Attributes,
    widths: dict[str, int],
    sizes: tuple[int, int],
    gates: tuple[str, ...],
    version: int = SCHEMA_VERSION,
) -> LayerHeader:
    """A layer's header from its attributes and arrays.

    Parameters
    ----------
    attributes : dict
    widths : dict of str to int
        Of each state.
    sizes : tuple of int
        (output_size, timesteps).
    gates : tuple of str
    version : int
        Of the trace's schema.

    Raises
    ------
    TraceError
        An attribute is missing; it names it.
    """
    name = _text(attributes[LAYER])
    try:
        of_facts: Attributes = {key: _text(attributes[key]) for key in FACT_TEXTS}
        of_facts |= {key: bool(attributes[key]) for key in FACT_FLAGS}
        of_layer: Attributes = {key: _text(attributes[key]) for key in LAYER_TEXTS}
        of_layer |= {key: decode_texts(attributes[key]) for key in LAYER_LISTS}
        bound = attributes["m_bound"]
        header = LayerHeader(
            name,
            output_size=sizes[0],
            timesteps=sizes[1],
            widths=widths,
            gates=gates,
            facts=LayerFacts(name, m_bound=None if bound == NONE else float(bound), **of_facts),
            options=_decode_options(attributes, version),
            reads_input=bool(attributes["reads_input"]),
            initial_from=decode_texts(attributes.get(INITIAL_FROM, ())),
            initial_join=_text(attributes.get(INITIAL_JOIN, "")),
            initial_states=decode_texts(attributes.get(INITIAL_STATES, ())),
            initial_given=decode_texts(attributes.get(INITIAL_GIVEN, ())),
            projected=bool(attributes.get(PROJECTED, 0)),
            own_time=bool(attributes.get(OWN_TIME, 0)),
            evidence=_text(attributes.get(EVIDENCE, "")),
            **of_layer,
        )
        return schema_1.completed(header) if version < 2 else header
    except KeyError as error:
        raise TraceError(
            "The trace lacks an attribute of a layer.",
            where=f"layer {name}",
            expected=f"attribute {error.args[0]}",
            hint="was the file changed after rnnscope wrote it?",
        ) from error


def _decode_options(attributes: Attributes, version: int) -> dict[str, tuple[OptionValue, str]]:
    names = [
        key.removeprefix(OPTION).removesuffix(ORIGIN)
        for key in attributes
        if key.startswith(OPTION) and key.endswith(ORIGIN)
    ]
    values = {name: _plain(attributes.get(OPTION + name)) for name in names}
    if version < 2:
        values = {name: schema_1.option_value(name, value) for name, value in values.items()}
    return {name: (value, _text(attributes[OPTION + name + ORIGIN]))
            for name, value in values.items()}  # fmt: skip


def _encode(value: object) -> Any:
    """What h5py stores so that netCDF readers take it: numbers, text, lists of text."""
    if value is None:
        return NONE
    if isinstance(value, (bool, np.bool_)):
        return int(value)
    if isinstance(value, tuple):
        # An empty list has no netCDF type: it is stored as empty text.
        return [storable_text(item) for item in value] or ""
    return storable_text(value) if isinstance(value, str) else value


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def decode_texts(value: Any) -> tuple[str, ...]:
    """An attribute that is a list of texts; without empty ones, which stand for an empty list."""
    return tuple(_text(item) for item in np.atleast_1d(value) if _text(item))


def _plain(value: Any) -> OptionValue:
    if value is None:
        return None
    if isinstance(value, (bytes, str)):
        return _text(value)
    number: OptionValue = np.asarray(value).item()
    return number
