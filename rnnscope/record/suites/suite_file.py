"""A suite of cases, read from TOML: what is run, which checks are done, what is golden.

Keys that are not known are errors: a misspelt ``limit`` would otherwise let everything pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from glob import glob
from pathlib import Path
from typing import Any

from rnnscope.checks.settings import CheckSettings, limit_value
from rnnscope.comparing.tolerance import Tolerances, make_tolerances
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import OptionError
from rnnscope.files.guarding.limits import require_inside
from rnnscope.files.remote.addresses import as_address, is_address
from rnnscope.options import RUN_OPTIONS
from rnnscope.oracles.verifiers import VERIFIERS
from rnnscope.record.recipes.recipe import Recipe, refuse_addresses
from rnnscope.record.suites.document import check_keys, check_names, parse_suite, texts

CASE_KEYS = {
    "name": str, "checkpoint": (str, list), "input": str, "run": dict, "checks": dict,
    "limits": dict, "recompute": bool, "verify": str, "golden": str, "tolerances": dict,
}  # fmt: skip
"""Keys of a case and the types of their values."""

CHECKS_KEYS = {"only": list, "skip": list, "layers": list}
TOLERANCE_KEYS = {
    "atol": (int, float, dict), "rtol": (int, float, dict), "exact": bool, "ulp": int,
    "equal_nan": bool,
}  # fmt: skip
RUN_KEYS = tuple(option.name for option in RUN_OPTIONS if option.in_suites)
"""Keys of a case's ``run``: the options of a run, except what only a person may say
and what a key of the case itself says. An option of a
layer may be a table: ``forget_bias = {"encoder/*" = 1.0}``."""

TOP_KEYS = {"case": list, "defaults": dict}
STEM, NAME = "{stem}", "{name}"


@dataclass(frozen=True)
class Case:
    """One checkpoint and input of a suite; a glob over checkpoints makes several.

    Attributes
    ----------
    name : str
    recipe : Recipe
    settings : CheckSettings
    recompute : bool
        Do the checks that compute the run again.
    verify : str or None
    golden : Path or None
    tolerances : Tolerances
    """

    name: str
    recipe: Recipe
    settings: CheckSettings = field(default_factory=CheckSettings)
    recompute: bool = False
    verify: str | None = None
    golden: Path | None = None
    tolerances: Tolerances = field(default_factory=Tolerances)


def read_suite(path: Path) -> list[Case]:
    """The cases of a suite file; paths in it are relative to its folder.

    Raises
    ------
    OptionError
        It is no TOML, a key or value is not understood, or a glob fits nothing; it says where.
    """
    document = parse_suite(path)
    check_keys(document, TOP_KEYS, str(path))
    defaults = document.get("defaults", {})
    check_keys(defaults, {**CASE_KEYS}, f"{path}, [defaults]")
    cases: list[Case] = []
    for number, given in enumerate(document.get("case", [])):
        where = f"{path}, case {number + 1}"
        if not isinstance(given, dict):
            raise OptionError("A case is a table: [[case]].", where=where, found=given)
        if "name" in given:
            where = f"{path}, case '{given['name']}'"
        check_keys(given, CASE_KEYS, where)
        cases += _cases(_merged(defaults, given), path.parent, where, number)
    if not cases:
        raise OptionError("The suite has no case.", where=path, expected="[[case]]")
    _refuse_twins(cases, path)
    return cases


def _merged(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A case with the defaults' keys where it has none; tables are merged key by key."""
    merged = dict(defaults)
    for key, value in given.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = {**merged[key], **value}
        else:
            merged[key] = value
    return merged


