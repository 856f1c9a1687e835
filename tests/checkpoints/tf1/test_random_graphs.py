"""Models drawn at random: every one is right, or refused by name; none is wrong in silence.

    python tests/checkpoints/tf1/test_random_graphs.py [--cases DIR] [--only GLOB] [--all] [--write]

prints what became of each kind. `tests/data/random_graphs/make.py` makes the models and says what
their truth is: the loop's own variables after every step, and what the loop returned.
"""

# ruff: noqa: T201  # run as a script, it prints its table
from __future__ import annotations

import argparse
import collections
import contextlib
import fnmatch
import json
import re
import sys
import tarfile
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import rnnscope
from rnnscope.errors import RnnscopeError, UnsupportedCellError

DATA = Path(__file__).parents[2] / "data" / "random_graphs"
ARCHIVE = DATA / "random_graphs.tar.xz"
MUST_BE_RIGHT = DATA / "must_be_right.txt"
PREFIX = re.compile(r"(?:fw_|bw_|enc_|dec_|low_|top_|one_|two_|other\d_|b\d_fw_|b\d_bw_)?(?:l\d_)?")
AXES = ("cell", "wrapper", "stack", "loop", "lengths", "start", "front", "behind")
LIMITS = {np.dtype("float32"): 5e-6, np.dtype("float64"): 1e-12}


@dataclass(frozen=True)
class Verdict:
    """What became of one model.

    Attributes
    ----------
    case : str
    outcome : str
        ``right``; ``part``, right as far as it goes, the rest named; ``refused`` by name;
        ``misfit``, refused for a reason that is not the model's; ``crash``; ``WRONG``.
    detail : str
    drawn : dict
        The description.
    """

    case: str
    outcome: str
    detail: str
    drawn: dict

    @property
    def unusual(self):
        """The axes that were drawn: {axis: value}."""
        return self.drawn["unusual"]


OUTCOMES = ("right", "part", "refused", "misfit", "crash", "WRONG")


def unpack(folder):
    """All cases, below the folder."""
    with tarfile.open(ARCHIVE) as archive:
        safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(folder, **safely)  # noqa: S202  # our own archive
    return folder


def judge(case):
    """Run one case, and compare everything that is known of it."""
    meta = json.loads((case / "meta.json").read_text())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trace = rnnscope.run(
                case / meta["targets"][0], str(case / "inputs.npz"), **_options(case, meta)
            )
    except UnsupportedCellError as error:
        outcome, detail = "refused", _said(error)
    except RnnscopeError as error:
        outcome, detail = "misfit", f"{type(error).__name__}: {_said(error)}"
    except Exception as error:  # noqa: BLE001  # what is no refusal is a fault, whatever it is
        outcome, detail = "crash", f"{type(error).__name__}: {error}"
    else:
        with trace:
            outcome, detail = _compare(case, meta, trace)
    return Verdict(case.name, outcome, " ".join(detail.split()), meta["drawn"])


def _options(case, meta):
    with np.load(case / "inputs.npz") as arrays:
        names = set(arrays.files)
    options = {"model_input": True} if "--model-input" in meta["flags"] else {}
    if "encoder_x" in names:
        options |= {"inputs": "encoder_x", "decoder_inputs": f"{case / 'inputs.npz'}::decoder_x"}
    return options


def _said(error):
    return str(error)


def _true_layers(path):
    """{prefix: {name: array}} of truth.npz; names are c, m, outputs, final_c, state_0 …."""
    layers = collections.defaultdict(dict)
    with np.load(path) as truth:
        for key in truth.files:
            prefix = PREFIX.match(key)[0]
            layers[prefix][key[len(prefix) :]] = truth[key]
    return dict(layers)


def _to_the_end(name, arrays, meta):
    """A true state of every step: a loop that computes its lengths ends with the longest one.

    TensorFlow recorded no more of it; past a length a state is the final one.
    """
    array, final = arrays[name], arrays.get(f"final_{name}")
    drawn = meta["drawn"]
    missing = drawn["steps"] - max(meta["lengths"] or [drawn["steps"]])
    ended = drawn["lengths"] == "computed" and final is not None and array.ndim == 3
    if not (ended and missing and array.shape[1] == drawn["steps"] - missing):
        return array
    return np.concatenate([array, np.repeat(final[:, None], missing, axis=1)], axis=1)


