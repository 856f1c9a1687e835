"""Comparing states, or checkpoints, from Python."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnnscope.checkpoints.interface import Checkpoint
    from rnnscope.clusters.interface import ClusterAddress
    from rnnscope.comparing.result import DiffResult
    from rnnscope.comparing.tolerance import Bounds, DiffSettings
    from rnnscope.states.interface import ReadOptions
from rnnscope.api.diff_advice import explain_command, refusal_of_checkpoints


def diff(
    a: Any,
    b: Any,
    /,
    *,
    atol: Bounds = None,
    rtol: Bounds = None,
    exact: bool = False,
    ulp: int | None = None,
    equal_nan: bool = False,
    padding: bool = False,
    fail_fast: bool = False,
    a_format: str | None = None,
    b_format: str | None = None,
    num_units: int | str | Iterable[int] | None = None,
    time_major_a: bool | None = None,
    time_major_b: bool | None = None,
    weights: bool = False,
    input: Any = None,  # noqa: A002  # the command's own word
    reduce: str | os.PathLike[str] | None = None,
    force: bool = False,
    dask: str | None = None,
    jobs: int | None = None,
    **options: Any,
) -> DiffResult:
    """Compare two sets of states, whatever formats they are in, and say where they part.

    Parameters
    ----------
    a, b : str or path, StateTrace, array, or mapping or sequence of arrays
        Traces, or whatever ``rnnscope diff`` reads; or arrays at hand: ``c``, ``m``, ``outputs``
        (sequence, timestep, unit), ``final/c``, ``final/m`` (sequence, unit) by name, slashes
        before these name a layer; or what a framework returns, ``[h, c]``.
    atol, rtol : float, str, or mapping of str to float, optional
        Allowed is |a - b| <= atol + rtol * max(|a|, |b|); for all arrays, or by array:
        ``{"c": 1e-6, "final/*": 1e-5}``. Without both, what fits the narrower dtype.
    exact : bool
        Allow no difference.
    ulp : int, optional
        Allow so many representable numbers between two values.
    equal_nan : bool
        NaN beside NaN is no difference.
    padding : bool
        Compare steps past the length, too.
    fail_fast : bool
        Stop at the first difference of each array.
    a_format, b_format : str, optional
        How each keeps its states: a key of `rnnscope.states.STATE_FORMAT_MODULES`.
    num_units : int or sequence of int, optional
        Width of c in a concatenated state, one for each layer.
    time_major_a, time_major_b : bool, optional
        The arrays are (timestep, sequence, unit).
    weights : bool
        `a` and `b` are checkpoints, or models: compare their recurrent weights and options.
    input : array, str or path, optional
        `a` and `b` are checkpoints: run both over it, and compare their states.
    reduce : str or path, optional
        Where they differ, write the smallest case of it here: an ``.npz`` with one sequence, the
        steps and, where a step is enough, the one unit that still differ, and the layer that
        computes them. One of both is a trace with its recipe, or, with `input`, both are
        checkpoints. The file holds weights and inputs.
    force : bool
        With `reduce`: replace an existing file.
    dask : str, optional
        The address of a Dask scheduler, or ``"local"``: its workers compare; `a` and `b` are
        files that they see, and the result is the same.
    jobs : int, optional
        With ``dask="local"``: processes.
    **options
        With `input`: options of both runs, as of `rnnscope.run`.

    Returns
    -------
    DiffResult
        ``.verdict`` is ``"same"`` or ``"differ"``; ``.complete`` tells whether everything that
        both hold was read and compared; ``.layers`` has every array with its first difference;
        ``.reduced`` tells of the case, where one was asked for.

    Raises
    ------
    OptionError
        An option is unknown, or its value is.
    RnnscopeError
        One of both cannot be read, or they have no array in common.

    Examples
    --------
    >>> import numpy as np, rnnscope
    >>> found = rnnscope.diff("trace.h5", "sample_data/lstm_float64/truth.npz", atol=1e-12)
    >>> found.verdict
    'same'
    >>> c = np.zeros((1, 3, 2))
    >>> found = rnnscope.diff({"c": c}, {"c": c + np.eye(3, 2)}, atol={"c": 1e-6})
    >>> found.verdict, found.layers[0].arrays[0].first.place
    ('differ', (0, 0, 0))
    """
    from rnnscope.api.reduction import case_target, reduced_runs
    from rnnscope.comparing.tolerance import DiffSettings, make_tolerances
    from rnnscope.errors import spell
    from rnnscope.options.interface import accept
    from rnnscope.options.kinds import Switch

    _check_options(options, with_input=input is not None, with_weights=weights)
    tolerances = make_tolerances(atol, rtol, exact=exact, ulp=ulp, equal_nan=equal_nan)
    case = case_target(reduce, force, (a, b, input), fail_fast=fail_fast, weights=weights)
    settings = DiffSettings(
        tolerances,
        padding=accept(Switch(), padding, called=spell("padding")),
        fail_fast=accept(Switch(), fail_fast, called=spell("fail_fast")),
    )
    address = _cluster(dask, jobs, a, b, alone=not (weights or input is not None or fail_fast))
    if weights:
        from rnnscope.comparing.weights import diff_weights

        return diff_weights(_checkpoint(a), _checkpoint(b), settings, "rnnscope.diff")
    if input is not None:
        from rnnscope.record.diff_checkpoints import diff_checkpoints

        then = None if case is None else partial(reduced_runs, settings, case)
        return diff_checkpoints(
            Path(a), Path(b), input, settings, "rnnscope.diff", then=then, **options
        )
    reading = (
        _read_options("a", a_format, num_units, time_major_a),
        _read_options("b", b_format, num_units, time_major_b),
    )
    return _diff_states(a, b, reading, settings, case, address)


def _diff_states(
    a: Any,
    b: Any,
    reading: tuple[ReadOptions, ReadOptions],
    settings: DiffSettings,
    case: tuple[Path, bool] | None = None,
    address: ClusterAddress | None = None,
) -> DiffResult:
    from rnnscope.api.reduction import reduced_states
    from rnnscope.api.trace import operand_of
    from rnnscope.comparing import diff_states
    from rnnscope.errors import CheckpointError, InputError
    from rnnscope.states.recognise import recognise

    try:
        one, other = recognise((operand_of(a), operand_of(b)), reading)
    except (InputError, CheckpointError) as error:
        raise (refusal_of_checkpoints(a, b) or error) from error
    with one.states, other.states:
        measured = None
        if address is not None:
            from rnnscope.clusters.connecting import maybe_cluster
            from rnnscope.comparing.on_cluster import measure_on_cluster

            sequences = max(one.states.sequences or 1, other.states.sequences or 1)
            with maybe_cluster(address) as cluster:
                assert cluster is not None
                measured = measure_on_cluster(
                    os.fspath(a),
                    os.fspath(b),
                    reading,
                    settings,
                    sequences,
                    one.states.stored_bytes,
                    cluster,
                )
        found = diff_states(one, other, settings, "rnnscope.diff", measured=measured)
        if case is not None:
            found = replace(
                found, reduced=reduced_states((a, one), (b, other), found, settings, case)
            )
    if found.verdict != "differ":
        return found
    return replace(found, explain=explain_command(a, b, reading))


def _cluster(
    dask: str | None, jobs: int | None, a: Any, b: Any, *, alone: bool
) -> ClusterAddress | None:
    """The cluster that compares, if one does.

    Raises
    ------
    OptionError
        It cannot compare these.
    """
    from rnnscope.clusters.interface import ClusterAddress
    from rnnscope.errors import OptionError, spell

    address = ClusterAddress.maybe(dask, jobs)
    if address is None:
        return None
    if not alone or not all(isinstance(one, (str, os.PathLike)) for one in (a, b)):
        raise OptionError(
            "A cluster compares the states in two files.",
            where=spell("dask", address.address),
            expected=f"two files, and neither {spell('weights')}, {spell('input')} nor "
            f"{spell('fail_fast')}",
            found="others",
            hint=f"leave {spell('dask')} out",
        )
    return address


def _read_options(side: str, format_name: Any, num_units: Any, time_major: Any) -> ReadOptions:
    from rnnscope.errors import spell
    from rnnscope.options.interface import accept
    from rnnscope.options.kinds import Choice, Integers, Switch
    from rnnscope.states import READ_FORMAT_NAMES
    from rnnscope.states.interface import ReadOptions

    if format_name is not None:
        called = spell(f"{side}_format")
        format_name = accept(Choice(names=READ_FORMAT_NAMES), format_name, called=called)
    if time_major is not None:
        time_major = accept(Switch(), time_major, called=spell(f"time_major_{side}"))
    widths = () if num_units is None else num_units
    widths = accept(Integers(least=1), widths, called=spell("num_units"))
    return ReadOptions(format_name, widths, time_major)


def _checkpoint(source: Any) -> Checkpoint:
    from rnnscope.api.model import Model
    from rnnscope.checkpoints import read_checkpoint

    if isinstance(source, Model):
        return source.checkpoint
    return read_checkpoint(Path(os.fspath(source)))


def _check_options(options: Mapping[str, Any], *, with_input: bool, with_weights: bool) -> None:
    """Refuse options that nothing takes: those of a run go with inputs.

    Raises
    ------
    OptionError
    """
    from rnnscope.errors import OptionError, spell
    from rnnscope.options import RUN_OPTIONS, option_named

    if with_input and with_weights:
        raise OptionError(
            f"{spell('weights')} and {spell('input')} are two comparisons: say one of them."
        )
    own = [name for name in signature(diff).parameters if name not in ("a", "b", "options")]
    for name in options:
        option_named(name, RUN_OPTIONS, what="option of a comparison", others=own)
        if not with_input:
            raise OptionError(f"{spell(name)}: options of a run go with {spell('input')}.")