def _cases(given: dict[str, Any], folder: Path, where: str, number: int) -> list[Case]:
    for key in ("checkpoint", "input"):
        if key not in given:
            raise OptionError(f"A case needs '{key}'.", where=where)
    check_keys(given.get("checks", {}), CHECKS_KEYS, f"{where}, checks")
    check_keys(given.get("tolerances", {}), TOLERANCE_KEYS, f"{where}, tolerances")
    check_names(given.get("run", {}), RUN_KEYS, f"{where}, run")
    verify = given.get("verify")
    if verify is not None and verify not in VERIFIERS:
        raise OptionError("The suite verifies with an unknown engine.", where=where,
                          expected=", ".join(VERIFIERS), found=verify)  # fmt: skip
    checkpoints = _checkpoints(given["checkpoint"], folder, where)
    name = given.get("name", f"case {number + 1}")
    golden = given.get("golden")
    if golden and len(checkpoints) > 1 and STEM not in golden:
        raise OptionError(
            "Several checkpoints cannot share one golden trace.",
            where=where,
            expected=f"{STEM} in the path of the golden trace, for the checkpoint's name",
            found=f"{golden} for {len(checkpoints)} checkpoints",
        )
    if golden:
        require_inside(folder / golden, folder, where, OptionError)
    settings = CheckSettings(
        **{key: texts(value, key, where) for key, value in given.get("checks", {}).items()},
        limits={check: limit_value(check, value, f"{where}, limits")
                for check, value in given.get("limits", {}).items()},
    )  # fmt: skip
    settings.ids()
    tolerances = make_tolerances(
        **given.get("tolerances", {}), called=_called, where=f"{where}, tolerances"
    )
    recipe = Recipe.make(
        "",
        _in_folder(folder, given["input"]),
        where=where,
        called=_called,
        **given.get("run", {}),
    )
    recipe = recipe.relative_to(folder)
    for checkpoint in checkpoints:
        refuse_addresses(recipe.reading(checkpoint), where)
    stems = _stems(checkpoints)
    return [
        Case(
            name=f"{name} [{stem}]" if len(checkpoints) > 1 else name,
            recipe=recipe.reading(checkpoint),
            settings=settings,
            recompute=given.get("recompute", False),
            verify=verify,
            golden=folder / golden.replace(STEM, stem) if golden else None,
            tolerances=tolerances,
        )
        for checkpoint, stem in zip(checkpoints, stems, strict=True)
    ]


def _called(option: str) -> str:
    """What messages call an option of a suite."""
    return f"The suite's '{option}'"


def _checkpoints(patterns: Any, folder: Path, where: str) -> list[Path]:
    found: dict[Path, None] = {}
    several = [patterns] if isinstance(patterns, str) else texts(patterns, "checkpoint", where)
    for pattern in several:
        if is_address(pattern):
            found[as_address(pattern)] = None
            continue
        # A checkpoint's name may be a prefix of files, which is not there itself.
        if not any(mark in pattern for mark in "*?["):
            found[folder / pattern] = None
            continue
        # Path.glob refuses absolute patterns.
        found_here = glob(pattern, root_dir=folder)  # noqa: PTH207
        matches = [folder / match for match in sorted(found_here)]
        if not matches:
            raise OptionError(
                "No checkpoint fits the suite's glob.",
                where=where,
                found=pattern,
                hint="a TensorFlow 1 checkpoint is named by its .index file, or by its folder",
            )
        found |= dict.fromkeys(matches)
    return list(found)


def _stems(checkpoints: list[Path]) -> list[str]:
    """A short name for each checkpoint: its own, or with its folder where those are alike."""
    stems = [path.stem for path in checkpoints]
    if len(set(stems)) < len(stems):
        stems = [f"{path.parent.name}-{path.stem}" for path in checkpoints]
    return stems


def _in_folder(folder: Path, spec: str) -> str:
    """A path (with ``::KEY``) relative to the suite's folder."""
    return spec if is_address(spec) else str(folder / spec)


def _refuse_twins(cases: Iterable[Case], path: Path) -> None:
    seen: set[str] = set()
    for case in cases:
        if case.name in seen:
            raise OptionError("Two cases of the suite have one name.", where=path, found=case.name)
        seen.add(case.name)
