"""The names and rules of the trace's HDF5 schema. FORMAT.md is the same in words."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import datetime, timezone

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.states import LayerFacts

SCHEMA = "rnnscope-trace"
SCHEMA_VERSION = 2

SEQUENCE, TIMESTEP, UNIT, OUTPUT = "sequence", "timestep", "unit", "output"
"""Dimensions, in the order of an array's axes."""

INPUT_TIMESTEP = "input_timestep"
"""The root's time dimension where layers have other numbers of steps than the input."""

STEP = "step"
"""The dimension of a ragged trace in place of sequence and timestep."""

LENGTHS, MASK, INPUT_STEPS, OFFSETS = "lengths", "mask", "input_steps", "offsets"
RESETS, RESET_STATE = "resets", "returns_to"
"""Steps before which the state is reset, and the attribute that says what it returns to."""
OUTPUTS, GATES, INITIAL, FINAL = "outputs", "gates", "initial", "final"
INPUTS, INPUT = "inputs", "input"
"""What a decoder with a loop function read, and the dimension of its width."""
POOLED = "pooled"
PARTS = "parts"
"""The table of a trace whose values are in files beside it."""
STATE_M = "m"

DTYPES = ("float32", "float64")

RESERVED = frozenset(
    {SEQUENCE, TIMESTEP, STEP, UNIT, OUTPUT, INPUT_TIMESTEP, LENGTHS, MASK, INPUT_STEPS, OFFSETS}
    | {RESETS}
    | {"zarr.json", ".zgroup", ".zarray", ".zattrs", ".zmetadata"}  # zarr's own files
    | {OUTPUTS, GATES, INITIAL, FINAL, INPUTS, INPUT, POOLED, PARTS, "c", "m"}
)
"""Names that a part of a layer's group never has."""

GROUP_SUFFIX = "_layer"
MAX_NAME = 200
"""Bytes in one part of a group's name; netCDF allows 256."""

MAX_EPOCH_DIGITS = 11
"""Of SOURCE_DATE_EPOCH: up to the year 5138."""

OptionValue = float | int | str | bool | None


