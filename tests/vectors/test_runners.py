"""The runners in C and JavaScript: right programs pass, broken ones fail where they break."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import rnnscope

PORTS = Path(__file__).with_name("ports")
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")

GCC = shutil.which("gcc")
NODE = shutil.which("node")
with_gcc = pytest.mark.skipif(GCC is None, reason="no gcc here (apt-get install gcc libc6-dev)")
with_node = pytest.mark.skipif(NODE is None, reason="no node here (apt-get install nodejs)")


@pytest.fixture
def compiled(written, tmp_path):
    """``run(mistake, *arguments)``: the port in C, compiled and run."""
    folder, document = written("tf1, everything", weights=True)
    options = document["layers"][0]["options"]

    def run(mistake, *arguments, source=PORTS / "my_rnn.c"):
        program = tmp_path / f"runner{mistake}"
        names = ("forget_bias", "cell_clip", "proj_clip")
        defined = [f"-D{name.upper()}={options[name]!r}" for name in names]
        subprocess.run(
            [GCC, *STRICT, *defined, f"-DMISTAKE={mistake}", f"-I{folder}",
             str(folder / "runner.c"), str(source), "-lm", "-o", str(program)],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        return subprocess.run(
            [program, *arguments], capture_output=True, text=True, check=False, cwd=tmp_path
        )

    return run


@with_gcc
def test_a_right_program_in_c_passes(compiled):
    done = compiled(0)
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == ["pass"] * (len(lines) - 1)
    assert lines[-1].startswith(f"0 of {len(lines) - 1} cases wrong (tolerance ")


@with_gcc
@pytest.mark.parametrize(
    ("mistake", "case", "first"),
    [
        (1, 1, "f, sequence 0, timestep 0, unit 0"),
        (2, 1, "g, sequence 0, timestep 0, unit 0"),
        (3, 2, "c, sequence 2, timestep 9, unit 0"),
        (4, 1, "c, sequence "),
        (5, 1, "o, sequence 0, timestep 0, unit 0"),
        (6, 1, "final c, sequence 0, unit 0"),
    ],
    ids=["forget bias", "gates", "lengths", "clip", "peephole", "final"],
)
def test_a_broken_program_in_c_fails_where_it_breaks(compiled, mistake, case, first):
    done = compiled(mistake)
    assert done.returncode == 1
    wrong = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert wrong[0].startswith(
        f"FAIL rnn_lstm_cell-{case}: first wrong in 'rnn/lstm_cell': {first}"
    )


@with_gcc
def test_what_the_runner_in_c_writes_is_what_check_reads(compiled, written, tmp_path):
    folder, _ = written("tf1, everything", weights=True)
    assert compiled(0, "right.json").returncode == 0
    assert rnnscope.check_vectors(folder, tmp_path / "right.json").status == "pass"
    assert compiled(1, "wrong.json").returncode == 1
    found = rnnscope.check_vectors(folder, tmp_path / "wrong.json")
    assert found.status == "fail"
    assert [(one.id, one.value) for one in found.agreed[0].reading] == [("forget-bias", "0")]
    # The runner and check say the same place.
    first = next(case.first_wrong for case in found.cases if case.first_wrong)
    assert (first.array, first.sequence, first.timestep, first.unit) == ("f", 0, 0, 0)


@with_gcc
def test_a_program_that_makes_nan_of_all_is_wrong_and_not_passed_over(compiled, written, tmp_path):
    source = tmp_path / "nan.c"
    source.write_text(
        """#include <math.h>
