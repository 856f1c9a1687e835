"""The arrays of an open trace as they are stored, by path, each read when it is asked for."""

from __future__ import annotations

from typing import Any

from rnnscope.errors import TraceError
from rnnscope.files.hdf5 import SlicedDataset, check_storage
from rnnscope.files.named_arrays import NamedArrays
from rnnscope.files.safe_hdf5 import child, damage_as
from rnnscope.trace.reader import Trace
from rnnscope.trace.schema import INPUT_STEPS, LENGTHS, MASK, OFFSETS
from rnnscope.trace.storage import make_readable

ABOUT_THE_INPUT = frozenset({LENGTHS, MASK, INPUT_STEPS, OFFSETS})
"""Arrays of the root that are no states: which steps are valid, and where the input is zero."""


class TraceArrays(NamedArrays):
    """The arrays of a trace that is open already, and stays open.

    Parameters
    ----------
    trace : Trace
    """

    def __init__(self, trace: Trace) -> None:
        file = opened_file(trace)

        def array(name: str) -> SlicedDataset:
            dataset = child(file, name, TraceError)
            check_storage(dataset, TraceError)
            make_readable(dataset)
            return SlicedDataset(dataset, f"{trace.path}::/{name}")

        super().__init__(trace.path, "hdf5", tuple(_datasets(file)), array)
        self.trace = trace


def opened_file(trace: Trace) -> Any:
    """The HDF5 file of a trace."""
    return trace._file  # noqa: SLF001  # of this package, which alone knows what is inside


def layer_paths(trace: Trace) -> dict[str, str]:
    """The group of each layer, by the layer's name; without the leading slash."""
    groups = trace._groups  # noqa: SLF001  # as above
    return {name: str(group.name).strip("/") for name, group in groups.items()}


def names_of_no_states(trace: Trace) -> frozenset[str]:
    """The datasets that describe others: coordinates of dimensions, lengths, mask, offsets."""
    datasets = _datasets(opened_file(trace))
    with damage_as(TraceError, str(trace.path)):
        scales = {name for name, dataset in datasets.items() if dataset.is_scale}
    return ABOUT_THE_INPUT | scales


def _datasets(file: Any) -> dict[str, Any]:
    """Every dataset of numbers by path; one of two names once."""
    import h5py

    found: dict[str, Any] = {}

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "fiub":
            found[name] = item

    with damage_as(TraceError, str(file.filename)):
        file.visititems(note)
    return found
