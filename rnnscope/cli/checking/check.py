"""``rnnscope check``."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnscope.cli.checking.arguments import (
    complete_limits,
    find_suite,
    refuse_mixtures,
    refuse_targets,
)
from rnnscope.cli.checking.stream_option import stream_option
from rnnscope.cli.checking.subjects import settings_of, subjects_of
from rnnscope.cli.checking.vectors_option import (
    check_given_vectors,
    refuse_without_vectors,
    vectors_options,
)
from rnnscope.cli.options.cluster import dask_option
from rnnscope.cli.options.completion import complete_checks, complete_layers
from rnnscope.cli.options.layout import layout_option
from rnnscope.cli.options.limits import limit_options
from rnnscope.cli.options.report_format import format_option
from rnnscope.cli.options.run import run_set_option
from rnnscope.cli.spelling import command_line
from rnnscope.cli.terminal.printing import print_result
from rnnscope.cli.terminal.silence import stderr_to_nowhere
from rnnscope.options.table import PADDING_RULES, VERIFIERS

if TYPE_CHECKING:
    from rnnscope.checks.result import CheckReport, Subject

SUMMARY = "GITHUB_STEP_SUMMARY"


@click.command("check")
@click.argument("traces", metavar="[TRACE|MODEL]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--suite",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Run and check the cases of a TOML file.",
)
@click.option(
    "--update-golden",
    is_flag=True,
    help="With --suite: write the golden traces anew, and say what changed.",
)
@click.option(
    "--case",
    "cases",
    multiple=True,
    metavar="GLOB",
    help="With --suite: only cases whose name fits.",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="With --suite: processes that run cases [default: 1]; with --dask local: processes that "
    "check [default: one a processor].",
)
@dask_option
@click.option(
    "--outputs",
    metavar="FILE",
    help="Check bare arrays: the outputs (sequence, timestep, unit) of a layer. With --stream: "
    "outputs that were streamed.",
)
@click.option(
    "--state", metavar="FILE", help="With --outputs: the final state, c and m (or h), or one array."
)
@click.option("--lengths", metavar="N,N,…|FILE", help="With --outputs: valid steps a sequence.")
@click.option(
    "--padding",
    type=click.Choice(PADDING_RULES),
    help="With --outputs: what lies past the length [default: zeros].",
)
@click.option(
    "--only",
    multiple=True,
    metavar="CHECK[,CHECK…]",
    shell_complete=complete_checks,
    help="Do these checks alone.",
)
@click.option(
    "--skip",
    multiple=True,
    metavar="CHECK[,CHECK…]",
    shell_complete=complete_checks,
    help="Leave these checks out.",
)
@click.option(
    "--layer",
    "layers",
    multiple=True,
    metavar="GLOB",
    shell_complete=complete_layers,
    help="Check only layers whose name fits.",
)
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="CHECK=VALUE",
    shell_complete=complete_limits,
    help="The most that a check allows; beyond a limit that is set it fails. "
    "'--limit list' says which checks have one.",
)
@click.option(
    "--recompute",
    is_flag=True,
    help="Compute the run again as the trace's recipe says, alone and in float64, and compare.",
)
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    metavar="CKPT",
    help="With --recompute: the run's checkpoint, where it is not where it was.",
)
@click.option(
    "--input",
    "inputs",
    metavar="INPUT",
    help="With --recompute: the run's input, where it is not where it was. With --stream: what "
    "MODEL reads.",
)
@click.option("--model-input", is_flag=True, help="INPUT is the model's own input.")
@run_set_option
@layout_option
@stream_option
@click.option(
    "--verify",
    type=click.Choice(VERIFIERS),
    help="Compare with what this engine's own kernels make of the run.",
)
@click.option(
    "--golden",
    type=click.Path(path_type=Path),
    metavar="TRACE",
    help="Compare with a stored trace.",
)
@click.option(
    "--atol", multiple=True, metavar="[ARRAY:]X", help="With --golden: absolute difference allowed."
)
@click.option(
    "--rtol", multiple=True, metavar="[ARRAY:]X", help="With --golden: relative difference allowed."
)
@vectors_options
@limit_options
@format_option("check")
@click.option(
    "--junit",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the findings as JUnit XML, too.",
)
@click.option(
    "--github",
    is_flag=True,
    help="Write annotations for GitHub Actions to stderr, all findings to its summary.",
)
@click.option(
    "--pictures",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Write a picture (SVG) of where a trace or case parts first from its golden trace "
    "[default: with --github, rnnscope in RUNNER_TEMP].",
)
@click.option("--allow-empty", is_flag=True, help="Nothing that could be judged is fine.")
@click.option(
    "-v",
    "--verbose",
    is_flag=True,
    help="With --format text: a table for each subject, however many there are.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing unless something is wrong.")
def command(**given: Any) -> int:
    """Check the states in TRACE: padding, final states, gates, numbers; for use in CI.

    What a trace lacks is not judged: the check is skipped and says why. Of a MODEL alone the
    weights are checked: finite, no dead units, no saturated biases, spectral radius. Without
    anything to check it is the suite rnnscope.toml of this folder. With --stream the run of TRACE,
    or of MODEL over --input, is fed in chunks and held to the whole; outputs that somebody streamed
    are held to it, too, and what their streamer does wrong is named.

    \b
    rnnscope check trace.h5
    rnnscope check trace.h5 --dask tcp://head:8786
    rnnscope check trace.h5 --checkpoint model.ckpt --input x.npz --only padding-leak
    rnnscope check model.ckpt
    rnnscope check --outputs outputs.npy --state state.npz --lengths 3
    rnnscope check --suite rnnscope.toml -j 4 --junit report.xml
    rnnscope check trace.h5 --stream 1,7,64
    rnnscope check model.onnx --input x.npy --outputs theirs.npz --stream 64
    rnnscope check --vectors vectors theirs.json

    Exits with 0 if no check fails, 1 if one does, 2 if something could not be checked, or if
    every check was skipped.
    """
    from rnnscope.checks.result import CheckReport

    context = click.get_current_context()
    if given["vectors"] is not None:
        return check_given_vectors(given, context)
    refuse_without_vectors(context)
    settings = settings_of(given)
    find_suite(given)
    refuse_mixtures(given)
    refuse_targets(given)
    with stderr_to_nowhere() if given["verify"] or given["suite"] else nullcontext():
        subjects = tuple(subjects_of(given, settings))
    report = CheckReport(command_line(), subjects, _notes(given))
    _tell_errors(subjects)
    code = _exit_code(report, allow_empty=given["allow_empty"])
    _write_files(report, given)
    if code or not given["quiet"]:
        verbose = given["verbose"] and given["report_format"] == "text"
        print_result(report, "tables" if verbose else given["report_format"])
    if report.status == "skip" and code:
        click.echo("nothing could be judged: every check was skipped (--allow-empty)", err=True)
    return code


def _notes(given: dict[str, Any]) -> tuple[str, ...]:
    if not given["suite"] or given["cases"]:
        return ()
    from rnnscope.record.suites.suite import unused_golden

    return tuple(f"{path} is the golden trace of no case" for path in unused_golden(given["suite"]))


def _tell_errors(subjects: tuple[Subject, ...]) -> None:
    """What could not be checked, on stderr; the report on stdout names the subjects."""
    for subject in subjects:
        if subject.error:
            named = "" if subject.name in subject.error else f"\n  subject: {subject.name}"
            click.echo(f"error: {subject.error}{named}", err=True)


def _exit_code(report: CheckReport, *, allow_empty: bool) -> int:
    status = report.status
    if status == "error" or (status == "skip" and not allow_empty):
        return 2
    return 1 if status == "fail" else 0


def _write_files(report: CheckReport, given: dict[str, Any]) -> None:
    from rnnscope.states.saving import save_text

    if given["junit"]:
        text = report.render("junit")
        save_text(given["junit"], text, force=True, what="JUnit file", option="junit")
    if given["github"]:
        click.echo(report.render("github"), err=True, nl=False)
        if os.environ.get(SUMMARY):
            with Path(os.environ[SUMMARY]).open("a", encoding="utf-8") as file:
                file.write(report.render("markdown"))
