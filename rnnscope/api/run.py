"""Running a checkpoint, and running a trace's recipe again."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnnscope.api.trace import StateTrace
    from rnnscope.clusters.interface import ClusterAddress
    from rnnscope.record.recipes.recipe import Recipe
    from rnnscope.record.results.run_report import RunReport
    from rnnscope.record.several_runs import SeveralRuns
    from rnnscope.record.targets import Target


def run(
    checkpoint: str | os.PathLike[str] | Recipe,
    input: Any = None,  # noqa: A002  # the command's own word
    /,
    *,
    output: str | os.PathLike[str] | None = None,
    force: bool = False,
    resume: bool = False,
    dask: str | None = None,
    jobs: int | None = None,
    parts: int | None = None,
    **options: Any,
) -> StateTrace:
    """Run a checkpoint over an input; keep c and m of every timestep.

    Parameters
    ----------
    checkpoint : str, path or Recipe
        What `rnnscope.open_model` opens; or a whole recipe, which says the input and the options,
        too.
    input : array, str or path
        (sequence, timestep, feature): an array, a file, or ``FILE::KEY``; files may be at an
        address, ``s3://…``, as the checkpoint may.
    output : str or path, optional
        The trace to write: an HDF5 file, or a zarr store (``states.zarr``, also at an address,
        ``s3://bucket/states.zarr``); without one it lives in memory until it is closed.
    force : bool
        Replace an existing file.
    resume : bool
        Continue a run of the same output that was interrupted, if there is one.
    dask : str, optional
        The address of a Dask scheduler, or ``"local"``: its workers record the run in parts, into
        the folder ``NAME.parts`` beside the output. A script that says ``"local"`` does so below
        ``if __name__ == "__main__":``, as Python asks for where processes are started.
    jobs : int, optional
        With ``dask="local"``: processes.
    parts : int, optional
        With `dask`: into how many parts; if not given, as those that are resumed, else by size.
    **options
        Any option of ``rnnscope run`` with _ for -, as text or as Python has it:
        ``lengths=[10, 6]``, ``mask=array``, ``forget_bias=1.0`` or ``{"encoder/*": 1.0}``.

    Returns
    -------
    StateTrace
        ``trace.report`` is what the command prints.

    Raises
    ------
    RnnscopeError
        The run could not be done; an existing output is left as it was.

    Examples
    --------
    >>> import numpy as np, rnnscope
    >>> x = np.zeros((2, 10, 8))
    >>> with rnnscope.run("sample_data/lstm_float64/model.ckpt", x, lengths=[10, 6]) as trace:
    ...     print(trace.layers["rnn/lstm_cell"].final["c"].shape, trace.report.status)
    (2, 64) warn
    """
    from rnnscope.api.trace import StateTrace
    from rnnscope.clusters.interface import ClusterAddress
    from rnnscope.record.parts.refusals import refuse_parts_alone
    from rnnscope.record.recording import record
    from rnnscope.record.targets import Target

    refuse_parts_alone(parts, dask)
    recipe = _recipe(checkpoint, input, options)
    target = Target(None if output is None else Path(output), force, resume)
    address = ClusterAddress.maybe(dask, jobs)
    if address is not None:
        return _run_on_cluster(recipe, target, address, parts)
    recording = record(recipe, target, command="rnnscope.run")
    return StateTrace(recording.open(), recording.report, recipe, in_memory=output is None)


def _run_on_cluster(
    recipe: Recipe, target: Target, address: ClusterAddress, parts: int | None
) -> StateTrace:
    from rnnscope.api.trace import StateTrace
    from rnnscope.errors import OptionError, spell
    from rnnscope.record.parts.on_cluster import record_on_cluster
    from rnnscope.trace import Trace

    if target.path is None:
        raise OptionError(
            "A run on a cluster needs a file.",
            where=spell("dask", address.address),
            expected=spell("output"),
            found="none",
            hint="name a trace in a folder that all workers see",
        )
    report = record_on_cluster(recipe, target, address, parts=parts, command="rnnscope.run")
    return StateTrace(Trace.open(target.path), report, recipe, in_memory=False)


def plan(
    checkpoint: str | os.PathLike[str] | Recipe,
    input: Any = None,  # noqa: A002  # the command's own word
    /,
    *,
    output: str | os.PathLike[str] | None = None,
    force: bool = False,
    **options: Any,
) -> RunReport:
    """Say what `run` would do, and do nothing of it: ``rnnscope run --dry-run``.

    Parameters
    ----------
    checkpoint, input, output, force, **options
        As of `run`.

    Returns
    -------
    RunReport
        Its layers with their options, the input, notes; ``bytes_of_states`` is what c, m and
        outputs would take.

    Raises
    ------
    RnnscopeError
        The run could not be done.

    Examples
    --------
    >>> import numpy as np, rnnscope
    >>> planned = rnnscope.plan("sample_data/lstm_float64/model.ckpt", np.zeros((2, 10, 8)))
    >>> planned.layers[0].name, planned.bytes_of_states
    ('rnn/lstm_cell', 30720)
    """
    from rnnscope.record.recording import plan_only
    from rnnscope.record.targets import Target

    target = Target(None if output is None else Path(output), force)
    return plan_only(_recipe(checkpoint, input, options), target, command="rnnscope.plan")


def run_several(
    checkpoint: str | os.PathLike[str],
    inputs: Iterable[str | os.PathLike[str]],
    /,
    *,
    folder: str | os.PathLike[str] | None = None,
    force: bool = False,
    **options: Any,
) -> SeveralRuns:
    """Run a checkpoint over several inputs, a trace for each.

    Parameters
    ----------
    checkpoint : str or path
    inputs : iterable of str or path
        Files, or folders of files.
    folder : str or path, optional
        Where the traces go; without it beside each input: ``x.trace.h5`` for ``x.npz``.
    force : bool
        Replace existing traces.
    **options
        As of `run`.

    Returns
    -------
    SeveralRuns
        ``.runs`` has a report or an error for each; ``.status`` is the worst.

    Raises
    ------
    OptionError
        A folder holds no input, or two inputs would have one trace.

    Examples
    --------
    >>> import rnnscope
    >>> model, x = "sample_data/lstm_float64/model.ckpt", "sample_data/lstm_float64/inputs.npz"
    >>> found = rnnscope.run_several(model, [x], folder=".")
    >>> found.status, found.runs[0].trace
    ('pass', 'inputs.trace.h5')
    """
    from rnnscope.record.recipes.recipe import Recipe
    from rnnscope.record.recording import record
    from rnnscope.record.several_runs import inputs_in, record_several, traces_of
    from rnnscope.record.targets import Target

    command = "rnnscope.run_several"
    found = inputs_in(os.fspath(one) for one in inputs)
    traces = traces_of(found, None if folder is None else Path(folder))
    return record_several(
        [Recipe.make(checkpoint, one, **options) for one in found],
        [Target(trace, force) for trace in traces],
        lambda recipe, target: record(recipe, target, command=command).report,
        command=command,
    )


def run_part(
    checkpoint: str | os.PathLike[str] | Recipe,
    input: Any = None,  # noqa: A002  # the command's own word
    /,
    *,
    part: tuple[int, int],
    output: str | os.PathLike[str],
    force: bool = False,
    resume: bool = False,
    **options: Any,
) -> RunReport:
    """Record one part of a run: ``rnnscope run --part K/N``. `rnnscope.join` ties the parts.

    Parameters
    ----------
    checkpoint, input, **options
        As of `run`.
    part : tuple of int
        (K, N): part K of N, from 1.
    output : str or path
        The trace that the parts will be tied to. The part is written into the folder
        ``NAME.parts`` beside it.
    force : bool
        Replace the part if it is there.
    resume : bool
        Keep the part if it is there and whole, and make it again if it is damaged.

    Returns
    -------
    RunReport

    Raises
    ------
    RnnscopeError
        The part could not be recorded; what was there is as it was.

    Examples
    --------
    >>> import numpy as np, rnnscope
    >>> report = rnnscope.run_part("sample_data/lstm_float64/model.ckpt", np.zeros((8, 10, 8)),
    ...                            part=(1, 4), output="eight.h5")
    >>> report.part.first_sequence, report.part.sequences
    (0, 2)
    """
    from rnnscope.record.parts.one_part import record_part
    from rnnscope.record.targets import PartOfRun
    from rnnscope.trace.parts import parse_part

    number, of = parse_part("/".join(map(str, part)))
    return record_part(
        _recipe(checkpoint, input, options),
        Path(output),
        PartOfRun(number, of),
        force=force,
        resume=resume,
        command="rnnscope.run_part",
    )


def _recipe(
    checkpoint: str | os.PathLike[str] | Recipe, given: Any, options: dict[str, Any]
) -> Recipe:
    from rnnscope.record.recipes.recipe import Recipe

    if not isinstance(checkpoint, Recipe):
        return Recipe.make(checkpoint, given, **options)
    recipe = checkpoint.reading(None, given)
    return recipe.with_options(**options) if options else recipe


def rerun(
    trace: str | os.PathLike[str] | StateTrace,
    /,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    input: Any = None,  # noqa: A002  # the command's own word
    output: str | os.PathLike[str] | None = None,
    force: bool = False,
    **options: Any,
) -> StateTrace:
    """Run the recipe of a trace again, on the same or on another checkpoint or input.

    Parameters
    ----------
    trace : str, path or StateTrace
    checkpoint : str or path, optional
        In place of the recipe's.
    input : array, str or path, optional
        In place of the recipe's.
    output, force
        As of `run`.
    **options
        Options of a run in place of the recipe's; None takes one back.

    Raises
    ------
    RnnscopeError
        What the recipe names is not there any more, or the run could not be done.

    Examples
    --------
    >>> import rnnscope
    >>> again = rnnscope.rerun("trace.h5")
    >>> print(rnnscope.diff("trace.h5", again).verdict)
    same
    """
    from rnnscope.api.trace import StateTrace
    from rnnscope.record.recipes.recipe import refuse_addresses, refuse_execution
    from rnnscope.record.replaying.replayed_recipe import Replay
    from rnnscope.record.replaying.rerun import recipe_to_rerun

    if isinstance(trace, StateTrace):
        recipe = trace.recipe
        given = {"checkpoint": checkpoint, "input": input, **options}
        if not trace.is_own:
            named = {name for name, value in given.items() if value is not None}
            refuse_addresses(recipe, trace, named)
        if not options.get("trust_model"):
            refuse_execution(recipe, trace)
    else:
        recipe = recipe_to_rerun(Path(trace), Replay(options=options))
    recipe = recipe.reading(checkpoint, input)
    return run(recipe.with_options(**options), output=output, force=force)