def _compare(case, meta, trace):
    """Outcome and detail of a run that was done."""
    truth = {
        prefix: {name: _to_the_end(name, arrays, meta) for name in arrays}
        for prefix, arrays in _true_layers(case / "truth.npz").items()
    }
    faults, gaps, found = [], [], set()
    for view in trace.layers.values():
        if not view.final:
            continue  # a join of two directions
        best = min(
            (_faults(view, arrays, meta), prefix)
            for prefix, arrays in truth.items()
            if prefix not in found or len(truth) == len(found)
        )
        (worst, wrong, missing), prefix = best
        found.add(prefix)
        faults += [f"{view.name} {what}" for what in wrong]
        gaps += [f"{prefix}{what} is not in {view.name}" for what in missing]
        del worst
    absent = sorted(prefix for prefix in set(truth) - found if not _held(trace, truth[prefix]))
    if faults:
        return "WRONG", "; ".join(faults[:3])
    if absent and not _named(trace, meta):
        return "WRONG", f"{', '.join(absent)}: not run, and nothing said"
    if absent or gaps:
        return "part", "; ".join([*(f"{name}: not run" for name in absent), *gaps][:3])
    return "right", ""


def _named(trace, meta):
    """Whether the report names a variable, or a scope of one, that no layer used."""
    used = {name for layer in trace.report.layers for name in layer.variables}
    said = str(trace.report)
    unused = [name for name in meta["variables"] if name not in used]
    return "Refused:" in said or any(
        name in said or str(Path(name).parent) in said for name in unused if "/" in name
    )


def _held(trace, truth):
    """Whether states are all in the trace, as further states of a layer that was evaluated."""
    limit = LIMITS[next(iter(truth.values())).dtype]
    every = [np.asarray(view._array(name)) for view in trace.layers.values() for name in view.final]
    return all(
        any(_gap(array, one) <= limit for one in every)
        for name, array in truth.items()
        if not name.startswith("final_") and name != "outputs"
    )


def _faults(view, truth, meta):
    """How far a layer is from a true one: (number of faults and size, faults, what is missing)."""
    readings = [truth]
    turned = {name: _turned(name, array, meta) for name, array in truth.items()}
    if meta["turned"]:
        readings.append(turned)
    if meta.get("counts_down"):
        readings.append({**turned, "outputs": truth["outputs"]})
    return min((_faults_of_reading(view, reading) for reading in readings), key=lambda row: row[0])


def _turned(name, array, meta):
    if array.ndim != 3 or name.startswith("final_"):
        return array
    lengths = meta["lengths"] or [array.shape[1]] * len(array)
    turned = array.copy()
    for row, length in enumerate(lengths):
        turned[row, :length] = array[row, :length][::-1]
    return turned


def _faults_of_reading(view, truth):
    limit = LIMITS[next(iter(truth.values())).dtype]
    states = {name: np.asarray(view._array(name)) for name in view.final}
    known = [array for name, array in truth.items() if not name.startswith("final_")]
    wrong, total = [], 0.0

    def expect(what, array, candidates):
        nonlocal total
        gap = min((_gap(one, array) for one in candidates), default=0.0)
        total += min(gap, 1e3)
        if not gap <= limit:
            wrong.append(f"{what} off by {gap:.2g}")

    further = any(name.startswith("attention") for name in truth)
    for name, array in states.items():
        if name in truth and not (name == "m" and further):
            expect(name, array, [truth[name]])
            expect(f"final {name}", np.asarray(view.final[name]), [truth["final_" + name]])
        elif name == "m" and "outputs" in truth and len(truth) > 3:
            # Of several states the graph calls none m: what it returns is that, held past lengths.
            counts = np.any(truth["outputs"] != 0, axis=-1)[..., None]
            kept = array * counts if array.shape == truth["outputs"].shape else array
            expect(name, kept, [truth["outputs"], *(one * counts for one in known)])
        elif name in ("c", "m"):
            expect(name, array, known)
    if "outputs" in truth:
        expect("outputs", np.asarray(view.outputs), [truth["outputs"]])
    missing = [
        name
        for name, array in truth.items()
        if not name.startswith("final_")
        and name != "outputs"
        and not any(_gap(array, one) <= limit for one in states.values())
    ]
    return (len(wrong), total), wrong, [] if wrong else missing


def _gap(true, got):
    """The largest difference, relative to the largest true value (at least 1)."""
    if true.shape != got.shape:
        return float("inf")
    if not true.size:
        return 0.0
    worst = np.max(np.abs(true.astype(np.float64) - got.astype(np.float64)))
    gap = float(worst / max(1.0, float(np.max(np.abs(true)))))
    return gap if gap == gap else float("inf")  # noqa: PLR0124  # a NaN is no number


