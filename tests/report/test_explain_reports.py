"""An explanation in every report: literal text at fixed widths, and what all of them promise."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from rnnscope.explaining.result import DeviationReport, Explanation, FitReport, NearReport

GATES = FitReport(
    reading=(DeviationReport("gate-order", "i f g o"),),
    error=1.2e-07,
    command="rnnscope run models/segmentation.onnx x.npy -o trace.h5",
    reproduces=False,
    advice="The gates are stored as i o f g and read as i f g o: swap blocks 2 and 3 of W and R.",
)
BIAS = FitReport(
    reading=(DeviationReport("forget-bias", "0"), DeviationReport("lengths", "ignored")),
    error=9.8e-08,
    command="rnnscope run models/segmentation.onnx x.npy --forget-bias 0 --override -o trace.h5",
    reproduces=True,
    advice="0 is added to the forget gate there, and 1 in the file: add 1.",
)
NEAR = NearReport(
    reading=(),
    agreeing=0.25,
    error=0.4,
    words=("lstm_0 c: agrees to timestep 5; the first that differs is 6 (sequence 1, unit 0)",),
)
ONE = Explanation(
    verdict="one",
    fits=(GATES,),
    nearest=(),
    separating_input=None,
    checkpoint="models/segmentation.onnx",
    input="x.npy",
    reference="frames.npy",
    read_as=("single", "time-major"),
    tolerance=1e-5,
    tried=1217,
    seconds=0.44,
    complete=True,
)
SEVERAL = replace(ONE, verdict="several", fits=(GATES, BIAS), separating_input="apart.npy")
NONE = replace(
    ONE, verdict="none", fits=(), nearest=(NEAR,), complete=False, notes=("a_note *here*",)
)
PLAIN = replace(ONE, fits=(replace(GATES, reading=(), advice="Nothing is to be changed."),))
EVERY = {"one": ONE, "several": SEVERAL, "none": NONE, "plain": PLAIN}

TEXT = {
    ("one", 60): """\
verdict     one reading fits the reference: gate-order: i f
            g o
reference   frames.npy (single, time-major)
checkpoint  models/segmentation.onnx over x.npy
searched    1,217 readings tried in 0.4 s

readings
reading                error    limit  verdict
gate-order: i f g o  1.2e-07  1.0e-05  fits

what to change
  - The gates are stored as i o f g and read as i f g o:
    swap blocks 2 and 3 of W and R.

the right numbers
  rnnscope run models/segmentation.onnx x.npy -o trace.h5
""",
    ("several", 80): """\
verdict     2 readings fit the reference: this input cannot tell them apart
reference   frames.npy (single, time-major)
checkpoint  models/segmentation.onnx over x.npy
searched    1,217 readings tried in 0.4 s
written     apart.npy: an input on which they differ

readings
reading                             error    limit  verdict
gate-order: i f g o               1.2e-07  1.0e-05  fits
forget-bias: 0; lengths: ignored  9.8e-08  1.0e-05  fits

gate-order: i f g o
  - The gates are stored as i o f g and read as i f g o: swap blocks 2 and 3 of
    W and R.

the right numbers
  rnnscope run models/segmentation.onnx x.npy -o trace.h5

forget-bias: 0; lengths: ignored
  - 0 is added to the forget gate there, and 1 in the file: add 1.

the same numbers here
  rnnscope run models/segmentation.onnx x.npy --forget-bias 0 --override -o trace.h5
""",
    ("none", 60): """\
verdict     no reading fits the reference
reference   frames.npy (single, time-major)
checkpoint  models/segmentation.onnx over x.npy
searched    1,217 readings tried in 0.4 s, and the time
            ended before all were

as rnnscope reads it (25% agree)
  - lstm_0 c: agrees to timestep 5; the first that differs
    is 6 (sequence 1, unit 0)

notes
  - a_note *here*
""",
}


@pytest.mark.parametrize(("name", "width"), TEXT, ids=str)
def test_text(name, width):
    assert EVERY[name].render("text", width=width) == TEXT[name, width]


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize("name", EVERY)
def test_only_a_command_is_longer_than_a_line(name, width):
    lines = EVERY[name].render("text", width=width).splitlines()
    assert [line for line in lines if len(line) > width and "rnnscope run" not in line] == []


@pytest.mark.parametrize("name", EVERY)
def test_json_has_what_is_promised(name):
    found = EVERY[name]
    told = json.loads(found.render("json"))
    assert (told["report"], told["verdict"]) == ("explain", found.verdict)
    assert [[(one["id"], one["value"]) for one in fit["reading"]] for fit in told["fits"]] == [
        [(one.id, one.value) for one in fit.reading] for fit in found.fits
    ]
    assert told == json.loads(json.dumps(found.to_dict()))
    assert told["separating_input"] == found.separating_input


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("form", ["text", "markdown"])
def test_every_word_is_in_every_form(name, form):
    """Advice, readings, notes and words of the nearest: nothing is left out, whatever the form."""
    found = EVERY[name]
    said = "".join(found.render(form, width=60).replace("\\", "").split())
    words = [fit.advice for fit in found.fits] + [fit.command for fit in found.fits if fit.reading]
    words += [part for near in found.nearest for part in near.words] + [*found.notes]
    words += [found.separating_input or ""]
    words += [one.value for fit in found.fits for one in fit.reading]
    assert [word for word in words if "".join(word.split()) not in said] == []
