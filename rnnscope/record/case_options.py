"""The options of ``rnnscope run`` as a suite writes them, and a run with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnnscope.errors import OptionError
from rnnscope.run.overrides import Given, LayerOptions

NUMBERS = (int, float)
INPUT_KEYS: dict[str, Any] = {
    "lengths": (str, list), "mask": str, "offsets": str, "inputs": str, "ids": bool,
    "time_major": bool, "initial_c": str, "initial_m": str,
}  # fmt: skip
PLAN_KEYS: dict[str, Any] = {
    "model_input": bool, "layers": list, "feed": list, "after": list, "embedding": str,
}  # fmt: skip
LAYER_KEYS: dict[str, Any] = {
    "forget_bias": (*NUMBERS, dict), "activation": (str, dict),
    "recurrent_activation": (str, dict), "cell_clip": (*NUMBERS, str, dict),
    "proj_clip": (*NUMBERS, str, dict), "cell": (str, dict), "padding": (str, dict),
    "go_backwards": bool,
}  # fmt: skip
OTHER_KEYS: dict[str, Any] = {"gates": bool, "engine": str, "layout": str, "override": bool}

RUN_KEYS = {**INPUT_KEYS, **PLAN_KEYS, **LAYER_KEYS, **OTHER_KEYS}
"""Keys of a case's ``run`` and the types of their values: the flags of ``rnnscope run``, with _
for -. An option of a layer may be a table: ``forget_bias = {"encoder/*" = 1.0}``."""

FILE_KEYS = ("mask", "offsets", "initial_c", "initial_m")


@dataclass(frozen=True)
class RunOptions:
    """How a case is run.

    Attributes
    ----------
    input, plan : mapping
        Keyword arguments of `open_input` and `plan_run`.
    layers : LayerOptions
    gates, override : bool
    engine : str
    layout : str or None
    """

    input: Mapping[str, Any] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)
    layers: LayerOptions = field(default_factory=LayerOptions)
    gates: bool = False
    override: bool = False
    engine: str = "auto"
    layout: str | None = None


def run_options(given: Mapping[str, Any], folder: Path, where: str) -> RunOptions:
    """A case's ``run`` table, its keys and types known to be right, as options.

    Raises
    ------
    OptionError
        A value is none of those that its flag takes.
    """
    from rnnscope.checkpoints.npz import LAYOUTS
    from rnnscope.engines.choose import ENGINES
    from rnnscope.model.cells.classes import CELL_CLASSES

    choices = {"engine": ENGINES, "layout": LAYOUTS, "cell": CELL_CLASSES,
               "padding": ("zeros", "hold", "none")}  # fmt: skip
    layers: dict[str, Given] = {}
    for key in LAYER_KEYS.keys() & given.keys() - {"go_backwards"}:
        value = given[key]
        by_layer = value if isinstance(value, dict) else {"*": value}
        pairs = [(layer, _layer_value(key, one, choices, where)) for layer, one in by_layer.items()]
        layers[key] = Given(tuple(pairs))
    if given.get("go_backwards"):
        layers["backward"] = Given((("*", True),))
    other = {key: given[key] for key in OTHER_KEYS if key in given}
    for key in ("engine", "layout"):
        if key in other:
            _one_of(key, other[key], choices, where)
    plan = {key: given[key] for key in PLAN_KEYS if key in given}
    return RunOptions(_input(given, folder), plan, LayerOptions(**layers), **other)


def _input(given: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    found = {key: given[key] for key in INPUT_KEYS if key in given}
    if isinstance(found.get("lengths"), list):
        found["lengths"] = ",".join(str(length) for length in found["lengths"])
    for key in (*FILE_KEYS, "lengths"):
        if key in found and (folder / found[key].partition("::")[0]).is_file():
            found[key] = str(folder / found[key])
    if "inputs" in found:
        found["inputs_key"] = found.pop("inputs")
    initial = {key: found.pop(key) for key in ("initial_c", "initial_m") if key in found}
    return {**found, "initial": initial}


def _layer_value(key: str, value: Any, choices: Mapping[str, Any], where: str) -> Any:
    if key in ("cell_clip", "proj_clip"):
        if value == "none":
            return None
        if isinstance(value, NUMBERS) and not isinstance(value, bool) and value > 0:
            return float(value)
        raise OptionError(f"The suite's '{key}' is not to be understood.", where=where,
                          expected='a number above 0, or "none"', found=repr(value))  # fmt: skip
    if key == "forget_bias":
        if isinstance(value, NUMBERS) and not isinstance(value, bool):
            return float(value)
        raise OptionError("The suite's 'forget_bias' is no number.", where=where, found=repr(value))
    if key in choices:
        _one_of(key, value, choices, where)
    return value


def _one_of(key: str, value: Any, choices: Mapping[str, Any], where: str) -> None:
    if value not in choices[key]:
        raise OptionError(
            f"The suite's '{key}' is not to be understood.",
            where=where,
            expected=f"one of {', '.join(choices[key])}",
            found=repr(value),
        )
