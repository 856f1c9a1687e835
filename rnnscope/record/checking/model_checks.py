"""Checking what a path or a model is: a trace's states, or a saved model's weights."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rnnscope.checkpoints import is_checkpoint, read_checkpoint
from rnnscope.checkpoints.interface import Checkpoint
from rnnscope.checks.result import Subject
from rnnscope.checks.settings import CheckSettings
from rnnscope.checks.weights import WEIGHT_CHECKS, check_weights
from rnnscope.errors import (
    CheckpointError,
    OptionError,
    RnnscopeError,
    TraceError,
    called,
    spell,
    spell_command,
)
from rnnscope.files.remote.local_copies import here
from rnnscope.record.checking.trace_checks import Comparison, check_trace
from rnnscope.trace import Trace

if TYPE_CHECKING:
    from rnnscope.clusters.dask_cluster import Cluster


def check_model(checkpoint: Checkpoint, settings: CheckSettings | None = None) -> Subject:
    """Check the weights of every recurrent layer of a model; nothing is run.

    Parameters
    ----------
    checkpoint : Checkpoint
    settings : CheckSettings, optional

    Raises
    ------
    CheckpointError
        It holds no recurrent layer that is read: there is nothing that could be judged.
    OptionError
        A name in the settings is unknown.
    """
    settings = settings or CheckSettings()
    wanted = settings.ids(WEIGHT_CHECKS)
    nodes = checkpoint.network.recurrent
    if not nodes:
        raise CheckpointError(
            "The file holds no recurrent layer that rnnscope reads.",
            where=checkpoint.path,
            hint=f"{spell_command('open_model', checkpoint.path)} lists everything the file holds",
        )
    settings.check_layers(node.name for node in nodes)
    checks = {name: settings.limits.get(name) for name in WEIGHT_CHECKS if name in wanted}
    return Subject(
        name=called(str(checkpoint.path)),
        checkpoint=f"{checkpoint.path.name} ({checkpoint.format}, {checkpoint.framework})",
        findings=tuple(
            finding
            for node in nodes
            if node.recurrent is not None and settings.keeps(node.name)
            for finding in check_weights(node.name, node.recurrent.cell, checks)
        ),
        notes=checkpoint.notes,
    )


def check_path(
    path: Path,
    settings: CheckSettings | None = None,
    against: Comparison | None = None,
    cluster: Cluster | None = None,
) -> Subject:
    """Check what is there: a trace, or a saved model. Workers of a cluster check traces alone.

    Raises
    ------
    RnnscopeError
        It is neither, or cannot be read.
    """
    try:
        trace = Trace.open(path)
    except TraceError:
        path = here(path, CheckpointError, "checkpoint")
        if not is_checkpoint(path):
            raise
    else:
        with trace:
            return check_trace(trace, settings, against, cluster)
    if against is not None and (against.replay or against.golden):
        raise OptionError(
            f"{spell('recompute')}, {spell('verify')} and {spell('golden')} go with a trace.",
            where=path,
            expected="a trace",
            found="a saved model, whose weights alone are checked",
            hint=f"{spell_command('run', path, 'INPUT', output='TRACE')} makes one",
        )
    return check_model(read_checkpoint(path), settings)


def check_or_error(
    path: Path,
    settings: CheckSettings | None = None,
    against: Comparison | None = None,
    cluster: Cluster | None = None,
) -> Subject:
    """As `check_path`, but what cannot be read is a subject that says so, among others."""
    started = time.perf_counter()
    try:
        subject = check_path(path, settings, against, cluster)
    except RnnscopeError as error:
        subject = Subject(name=str(path), error=error.describe())
    return replace(subject, seconds=time.perf_counter() - started)
