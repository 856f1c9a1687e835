"""A whole trace from one kind of store into another, nothing added and nothing left out.

Of a trace in parts the copy holds the values, and what ties the parts is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from rnnscope.model.cell import Array
from rnnscope.trace.parts.table import OF_A_MASTER
from rnnscope.trace.reader import Trace
from rnnscope.trace.schema import PARTS, STEP, TIMESTEP
from rnnscope.trace.storage import Compression
from rnnscope.trace.stored_arrays import root_of
from rnnscope.trace.stores.drafts import DraftRequest, make_draft
from rnnscope.trace.stores.interface import (
    ArrayNode,
    GroupNode,
    NewArray,
    WritableArray,
    WritableGroup,
)
from rnnscope.trace.target import disk_errors

BLOCK_BYTES = 32 * 2**20

Coordinates = Mapping[str, WritableArray]
Pair = tuple[ArrayNode, WritableArray]


def copy_trace(
    trace: Trace, target: Path, *, force: bool = False, compress: Compression | None = None
) -> list[ArrayNode]:
    """Copy a trace: groups, arrays, dimensions and attributes.

    Parameters
    ----------
    trace : Trace
    target : Path
        As `check_target` returned it; its name says which kind of store it is.
    force : bool
        Replace what is there.
    compress : Compression, optional
        Of arrays over time.

    Returns
    -------
    list of ArrayNode
        What was copied.

    Raises
    ------
    TraceError
        The trace is damaged, or the target cannot be written; nothing is kept then.
    """
    root = root_of(trace)
    arrays = {name: one for name, one in root.arrays().items() if not name.startswith(f"{PARTS}/")}
    draft = make_draft(target, DraftRequest(force, False, compress, len(arrays)))
    with disk_errors(target):
        try:
            draft.open()
            pairs = list(_lay_out(root, draft.root, {}))
            draft.root.set_attribute("complete", 0)  # as of any draft; the source's says 1
            draft.laid_out()
            for source, copy in pairs:
                for corner, block in _blocks(source):
                    copy.write_block(np.ascontiguousarray(block), corner)
            draft.finish()
        except BaseException:  # nothing is swallowed: an interrupt leaves no half copy either
            draft.abandon(keep=False)
            raise
    return list(arrays.values())


def _lay_out(source: GroupNode, target: WritableGroup, above: Coordinates) -> Iterator[Pair]:
    """Make everything but values; the arrays whose values are to be copied."""
    left_out = {*OF_A_MASTER, PARTS} if source.path == "/" else set()
    for name, value in source.attributes.items():
        if name not in left_out:
            target.set_attribute(name, value)
    children = {name: source.child(name) for name in source.names() if name not in left_out}
    arrays = {name: item for name, item in children.items() if isinstance(item, ArrayNode)}
    own = dict(above)
    for name, array in arrays.items():
        if array.is_coordinate:
            own[name] = target.create_coordinates(name, array.read())
            _copy_attributes(array, own[name])
    for name, array in arrays.items():
        twin = next((other for other in arrays if other < name
                     and arrays[other].same_as(array)), None)  # fmt: skip
        if array.is_coordinate:
            continue
        if twin is not None:
            target.create_name(name, twin)
            continue
        dimensions = array.dimensions
        over_time = bool({TIMESTEP, STEP} & {*dimensions})
        new = NewArray(array.shape, array.dtype.newbyteorder("="), dimensions, over_time)
        copy = target.create_array(name, new, own)
        _copy_attributes(array, copy)
        yield array, copy
    for name, item in children.items():
        if isinstance(item, GroupNode):
            yield from _lay_out(item, target.create_group(name), own)


def _copy_attributes(source: ArrayNode, target: WritableArray) -> None:
    for name, value in source.attributes.items():
        target.set_attribute(name, value)
    target.flush()


def _blocks(source: ArrayNode) -> Iterator[tuple[tuple[int, ...], Array]]:
    """An array in parts along its first axis, and where each begins."""
    if not math.prod(source.shape):
        return
    values = source.lazily()
    row = math.prod(source.shape[1:]) * source.dtype.itemsize
    rows = max(1, BLOCK_BYTES // max(1, row))
    rest = (0,) * (len(source.shape) - 1)
    for start in range(0, source.shape[0], rows):
        yield (start, *rest), values.read((slice(start, start + rows),))
