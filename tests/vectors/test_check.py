"""``check --vectors``: what is first wrong, what is missing, and which reading explains it."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from vectors.models import as_lists, computed, program
from vectors.mutants import MUTANTS
from vectors.port import Gru, Lstm, run_case

import rnnscope
from rnnscope.errors import InputError


@pytest.fixture
def right(written):
    folder, document = written("torch")
    return folder, as_lists(computed(document, program(document, "torch", Lstm)))


def readings(found):
    return [[(one.id, one.value) for one in each.reading] for each in found.agreed]


def test_parts_of_it_are_enough_and_what_is_missing_is_said(right):
    folder, theirs = right
    part = {"cases": [{"name": case["name"], "expected": {"outputs": case["expected"]["outputs"]}}
                      for case in theirs["cases"][1:]]}  # fmt: skip
    found = rnnscope.check_vectors(folder, part)
    assert found.status == "pass"
    first, second, *_ = found.cases
    assert (first.status, first.compared) == ("skip", ())
    assert (second.status, second.compared) == ("pass", ("outputs",))
    assert second.missing == ("i", "f", "g", "o", "c", "m", "final/c", "final/m")
    text = str(found)
    assert "right, as far as there is something" in text
    assert f"{first.name}: all of it" in text


def test_final_states_alone_tell_of_the_last_step(right):
    folder, theirs = right
    part = {"cases": [{"name": case["name"], "final": case["final"]} for case in theirs["cases"]]}
    assert rnnscope.check_vectors(folder, part).status == "pass"
    part["cases"][1]["final"]["m"][2][1] += 0.01
    found = rnnscope.check_vectors(folder, part, budget=0)
    first = found.cases[1].first_wrong
    assert (first.array, first.sequence, first.timestep, first.unit) == ("final/m", 2, -1, 1)


def test_the_earliest_step_counts_and_then_the_order_of_computing(right):
    folder, theirs = right
    case = theirs["cases"][1]["expected"]
    case["outputs"][0][3][0] += 0.1
    case["c"][1][4][2] += 0.1
    case["g"][2][4][1] += 0.1
    case["f"][0][11][0] += 0.1
    found = rnnscope.check_vectors(folder, theirs, budget=0)
    checked = found.cases[1]
    first = checked.first_wrong
    assert (first.array, first.sequence, first.timestep, first.unit) == ("outputs", 0, 3, 0)
    assert checked.wrong == ("f", "g", "c", "outputs")
    case["outputs"][0][3][0] -= 0.1
    first = rnnscope.check_vectors(folder, theirs, budget=0).cases[1].first_wrong
    assert (first.array, first.sequence, first.timestep, first.unit) == ("g", 2, 4, 1)
    assert first.got - first.expected == pytest.approx(0.1)
    assert first.tolerances > 1000


def test_the_limit_is_where_it_is_said_to_be(right, written):
    folder, theirs = right
    _, document = written("torch")
    limit = document["cases"][1]["limits"]["c"]
    truth = np.array(document["cases"][1]["expected"]["c"])
    for factor, status in ((0.99, "pass"), (1.01, "fail"), (np.nan, "fail"), (np.inf, "fail")):
        theirs["cases"][1]["expected"]["c"] = (truth + factor * limit).tolist()
        found = rnnscope.check_vectors(folder, theirs, budget=0)
        assert found.status == status
    assert found.render("json")  # infinite differences have their words


def test_gates_past_the_length_mean_nothing_and_states_do(right):
    folder, theirs = right
    row = theirs["cases"][1]["expected"]
    row["f"][2][15] = [9.0] * 5
    assert rnnscope.check_vectors(folder, theirs, budget=0).status == "pass"
    row["c"][2][15] = [9.0] * 5
    first = rnnscope.check_vectors(folder, theirs, budget=0).cases[1].first_wrong
    assert (first.array, first.timestep) == ("c", 15)


def test_arrays_of_another_shape_are_wrong_and_explained(written):
    folder, document = written("torch")
    theirs = computed(document, program(document, "torch", Lstm))
    for case in theirs["cases"]:
        outputs = case["expected"]["outputs"].swapaxes(0, 1)
        case["expected"] = {"outputs": outputs}
        del case["final"]
    found = rnnscope.check_vectors(folder, theirs, budget=5)
    assert found.status == "fail"
    assert found.cases[0].misshapen == ("outputs is 5 x 2 x 5, expected 2 x 5 x 5",)
    assert found.cases[0].first_wrong is None


NAMED = {
    "the blocks of g and o exchanged": [("gate-order", "i f o g")],
    "bias_hh forgotten": [("bias", "input bias only")],
    "the state before the first step ignored": [("initial-state", "zeros")],
    "the peephole of o sees the previous c": [("peepholes", "o sees the previous c")],
    "lengths one too small": [("lengths", "one less")],
    "the last output of the array taken for the final m": [("last-step", "last of the array")],
    "z and 1 - z exchanged": [("update-gate", "1 - z")],
}


@pytest.mark.parametrize("name", NAMED)
def test_a_slip_is_named(name, written):
    mutant = MUTANTS[name]
    folder, document = written(mutant.model)
    made = program(document, mutant.model, mutant.port, mutant.layer)
    found = rnnscope.check_vectors(folder, computed(document, made, mutant.layer), budget=8)
    assert readings(found) == [NAMED[name]]
    assert found.agreed[0].advice
    assert "what to change" in str(found)
    # The update gate itself was right: only what was made of it gives the reading.
    left_aside = [note for note in found.notes if "left aside" in note]
    assert bool(left_aside) == (name == "z and 1 - z exchanged")


def test_layers_in_another_order_show_in_the_whole_alone(written):
    folder, document = written("torch, stack")
    ports = [program(document, "torch, stack", Lstm, number) for number in (0, 1)]
    theirs = {"cases": []}
    for number in (0, 1):
        theirs["cases"] += computed(document, ports[number], number)["cases"]
    names = [layer["name"] for layer in document["layers"]]
    for case in document["cases"]:
        if case["layer"] is None:
            layers, x = {}, case["x"]
            for name, port in zip(names, ports[::-1], strict=True):
                made = run_case(port, {**case, "x": x, "name": ""})
                layers[name] = {"expected": made["expected"], "final": made["final"]}
                x = made["expected"]["outputs"]
            theirs["cases"].append(
                {"name": case["name"], "expected": {"outputs": x}, "layers": layers}
            )
    found = rnnscope.check_vectors(folder, theirs, budget=60)
    wrong = [case for case in found.cases if case.status == "fail"]
    assert {case.layer for case in wrong} == {""}
    assert (wrong[0].first_wrong.layer, wrong[0].first_wrong.array) == (names[0], "i")
    assert readings(found) == [[("layer-order", "2 1")]]


def test_what_no_reading_gives_says_what_agrees(written):
    class Odd(Gru):
        def mix(self, z, m, n):
            return z * m + (1 - z) * n * n

    folder, document = written("torch, gru")
    theirs = computed(document, program(document, "torch, gru", Odd))
    found = rnnscope.check_vectors(folder, theirs, budget=2)
    assert found.agreed == ()
    assert {one.verdict for one in found.explained} <= {"none", "not asked"}
    assert "gates/" in str(found)
    first = found.cases[0].first_wrong
    assert (first.array, first.timestep) == ("m", 0)


def test_named_arrays_in_files_and_in_memory(right, tmp_path):
    folder, theirs = right
    arrays = {
        f"{case['name']}/{'expected/' if group == 'expected' else 'final/'}{name}": np.array(a)
        for case in theirs["cases"]
        for group in ("expected", "final")
        for name, a in case[group].items()
    }
    np.savez(tmp_path / "theirs.npz", **arrays, unknown=np.zeros(3))
    found = rnnscope.check_vectors(folder, tmp_path / "theirs.npz")
    assert found.status == "pass"
    assert all(not case.missing for case in found.cases)
    assert found.notes == ("not read, since no case has it: unknown",)
    short = {name.replace("expected/", ""): a for name, a in arrays.items()}
    assert rnnscope.check_vectors(folder, short).cases == found.cases


def test_every_file_of_the_folder_passes_itself(written):
    for model in ("torch, both directions", "tf1, everything"):
        folder, _ = written(model)
        for name in ("vectors.json", "vectors.npz", "vectors.safetensors"):
            found = rnnscope.check_vectors(folder, folder / name)
            assert found.status == "pass", name
            assert all(not case.missing for case in found.cases)


def test_the_checkpoint_is_found_or_asked_for_and_must_be_the_same(right, tmp_path):
    folder, theirs = right
    theirs["cases"][0]["expected"]["m"][0][0][0] += 0.5
    moved = tmp_path / "elsewhere" / "v"
    shutil.copytree(folder, moved)
    found = rnnscope.check_vectors(moved, theirs, budget=1)
    assert found.status == "fail"
    assert found.explained == ()
    assert found.notes[0].startswith(
        "not explained: the checkpoint 'model.safetensors' is not here"
    )
    given = rnnscope.check_vectors(
        moved, theirs, budget=1, checkpoint=folder.parent / "model.safetensors"
    )
    assert given.explained[0].case == found.cases[0].name
    data = bytearray((folder.parent / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (moved.parent / "model.safetensors").write_bytes(data)
    assert rnnscope.check_vectors(moved, theirs, budget=1).explained == ()
    with pytest.raises(InputError, match="not the one of the vectors"):
        rnnscope.check_vectors(
            moved, theirs, budget=1, checkpoint=moved.parent / "model.safetensors"
        )


def test_vectors_that_ask_for_code_to_be_run_are_refused(right, tmp_path):
    folder, theirs = right
    shutil.copytree(folder, tmp_path / "v")
    document = json.loads((folder / "vectors.json").read_text())
    document["model"]["options"] = {"trust_model": True}
    (tmp_path / "v/vectors.json").write_text(json.dumps(document))
    theirs["cases"][0]["expected"]["m"][0][0][0] += 0.5
    with pytest.raises(rnnscope.RnnscopeError, match="lets the model's own code run"):
        rnnscope.check_vectors(tmp_path / "v", theirs)


DAMAGE = {
    "no JSON": lambda text: text[:-40],
    "another schema": lambda text: text.replace("rnnscope-vectors", "other"),
    "a later version": lambda text: text.replace('"schema_version": 1', '"schema_version": 2'),
    "no cases": lambda text: text.replace('"cases"', '"case"'),
    "no limit": lambda text: text.replace('"limits"', '"limit"'),
    "ragged": lambda text: text.replace('"lengths": [5, 5]', '"lengths": [5]'),
    "a layer that is not there": lambda text: text.replace('"layer": "rnn/l0"', '"layer": "x"'),
    "no numbers": lambda text: text.replace('"x": [[[', '"x": [[["a", '),
    "an array": lambda text: "[1, 2]",
}


@pytest.mark.parametrize("how", DAMAGE)
def test_damaged_vectors_are_refused(how, right, tmp_path):
    folder, theirs = right
    text = (folder / "vectors.json").read_text()
    damaged = DAMAGE[how](text)
    assert damaged != text
    (tmp_path / "vectors.json").write_text(damaged)
    with pytest.raises(InputError):
        rnnscope.check_vectors(tmp_path, theirs, budget=0)


@pytest.mark.parametrize(
    "theirs",
    [{"cases": []}, {"cases": [{"name": "nobody", "expected": {"c": [[[1.0]]]}}]}, {"cases": 3},
     {"cases": [{"name": "rnn_l0-1", "expected": {"c": [[1.0], [1.0, 2.0]]}}]},
     {"cases": [{"name": "rnn_l0-1", "expected": {"c": "text"}}]}],
)  # fmt: skip
def test_what_is_no_answer_is_refused(theirs, right):
    folder, _ = right
    with pytest.raises(InputError):
        rnnscope.check_vectors(folder, theirs)


def test_the_command(right, tmp_path, rnnscope, monkeypatch):
    folder, theirs = right
    monkeypatch.chdir(tmp_path)
    (tmp_path / "right.json").write_text(json.dumps(theirs))
    done = rnnscope("check", "--vectors", folder, "right.json")
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.startswith(f"verdict    {len(theirs['cases'])} cases right\n")
    assert rnnscope("check", "--vectors", folder, "right.json", "-q").stdout == ""
    theirs["cases"][0]["expected"]["f"][0][2][1] += 0.5
    (tmp_path / "wrong.json").write_text(json.dumps(theirs))
    line = ("check", "--vectors", folder, "wrong.json", "--explain-budget", "0")
    done = rnnscope(*line, "-q")
    assert (done.code, done.stderr) == (1, "")
    assert "rnn_l0-1: f of rnn/l0, sequence 0, timestep 2, unit 1: expected " in done.stdout
    assert rnnscope(*line, "--format", "markdown").stdout.startswith(
        "### rnnscope check --vectors: 1 of"
    )
    told = json.loads(rnnscope(*line, "--format", "json").stdout)
    assert (told["report"], told["status"]) == ("vectors-check", "fail")
    assert told["cases"][0]["first_wrong"]["array"] == "f"
    for more in (["--only", "finite"], ["--format", "junit"], ["again.json"], ["--golden", "x"],
                 ["--recompute"], ["--suite", "s.toml"], ["--atol", "1"]):  # fmt: skip
        done = rnnscope(*line, *more)
        assert done.code == 2
        assert "--vectors" in done.stderr
    assert rnnscope("check", "--vectors", folder).code == 2
    assert rnnscope("check", "--vectors", tmp_path, "wrong.json").code == 2
    assert rnnscope("check", "--vectors", folder, "nothing.json").code == 2


def test_the_command_that_writes(right, tmp_path, rnnscope):
    folder, _ = right
    model = folder.parent / "model.safetensors"
    done = rnnscope("vectors", model, "-o", tmp_path / "v", "--steps", "8", "--no-header")
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.startswith(f"wrote       {tmp_path / 'v'} (")
    assert "that explain knows differ by 100 tolerances or more" in " ".join(done.stdout.split())
    again = rnnscope("vectors", model, "-o", tmp_path / "v")
    assert (again.code, again.stdout) == (2, "")
    assert "The folder of vectors exists already." in again.stderr
    told = rnnscope("vectors", model, "-o", tmp_path / "v", "-f", "--format", "json")
    document = json.loads(told.stdout)
    assert document["report"] == "vectors"
    assert [case["name"] for case in document["cases"]][:2] == ["rnn_l0-1", "rnn_l0-2"]
    assert rnnscope("vectors", model).code == 2
    assert rnnscope("vectors", model, "-o", "-").code == 2
