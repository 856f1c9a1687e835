"""The corpus: some two hundred descriptions of cases, each made special by what engines get wrong.

The table is written by hand: a family is what people call a feature, and its cases are those values
and combinations at which real engines were found wrong. Numbers come from a seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

from rnnscope.conforming.building import Description, build
from rnnscope.conforming.case import Case

DEFAULT_SEED = 0
CELLS = ("lstm", "gru", "rnn")
DIRECTIONS = ("forward", "reverse", "bidirectional")
CLIP = 0.375
"""A bound that every dtype, and ONNX's float attribute, holds exactly, as all constants here."""

Row = tuple[str, dict[str, Any]]

SIZES: tuple[Row, ...] = (
    ("units-1", {"units": 1}),
    ("units-3", {}),
    ("units-16", {"units": 16, "features": 16}),
    ("units-128", {"units": 128, "features": 5, "steps": 3}),
    ("units-129", {"units": 129, "features": 5, "steps": 3}),
    ("units-512", {"units": 512, "features": 3, "sequences": 2, "steps": 3}),
    ("features-1", {"features": 1}),
    ("features-129", {"features": 129}),
    ("batch-1", {"sequences": 1}),
    ("batch-9", {"sequences": 9}),
    ("steps-1", {"steps": 1}),
    ("steps-1-batch-1-units-1", {"steps": 1, "sequences": 1, "units": 1, "features": 1}),
    ("steps-40", {"steps": 40}),
)
"""128 and 129 are at the edge of a block of threads, 512 is several of them."""

DTYPES: tuple[Row, ...] = tuple(
    (f"{dtype}{name}", {"dtype": dtype, **more})
    for dtype in ("float16", "float32", "float64")
    for name, more in (
        ("", {}),
        ("-units-129", {"units": 129, "steps": 3}),
        ("-lengths-bidirectional", {"lengths": (5, 2, 3), "direction": "bidirectional"}),
        ("-steps-40-initial", {"steps": 40, "initial": True}),
    )
)

LENGTHS: tuple[Row, ...] = (
    *(
        (f"{name}-{direction}", {"lengths": lengths, "direction": direction, **more})
        for direction in DIRECTIONS
        for name, lengths, more in (
            ("full", (5, 5, 5), {}),
            ("mixed", (5, 2, 4), {}),
            ("rising", (1, 3, 5), {"initial": True}),
            ("ones", (1, 1, 1), {}),
            ("with-0", (4, 0, 5), {}),
            ("with-0-initial", (4, 0, 5), {"initial": True}),
        )
    ),
    ("shorter-than-x", {"lengths": (3, 2, 1), "initial": True}),
    ("all-0-initial", {"lengths": (0, 0, 0), "initial": True}),
    ("batch-1", {"lengths": (3,), "sequences": 1}),
)

DIRECTION_ROWS: tuple[Row, ...] = (
    ("reverse", {"direction": "reverse"}),
    ("reverse-initial", {"direction": "reverse", "initial": True}),
    ("bidirectional", {"direction": "bidirectional"}),
    ("bidirectional-initial", {"direction": "bidirectional", "initial": True}),
    ("bidirectional-batch-1", {"direction": "bidirectional", "sequences": 1}),
    ("bidirectional-units-129", {"direction": "bidirectional", "units": 129, "steps": 3}),
)

START: tuple[Row, ...] = (
    ("given", {"initial": True}),
    ("given-batch-1", {"initial": True, "sequences": 1}),
    ("given-steps-1", {"initial": True, "steps": 1}),
    ("given-units-129", {"initial": True, "units": 129, "steps": 2}),
)

TIME_FIRST: tuple[Row, ...] = tuple(
    (f"time-first{name}", {"layout": "time first", **more})
    for name, more in (
        ("", {}),
        ("-initial", {"initial": True}),
        ("-bidirectional", {"direction": "bidirectional", "initial": True}),
        ("-lengths", {"lengths": (5, 2, 4)}),
    )
)

BIASES: tuple[Row, ...] = (
    ("none", {"biased": False}),
    ("none-batch-4-initial", {"biased": False, "sequences": 4, "initial": True}),
)

GATES = ("relu", "hard_sigmoid", "hard_sigmoid(0.25,0.5)", "hard_sigmoid_keras3")
ACTIVATIONS = (
    "relu", "softsign", "elu", "softplus", "linear", "leaky_relu(0.125)", "elu(0.5)",
    "scaled_tanh(0.5,1.25)", "affine(0.75,0.125)", "thresholded_relu(0.25)",
)  # fmt: skip


def _slug(activation: str) -> str:
    return activation.replace("(", "-").replace(")", "").replace(",", "-")


def _options(**options: Any) -> dict[str, Any]:
    return {"options": options}


def _activations(cell: str) -> Iterator[Row]:
    for name in ACTIVATIONS:
        both = {"output_activation": name} if cell == "lstm" else {}
        yield _slug(name), _options(activation=name, **both)
    if cell != "rnn":
        for name in GATES[1:]:
            yield f"gates-{_slug(name)}", _options(recurrent_activation=name)
    two = {"direction": "bidirectional"}
    yield "bidirectional-relu", two | _options(activation="relu")
    if cell == "lstm":
        three = {"recurrent_activation": "hard_sigmoid(0.25,0.5)", "output_activation": "relu"}
        yield "three-different", _options(activation="softsign", **three)
        yield "output-alone", _options(output_activation="elu")
        yield "candidate-alone", _options(activation="elu")


