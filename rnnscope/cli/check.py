"""``rnnscope check``."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnscope.cli.check_arguments import (
    complete_limits,
    find_suite,
    refuse_mixtures,
    refuse_targets,
)
from rnnscope.cli.cluster_options import dask_option
from rnnscope.cli.completion import complete_checks, complete_layers
from rnnscope.cli.options import (
    command_line,
    format_option,
    layout_option,
    limit_options,
    print_result,
)
from rnnscope.cli.run_options import parse_run_set, run_set_option
from rnnscope.cli.terminal import stderr_to_nowhere
from rnnscope.options.table import PADDING_RULES, VERIFIERS

if TYPE_CHECKING:
    from rnnscope.checks.result import CheckReport, Subject
    from rnnscope.checks.settings import CheckSettings
    from rnnscope.record.trace_checks import Comparison

SUMMARY = "GITHUB_STEP_SUMMARY"
RUNNER_TEMP, PICTURES = "RUNNER_TEMP", "rnnscope"
"""GitHub's folder for a job's own files, and ours inside it: what a step uploads as artifacts."""


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
    help="Check bare arrays: the outputs (sequence, timestep, unit) of a layer.",
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
    help="With --recompute: the run's input, where it is not where it was.",
)
@click.option("--model-input", is_flag=True, help="INPUT is the model's own input.")
@run_set_option
@layout_option
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
    anything to check it is the suite rnnscope.toml of this folder.

    \b
    rnnscope check trace.h5
    rnnscope check trace.h5 --dask tcp://head:8786
    rnnscope check trace.h5 --checkpoint model.ckpt --input x.npz --only padding-leak
    rnnscope check model.ckpt
    rnnscope check --outputs outputs.npy --state state.npz --lengths 3
    rnnscope check --suite rnnscope.toml -j 4 --junit report.xml

    Exits with 0 if no check fails, 1 if one does, 2 if something could not be checked, or if
    every check was skipped.
    """
    from rnnscope.checks.result import CheckReport

    settings = _settings(given)
    find_suite(given)
    refuse_mixtures(given)
    refuse_targets(given)
    with stderr_to_nowhere() if given["verify"] or given["suite"] else nullcontext():
        subjects = tuple(_subjects(given, settings))
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
    from rnnscope.record.suite import unused_golden

    return tuple(f"{path} is the golden trace of no case" for path in unused_golden(given["suite"]))


def _tell_errors(subjects: tuple[Subject, ...]) -> None:
    """What could not be checked, on stderr; the report on stdout names the subjects."""
    for subject in subjects:
        if subject.error:
            named = "" if subject.name in subject.error else f"\n  subject: {subject.name}"
            click.echo(f"error: {subject.error}{named}", err=True)


def _subjects(given: dict[str, Any], settings: CheckSettings) -> list[Subject]:
    if given["suite"]:
        from rnnscope.record.suite import run_suite

        return run_suite(given["suite"], settings, cases=given["cases"], jobs=given["jobs"] or 1,
                         update_golden=given["update_golden"],
                         command=command_line(), pictures=_pictures(given))  # fmt: skip
    if given["outputs"]:
        from rnnscope.record.bare_arrays import check_arrays

        return [check_arrays(given["outputs"], given["state"], given["lengths"], given["padding"],
                             settings)]  # fmt: skip
    from rnnscope.cli.cluster_options import opened_cluster
    from rnnscope.record.model_checks import check_or_error

    against = _comparison(given)
    with opened_cluster(given) as cluster:
        return [check_or_error(path, settings, against, cluster) for path in given["traces"]]


def _settings(given: dict[str, Any]) -> CheckSettings:
    from rnnscope.checks import CHECKS
    from rnnscope.checks.settings import CheckSettings, parse_limits
    from rnnscope.checks.weights import WEIGHT_CHECKS

    def split(texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(part.strip() for text in texts for part in text.split(",") if part.strip())

    settings = CheckSettings(
        only=split(given["only"]),
        skip=split(given["skip"]),
        layers=given["layers"],
        limits=parse_limits(given["limits"]),
    )
    settings.ids((*CHECKS, *WEIGHT_CHECKS))  # refused here, once, not for every trace
    return settings


def _comparison(given: dict[str, Any]) -> Comparison:
    from rnnscope.record.trace_checks import Comparison, picture_path

    replay = None
    if given["checkpoint"] or given["inputs"] or given["recompute"] or given["verify"]:
        from rnnscope.record.replay import Replay

        options = {name: given[name] for name in ("model_input", "layout") if given[name]}
        options |= parse_run_set(given["run"])
        replay = Replay(given["checkpoint"], given["inputs"], options, given["verify"])
    if not given["golden"]:
        return Comparison(replay)
    from rnnscope.comparing.tolerance import make_tolerances

    folder, picture = _pictures(given), None
    if folder is not None:
        picture = picture_path(folder, given["traces"][0].stem)
    tolerances = make_tolerances(given["atol"], given["rtol"])
    return Comparison(replay, given["golden"], tolerances, picture)


def _pictures(given: dict[str, Any]) -> Path | None:
    """The folder for pictures, where there are to be any."""
    if given["pictures"] is not None:
        return Path(given["pictures"])
    if given["github"] and os.environ.get(RUNNER_TEMP):
        return Path(os.environ[RUNNER_TEMP]) / PICTURES
    return None


def _exit_code(report: CheckReport, *, allow_empty: bool) -> int:
    status = report.status
    if status == "error" or (status == "skip" and not allow_empty):
        return 2
    return 1 if status == "fail" else 0


def _write_files(report: CheckReport, given: dict[str, Any]) -> None:
    from rnnscope.states.saving import save_text

    if given["junit"]:
        save_text(given["junit"], report.render("junit"), force=True, what="JUnit file")
    if given["github"]:
        click.echo(report.render("github"), err=True, nl=False)
        if os.environ.get(SUMMARY):
            with Path(os.environ[SUMMARY]).open("a", encoding="utf-8") as file:
                file.write(report.render("markdown"))