#include "vectors.h"
void my_rnn(const vec_case *given, vec_real ***got, vec_real *outputs) {
  const vec_expected *layer = &given->layers[0];
  int k, at;
  (void)outputs;
  for (k = 0; k < layer->array_count; k++) {
    int steps = layer->arrays[k].over_time ? given->timesteps : 1;
    for (at = 0; at < given->sequences * steps * layer->arrays[k].width; at++)
      got[0][k][at] = (vec_real)sqrt(-1.0);
  }
}
""",
        encoding="utf-8",
    )
    done = compiled(0, "nan.json", source=source)
    assert done.returncode == 1
    assert done.stdout.startswith("FAIL rnn_lstm_cell-1: first wrong in 'rnn/lstm_cell': ")
    assert "note" not in done.stdout
    folder, _ = written("tf1, everything", weights=True)
    assert rnnscope.check_vectors(folder, tmp_path / "nan.json", budget=0).status == "fail"


@with_gcc
def test_a_program_that_computes_nothing_is_no_success(compiled, tmp_path):
    empty = tmp_path / "empty.c"
    empty.write_text(
        '#include "vectors.h"\n'
        "void my_rnn(const vec_case *g, vec_real ***got, vec_real *o) "
        "{ (void)g; (void)got; (void)o; }\n"
    )
    done = compiled(0, "none/there.json", source=empty)
    assert (done.returncode, done.stderr) == (2, "error: none/there.json cannot be written\n")
    done = compiled(0, source=empty)
    assert done.returncode == 2
    assert "skip rnn_lstm_cell-1: nothing was computed" in done.stdout


@pytest.fixture
def with_javascript(written, tmp_path):
    """``run(mistake, *arguments)``: the port in JavaScript, run over two directions."""
    folder, _ = written("torch, both directions", weights=True)

    def run(mistake, *arguments, module=PORTS / "my_rnn.mjs"):
        return subprocess.run(
            [NODE, folder / "runner.mjs", module, *arguments],
            capture_output=True, text=True, check=False, cwd=tmp_path, env={"MISTAKE": mistake},
        )  # fmt: skip

    return run


@with_node
def test_a_right_program_in_javascript_passes(with_javascript):
    done = with_javascript("")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("0 of ")
    assert "note" not in done.stdout


@with_node
@pytest.mark.parametrize(
    ("mistake", "case", "first"),
    [
        ("bias", "rnn_l0_forward-1", "'rnn/l0/forward': f, sequence 0, timestep 0, unit 0"),
        ("hard", "rnn_l0_forward-1", "'rnn/l0/forward': o, sequence 0, timestep 0, unit 0"),
        ("forward", "rnn_l0_backward-1", "'rnn/l0/backward': i, sequence 0, timestep 4, unit 0"),
        ("order", "model-1", "'the whole model': outputs, sequence 0, timestep 0, unit 0"),
    ],
)
def test_a_broken_program_in_javascript_fails_where_it_breaks(
    with_javascript, mistake, case, first
):
    done = with_javascript(mistake)
    assert done.returncode == 1
    wrong = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert wrong[0].startswith(f"FAIL {case}: first wrong in {first}")


@with_node
def test_an_array_of_another_shape_is_told_in_javascript(with_javascript):
    done = with_javascript("shape")
    assert done.returncode == 1
    assert "FAIL model-1: final/c of 'rnn/l0/forward' is 1 x 1, expected 2 x 4" in done.stdout


@with_node
def test_what_the_runner_in_javascript_writes_is_what_check_reads(
    with_javascript, written, tmp_path
):
    folder, _ = written("torch, both directions", weights=True)
    assert with_javascript("", "right.json").returncode == 0
    found = rnnscope.check_vectors(folder, tmp_path / "right.json")
    assert found.status == "pass"
    assert not any(case.missing for case in found.cases)
    assert with_javascript("bias", "wrong.json").returncode == 1
    found = rnnscope.check_vectors(folder, tmp_path / "wrong.json")
    assert [(one.id, one.value) for one in found.agreed[0].reading] == [("forget-bias", "1")]


@with_node
def test_typed_arrays_count_as_lists_and_infinity_is_wrong(with_javascript, tmp_path):
    module = tmp_path / "typed.mjs"
    module.write_text(
        "import right from " + json.dumps((PORTS / "my_rnn.mjs").as_uri()) + ";\n"
        "export default (given, layers) => {\n"
        "  const made = right(given, layers);\n"
        "  if (given.layer) {\n"
        "    made.expected.c = made.expected.c.map((rows) => rows.map((row) => "
        "Float64Array.from(row)));\n"
        "    made.expected.m[0][0][0] = Infinity;\n"
        "  }\n"
        "  return made;\n"
        "};\n"
    )
    done = with_javascript("", "typed.json", module=module)
    assert done.returncode == 1
    wrong = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert "m, sequence 0, timestep 0, unit 0" in wrong[0]
    assert "got Infinity" in wrong[0]
    stored = json.loads((tmp_path / "typed.json").read_text())["cases"][0]
    assert stored["expected"]["m"][0][0][0] == "Infinity"
    assert isinstance(stored["expected"]["c"][0][0], list)


@with_node
def test_the_runner_in_javascript_says_how_it_is_called(written, tmp_path):
    folder, _ = written("torch, both directions", weights=True)
    done = subprocess.run(
        [NODE, folder / "runner.mjs"], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 2
    assert done.stderr == "usage: node runner.mjs ./my_rnn.mjs [theirs.json]\n"