PEEPHOLES: tuple[Row, ...] = (
    ("plain", {}),
    ("initial", {"initial": True}),
    ("lengths", {"lengths": (5, 2, 4)}),
    ("bidirectional", {"direction": "bidirectional", "initial": True}),
    ("units-129", {"units": 129, "steps": 3}),
    ("coupled", _options(coupled=True)),
    ("cell-clip", _options(cell_clip=CLIP)),
)

PROJECTIONS: tuple[Row, ...] = (
    ("to-1", {"projection": 1}),
    ("to-2", {"projection": 2}),
    ("to-2-initial", {"projection": 2, "initial": True}),
    ("to-2-lengths", {"projection": 2, "lengths": (5, 2, 4)}),
    ("to-2-bidirectional", {"projection": 2, "direction": "bidirectional", "initial": True}),
    ("to-70-units-129", {"projection": 70, "units": 129, "steps": 3}),
    ("wider-than-units", {"projection": 5}),
    ("float64", {"projection": 2, "dtype": "float64"}),
    ("clipped", {"projection": 2, **_options(proj_clip=0.125)}),
)

LSTM_ALONE: tuple[tuple[str, tuple[Row, ...]], ...] = (
    ("peepholes", tuple((name, {"peepholes": True, **more}) for name, more in PEEPHOLES)),
    ("projection", PROJECTIONS),
    ("clip", (
        # Two steps from zero: |c| < 2 · sigmoid(1) · tanh(1), which is within 1.25.
        ("c-within", {"steps": 2} | _options(gate_clip=1.25)),
        ("c-beyond", {"initial": True} | _options(gate_clip=CLIP)),
        ("c-beyond-lengths", {"initial": True, "lengths": (5, 2, 4)} | _options(gate_clip=CLIP)),
        ("c-beyond-peepholes", {"initial": True, "peepholes": True} | _options(gate_clip=CLIP)),
    )),
    ("cell-clip", (
        ("plain", {"initial": True} | _options(cell_clip=CLIP)),
        ("units-129", {"units": 129, "steps": 3} | _options(cell_clip=0.0625)),
    )),
    ("forget-bias", (
        ("1", _options(forget_bias=1.0)),
        ("1-initial", {"initial": True} | _options(forget_bias=1.0)),
    )),
    ("coupled", (
        ("plain", _options(coupled=True)),
        ("initial", {"initial": True} | _options(coupled=True)),
        ("bidirectional", {"direction": "bidirectional"} | _options(coupled=True)),
    )),
)  # fmt: skip

CLIPPED: tuple[Row, ...] = (
    ("plain", _options(gate_clip=CLIP)),
    ("bidirectional-initial",
     {"direction": "bidirectional", "initial": True} | _options(gate_clip=CLIP)),
)  # fmt: skip


def _families(cell: str) -> Iterator[tuple[str, Sequence[Row]]]:
    yield "sizes", SIZES
    yield "dtypes", DTYPES
    yield "lengths", LENGTHS
    yield "directions", DIRECTION_ROWS
    yield "initial", START
    yield "layout", TIME_FIRST
    yield "bias", BIASES
    yield "activations", tuple(_activations(cell))
    if cell == "lstm":
        yield from LSTM_ALONE
    else:
        yield "clip", CLIPPED


RESET_AFTER = {
    "sizes", "dtypes", "lengths", "directions", "initial", "layout", "bias", "clip",
}  # fmt: skip
"""Families that a GRU is tried in with its reset gate behind the product, too: every other case."""


def _rows(cell: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for family, rows in _families(cell):
        kept = rows if cell == "lstm" or family not in ("dtypes", "lengths") else _thinned(rows)
        for number, (name, special) in enumerate(kept):
            after = cell == "gru" and family in RESET_AFTER and number % 2
            options = {**special.get("options", {}), **({"reset_after": True} if after else {})}
            yield family, f"{name}-reset-after" if after else name, {**special, "options": options}


def _thinned(rows: Sequence[Row]) -> list[Row]:
    """Two of three: what holds for time and lengths is mostly the same code in every cell."""
    return [row for number, row in enumerate(rows) if number % 3 != 1]


def descriptions(only: str = "*") -> Iterator[Description]:
    """What is special about each case whose name the pattern fits, in the order of the table."""
    for cell in CELLS:
        for family, name, special in _rows(cell):
            whole = f"{cell}/{family}/{name}"
            if fnmatchcase(whole, only) or fnmatchcase(f"{cell}/{family}", only):
                yield Description(whole, **special)


def cases(seed: int = DEFAULT_SEED, only: str = "*") -> Iterator[Case]:
    """The cases whose name or family the pattern fits, made one at a time.

    Parameters
    ----------
    seed : int
        Other seeds have other numbers; names, sizes and options stay.
    only : str
        A pattern as of a shell: ``"lstm/lengths*"``.
    """
    for described in descriptions(only):
        yield build(described, seed)
