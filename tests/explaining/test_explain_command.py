"""``rnnscope explain`` as somebody uses it whose numbers differ, and who does not know why."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from explaining.real_cases import draw, program, save_safetensors, torch_weights

import rnnscope
from rnnscope.testing import assert_states_close

UNITS, FEATURES = 4, 3
NAMES = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """A model of torch, its input, its trace, and what a port says that reads i o f g."""
    folder = tmp_path_factory.mktemp("port")
    weights = torch_weights(1, FEATURES, UNITS)
    arrays = dict(zip((f"rnn.{name}" for name in NAMES), weights, strict=True))
    model = save_safetensors(folder / "model.safetensors", arrays)
    (x,) = draw(2, (2, 6, FEATURES))
    np.save(folder / "x.npy", x)
    w_ih, w_hh, b_ih, b_hh = weights

    def save(name, blocks):
        rows = [program(one, w_ih, w_hh, b_ih + b_hh, blocks) for one in x]
        states = {key: np.stack([row[key] for row in rows]) for key in "cm"}
        np.savez(folder / name, **states)
        return folder / name

    trace = rnnscope.run(model, folder / "x.npy", output=folder / "trace.h5")
    trace.close()
    return SimpleNamespace(
        folder=folder,
        model=model,
        x=folder / "x.npy",
        wrong=save("port.npz", "iofg"),
        right=save("right.npz", "ifgo"),
        trace=folder / "trace.h5",
    )


@pytest.fixture(scope="module")
def strange(port):
    """States that no reading of the model gives."""
    (c, m) = draw(3, (2, 6, UNITS), (2, 6, UNITS))
    path = port.folder / "strange.npz"
    np.savez(path, c=c, m=np.tanh(m))
    return path


READING = [{"id": "gate-order", "value": "i o f g"}]


def test_a_checkpoint_an_input_and_a_reference(rnnscope, port):
    done = rnnscope("explain", port.model, port.x, port.wrong)
    assert (done.code, done.stderr) == (0, "")
    said = " ".join(done.stdout.split())
    assert "gate-order" in said or "gate order" in said
    assert "i o f g" in said
    assert "weight_ih" in said
    assert "rnnscope run " in said


def test_a_trace_says_the_rest(rnnscope, port):
    done = rnnscope("explain", port.trace, port.wrong, "--format", "json")
    assert (done.code, done.stderr) == (0, "")
    assert json.loads(done.stdout)["fits"][0]["reading"] == READING


def test_json_and_python_say_the_same(rnnscope, port):
    import rnnscope as package

    done = rnnscope("explain", port.model, port.x, port.wrong, "--format", "json")
    told = json.loads(done.stdout)
    assert (told["report"], told["schema_version"], told["verdict"]) == ("explain", 1, "one")
    assert told["separating_input"] is None
    (fit,) = told["fits"]
    assert fit["reading"] == READING
    assert 0 <= fit["error"] < 1e-5
    in_python = package.explain(port.model, port.x, port.wrong).to_dict()
    assert in_python["verdict"] == "one"
    assert in_python["fits"] == told["fits"]


def test_numbers_that_do_not_differ_are_explained_by_nothing(rnnscope, port):
    """One reading fits, and it is that of rnnscope itself: an empty list of deviations."""
    done = rnnscope("explain", port.model, port.x, port.right, "--format", "json")
    told = json.loads(done.stdout)
    assert (done.code, told["verdict"], told["fits"][0]["reading"]) == (0, "one", [])


def test_markdown(rnnscope, port):
    done = rnnscope("explain", port.model, port.x, port.wrong, "--format", "markdown")
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.startswith("### rnnscope explain: ")
    assert "i o f g" in done.stdout
    assert any(line.startswith("|") for line in done.stdout.splitlines())


@pytest.mark.parametrize(
    ("suffix", "name"), [(".txt", "text"), (".json", "json"), (".md", "markdown"), ("", "json")]
)
def test_a_report_in_a_file(rnnscope, port, tmp_path, suffix, name):
    """Its suffix says what it is; where that says nothing, --format does."""
    path = tmp_path / f"report{suffix}"
    flags = () if suffix else ("--format", name)
    done = rnnscope("explain", port.trace, port.wrong, *flags, "-o", path)
    assert (done.code, done.stderr) == (0, "")
    text = path.read_text("utf-8")
    assert "i o f g" in text
    assert {"json": text.startswith("{"), "markdown": text.startswith("### ")}.get(name, True)
    if name == "json":
        assert json.loads(text)["fits"][0]["reading"] == READING
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_explanation_leaves_the_old_report(rnnscope, port, tmp_path):
    path = tmp_path / "report.txt"
    path.write_text("old", "utf-8")
    done = rnnscope("explain", port.trace, tmp_path / "none.npz", "-o", path)
    assert (done.code, path.read_text("utf-8")) == (2, "old")
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_fits(rnnscope, port, strange):
    done = rnnscope("explain", port.model, port.x, strange, "--budget", 1, "--format", "json")
    told = json.loads(done.stdout)
    assert (done.code, done.stderr, told["verdict"], told["fits"]) == (1, "", "none", [])
    assert told["nearest"]


def test_several_fit_and_an_input_tells_them_apart(rnnscope, port, tmp_path):
    """One step of zeros: kernels play no part, so that only the bias shows an order of gates."""
    x = np.zeros((2, 1, FEATURES), np.float32)
    np.save(tmp_path / "x.npy", x)
    w_ih, w_hh, b_ih, b_hh = torch_weights(1, FEATURES, UNITS)
    rows = [program(one, w_ih, w_hh, b_ih + b_hh, "iofg") for one in x]
    states = {key: np.stack([row[key] for row in rows]) for key in "cm"}
    np.savez(tmp_path / "short.npz", **states)
    separate = tmp_path / "separating.npy"
    arguments = (port.model, tmp_path / "x.npy", tmp_path / "short.npz")
    done = rnnscope("explain", *arguments, "--separate", separate, "--format", "json")
    told = json.loads(done.stdout)
    assert (done.code, done.stderr, told["verdict"]) == (1, "", "several")
    assert {fit["reading"][0]["value"] for fit in told["fits"]} >= {
        "i o f g", "i o f g (bias only)"
    }  # fmt: skip
    assert told["separating_input"] == str(separate)
    made = np.load(separate)
    assert (made.ndim, made.shape[2]) == (3, FEATURES)
    # Over it the port's numbers are those of one reading.
    rows = [program(one, w_ih, w_hh, b_ih + b_hh, "iofg") for one in made.astype(np.float32)]
    states = {key: np.stack([row[key] for row in rows]) for key in "cm"}
    np.savez(tmp_path / "more.npz", **states)
    done = rnnscope("explain", port.model, separate, tmp_path / "more.npz", "--format", "json")
    assert [fit["reading"] for fit in json.loads(done.stdout)["fits"]] == [READING]
    assert done.code == 0


def test_options_of_a_run(rnnscope, port, tmp_path):
    """The lengths of the run are part of what is asked."""
    with np.load(port.wrong) as file:
        held = {name: file[name].copy() for name in "cm"}
    held["c"][1, 4:] = held["m"][1, 4:] = 0
    np.savez(tmp_path / "padded.npz", **held, lengths=np.array([6, 4]))
    arguments = ("explain", port.model, port.x, tmp_path / "padded.npz", "--format", "json")
    done = rnnscope(*arguments, "--lengths", "6,4")
    told = json.loads(done.stdout)
    assert (done.code, [fit["reading"] for fit in told["fits"]]) == (0, [READING])


def test_what_diff_calls_the_same_needs_no_explanation(rnnscope, port, tmp_path):
    """Zeros past the length are what diff does not compare; so they are nothing to be explained."""
    with np.load(port.right) as file:
        held = {name: file[name].copy() for name in "cm"}
    held["c"][1, 4:] = held["m"][1, 4:] = 0
    np.savez(tmp_path / "padded.npz", **held, lengths=np.array([6, 4]))
    trace = tmp_path / "trace.h5"
    given = (port.model, port.x, "--lengths", "6,4")
    assert rnnscope("run", *given, "-o", trace, "--quiet").code == 0
    assert rnnscope("diff", trace, tmp_path / "padded.npz").code == 0
    done = rnnscope("explain", trace, tmp_path / "padded.npz", "--format", "json")
    assert [fit["reading"] for fit in json.loads(done.stdout)["fits"]] == [[]]
    assert done.code == 0


# What a newcomer gets wrong


def said_in_an_error(done):
    """An error has its parts, and nothing is on stdout."""
    assert (done.code, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_file_that_is_not_there(rnnscope, port, missing):
    arguments = [port.model, port.x, port.wrong]
    arguments[missing] = port.folder / "gone.npz"
    assert "gone.npz" in said_in_an_error(rnnscope("explain", *arguments))


def test_a_checkpoint_without_an_input(rnnscope, port):
    """Two arguments are a trace and a reference; this one is no trace."""
    words = said_in_an_error(rnnscope("explain", port.model, port.wrong))
    assert "A model is explained over an input, and none is given." in words


def test_no_arguments_at_all(rnnscope):
    said_in_an_error(rnnscope("explain"))


def test_a_reference_of_another_width(rnnscope, port, tmp_path):
    np.savez(tmp_path / "wide.npz", c=np.ones((2, 6, 5)), m=np.ones((2, 6, 5)))
    words = said_in_an_error(rnnscope("explain", port.model, port.x, tmp_path / "wide.npz"))
    assert "5" in words
    assert str(UNITS) in words
    # Final states of every timestep, which a misreading may have, are none of the model's results.
    assert f"final/c (2, {UNITS})" in words


def test_a_reference_with_nan(rnnscope, port, tmp_path):
    with np.load(port.wrong) as file:
        held = {name: file[name].copy() for name in "cm"}
    held["c"][1, 3, 2] = np.nan
    np.savez(tmp_path / "nan.npz", **held)
    words = said_in_an_error(rnnscope("explain", port.model, port.x, tmp_path / "nan.npz"))
    assert "nan" in words.lower()


def test_an_input_of_another_width(rnnscope, port, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((2, 6, FEATURES + 2), np.float32))
    said_in_an_error(rnnscope("explain", port.model, tmp_path / "x.npy", port.wrong))


@pytest.mark.parametrize("budget", ["0", "-1", "soon", "nan"])
def test_a_budget_of_no_time(rnnscope, port, budget):
    words = said_in_an_error(rnnscope("explain", port.trace, port.wrong, "--budget", budget))
    assert "budget" in words


def test_a_trace_that_holds_no_recipe(rnnscope, port, tmp_path):
    path = tmp_path / "bare.h5"
    shutil.copyfile(port.trace, path)
    with h5py.File(path, "r+") as file:
        del file.attrs["recipe"]
    said_in_an_error(rnnscope("explain", path, port.wrong))


def test_a_trace_whose_checkpoint_is_gone(rnnscope, port, tmp_path):
    model = shutil.copyfile(port.model, tmp_path / "model.safetensors")
    trace = tmp_path / "trace.h5"
    assert rnnscope("run", model, port.x, "-o", trace, "--quiet").code == 0
    model.unlink()
    words = said_in_an_error(rnnscope("explain", trace, port.wrong))
    assert "model.safetensors" in words


# How it looks


@pytest.fixture(scope="module")
def explanations(port, strange):
    one = rnnscope.explain(port.model, port.x, port.wrong)
    return {"one": one, "none": rnnscope.explain(port.model, port.x, strange, budget=1)}


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize("verdict", ["one", "none"])
def test_no_line_is_longer_than_the_terminal_is_wide(explanations, verdict, width):
    """A command, which must stay in one piece to be copied, is the one exception."""
    text = explanations[verdict].render("text", width=width, color=False)
    longest = [line for line in text.splitlines() if len(line) > width]
    assert [line for line in longest if "rnnscope " not in line] == []
    assert "…" not in text


@pytest.mark.parametrize("width", [60, 80, 100])
def test_nothing_is_cut_off(explanations, width):
    """What JSON says is there at every width, words in the same order."""
    found = explanations["one"].to_dict()
    text = "".join(explanations["one"].render("text", width=width, color=False).split())
    (fit,) = found["fits"]
    for words in (fit["advice"], *(value for one in fit["reading"] for value in one.values())):
        assert "".join(words.split()) in text


@pytest.mark.parametrize("width", [60, 80, 100])
def test_the_command_can_be_copied(explanations, width):
    """In one line, or in lines that the shell joins."""
    text = explanations["one"].render("text", width=width, color=False)
    joined = re.sub(r" *\\\n *", " ", text)
    assert explanations["one"].to_dict()["fits"][0]["command"] in joined


@pytest.mark.parametrize(
    ("name", "cut"),
    [
        ("time-major", lambda m: m.transpose(1, 0, 2)),
        ("the first sequence", lambda m: m[0]),
        ("the second sequence", lambda m: m[1]),
        ("a late beginning", lambda m: m[:, 2:]),
        ("an early end", lambda m: m[:, :4]),
        ("the final state", lambda m: m[:, -1]),
        ("the final state of one sequence", lambda m: m[0, -1]),
        ("three digits", lambda m: np.round(m, 3)),
        ("float16", lambda m: m.astype(np.float16)),
        ("flat rows", lambda m: m.reshape(2, -1)),
        ("flat", lambda m: m[0].reshape(-1)),
    ],
)
def test_what_people_have_of_the_states(port, tmp_path, name, cut):
    """Nameless arrays, as ports print them: they are read as what they can be."""
    with np.load(port.wrong) as file:
        np.save(tmp_path / "m.npy", cut(file["m"]))
    found = rnnscope.explain(port.model, port.x, tmp_path / "m.npy").to_dict()
    assert [fit["reading"] for fit in found["fits"]] == [READING]


@pytest.mark.parametrize("form", ["keras", "names", "torch"])
def test_final_states_of_a_framework(port, tmp_path, form):
    """H and c of two sequences are not two steps of one."""
    with np.load(port.wrong) as file:
        c, h = file["c"][:, -1], file["m"][:, -1]
    np.savez(tmp_path / "hc.npz", h=h, c=c)
    given = {"keras": [h, c], "names": tmp_path / "hc.npz", "torch": (h[None], c[None])}[form]
    found = rnnscope.explain(port.model, port.x, given).to_dict()
    assert [fit["reading"] for fit in found["fits"]] == [READING]


def test_the_command_that_it_prints_gives_the_numbers_of_the_reference(rnnscope, port, tmp_path):
    """Where a run can say it: here by a forget bias that the other side adds and torch does not."""
    w_ih, w_hh, b_ih, b_hh = (np.asarray(array) for array in torch_weights(1, FEATURES, UNITS))
    bias = b_ih + b_hh
    bias[UNITS : 2 * UNITS] += 1
    rows = [program(one, w_ih, w_hh, bias) for one in np.load(port.x)]
    np.savez(tmp_path / "biased.npz", **{key: np.stack([row[key] for row in rows]) for key in "cm"})
    done = rnnscope("explain", port.model, port.x, tmp_path / "biased.npz", "--format", "json")
    (fit,) = json.loads(done.stdout)["fits"]
    assert fit["reading"] == [{"id": "forget-bias", "value": "1"}]
    words = fit["command"].split()
    assert words[:2] == ["rnnscope", "run"]
    if "-o" in words:
        words[words.index("-o") + 1] = str(tmp_path / "out.h5")
    else:
        words += ["-o", str(tmp_path / "out.h5")]
    done = rnnscope(*words[1:])
    assert (done.code, done.stderr) == (0, "")
    assert rnnscope("diff", tmp_path / "out.h5", tmp_path / "biased.npz").code == 0


# Who sends people there


def test_a_diff_that_finds_differences_ends_with_the_command_to_run(rnnscope, port):
    done = rnnscope("diff", port.trace, port.wrong)
    assert done.code == 1
    assert f"rnnscope explain {port.trace} {port.wrong}" in " ".join(done.stdout.split())
    turned = rnnscope("diff", port.wrong, port.trace)
    assert f"rnnscope explain {port.trace} {port.wrong}" in " ".join(turned.stdout.split())


def test_a_diff_has_nothing_to_add_where_nothing_differs_or_no_model_is_at_hand(rnnscope, port):
    same = rnnscope("diff", port.trace, port.right)
    assert (same.code, "explain" in same.stdout) == (0, False)
    bare = rnnscope("diff", port.right, port.wrong)
    assert (bare.code, "explain" in bare.stdout) == (1, False)


def proposed(rnnscope, *words):
    """What a diff that finds differences sends people to: the words of a command, or none."""
    done = rnnscope("diff", *words, "--format", "json")
    assert done.code == 1
    return shlex.split(json.loads(done.stdout)["explain"])[1:]


def refused(rnnscope, trace, reference):
    done = rnnscope("explain", trace, reference)
    return done.code == 2


def test_a_part_of_a_trace_is_what_is_explained_and_never_what_explains(rnnscope, port, tmp_path):
    recorded = ("run", port.model, port.x, "-o", tmp_path / "t.h5", "-q")
    for part in ("1/2", "2/2"):
        assert rnnscope(*recorded, "--part", part).code == 0
    first, second = sorted((tmp_path / "t.h5.parts").iterdir())
    assert refused(rnnscope, first, port.trace)
    for sides in ((first, port.trace), (port.trace, first)):
        words = proposed(rnnscope, *sides)
        assert words == ["explain", str(port.trace), str(first)]
        assert rnnscope(*words).code in (0, 1)
    assert proposed(rnnscope, first, second) == []


@pytest.mark.parametrize("what", ["resets", "an array in memory", "a checkpoint that is gone"])
def test_a_diff_does_not_propose_what_explain_refuses(rnnscope, port, tmp_path, what):
    import rnnscope as package

    x, model = np.load(port.x), tmp_path / "model.safetensors"
    model.write_bytes(port.model.read_bytes())
    np.savez(tmp_path / "x.npz", x=x)
    np.savez(tmp_path / "resets.npz", x=x, resets=np.ones(x.shape[:2], bool))
    given = {"resets": tmp_path / "resets.npz", "an array in memory": x}
    ours = tmp_path / "ours.h5"
    package.run(model, given.get(what, tmp_path / "x.npz"), output=ours).close()
    if "gone" in what:
        model.unlink()
    assert refused(rnnscope, ours, port.wrong)
    assert proposed(rnnscope, ours, port.wrong) == []
    assert package.diff(ours, port.wrong).explain == ""


def test_what_was_said_of_the_reference_is_said_again(rnnscope, port, tmp_path):
    theirs = tmp_path / "m.npy"
    with np.load(port.wrong) as wrong:
        np.save(theirs, wrong["m"])
    words = proposed(rnnscope, theirs, port.trace, "--a-format", "single:m")
    assert words == ["explain", str(port.trace), str(theirs), "--reference-format", "single:m"]
    assert rnnscope(*words).code == 0


def test_python_is_shown_a_call(port):
    import rnnscope as package

    found = package.diff(port.trace, port.wrong)
    assert found.explain == f'rnnscope.explain("{port.trace}", "{port.wrong}")'


def test_an_assertion_that_fails_says_the_explanation(port):
    with pytest.raises(AssertionError) as caught:
        assert_states_close(port.trace, port.wrong)
    message = str(caught.value)
    assert message.startswith("states differ: ")
    assert "i o f g" in message
    assert "weight_ih" in message
    with pytest.raises(AssertionError, match="i o f g"):
        assert_states_close(port.wrong, port.trace)


def test_an_assertion_without_a_recipe_says_what_it_always_said(port):
    with pytest.raises(AssertionError) as caught:
        assert_states_close(port.right, port.wrong)
    assert "i o f g" not in str(caught.value)


def test_an_assertion_claims_nothing_that_is_not_so(port, strange):
    with pytest.raises(AssertionError) as caught:
        assert_states_close(port.trace, strange)
    assert "gate-order" not in str(caught.value)