def time_of_creation() -> str:
    """Now, or the time that builds which must be the same each time are given.

    References
    ----------
    https://reproducible-builds.org/specs/source-date-epoch/
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    now = datetime.now(timezone.utc)
    if epoch.isascii() and epoch.isdigit() and len(epoch) <= MAX_EPOCH_DIGITS:
        now = datetime.fromtimestamp(int(epoch), timezone.utc)
    return now.isoformat(timespec="seconds")


@dataclass(frozen=True)
class TraceHeader:
    """Where a trace comes from: the attributes of its root.

    Attributes
    ----------
    command : str
        The command line, or the function, that made it.
    recipe : str
        The run as JSON (`rnnscope.record.recipes.recipe`); empty in traces of schema 1.
    checkpoint, checkpoint_format, checkpoint_sha256, framework : str
        Name, reader, digest over its files, and who wrote it as far as it tells.
    input, input_sha256 : str
        Name and digest of the input file.
    decoder_input, decoder_input_sha256 : str
        Of the decoder inputs, if there were any.
    engine : str
        The engines that computed the states, by name.
    rnnscope_version : str
    created : str
        UTC, ISO 8601; the time of SOURCE_DATE_EPOCH where that is set.
    notes : tuple of str
        What reader and input had to assume, one sentence each.
    """

    command: str = ""
    recipe: str = ""
    checkpoint: str = ""
    checkpoint_format: str = ""
    checkpoint_sha256: str = ""
    framework: str = ""
    input: str = ""
    input_sha256: str = ""
    decoder_input: str = ""
    decoder_input_sha256: str = ""
    engine: str = ""
    rnnscope_version: str = ""
    created: str = field(default_factory=time_of_creation)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class LayerHeader:
    """What a trace says of a layer beside its arrays.

    Attributes
    ----------
    name : str
        As the checkpoint gives it; unique in the trace.
    output_size : int
        Width of ``outputs``.
    widths : mapping of str to int
        Width of each state, ``{"c": 12, "m": 7}``. Empty for a layer that only has outputs, such
        as the merge of a bidirectional pair.
    dtype : str
        ``"float32"`` or ``"float64"``.
    timesteps : int or None
        None: as many as the input has.
    gates : tuple of str
        The gates that are stored, ``("i", "f", "g", "o")`` or none.
    facts : LayerFacts or None
        None: those of a plain layer of that name.
    options : mapping of str to (value, origin)
        Values are numbers, text, booleans or None (stored as ``"none"``).
    source_class, stored_gate_order, wiring : str
    variables, inputs : tuple of str
        Stored variables that the weights come from; layers or model inputs that feed this one.
    reads_input : bool
        True if the layer is fed the run's own input, so that ``input_steps`` tells about it.
    outputs_are_m : bool
        True if the outputs of every step are m, padding too, bit for bit: they are then stored
        once. `LayerFacts.outputs_are_m` says less, that m is what padding is applied to.
    initial_from : tuple of str
        Layers whose final states this one starts from.
    initial_join : str
        How several become one initial state: ``"concat"`` or ``"sum"``; else empty.
    initial_states : tuple of str
        The states that come from there, ``("c", "m")``.
    initial_given : tuple of str
        The states that were given with the input.
    projected : bool
        True if a projection stands between the cell's output and m.
    own_time : bool
        True for a decoder: its timesteps are not the input's, even where they are as many, and
        the run's lengths and mask say nothing of it.
    evidence : str
        How it is known that this is what the layer computes, in words.
    input_size : int or None
        Width of ``inputs``, the x of every step, where the layer's own outputs made them.
    """

    name: str
    output_size: int
    widths: Mapping[str, int] = field(default_factory=dict)
    dtype: str = "float32"
    timesteps: int | None = None
    gates: tuple[str, ...] = ()
    facts: LayerFacts | None = None
    options: Mapping[str, tuple[OptionValue, str]] = field(default_factory=dict)
    source_class: str = ""
    stored_gate_order: str = ""
    wiring: str = ""
    variables: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    reads_input: bool = False
    outputs_are_m: bool = False
    initial_from: tuple[str, ...] = ()
    initial_join: str = ""
    initial_states: tuple[str, ...] = ()
    initial_given: tuple[str, ...] = ()
    projected: bool = False
    own_time: bool = False
    input_size: int | None = None
    evidence: str = ""

    @property
    def known_facts(self) -> LayerFacts:
        return self.facts or LayerFacts(self.name)

    @property
    def unit_size(self) -> int | None:
        """Width of c, and of the gates: num_units. A cell without c has it in m."""
        return self.widths.get("c", self.widths.get("m"))

    def dimensions(self) -> dict[str, int]:
        """The layer's own dimensions and their sizes."""
        own = {OUTPUT: self.output_size}
        if self.unit_size is not None:
            own[UNIT] = self.unit_size
        for state, width in self.widths.items():
            own.setdefault(self.state_dimension(state), width)
        if self.input_size is not None:
            own[INPUT] = self.input_size
        return own

    def state_dimension(self, state: str) -> str:
        """The dimension of a state's width: unit for c, output for m where they are as wide."""
        width = self.widths[state]
        if state != "c" and width == self.output_size:
            return OUTPUT
        return UNIT if width == self.unit_size else f"{state}_{UNIT}"


def group_paths(names: Iterable[str]) -> dict[str, str]:
    """The group of each layer: its name, with slashes as nested groups, where that can be.

    ``_layer`` is appended to a part that is a reserved name, empty, ``.`` or ``..``; and to the
    whole where another layer has that group, or has a group inside it. xarray could not open one
    layer inside another: their dimensions have the same names and other sizes.
    """
    wanted = {name: "/".join(_group_part(part) for part in name.split("/")) for name in names}
    taken: dict[str, str] = {}
    # Longest first, so that the outer layer, not the inner one, gives way.
    for name in sorted(wanted, key=lambda name: (-len(wanted[name]), name)):
        path = wanted[name]
        while any(f"{other}/".startswith(f"{path}/") for other in taken.values()):
            path += GROUP_SUFFIX
        taken[name] = path
    return {name: taken[name] for name in wanted}


def _group_part(part: str) -> str:
    clean = re.sub(r"[\x00-\x1f\x7f\\]", "_", storable_text(part))
    clean = clean.encode()[:MAX_NAME].decode("utf-8", "ignore").rstrip(" ")
    return clean + GROUP_SUFFIX if clean in RESERVED or clean.strip(".") == "" else clean


def storable_text(text: str) -> str:
    """Text as HDF5 can hold it: UTF-8 without NUL and lone surrogates."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
