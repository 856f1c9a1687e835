"""What ``rnnscope check`` looks at, from what it is given."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnscope.cli.options.run import parse_run_set
from rnnscope.cli.spelling import command_line

if TYPE_CHECKING:
    from rnnscope.checks.result import Subject
    from rnnscope.checks.settings import CheckSettings
    from rnnscope.record.checking.trace_checks import Comparison

RUNNER_TEMP, PICTURES = "RUNNER_TEMP", "rnnscope"
"""GitHub's folder for a job's own files, and ours inside it: what a step uploads as artifacts."""


def subjects_of(given: dict[str, Any], settings: CheckSettings) -> list[Subject]:
    """Everything that is to be checked, checked."""
    if given["suite"]:
        from rnnscope.record.suites.suite import run_suite

        return run_suite(given["suite"], settings, cases=given["cases"], jobs=given["jobs"] or 1,
                         update_golden=given["update_golden"],
                         command=command_line(), pictures=pictures_folder(given))  # fmt: skip
    if given["stream"] is not None:
        from rnnscope.cli.checking.stream_option import streamed_subjects

        return streamed_subjects(given, settings)
    if given["outputs"]:
        from rnnscope.record.checking.bare_arrays import check_arrays

        return [check_arrays(given["outputs"], given["state"], given["lengths"], given["padding"],
                             settings)]  # fmt: skip
    from rnnscope.cli.options.cluster import opened_cluster
    from rnnscope.record.checking.model_checks import check_or_error

    against = _comparison(given)
    with opened_cluster(given) as cluster:
        return [check_or_error(path, settings, against, cluster) for path in given["traces"]]


def settings_of(given: dict[str, Any]) -> CheckSettings:
    """Which checks are done, of which layers, within which limits."""
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
    from rnnscope.record.checking.trace_checks import Comparison, picture_path

    replay = None
    if given["checkpoint"] or given["inputs"] or given["recompute"] or given["verify"]:
        from rnnscope.record.replaying.replayed_recipe import Replay

        options = {name: given[name] for name in ("model_input", "layout") if given[name]}
        options |= parse_run_set(given["run"])
        replay = Replay(given["checkpoint"], given["inputs"], options, given["verify"])
    if not given["golden"]:
        return Comparison(replay)
    from rnnscope.comparing.tolerance import make_tolerances

    folder, picture = pictures_folder(given), None
    if folder is not None:
        picture = picture_path(folder, given["traces"][0].stem)
    tolerances = make_tolerances(given["atol"], given["rtol"])
    return Comparison(replay, given["golden"], tolerances, picture)


def pictures_folder(given: dict[str, Any]) -> Path | None:
    """The folder for pictures, where there are to be any."""
    if given["pictures"] is not None:
        return Path(given["pictures"])
    if given["github"] and os.environ.get(RUNNER_TEMP):
        return Path(os.environ[RUNNER_TEMP]) / PICTURES
    return None
