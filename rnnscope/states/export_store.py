"""A trace written as another kind of store: ``export --to zarr`` and ``--to hdf5``."""

from __future__ import annotations

from pathlib import Path

from rnnscope.errors import OptionError, spell
from rnnscope.files.remote.addresses import as_address
from rnnscope.files.writing.work_folders import work_folder
from rnnscope.states import STORES
from rnnscope.states.export import ExportArray, ExportRequest, ExportResult, export_states
from rnnscope.states.interface import ReadOptions
from rnnscope.states.operands import Operand, open_operand
from rnnscope.states.recognise import recognise_one
from rnnscope.states.trace_format import is_trace
from rnnscope.trace import Trace, check_target
from rnnscope.trace.copying import copy_trace
from rnnscope.trace.stored_arrays import TraceArrays
from rnnscope.trace.stores.naming import ZARR_SUFFIX, is_zarr
from rnnscope.trace.target import check_trace_name


def export_store(
    operand: Operand, request: ExportRequest, options: ReadOptions | None = None
) -> ExportResult:
    """Write a whole trace into a store of another kind; states of other files as a new trace.

    Parameters
    ----------
    operand : Operand
    request : ExportRequest
        Its ``to`` is one of `STORES`.
    options : ReadOptions, optional
        How an operand that is no trace is read.

    Raises
    ------
    OptionError
        An option is of other formats, or the target is called otherwise than its format is.
    RnnscopeError
        The operand cannot be read, or the target cannot be written; nothing is left then.
    """
    _refuse_options(request)
    is_called_zarr = is_zarr(request.target) or request.target.suffix.lower() == ZARR_SUFFIX
    if (request.to == "zarr") != is_called_zarr:
        suffix = Path(STORES[request.to]).suffix
        raise OptionError(
            f"The target is not called as a store of the format {request.to} is.",
            where=spell("output", str(request.target)),
            expected=STORES[request.to],
            found=request.target.name,
            hint=spell("output", str(as_address(request.target.with_suffix(suffix)))),
        )
    check_trace_name(request.target)
    trace = _opened_trace(operand)
    if trace is not None:
        arrays, owned = trace
        with arrays.trace if owned else _LeftOpen(arrays.trace) as opened:
            return _copied(opened, request)
    with work_folder("rnnscope-export-") as folder:
        whole = ExportRequest("trace", folder / "states.h5")
        source = recognise_one(operand, options or ReadOptions())
        with source.states:
            first = export_states(source.states, whole)
        with Trace.open(whole.target) as opened:
            done = _copied(opened, request)
        return ExportResult(
            first.source, done.format, done.target, done.arrays, first.lost, first.notes,
            first.not_read,
        )  # fmt: skip


class _LeftOpen:
    """A trace that is the caller's to close."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    def __enter__(self) -> Trace:
        return self._trace

    def __exit__(self, *_: object) -> None:
        """Nothing is closed."""


def _opened_trace(operand: Operand) -> tuple[TraceArrays, bool] | None:
    """The operand as a whole trace, and whether it was opened here; None if it is none."""
    if isinstance(operand, Trace):
        return TraceArrays(operand), False
    arrays = open_operand(operand)
    if isinstance(arrays, TraceArrays) and arrays.part is None:
        return arrays, True
    whole = arrays.part is None and is_trace(arrays)
    arrays.close()
    return (TraceArrays(Trace.open(arrays.path)), True) if whole else None


def _copied(trace: Trace, request: ExportRequest) -> ExportResult:
    target = check_target(request.target, request.force, (Path(trace.path),))
    arrays = copy_trace(trace, target, force=request.force)
    return ExportResult(
        str(trace.path),
        request.to,
        str(request.target),
        tuple(ExportArray(one.path.strip("/"), one.shape, str(one.dtype)) for one in arrays),
        (),
        (),
    )


def _refuse_options(request: ExportRequest) -> None:
    given = {
        "steps": request.steps != "all",
        "layers": bool(request.layers),
        "time_major": request.time_major is not None,
        "ids": request.ids is not None,
        "words": request.words is not None,
    }
    for name, is_given in given.items():
        if is_given:
            raise OptionError(
                "A trace is copied whole into another kind of store.",
                where=spell(name),
                found=spell("to", request.to),
                hint=f"leave {spell(name)} out, or run with {spell('select')}",
            )
