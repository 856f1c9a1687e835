"""Today's engines: they agree, or differ in what CONFORMING.md names."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import rnnscope
from rnnscope.conforming.case import ARRAYS, required, shapes
from rnnscope.conforming.corpus import cases
from rnnscope.conforming.engines import ENGINES, make_engine
from rnnscope.conforming.engines.interface import NotOffered
from rnnscope.conforming.expected import expected
from rnnscope.conforming.judging import judge
from rnnscope.errors import EngineError
from rnnscope.oracles.importing import FRAMEWORKS

from .store_torch import NAMES, STORED

KNOWN = {
    "onnxruntime": {
        "it lost the initial state of sequences of length 0",
        "its clip did not reach the c that enters h",
    },
    "onnx-reference": {
        "it ignored the lengths",
        "it ignored the clip",
        "it ignored the lengths, and it ignored the clip",
        "it computed tanh and sigmoid whatever the activations",
        "it did not couple the forget gate",
    },
    "rnnscope": {"its clip did not reach the c that enters h"},
    "tensorflow": set(),
    "keras": set(),
    "torch": set(),
}
"""Why engines differ: each cause is in the page. A version that mends one has fewer."""

NEEDS = {"onnx-reference": "onnx", "rnnscope": "llvmlite"}
PAGE = Path(rnnscope.__file__).parent / "conforming/CONFORMING.md"


def checked(name, only="*"):
    pytest.importorskip(NEEDS.get(name, name), reason=f"{name} is not installed")
    report = rnnscope.conform(name, only=only)
    wrong = [case for case in report.cases if case.status not in ("agree", "not offered")]
    assert [case for case in wrong if case.cause not in KNOWN[name]] == []
    right = [case for case in report.cases if case.status == "agree"]
    assert right
    # Well within the tolerance, or the tolerance says nothing.
    assert max(case.error for case in right) < 0.6
    return report


@pytest.mark.parametrize("name", ["onnxruntime", "onnx-reference", "torch"])
def test_an_engine_agrees_or_differs_as_the_page_says(name):
    checked(name)


@pytest.mark.parametrize("only", ["lstm/clip", "*/lengths/with-0*", "gru/sizes/units-129"])
def test_the_compiled_steps_do(only):
    """Each kind of layer is compiled for its own case, so that not all of them are tried here."""
    checked("rnnscope", only)


@pytest.mark.parametrize("name", NAMES)
def test_what_torch_computed_once_is_right(name):
    """Also where torch is not installed; its states were stored by `store_torch`."""
    case = next(cases(only=name))
    truth, answer = expected(case), [{} for _ in case.layers]
    with np.load(STORED) as stored:
        assert str(stored["version"]).startswith("PyTorch 2.")
        for key in stored:
            of, _, rest = key.partition(":")
            if of == name:
                number, _, array = rest.partition(":")
                answer[int(number)][array] = stored[key]
    judged = judge(case, truth, tuple(answer))
    assert (judged.right, judged.missing) == (True, ()), judged


def test_tensorflows_kernels_agree(tf):
    report = checked("tensorflow")
    assert report.verdict == "agree"
    assert {case.family for case in report.cases if case.status == "agree"} >= {
        "lstm/peepholes", "lstm/cell-clip", "lstm/dtypes", "gru/directions",
    }  # fmt: skip


@pytest.mark.parametrize("only", ["*/directions", "lstm/lengths/*-0*", "gru/activations"])
def test_keras_agrees(tf, only):
    assert checked("keras", only).verdict == "agree"


def test_every_cause_is_in_the_page():
    """In other words: by the cases that it names."""
    table = PAGE.read_text("utf-8").partition("### Each difference")[2]
    for name, words in {
        "onnx-reference": ["sequence_lens", "activations", "clip", "input_forget"],
        "onnxruntime": ["clip", "length 0"],
        "rnnscope": ["as ONNX Runtime"],
    }.items():
        rows = [line for line in table.splitlines() if line.startswith(f"| {name} |")]
        assert all(any(word in row for row in rows) for word in words), name


def test_the_example_of_the_page_works_and_is_short(tmp_path):
    (code,) = re.findall(
        r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    assert len(code.splitlines()) < 40
    script = tmp_path / "engine.py"
    script.write_text(code)
    import sys

    for only, status in (("lstm/initial", "agree"), ("lstm/layout", "agree"),
                         ("lstm/bias", "not offered"), ("gru/bias", "not offered")):  # fmt: skip
        report = rnnscope.conform([sys.executable, str(script)], only=only)
        assert status in {case.status for case in report.cases}
        assert {case.status for case in report.cases} <= {"agree", "not offered"}
    plain = rnnscope.conform([sys.executable, str(script)], only="lstm/sizes")
    assert plain.verdict == "agree"
    assert len([case for case in plain.cases if case.status == "agree"]) == 13


@pytest.mark.parametrize("name", ["onnxruntime", "rnnscope"])
def test_an_engine_gives_what_it_says(name):
    pytest.importorskip(NEEDS.get(name, name))
    engine = make_engine(name)
    for case in cases(only="*/initial/given"):
        for number, one in enumerate(engine.run(case)):
            assert set(required(case)) <= one.keys() <= set(ARRAYS)
            for array, value in one.items():
                assert value.shape == shapes(case, number)[array]


def test_what_an_engine_cannot_say_is_not_offered_to_it():
    pytest.importorskip("onnxruntime")
    engine = make_engine("onnxruntime")
    for only in ("lstm/projection/to-2", "lstm/cell-clip/plain", "lstm/dtypes/float64"):
        with pytest.raises(NotOffered):
            engine.run(next(cases(only=only)))


def test_an_engine_that_rounds_its_weights_to_half_is_seen():
    """The numbers of a case are not all exact in a smaller dtype."""
    pytest.importorskip("onnxruntime")
    engine, case = make_engine("onnxruntime"), next(cases(only="lstm/sizes/units-16"))
    kernel = case.layers[0].cell.weights.kernel
    assert (kernel.astype(np.float16).astype(np.float32) != kernel).mean() > 0.9
    kernel[:] = kernel.astype(np.float16)
    rounded = engine.run(case)
    whole = next(cases(only="lstm/sizes/units-16"))
    assert not judge(whole, expected(whole), rounded).right


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_framework_that_is_missing_is_said_with_its_line(monkeypatch, framework):
    import sys

    name = {"onnx": "onnx-reference"}.get(framework, framework)
    monkeypatch.setitem(sys.modules, FRAMEWORKS[framework].module, None)
    with pytest.raises(EngineError) as error:
        make_engine(name)
    assert f"pip install {FRAMEWORKS[framework].package}" in error.value.hint
    assert error.value.where == f"engine {name}"


def test_every_engine_is_in_the_command():
    from rnnscope.cli.porting.conform import ENGINES as OFFERED

    assert tuple(ENGINES) == OFFERED
