"""Which other confusions would make the same reference: what a case may fairly ask for.

`CONFUSIONS` lists everything that the judge's loop can confuse, with the values that people meet.
A case is fair if no other reading of as few confusions gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import numpy as np
from explaining.cases import CASES, Case
from explaining.confused_loop import run
from explaining.network_description import Array, Made
from explaining.references import GUISES
from explaining.small_models import Subject

APART = 1e-4
"""Of the largest value: more than rounding."""


def values_of(subject: Subject) -> dict[str, list[str]]:
    """Every confusion that can be made over a subject, and its values."""
    model = subject.model
    cell = model.levels[0][0]
    square = cell.kernel.shape == cell.recurrent.shape
    whole = cell.stored == "tf1" and not cell.gru
    found: dict[str, list[str]] = {
        "gate-order": [" ".join(order) for order in permutations(cell.order)],
        "transposed": ["recurrent kernel, gate by gate"] if cell.projection is None else [],
        "bias": ["none", "doubled"],
        "input-scale": ["factor 0.5", "factor 2, offset -0.3"],
        "activation": ["relu", "softsign", "linear", "sigmoid"],
        "recurrent-activation": ["sigmoid", "hard_sigmoid", "hard_sigmoid_keras3", "tanh"],
        "gate-clip": ["none", "0.6"],
        "reversed": ["whole", "within length"],
        "time-major": ["input", "input reshaped"],
        "shift": ["1 late", "1 early", "1 late (x)", "1 early (x)"],
        "dtype": ["float16 weights", "bfloat16 weights", "float16 states", "bfloat16 states"],
        "initial-state": ["ones", "0.5"],
        "state-carry": [
            "never", "reset every 3 steps", "reset every 5 steps", "kept from the sequence before"
        ],
    }  # fmt: skip
    found["gate-order"] += [
        f"{order} ({part})"
        for order in found["gate-order"][1:]
        for part in ("bias only", "kernels only")
    ]
    found["gate-order"] = [o for o in found["gate-order"] if o.replace(" ", "") != cell.order]
    found["transposed"] += ["both"] if whole else ["kernel", "recurrent kernel", "both"]
    if square or whole:
        found["kernel-rows"] = ["[m; x]"]
    if cell.recurrent_bias is not None:
        found["bias"] += ["input bias only", "recurrent bias only"]
    if cell.gru:
        found |= {"reset-after": ["false" if cell.reset_after else "true"]}
        found |= {"update-gate": ["1 - z"]}
    else:
        found |= {
            "forget-bias": ["0", "1", "2", "0.7", "0.35"],
            "output-activation": ["tanh", "relu", "softsign", "linear", "sigmoid"],
            "cell-clip": ["none", "0.5", "0.25"],
        }
        found["state-carry"] += ["c never", "m never"]
        if cell.projection is None:
            found["state-carry"].append("c and m swapped")
            found["state-order"] = ["c and m swapped"]
    if cell.peepholes:
        orders = [f"order {' '.join(order)}" for order in permutations("ifo")][1:]
        found["peepholes"] = ["ignored", *orders, "o sees the previous c"]
        found["peepholes"].append("o sees the unclipped c")
    if cell.projection is not None:
        found["projection"] = ["ignored", "transposed"]
        found["proj-clip"] = ["none", "0.05"]
    if len(model.levels) > 1:
        found["layer-order"] = ["2 1"]
    if len(model.levels[0]) > 1:
        found["directions"] = ["swapped"]
        found["turned-outputs"] = ["not turned"]
        found["reversed"].append("not reversed")
    if cell.backward:
        found["turned-outputs"] = ["turned"]
        found["reversed"].append("not reversed")
    if subject.lengths or model.masking:
        found["mask" if model.masking else "lengths"] = ["ignored"]
        found["mask"] = [*found.get("mask", ()), "zeroed" if model.masking else "held"]
        found["left-padding"] = ["true"]
        found["last-step"] = ["last of the array"]
    if subject.lengths:
        found["lengths"] += ["one less", "one more", "10, 10, 5"]
    if model.embedding is not None:
        found["embedding"] = ["ids + 1", "ids - 1", "ids clipped"]
        found.pop("input-scale")
    elif subject.x.shape[-1] == 3:
        orders3 = [" ".join(order) for order in permutations("012")]
        found["input-columns"] = orders3[1:]
    else:
        found["input-columns"] = ["1 0 3 2", "3 2 1 0"]
    if model.others:
        averages = "moving averages" in model.others
        found["variables" if averages else "checkpoint-step"] = list(model.others)
    return found


def readings(subject: Subject, size: int) -> Iterator[Made]:
    """Every way to confuse ``size`` things."""
    values = values_of(subject)
    for ids in combinations(values, size):
        yield from _valued(values, ids)


def _valued(values: dict[str, list[str]], ids: tuple[str, ...]) -> Iterator[Made]:
    if not ids:
        yield {}
        return
    for rest in _valued(values, ids[1:]):
        for value in values[ids[0]]:
            yield {ids[0]: value, **rest}


def flat(given: Any) -> dict[str, Array]:
    """The arrays of a reference by name."""
    if isinstance(given, Path):
        loaded = np.load(given)
        given = dict(loaded) if given.suffix == ".npz" else loaded
    if not isinstance(given, dict):
        return {"": given}
    return {
        f"{name}/{inner}".strip("/"): array
        for name, value in given.items()
        for inner, array in flat(value).items()
    }


def handed_over(subject: Subject, made: Made, guise: str, folder: Path) -> dict[str, Array]:
    """The arrays of the reference that someone makes who has confused `made`."""
    with np.errstate(over="ignore", invalid="ignore"):
        states = run(subject.model, subject.x, subject.lengths, made)
        return flat(GUISES[guise](subject, states, folder))


def distance(one: dict[str, Array], other: dict[str, Array]) -> float:
    """The largest difference beside the largest value; infinite where shapes differ."""
    if any(one[name].shape != other[name].shape for name in one):
        return np.inf
    largest = max(float(np.abs(array).max()) for array in one.values())
    worst = max(float(np.abs(array - other[name]).max()) for name, array in one.items())
    return worst / largest if np.isfinite(worst) else np.inf


def cases_of() -> dict[str, list[Case]]:
    """The cases of the matrix by subject."""
    found: dict[str, list[Case]] = {}
    for case in CASES:
        found.setdefault(case.subject, []).append(case)
    return found


def rivals(
    subject: Subject, cases: list[Case], sizes: tuple[int, ...], folder: Path
) -> Iterator[tuple[str, Made]]:
    """Cases, and other readings of at most as many confusions that give the same."""
    for case in cases:
        ours = handed_over(subject, case.made, case.guise, folder)
        for fewer in (less for count in range(len(case.made)) for less in parts(case.made, count)):
            if distance(ours, handed_over(subject, fewer, case.guise, folder)) < APART:
                yield case.name, fewer
    known = [(case, handed_over(subject, case.made, case.guise, folder)) for case in cases]
    for size in sizes:
        for made in readings(subject, size):
            with np.errstate(over="ignore", invalid="ignore"):
                states = run(subject.model, subject.x, subject.lengths, made)
            for case, ours in known:
                if size > len(case.made) or _same_reading(case, made):
                    continue
                if distance(ours, flat(GUISES[case.guise](subject, states, folder))) < APART:
                    yield case.name, dict(made)


def parts(made: Made, count: int) -> Iterator[Made]:
    """What has so many of the confusions that were made."""
    for ids in combinations(made, count):
        yield {name: made[name] for name in ids}


def _same_reading(case: Case, made: Made) -> bool:
    """The case's own, or one that it allows."""
    return set(made) == set(case.made) and all(
        made[name] == value or made[name] in case.allowed(name) for name, value in case.made.items()
    )
