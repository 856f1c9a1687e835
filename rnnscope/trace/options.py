"""Which ways of storing a trace go together."""

from __future__ import annotations

from os import PathLike

import numpy as np

from rnnscope.errors import OptionError, spell
from rnnscope.files.remote.addresses import as_address
from rnnscope.trace.layout import TraceLayout
from rnnscope.trace.storage import Compression, filters
from rnnscope.trace.stores.drafts import check_zarr_options
from rnnscope.trace.stores.naming import is_zarr


def check_storing(path: object, compress: Compression | None, *, resume: bool) -> None:
    """Refuse a compression that is unknown or not installed, and resuming where it cannot be.

    Parameters
    ----------
    path : str, path or other object
        Where the trace goes.

    Raises
    ------
    OptionError
    """
    place = as_address(path) if isinstance(path, (str, PathLike)) else None
    if place is not None and is_zarr(place):
        check_zarr_options(place, compress, resume=resume)
        return
    if compress is None:
        return
    filters(compress)
    if resume:
        raise OptionError(
            "A compressed trace cannot be continued.",
            where=f"{spell('compress')} with {spell('resume')}",
            expected="one of them: a killed process may leave compressed arrays that do not open",
            found="both",
            hint="write it uncompressed; h5repack -f GZIP=4 compresses it afterwards",
        )


def check_ragged(layout: TraceLayout) -> None:
    """Refuse what a ragged trace cannot hold.

    Raises
    ------
    OptionError
        It names the layer or option.
    """
    assert layout.offsets is not None
    lengths = np.diff(layout.offsets)
    if len(lengths) != layout.sequences or lengths.max(initial=0) > layout.timesteps:
        raise ValueError(f"{len(lengths)} lengths for {layout.sequences} sequences, or too long")
    wrong = None
    if layout.has_mask:
        wrong = "a mask with holes"
    elif layout.resets is not None:
        wrong = "resets"
    elif layout.selection.steps is not None:
        wrong = "a selection of timesteps"
    for layer in layout.layers:
        facts = layer.known_facts
        if layer.widths and not facts.outputs_in_input_order:
            wrong = f"layer {layer.name}, whose outputs are not in the order of time"
        elif layer.widths and facts.padding == "none":
            wrong = f"layer {layer.name}, which computes on past the lengths"
    if wrong:
        raise OptionError(
            "The run has no ragged trace.",
            where=spell("ragged"),
            expected="states that stand still past the length of a sequence",
            found=wrong,
            hint=f"leave {spell('ragged')} away",
        )