def table(verdicts):
    """What became of each value of each axis, where it stood alone and where it did not."""
    lines = []
    for axis in AXES:
        rows = collections.defaultdict(lambda: [collections.Counter(), collections.Counter()])
        for verdict in verdicts:
            if axis in verdict.unusual:
                alone = len(verdict.unusual) == 1
                rows[verdict.unusual[axis]][0 if alone else 1][verdict.outcome] += 1
        lines += ["", f"{axis:34s} {'alone':10s} together"]
        lines += [
            f"  {value:32s} {_counted(alone):10s} {_counted(others)}"
            for value, (alone, others) in sorted(rows.items())
        ]
    lines += ["", _counted(collections.Counter(verdict.outcome for verdict in verdicts))]
    return "\n".join(lines)


def _counted(counter):
    return ", ".join(
        f"{counter[outcome]} {outcome}" if counter[outcome] > 1 or len(counter) > 1 else outcome
        for outcome in OUTCOMES
        if counter[outcome]
    )


def judge_all(folder, only="*"):
    """The verdict of every case of a folder."""
    cases = sorted(path.parent for path in folder.glob("*/meta.json"))
    return [
        judge(case) for case in cases if fnmatch.fnmatch(case.name, only) and not _ambiguous(case)
    ]


def _ambiguous(case):
    """Whether the input is what the layer receives, behind a front that keeps its width.

    An input that fits both the model and the layer is taken for the model's own, as a run says.
    """
    drawn = json.loads((case / "meta.json").read_text())["drawn"]
    # A state that is scaled between steps that stand in no loop of TensorFlow's may be noted before
    # or after that: rnnscope shows what the next step reads.
    between = drawn["loop"]["kind"] == "unrolled_state_scaled"
    return between or (drawn["fed"] == "layer" and drawn["front"] != "none")


def _listed(verdicts):
    return "\n".join(f"{one.case}: {one.outcome}, {one.detail[:200]}" for one in verdicts)


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """Of all models, run in this process."""
    return judge_all(unpack(tmp_path_factory.mktemp("random_graphs")))


@pytest.mark.slow
def test_nothing_is_wrong_in_silence(verdicts):
    wrong = [one for one in verdicts if one.outcome in ("WRONG", "crash")]
    assert not wrong, f"\n{_listed(wrong)}\n{table(verdicts)}"


@pytest.mark.slow
def test_what_was_right_stays_right(verdicts):
    """The list may only grow; a refusal by name is good, but not of these."""
    wanted = MUST_BE_RIGHT.read_text().split()
    lost = [one for one in verdicts if one.case in wanted and one.outcome != "right"]
    assert not lost, f"\n{_listed(lost)}\n{table(verdicts)}"
    assert {one.case for one in verdicts} >= set(wanted)


def test_a_changed_state_is_seen(tmp_path):
    """The comparison itself: one number of the truth changed makes a right case WRONG."""
    name = MUST_BE_RIGHT.read_text().split()[0]
    with tarfile.open(ARCHIVE) as archive:
        inside = [item for item in archive.getmembers() if item.name.startswith(name + "/")]
        safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(tmp_path, inside, **safely)  # noqa: S202  # our own archive
    case = tmp_path / name
    assert judge(case).outcome == "right"
    with np.load(case / "truth.npz") as truth:
        arrays = dict(truth)
    for changed in arrays:
        other = {key: values.copy() for key, values in arrays.items()}
        other[changed].flat[-1] += 1e-3
        np.savez(case / "truth.npz", **other)
        assert judge(case).outcome == "WRONG", changed


def main():
    """Print what became of each model, and of each kind."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=Path, help="unpacked cases, in place of the archive")
    parser.add_argument("--only", default="*", help="glob over case names")
    parser.add_argument("--all", action="store_true", help="list the right ones, too")
    parser.add_argument("--write", action="store_true", help="what is right now must stay so")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = options.cases or unpack(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        verdicts = judge_all(folder, options.only)
    shown = [one for one in verdicts if options.all or one.outcome != "right"]
    print(_listed(sorted(shown, key=lambda one: OUTCOMES.index(one.outcome))))
    print(table(verdicts))
    if options.write:
        right = [one.case for one in verdicts if one.outcome == "right"]
        MUST_BE_RIGHT.write_text("\n".join(right) + "\n")
    return 1 if any(one.outcome in ("WRONG", "crash") for one in verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
