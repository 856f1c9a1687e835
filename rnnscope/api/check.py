"""Checking states from Python."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnnscope.api.model import Model
    from rnnscope.api.trace import StateTrace
    from rnnscope.checks.result import CheckReport, Subject
    from rnnscope.checks.settings import CheckSettings
    from rnnscope.comparing.tolerance import Bounds


def check(
    trace: str | os.PathLike[str] | StateTrace | Model,
    /,
    *,
    only: Iterable[str] = (),
    skip: Iterable[str] = (),
    layers: Iterable[str] = (),
    limits: Mapping[str, float] | None = None,
    recompute: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    input: Any = None,  # noqa: A002  # the command's own word
    verify: str | None = None,
    golden: str | os.PathLike[str] | None = None,
    atol: Bounds = None,
    rtol: Bounds = None,
    pictures: str | os.PathLike[str] | None = None,
    stream: Iterable[int] | None = None,
    outputs: Any = None,
    dask: str | None = None,
    jobs: int | None = None,
    **options: Any,
) -> CheckReport:
    """Check the states of a trace: padding, final states, gates, numbers; or a model's weights.

    Parameters
    ----------
    trace : str, path, StateTrace or Model
        Of a saved model the weights alone are checked: finite, constant, dead units, saturated
        biases, the spectral radius of the recurrent kernel.
    only, skip : iterable of str
        Ids of checks.
    layers : iterable of str
        Globs; empty: all.
    limits : mapping of str to float, optional
        The most that checks allow, by id.
    recompute : bool
        Compute the run again as the trace's recipe says, alone and in float64, and compare.
    checkpoint, input : optional
        In place of the recipe's.
    verify : str, optional
        ``"tensorflow"`` or ``"onnxruntime"``: compare with what its own kernels compute.
    golden : str or path, optional
        A stored trace to compare with, within `atol` and `rtol`.
    atol, rtol : float, or mapping of array to float, optional
    pictures : str or path, optional
        With `golden`: a folder for a picture (SVG) of where the two part first.
    stream : iterable of int, optional
        Feed the run of the trace, or of the model over `input`, in chunks of so many steps, the
        state carried, and compare with the whole; nothing else is checked then. Empty: lengths
        that rnnscope chooses.
    outputs : array, mapping of arrays, str or path, optional
        With `stream`: what somebody streamed, (sequence, timestep, unit); what their streamer does
        wrong is named in ``.subjects[0].streamed``.
    dask : str, optional
        The address of a Dask scheduler, or ``"local"``: its workers check a trace's file that they
        see; nothing is recomputed then.
    jobs : int, optional
        With ``dask="local"``: processes.
    **options
        Options of the run in place of the recipe's; with `stream`, of the model's run.

    Returns
    -------
    CheckReport
        ``.status`` is ``"pass"``, ``"warn"``, ``"fail"``, ``"skip"`` or ``"error"``;
        ``.subjects[0].findings`` has every finding.

    Raises
    ------
    RnnscopeError
        The trace, or what it is compared with, cannot be read; a name or value is unknown.

    Examples
    --------
    >>> import rnnscope
    >>> rnnscope.check("trace.h5", recompute=True).status
    'pass'
    """
    from rnnscope.api.model import Model
    from rnnscope.api.trace import StateTrace, operand_of
    from rnnscope.checks.result import CheckReport
    from rnnscope.checks.settings import CheckSettings, limit_value
    from rnnscope.clusters.interface import ClusterAddress
    from rnnscope.errors import OptionError, spell
    from rnnscope.record.checking.model_checks import check_model, check_path
    from rnnscope.record.checking.trace_checks import Comparison, check_trace, picture_path
    from rnnscope.record.replaying.replayed_recipe import Replay

    settings = CheckSettings(
        only=tuple(only),
        skip=tuple(skip),
        layers=tuple(layers),
        limits={name: limit_value(name, value, "limits") for name, value in (limits or {}).items()},
    )
    if stream is not None:
        others = (recompute, verify, golden, atol, rtol, pictures, only, skip, limits)
        if any(one not in (None, False, (), {}) for one in others):
            raise OptionError(f"{spell('stream')} goes with no other check.")
        subject = _streamed(trace, stream, outputs, settings, checkpoint, input, options)
        return CheckReport("rnnscope.check", (subject,))
    if outputs is not None:
        raise OptionError(f"{spell('outputs')} goes with {spell('stream')}.")
    again = recompute or verify or checkpoint is not None or input is not None or options
    replay = None
    if again:
        where = None if checkpoint is None else Path(checkpoint)
        known = trace.recipe if isinstance(trace, StateTrace) and trace.is_own else None
        replay = Replay(where, input, options, verify, known)
    against = Comparison(replay)
    if golden is not None:
        from rnnscope.comparing.tolerance import make_tolerances

        place = trace.path if isinstance(trace, (StateTrace, Model)) else Path(trace)
        stem = "trace" if place is None else place.stem
        picture = None if pictures is None else picture_path(Path(pictures), stem)
        against = Comparison(replay, Path(golden), make_tolerances(atol, rtol), picture)
    elif any(one is not None for one in (atol, rtol, pictures)):
        raise OptionError(
            f"{spell('atol')}, {spell('rtol')} and {spell('pictures')} go with "
            f"{spell('golden')}: without a stored trace nothing is held to it."
        )
    address = ClusterAddress.maybe(dask, jobs)
    if address is not None:
        if again or isinstance(trace, (Model, StateTrace)):
            raise OptionError(
                "A cluster checks the file of a trace, and computes nothing again.",
                where=spell("dask", address.address),
                expected=f"a path, without {spell('recompute')} and {spell('verify')}",
                found="another thing",
                hint=f"leave {spell('dask')} out",
            )
        from rnnscope.clusters.connecting import maybe_cluster

        with maybe_cluster(address) as cluster:
            subject = check_path(Path(trace), settings, against, cluster)
    elif isinstance(trace, Model):
        subject = check_model(trace.checkpoint, settings)
    elif isinstance(trace, StateTrace):
        subject = check_trace(operand_of(trace), settings, against)
    else:
        subject = check_path(Path(trace), settings, against)
    return CheckReport("rnnscope.check", (subject,))


def _streamed(
    of: Any, lengths: Iterable[int], outputs: Any, settings: CheckSettings, checkpoint: Any,
    input_: Any, options: dict[str, Any],
) -> Subject:  # fmt: skip
    """A trace, a path or a model, fed in chunks."""
    from rnnscope.api.model import Model
    from rnnscope.api.trace import StateTrace
    from rnnscope.record.replaying.replayed_recipe import Replay
    from rnnscope.streaming.check_stream import (
        StreamSettings,
        accept_lengths,
        model_recipe,
        stream_path,
        stream_recipe,
        stream_trace,
    )

    how = StreamSettings(accept_lengths(lengths), outputs, settings)
    where = None if checkpoint is None else Path(checkpoint)
    if isinstance(of, StateTrace):
        return stream_trace(of.stored, Replay(where, input_, options, None, of.recipe), how)
    if isinstance(of, Model):
        path = of.checkpoint.path
        return stream_recipe(model_recipe(path, input_, options, how), how, str(path))
    return stream_path(Path(of), input_, options, Replay(where, input_, options), how)
