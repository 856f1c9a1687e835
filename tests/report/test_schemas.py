"""The JSON Schemas in the package: each report is held to its own, and each to the classes.

``python tests/report/test_schemas.py`` writes them anew after a class has changed.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import rnnscope
from rnnscope.cli.main import run as command_line
from rnnscope.printable import REPORTS
from rnnscope.report.json_schemas import RESULTS, report_schema, schema_id, schema_of

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "sample_data/lstm_float64"
MASKED = SAMPLE.parent / "keras2_masked" / "model.h5"
FOLDER = ROOT / "rnnscope/report/schemas"


def text_of(kind):
    return json.dumps(schema_of(kind), indent=1) + "\n"


def test_every_report_that_is_printed_as_json_has_a_schema():
    assert {kind for kind, form in REPORTS if form == "json"} == set(RESULTS)
    assert {path.name for path in FOLDER.iterdir()} == {f"{kind}.schema.json" for kind in RESULTS}


@pytest.mark.parametrize("kind", RESULTS)
def test_the_stored_schema_is_that_of_the_class(kind):
    assert (FOLDER / f"{kind}.schema.json").read_text("utf-8") == text_of(kind)
    assert report_schema(kind)["$id"] == schema_id(kind) == f"urn:rnnscope:report:{kind}:1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two traces that differ, and an array of outputs."""
    path = tmp_path_factory.mktemp("reports")
    rnnscope.run(SAMPLE / "model.ckpt", SAMPLE / "inputs.npz", output=path / "a.h5").close()
    rnnscope.run(SAMPLE / "model.ckpt", SAMPLE / "inputs.npz", output=path / "b.h5",
                 forget_bias=0, override=True).close()  # fmt: skip
    rnnscope.write_vectors(MASKED, path / "v", steps=6)
    rnnscope.run_part(
        SAMPLE / "model.ckpt", SAMPLE / "inputs.npz", part=(1, 1), output=path / "t.h5"
    )
    (path / "s.toml").write_text('[[case]]\ncheckpoint = "m.ckpt"\ninput = "x.npz"\n')
    return path


LINES = {
    "run": ["run", "{m}", "{x}", "-o", "{d}/new.h5", "--force"],
    "runs": ["run", "{m}", "{x}", "{d}/none.npy", "-o", "{d}", "-f"],
    "join": ["join", "{d}/t.h5.parts", "-o", "{d}/t.h5", "-f"],
    "inspect": ["inspect", "{m}"],
    "trace": ["inspect", "{d}/a.h5"],
    "arrays": ["inspect", "{x}"],
    "suite": ["inspect", "{d}/s.toml"],
    "check": ["check", "{d}/a.h5", "{d}/none.h5"],
    "diff": ["diff", "{d}/a.h5", "{d}/b.h5"],
    "explain": ["explain", "{d}/a.h5", "{d}/b.h5"],
    "pool": ["pool", "{d}/a.h5", "--method", "mean", "-o", "{d}/p.npz", "--force"],
    "vectors": ["vectors", f"{MASKED}", "-o", "{d}/w", "-f"],
    "vectors-check": ["check", "--vectors", "{d}/v", "{d}/v/vectors.json"],
    "convert": ["convert", "{m}", "--to", "npz", "-o", "{d}/w.npz", "-f"],
    "export": ["export", "{d}/a.h5", "--to", "torch", "--steps", "final", "-o", "{d}/t.npz", "-f"],
    "conform": ["conform", "rnnscope", "--only", "lstm/clip"],
    "cases": ["conform", "--list", "--only", "gru/bias"],
    "plot": ["plot", "{d}/a.h5", "-o", "{d}/x.svg", "-f"],
    "page": ["report", "{d}/a.h5", "-o", "{d}/x.html", "-f"],
    "show": ["show", "{d}/a.h5"],
    "error": ["diff", "{d}/a.h5", "{d}/none.h5"],
}


@pytest.mark.parametrize("kind", RESULTS)
def test_a_report_is_what_its_schema_says(kind, folder, capfd):
    jsonschema = pytest.importorskip("jsonschema")
    if kind == "plot":
        pytest.importorskip("matplotlib")
    line = [part.format(m=SAMPLE / "model.ckpt", x=SAMPLE / "inputs.npz", d=folder)
            for part in LINES[kind]]  # fmt: skip
    command_line([*line, "--format", "json"])
    told = json.loads(capfd.readouterr().out)
    schema = report_schema(kind)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(told, schema)
    assert (told["report"], told["schema_version"]) == (kind, 1)
    # No key goes without being told, and a missing one is seen.
    assert set(told) == set(schema["properties"]) == set(schema["required"])
    for key in told:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({name: told[name] for name in told if name != key}, schema)


def test_weights_and_numbers_that_are_none(folder):
    """Infinite ratios, NaN: words that the schema allows."""
    jsonschema = pytest.importorskip("jsonschema")
    found = rnnscope.diff({"c": np.full((1, 2, 3), np.nan)}, {"c": np.zeros((1, 2, 3))})
    jsonschema.validate(json.loads(found.render("json")), report_schema("diff"))
    weights = rnnscope.diff(SAMPLE / "model.ckpt", SAMPLE / "model.ckpt", weights=True)
    jsonschema.validate(json.loads(weights.render("json")), report_schema("diff"))


def test_no_such_report():
    with pytest.raises(rnnscope.RnnscopeError, match="dif"):
        report_schema("dif")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for each in RESULTS:
        (FOLDER / f"{each}.schema.json").write_text(text_of(each), "utf-8")
