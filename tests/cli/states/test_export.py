"""``rnnscope export`` from the command line, and back through ``rnnscope diff``."""

from __future__ import annotations

import numpy as np
import pytest

from rnnscope.states import STATE_FORMAT_MODULES

NOT_ONE_FORWARD_LAYER = {"keras-bidirectional"}
OUTS = {"trace": "out.h5", "lstmvis": "out", "single": "out.npy"}


@pytest.fixture(scope="module")
def trace(small, tmp_path_factory):
    from rnnscope.cli.main import run

    path = tmp_path_factory.mktemp("trace") / "trace.h5"
    arguments = ["run", small.prefix, small.inputs, "-o", path, "--gates", "--quiet"]
    assert run([str(argument) for argument in arguments]) == 0
    return path


@pytest.mark.parametrize(
    "name", [n for n in STATE_FORMAT_MODULES if n not in NOT_ONE_FORWARD_LAYER]
)
def test_export_then_diff_is_0(rnnscope, trace, tmp_path, name):
    out = tmp_path / OUTS.get(name, "out.npz")
    done = rnnscope("export", trace, "--to", name, "-o", out)
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.startswith(f"wrote {out} ({name}")
    assert "not held: " in done.stdout
    compared = rnnscope("diff", trace, out, "--exact")
    assert compared.code == 0, compared.stdout + compared.stderr


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".safetensors", ".json", ""])
def test_every_container(rnnscope, trace, tmp_path, suffix):
    out = tmp_path / f"out{suffix}"
    assert rnnscope("export", trace, "--to", "npz", "-o", out).code == 0
    done = rnnscope("diff", trace, out, "--exact")
    assert done.code == 0, done.stdout + done.stderr
    assert "gates/i" in done.stdout


def test_final_states(rnnscope, small, trace, tmp_path):
    out = tmp_path / "out.npz"
    done = rnnscope("export", trace, "--to", "tuple", "--steps", "final", "-o", out)
    assert done.code == 0
    with np.load(out) as held:
        np.testing.assert_allclose(held["c"], small.final_c, atol=1e-6)
        np.testing.assert_allclose(held["h"], small.final_m, atol=1e-6)


def test_nothing_is_replaced_without_force(rnnscope, trace, tmp_path):
    out = tmp_path / "out.npz"
    assert rnnscope("export", trace, "--to", "keras", "-o", out).code == 0
    before = out.read_bytes()
    done = rnnscope("export", trace, "--to", "keras", "-o", out)
    assert (done.code, done.stdout) == (2, "")
    assert "exists already" in done.stderr
    assert rnnscope("export", trace, "--to", "keras", "-o", out, "--force").code == 0
    assert out.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out.npz"]


def test_a_folder_of_others_is_never_replaced(rnnscope, trace, tmp_path):
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    done = rnnscope("export", trace, "--to", "lstmvis", "-o", folder, "--force")
    assert done.code == 2
    assert "thesis.tex" in done.stderr
    assert (folder / "thesis.tex").exists()


def test_an_exported_folder_is_replaced_as_a_whole(rnnscope, trace, tmp_path):
    out = tmp_path / "project"
    assert rnnscope("export", trace, "--to", "arrays", "-o", out).code == 0
    assert rnnscope("export", trace, "--to", "lstmvis", "-o", out).code == 2
    assert rnnscope("export", trace, "--to", "lstmvis", "-o", out, "--force").code == 0
    assert not list(out.rglob("*.npy"))
    assert [path.name for path in tmp_path.iterdir()] == ["project"]


def test_quiet(rnnscope, trace, tmp_path):
    done = rnnscope("export", trace, "--to", "keras", "-o", tmp_path / "o.npz", "--quiet")
    assert (done.code, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{t}", "--to", "keras", "-o", "{d}/o.mat"], "suffix"),
        (["{t}", "--to", "keras", "-o", "{d}/o.npy"], "one array"),
        (["{t}", "--to", "keras-bidirectional", "-o", "{d}/o.npz"], "backward layer"),
        (["{t}", "--to", "keras", "-o", "{d}/o.npz", "--layer", "nothing*"], "fits no layer"),
        (["{t}", "--to", "trace", "--steps", "final", "-o", "{d}/o.h5"], "every timestep"),
        (["{t}", "--to", "keras", "-o", "{d}/no/o.npz"], "does not exist"),
        (["{t}", "--to", "keras", "--ids", "x.npy", "-o", "{d}/o.npz"], "LSTMVis"),
        (["{d}/none.h5", "--to", "keras", "-o", "{d}/o.npz"], "no such file"),
    ],
)
def test_trouble_leaves_nothing(rnnscope, trace, tmp_path, arguments, said):
    done = rnnscope("export", *(a.format(t=trace, d=tmp_path) for a in arguments))
    assert (done.code, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
