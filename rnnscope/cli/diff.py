"""``rnnscope diff``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnscope.cli.options import command_line, format_option, print_result
from rnnscope.cli.run_options import parse_run_set, run_set_option
from rnnscope.states import ALIASES, STATE_FORMAT_MODULES

if TYPE_CHECKING:
    from rnnscope.comparing import DiffResult, DiffSettings

STATE_FORMATS = (*STATE_FORMAT_MODULES, *ALIASES)


@click.command("diff")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option(
    "--input",
    "inputs",
    metavar="INPUT",
    help="A and B are checkpoints: run both over INPUT and compare their states.",
)
@click.option(
    "--weights",
    is_flag=True,
    help="A and B are checkpoints: compare their recurrent weights and options.",
)
@click.option("--model-input", is_flag=True, help="With --input: INPUT is the models' own input.")
@run_set_option
@click.option("--a-format", type=click.Choice(STATE_FORMATS), help="How A keeps its states.")
@click.option("--b-format", type=click.Choice(STATE_FORMATS), help="How B keeps its states.")
@click.option(
    "--num-units", metavar="N[,N…]", help="Width of c in a concatenated state, one for each layer."
)
@click.option("--time-major-a", is_flag=True, help="A is (timestep, sequence, unit).")
@click.option("--time-major-b", is_flag=True, help="B is (timestep, sequence, unit).")
@click.option(
    "--atol",
    multiple=True,
    metavar="[ARRAY:]X",
    help="Absolute difference allowed; ARRAY, such as c or 'final/*', may be a pattern.",
)
@click.option(
    "--rtol",
    multiple=True,
    metavar="[ARRAY:]X",
    help="Relative difference allowed, of the larger of both values.",
)
@click.option("--exact", is_flag=True, help="Allow no difference.")
@click.option(
    "--ulp",
    type=click.IntRange(min=0),
    metavar="N",
    help="Allow N representable numbers between the two values.",
)
@click.option("--equal-nan", is_flag=True, help="NaN beside NaN is no difference.")
@click.option("--padding", is_flag=True, help="Compare steps past the length, too.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first difference of each array.")
@click.option("--quiet", is_flag=True, help="Print nothing: the exit code says it.")
@format_option("diff")
def command(**given: Any) -> int:
    """Compare the states in A and B, whatever formats they are in, and say where they part.

    A and B are traces, .npy, .npz, folders of .npy, HDF5 of other tools, .safetensors, small
    .json, or FILE::NAME for one array or group: trace.h5::encoder/m. Formats are told by names,
    shapes and numbers, and the report says how.

    \b
    rnnscope diff a.h5 b.h5
    rnnscope diff trace.h5 keras_states.npz --b-format keras --atol c:1e-6
    rnnscope diff old.ckpt new.keras --input x.npz
    rnnscope diff --weights old.ckpt new.keras

    Exits with 0 if they are the same, 1 if they differ, 2 if they cannot be compared. Arrays that
    one of them lacks, or that were not read, are no difference: the first line names them.
    """
    result = _compare(given, _settings(given), command_line())
    if not given["quiet"]:
        print_result(result, given["report_format"])
    return 0 if result.verdict == "same" else 1


def _compare(given: dict[str, Any], settings: DiffSettings, command_line: str) -> DiffResult:
    if given["weights"] and given["inputs"]:
        raise click.UsageError("--weights and --input are two comparisons: say one of them")
    if (given["model_input"] or given["run"]) and not given["inputs"]:
        raise click.UsageError("--model-input and --run go with --input")
    if given["weights"]:
        from rnnscope.checkpoints import read_checkpoint
        from rnnscope.comparing.weights import diff_weights

        checkpoints = [read_checkpoint(Path(given[side])) for side in ("a", "b")]
        return diff_weights(checkpoints[0], checkpoints[1], settings, command_line)
    if given["inputs"]:
        from rnnscope.record.diff_checkpoints import diff_checkpoints

        return diff_checkpoints(
            Path(given["a"]),
            Path(given["b"]),
            given["inputs"],
            settings,
            command_line,
            **_run_options(given),
        )
    from rnnscope.comparing import diff_states
    from rnnscope.states.interface import ReadOptions
    from rnnscope.states.recognise import recognise

    options = [
        ReadOptions(
            given[f"{side}_format"],
            parse_num_units(given["num_units"]),
            given[f"time_major_{side}"] or None,
        )
        for side in ("a", "b")
    ]
    one, other = recognise((given["a"], given["b"]), (options[0], options[1]))
    with one.states, other.states:
        return diff_states(one, other, settings, command_line)


def _run_options(given: dict[str, Any]) -> dict[str, Any]:
    model_input = {"model_input": True} if given["model_input"] else {}
    return model_input | parse_run_set(given["run"])


def _settings(given: dict[str, Any]) -> DiffSettings:
    from rnnscope.comparing import DiffSettings, Tolerances
    from rnnscope.comparing.tolerance import parse_tolerances

    bounds = bool(given["atol"] or given["rtol"])
    if sum((given["exact"], given["ulp"] is not None, bounds)) > 1:
        raise click.UsageError("--exact, --ulp and --atol or --rtol exclude each other")
    tolerances = Tolerances(
        parse_tolerances("--atol", given["atol"]),
        parse_tolerances("--rtol", given["rtol"]),
        exact=given["exact"],
        ulp=given["ulp"],
        equal_nan=given["equal_nan"],
    )
    return DiffSettings(tolerances, padding=given["padding"], fail_fast=given["fail_fast"])


def parse_num_units(text: str | None) -> tuple[int, ...]:
    """``10`` or ``16,12`` as integers."""
    parts = [part.strip() for part in (text or "").split(",") if part.strip()]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise click.BadParameter(
            f"{text!r}: whole numbers above 0, with commas between", param_hint="--num-units"
        )
    return tuple(int(part) for part in parts)
