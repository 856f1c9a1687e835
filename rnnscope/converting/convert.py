"""From a checkpoint to a file in another format: refused, or written, proved and then named."""

from __future__ import annotations

import os
import tempfile
from dataclasses import field
from pathlib import Path

from rnnscope.checkpoints.interface import Checkpoint
from rnnscope.converting import weight_format, weight_formats
from rnnscope.converting.interface import FormatOptions, Plan, WeightFormat, Written
from rnnscope.converting.misfits import misfits
from rnnscope.converting.plan import plan_levels
from rnnscope.converting.proof import Proved, prove
from rnnscope.converting.result import ConversionReport
from rnnscope.converting.whole_run import LIMITS
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import OptionError, TraceError, UnsupportedCellError, spell
from rnnscope.model.network import Network
from rnnscope.states.saving import save_file, save_folder
from rnnscope.trace.target import check_target

WHAT = "converted model"


@dataclass(frozen=True)
class ConversionRequest:
    """What to write, and where.

    Attributes
    ----------
    to : str
        A key of WEIGHT_FORMATS.
    target : Path
    layers : tuple of str
        Patterns; empty: every recurrent layer.
    options : FormatOptions
    force : bool
        Replace an existing file.
    dry_run : bool
        Write and prove in a temporary folder, and keep nothing.
    """

    to: str
    target: Path | None
    layers: tuple[str, ...] = ()
    options: FormatOptions = field(default_factory=FormatOptions)
    force: bool = False
    dry_run: bool = False


def convert_checkpoint(
    checkpoint: Checkpoint, network: Network, request: ConversionRequest
) -> ConversionReport:
    """Write the recurrent layers of a checkpoint in another format.

    Parameters
    ----------
    checkpoint : Checkpoint
    network : Network
        Its network, with the user's options.
    request : ConversionRequest

    Raises
    ------
    UnsupportedCellError
        The target cannot compute a layer; the message says what of it, and which formats could.
    OptionError
        A pattern fits no layer, or an option is of another format.
    TraceError
        The target cannot be written.
    CheckpointError
        What was written does not read back as the source.
    """
    entry = weight_format(request.to)
    _refuse_idle_options(entry, request.options)
    target = _checked_target(entry, request, checkpoint)
    plan = plan_levels(network, request.layers, checkpoint.path)
    _refuse_misfits(entry, plan, request.options, checkpoint)
    written = entry.write(plan, request.options)
    proved = _save(written, plan, target, request)
    shown = "" if target is None else str(request.target)
    dtype = plan.levels[0].cell.dtype.name
    left_out = (*_unchosen(network, plan), *written.left_out)
    return ConversionReport(
        source=str(checkpoint.path),
        source_format=checkpoint.format,
        framework=checkpoint.framework,
        format=entry.name,
        target=shown,
        layers=proved.layers,
        largest_difference=proved.largest_difference,
        limit=LIMITS[dtype],
        computed_by=entry.framework,
        proof=proved.words,
        folded=written.folded,
        left_out=left_out,
        notes=written.notes,
        load=tuple(line.replace("{target}", shown or "OUT") for line in written.load),
    )


def _refuse_idle_options(entry: WeightFormat, options: FormatOptions) -> None:
    given = {
        "layout": ("as_layout", options.layout),
        "expose_states": ("expose_states", options.expose_states),
    }
    for name, (shown, value) in given.items():
        if value and name not in entry.takes:
            takers = [other.name for other in weight_formats() if name in other.takes]
            raise OptionError(
                f"{spell(shown)} means nothing to this format.",
                where=spell("to", entry.name),
                expected=" or ".join(spell("to", taker) for taker in takers),
                found=entry.name,
                hint=f"leave {spell(shown)} out",
            )


def _checked_target(
    entry: WeightFormat, request: ConversionRequest, checkpoint: Checkpoint
) -> Path | None:
    if request.dry_run:
        return None
    if request.target is None:
        raise OptionError(
            "Where the model goes is not said.",
            where=spell("output"),
            expected=f"{spell('output')}, or {spell('dry_run')} to write nothing",
        )
    suffix = request.target.suffix.lower()
    if entry.suffixes and suffix not in entry.suffixes:
        raise OptionError(
            "The output's suffix is not one of the format.",
            where=request.target,
            expected=" or ".join(entry.suffixes),
            found=suffix or "no suffix",
        )
    if entry.suffixes:
        return check_target(request.target, request.force, checkpoint.files, WHAT)
    return _new_folder(request.target)


def _new_folder(path: Path) -> Path:
    target = Path(os.path.realpath(path))
    if target.exists():
        raise TraceError(
            "The folder exists already.",
            where=target,
            expected="a new folder: one of models is never replaced",
            found="a folder" if target.is_dir() else "a file",
            hint=f"name another with {spell('output')}",
        )
    return check_target(target, force=False, what=WHAT)


def _refuse_misfits(
    entry: WeightFormat, plan: Plan, options: FormatOptions, checkpoint: Checkpoint
) -> None:
    can = entry.abilities(options)
    found = [
        f"'{level.name}' {reason}"
        for level in plan.levels
        for reason in dict.fromkeys(misfits(level, can))
    ]
    if not found:
        return
    could = [name for name in _able(plan) if name != spell("to", entry.name)]
    raise UnsupportedCellError(
        f"{can.title[0].upper()}{can.title[1:]} cannot compute what the model does.",
        where=checkpoint.path,
        found="; ".join(found),
        hint=f"these could: {', '.join(could)}" if could else "no format that is written could",
    )


def _able(plan: Plan) -> list[str]:
    """The formats that could hold a plan's layers, as they are asked for."""
    able = []
    for entry in weight_formats():
        layouts = ("torch", "tf1") if "layout" in entry.takes else (None,)
        for layout in layouts:
            can = entry.abilities(FormatOptions(layout=layout))
            if not any(True for level in plan.levels for _ in misfits(level, can)):
                more = f" {spell('as_layout', layout)}" if layout == "tf1" else ""
                able.append(spell("to", entry.name) + more)
                break
    return able


def _unchosen(network: Network, plan: Plan) -> tuple[str, ...]:
    """The nodes of the network that are not written, in words."""
    written = {node.name for node in plan.nodes} | {step.name for step in plan.steps}
    left = [node.name for node in network.nodes if node.name not in written]
    names = ", ".join(f"'{name}'" for name in left)
    return (f"Layers that were not chosen or stand behind the last one: {names}.",) if left else ()


def _save(written: Written, plan: Plan, target: Path | None, request: ConversionRequest) -> Proved:
    """Write, prove, and only then give the file its name."""
    found: list[Proved] = []

    def save(path: Path) -> None:
        written.save(path)
        found.append(prove(path, written, plan))

    if target is None:
        suffix = next(iter(weight_format(request.to).suffixes), "")
        with tempfile.TemporaryDirectory() as folder:
            save(Path(folder) / f"model{suffix}")
    elif written.is_folder:
        save_folder(target, save)
    else:
        save_file(target, save, force=request.force, what=WHAT)
    return found[0]
