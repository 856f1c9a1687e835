"""Reading a trace in parts: what the master says is checked, and values are read from the parts.

HDF5 never follows the master's virtual datasets here, since it reads a file that is not there as
fill values, in silence, and looks for it where an environment variable says. A master may come from
anybody: only names that `PartPlace` makes, in one folder beside the master, are opened, each as any
trace of a stranger.
"""

from __future__ import annotations

import stat
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.errors import TraceError, spell
from rnnscope.files.hdf5.safe_hdf5 import child, load_array
from rnnscope.model.cell import Array
from rnnscope.trace.parts.digest import ends_sha256
from rnnscope.trace.parts.place import MAX_PARTS, PartPlace, parts_words
from rnnscope.trace.parts.table import BYTES, ENDS, RUN, SHA256, column, escaped, folder_name, wrong
from rnnscope.trace.schema import OFFSETS, PARTS, SEQUENCE, STEP

OPEN_PARTS = 16
"""Files held open at a time."""

OpenPart = Callable[[Path], Any]
"""`rnnscope.trace.reader.Trace.open`, which imports this module."""


class JoinedParts:
    """The parts of an open master.

    Parameters
    ----------
    path : Path
        The master.
    file : h5py.File
    open_part : callable
        ``open_part(path)``: a trace, checked as any other.

    Attributes
    ----------
    places : list of PartPlace
    folder : Path

    Raises
    ------
    TraceError
        The table is not as FORMAT.md says, or parts are missing or are other files than those that
        were joined; it names them with their sequences.
    """

    def __init__(self, path: Path, file: Any, open_part: OpenPart) -> None:
        self._path, self._open_part = path, open_part
        self.folder = path.absolute().parent / folder_name(path, file)
        self.run = file.attrs.get(RUN)
        sizes = column(path, file, BYTES, (None,), "iu")
        self._bytes = sizes.astype(np.int64)
        count = len(sizes)
        self._sha256 = column(path, file, SHA256, (count, 32), "u")
        self._ends = column(path, file, ENDS, (count, 32), "u")
        sequence = child(file, SEQUENCE, TraceError)
        total = 0 if sequence is None or not sequence.shape else int(sequence.shape[0])
        if not 1 <= count <= min(MAX_PARTS, max(1, total)) or not isinstance(self.run, str):
            raise wrong(path, f"/{PARTS}", f"1 to {total} parts of a run", f"{count}")
        self.places = [PartPlace(number + 1, count, total) for number in range(count)]
        self._rows = np.array([0, *(place.rows.stop for place in self.places)])
        self._steps = self._rows
        offsets = child(file, OFFSETS, TraceError)
        if offsets is not None:
            known = load_array(offsets, TraceError)
            if known.shape != (total + 1,) or np.any(np.diff(known) < 0):
                raise wrong(path, OFFSETS, f"{total + 1} rising numbers", f"{known.shape}")
            self._steps = known[self._rows]
        self._bounds: dict[str, Array] = {}
        self._opened: OrderedDict[int, Any] = OrderedDict()
        self._lock = threading.RLock()
        self.refuse_others()

    def file_of(self, place: PartPlace) -> Path:
        return self.folder / place.file_name

    def troubles(self) -> Iterator[tuple[PartPlace, str]]:
        """The parts that are not the files that were joined, as far as a short look tells."""
        for place in self.places:
            at = place.number - 1
            try:
                found = self.file_of(place).lstat()
                if not stat.S_ISREG(found.st_mode):
                    yield place, "no plain file"
                elif found.st_size != self._bytes[at]:
                    yield place, f"{found.st_size} bytes, not {self._bytes[at]}"
                elif ends_sha256(self.file_of(place)) != self._ends[at].tobytes():
                    yield place, "another file than was joined"
            except FileNotFoundError:
                yield place, "missing"
            except OSError as error:
                yield place, error.strerror or str(error)

    def refuse_others(self) -> None:
        """Refuse a master whose parts are missing or changed.

        Raises
        ------
        TraceError
            It names each with its sequences.
        """
        if found := dict(self.troubles()):
            raise self._refusal(found)

    def _refusal(self, found: dict[PartPlace, str]) -> TraceError:
        kinds = {*found.values()}
        gone = kinds == {"missing"}
        told = parts_words((place.number for place in found), len(self.places),
                           self.places[0].sequences)  # fmt: skip
        place, first = next(iter(found.items()))
        many = len(found) > 1
        subject = "Parts of the trace are" if many else "A part of the trace is"
        return TraceError(
            f"{subject} {'missing' if gone else 'damaged'}.",
            where=f"{self._path}: {told}",
            expected=f"{self.file_of(place)}{' and the others' if many else ''} as joined",
            found=first if len(kinds) == 1 else f"{place.file_name}: {first}; …",
            hint=f"make {'each' if many else 'it'} again with "
            f"{spell('part', f'{place.number}/{place.of}')} {spell('resume')} and join anew; a run "
            f"with {spell('dask')} {spell('resume')} does both",
        )

    def require_numbers(self, place: PartPlace) -> None:
        """Look at every number of a part.

        Raises
        ------
        TraceError
            They are not those that were joined.
        """
        try:
            part = self._open_part(self.file_of(place))
        except TraceError as error:
            raise self._refusal({place: error.what}) from error
        with part:
            self._require_own(place, part)
            found = part.numbers_sha256()
        if found != self._sha256[place.number - 1].tobytes().hex():
            raise self._refusal({place: "its numbers changed since it was joined (SHA-256)"})

    def read(self, dataset: Any, key: Any) -> Array:
        """Some of a virtual dataset, from the parts.

        Parameters
        ----------
        dataset : h5py.Dataset
            Of the master.
        key : slice or tuple of slice
            Of step 1 along the first axis.

        Raises
        ------
        TraceError
            The dataset is not tied as `rnnscope join` ties it, or a part is damaged.
        """
        keys = key if isinstance(key, tuple) else (key,)
        first, rest = (keys[0] if keys else slice(None)), keys[1:]
        name = str(dataset.name).strip("/")
        bounds = self._bounds_of(dataset)
        start, stop, step = first.indices(int(dataset.shape[0]))
        if step != 1:
            raise ValueError(f"a step of {step}")
        stop = max(start, stop)
        if name in (SEQUENCE, STEP):
            return np.arange(start, stop, dtype=np.int64)  # what `PartMark` and the schema say
        low = int(np.searchsorted(bounds, start, side="right")) - 1
        pieces: list[Array] = []
        with self._lock:
            for at in range(min(low, len(self.places) - 1), len(self.places)):
                begins, ends = int(bounds[at]), int(bounds[at + 1])
                rows = slice(max(start, begins) - begins, max(0, min(stop, ends) - begins))
                if pieces and begins >= stop:
                    break
                if rows.stop <= rows.start and pieces:
                    continue
                part = self._part(at)
                found = _values(part, name, rows, rest)
                if found.dtype != dataset.dtype or found.shape[1:] != _rest(dataset.shape, rest):
                    raise self._refusal({self.places[at]: f"{name} of another type or shape"})
                pieces.append(found)
        filled = [piece for piece in pieces if len(piece)] or pieces[:1]
        return filled[0] if len(filled) == 1 else np.concatenate(filled)

    def _part(self, at: int) -> Any:
        """A part, opened and looked through if it is not open."""
        if at in self._opened:
            self._opened.move_to_end(at)
            return self._opened[at]
        place = self.places[at]
        try:
            part = self._open_part(self.file_of(place))
        except TraceError as error:
            raise self._refusal({place: error.what}) from error
        try:
            self._require_own(place, part)
        except BaseException:  # nothing is swallowed: the part that was opened is closed first
            part.close()
            raise
        self._opened[at] = part
        if len(self._opened) > OPEN_PARTS:
            self._opened.popitem(last=False)[1].close()
        return part

    def _require_own(self, place: PartPlace, part: Any) -> None:
        mark = part.part
        told = self._sha256[place.number - 1].tobytes().hex()
        if mark is None or (mark.place, mark.run, mark.sha256) != (place, self.run, told):
            raise self._refusal({place: "a part of another run, or no part"})

    def _bounds_of(self, dataset: Any) -> Array:
        """Where parts begin in a virtual dataset, once its sources are as `join` writes them."""
        name = str(dataset.name)
        if name not in self._bounds:
            fitting = [one for one in (self._rows, self._steps) if self._is_tied(dataset, one)]
            if not fitting:
                raise wrong(
                    self._path,
                    name,
                    "the same dataset of each part, one after another",
                    "other sources of a virtual dataset",
                )
            self._bounds[name] = fitting[0]
        return self._bounds[name]

    def _is_tied(self, dataset: Any, bounds: Array) -> bool:
        import h5py

        shape = tuple(dataset.shape)
        wanted = [(self.places[at], int(bounds[at]), int(bounds[at + 1]))
                  for at in range(len(self.places)) if bounds[at + 1] > bounds[at]]  # fmt: skip
        if not shape or shape[0] != bounds[-1]:
            return False
        sources = dataset.virtual_sources()
        if len(sources) != len(wanted):
            return False
        for source, (place, begins, ends) in zip(sources, wanted, strict=True):
            names = (f"{self.folder.name}/{place.file_name}", escaped(str(dataset.name)))
            if (source.file_name, source.dset_name) != names:
                return False
            low, high = source.vspace.get_select_bounds()
            box = (begins, *(0 for _ in shape[1:])), (ends - 1, *(size - 1 for size in shape[1:]))
            if (tuple(low), tuple(high)) != box:
                return False
            if source.vspace.get_select_npoints() != (ends - begins) * int(np.prod(shape[1:])):
                return False
            if source.src_space.get_select_type() != h5py.h5s.SEL_ALL:
                return False
        return True

    def close(self) -> None:
        with self._lock:
            while self._opened:
                self._opened.popitem()[1].close()


def _values(part: Any, name: str, rows: slice, rest: tuple[slice, ...]) -> Array:
    """Some of an array of a part, and of its further axes."""
    array = part._root.array(name)  # noqa: SLF001  # of this package
    if array is None:
        return np.empty((0,), np.void)  # its type is nobody's, so that the part is refused
    found: Array = array.lazily().read((rows, *rest)) if rest else array.read(rows)
    return found


def _rest(shape: tuple[int, ...], keys: tuple[slice, ...]) -> tuple[int, ...]:
    kept = [len(range(*key.indices(size))) for key, size in zip(keys, shape[1:], strict=False)]
    return (*kept, *shape[1 + len(kept) :])
