"""The `.keras` file (Keras 3, and Keras 2.13 and later): a zip of a config and numbered weights.

Layout (`saving_lib.py` of Keras 2.13, tf_keras and Keras 3): ``config.json``, ``metadata.json``
with ``keras_version``, and ``model.weights.h5`` with one group per object, found by the attribute
that holds it: ``layers/lstm_1/cell/vars/0``. Objects in a list go by the snake_case name of their
class and a counter per class, not by the layer's name.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnscope.checkpoints.interface import Checkpoint, Reader
from rnnscope.checkpoints.keras.config import read_network
from rnnscope.checkpoints.keras.dialect import Dialect, number_of
from rnnscope.checkpoints.keras.found_model import keras_checkpoint, leave_out_optimizer
from rnnscope.checkpoints.keras.layer_steps import Findings
from rnnscope.checkpoints.keras.weights import (
    LayerKey,
    LayerWeights,
    Reopen,
    StoredVariable,
    hdf5_variable,
)
from rnnscope.errors import CheckpointError
from rnnscope.files.guarding.limits import Unpacking
from rnnscope.files.hdf5.safe_hdf5 import (
    MAX_ARRAY,
    MAX_RATIO,
    attribute_text,
    child,
    child_group,
    child_names,
    open_h5,
    walk_datasets,
)
from rnnscope.files.messages.json_config import MAX_CONFIG, parse_config

if TYPE_CHECKING:
    import h5py

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"


@dataclass(frozen=True, eq=False)
class ObjectGroup:
    """The weights of one object: the group that the saving walk gave it.

    Attributes
    ----------
    file : h5py.File
        ``model.weights.h5``.
    path : str
        ``"layers/lstm_1/cell"``; empty for the model.
    source : str
        The `.keras` file, for messages.
    """

    file: h5py.File
    path: str
    source: str

    @property
    def where(self) -> str:
        return f"{self.source}: {WEIGHTS}: {self.path}"

    @property
    def _reopen(self) -> Reopen | None:
        """Opens the weights again; None where they lie in a file of their own."""
        return partial(_weights_again, Path(self.source)) if self.file.driver == "fileobj" else None

    def variables(self) -> tuple[StoredVariable, ...]:
        import h5py

        group = child_group(self.file, f"{self.path}/vars")
        if group is None:
            return ()
        names = sorted((name for name in child_names(group) if name.isdecimal()), key=int)
        found: list[StoredVariable] = []
        for name in names:
            dataset = child(self.file, f"{self.path}/vars/{name}")
            if isinstance(dataset, h5py.Dataset):
                found.append(hdf5_variable(dataset, f"{self.path}/vars/{name}", self._reopen))
        return tuple(found)

    def left_states(self) -> tuple[StoredVariable, ...]:
        return ()

    def everything(self) -> tuple[StoredVariable, ...]:
        group = child_group(self.file, self.path)
        return tuple(
            hdf5_variable(dataset, dataset.name.lstrip("/"), self._reopen)
            for dataset in (walk_datasets(group) if group is not None else ())
        )

    def parts(
        self,
        *attributes: str,
        sizes: Sequence[int] | None = None,  # noqa: ARG002
    ) -> tuple[LayerWeights, ...]:
        return tuple(self._below(attribute) for attribute in attributes)

    def _below(self, path: str) -> ObjectGroup:
        return ObjectGroup(self.file, f"{self.path}/{path}".lstrip("/"), self.source)

    def layers(self, keys: Sequence[LayerKey]) -> tuple[LayerWeights, ...]:
        if child_group(self.file, f"{self.path}/layers") is not None:
            container, names = "layers", _counted(keys)
        else:
            container, names = _OLD_CONTAINER, self._ranked(keys)
        found = [self._below(f"{container}/{name}") for name in names]
        for key, weights in zip(keys, found, strict=True):
            weights.require_name(key.name)
        return tuple(found)

    def _ranked(self, keys: Sequence[LayerKey]) -> list[str]:
        """Keras 2.13 counted layers with weights twice: only the order of numbers counts."""
        group = child_group(self.file, f"{self.path}/{_OLD_CONTAINER}")
        numbered: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for name in child_names(group) if group is not None else ():
            for base, number in ((name, "0"), *re.findall(r"^(.*)_(\d+)$", name)):
                numbered[base].append((int(number), name))
        ranks: Counter[str] = Counter()
        found: list[str] = []
        for key in keys:
            base = to_snake_case(key.class_name)
            there = sorted(numbered[base])
            found.append(there[ranks[base]][1] if ranks[base] < len(there) else base)
            ranks[base] += 1
        return found

    def require_name(self, name: str) -> None:
        """Keras 3 notes the layer's name beside the weights: a check of the counting."""
        group = child_group(self.file, f"{self.path}/vars")
        noted = attribute_text(group, "name") if group is not None else None
        if noted is not None and noted != name:
            raise CheckpointError(
                "The weights of a layer are not where its configuration says.",
                where=self.where,
                expected=f"the weights of layer '{name}'",
                found=f"those of '{noted}'",
                hint="The configuration and the weights of this file do not belong together.",
            )


_OLD_CONTAINER = "_layer_checkpoint_dependencies"


def _counted(keys: Sequence[LayerKey]) -> list[str]:
    counts: Counter[str] = Counter()
    found: list[str] = []
    for key in keys:
        base = to_snake_case(key.class_name)
        found.append(f"{base}_{counts[base]}" if counts[base] else base)
        counts[base] += 1
    return found


def to_snake_case(name: str) -> str:
    """Keras' own rule (`keras.src.utils.naming`): ``TimeDistributed`` to ``time_distributed``."""
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _sniff(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(64)
        with zipfile.ZipFile(path) as archive:
            return {CONFIG, METADATA} <= set(archive.namelist())
    except zipfile.BadZipFile:
        # A cut off zip has lost its list of members; the first one still stands at the front.
        return head.startswith(b"PK\x03\x04") and head[30:].startswith(_FIRST_MEMBERS)
    except _DAMAGE:
        return False


_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)
"""What zipfile raises on damage, depending on where it meets it; RuntimeError for a password."""

_FIRST_MEMBERS = (METADATA.encode(), CONFIG.encode())


def _member(
    archive: zipfile.ZipFile, name: str, cap: int, where: Path, unpacking: Unpacking
) -> bytes:
    """A member's bytes, after its claims are checked; nothing is unpacked to disk."""
    entries = [info for info in archive.infolist() if info.filename == name]
    if len(entries) != 1:
        raise CheckpointError(
            "The .keras file does not hold what it should.",
            where=where,
            expected=f"one member '{name}'",
            found=f"{len(entries)} of that name among {len(archive.infolist())} members",
            hint="The file is incomplete, or not written by Keras.",
        )
    if entries[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise CheckpointError(
            "A member of the .keras file is compressed in a way that Keras does not use.",
            where=f"{where}: {name}",
            expected="stored or deflated",
            found=f"method {entries[0].compress_type}",
            hint="Pack the file again with an ordinary zip program.",
        )
    size, stored = entries[0].file_size, entries[0].compress_size
    if size > min(cap, stored * MAX_RATIO):
        raise CheckpointError(
            "A member of the .keras file declares more bytes than it can hold.",
            where=f"{where}: {name}",
            expected=f"at most {min(cap, stored * MAX_RATIO)} bytes",
            found=f"{size} bytes",
            hint="The file is damaged, or made to exhaust memory.",
        )
    unpacking.take(size, name)
    try:
        with archive.open(entries[0]) as member:
            # Never more than was declared, whatever the compressed stream goes on to say.
            return member.read(size)
    except _DAMAGE as fault:
        raise _unreadable(f"{where}: {name}", fault) from fault


def _unreadable(where: object, fault: Exception) -> CheckpointError:
    return CheckpointError(
        "The .keras file cannot be read: it is truncated or damaged.",
        where=where,
        expected="a complete zip file",
        found=str(fault)[:200] or type(fault).__name__,
        hint="Copy or download the file again, and compare its size with the original.",
    )


def _members(path: Path) -> tuple[bytes, bytes, bytes]:
    if not path.is_file():
        raise CheckpointError("There is no such file.", where=path, hint="Check the path.")
    try:
        archive = zipfile.ZipFile(path)
    except _DAMAGE as fault:
        raise _unreadable(path, fault) from fault
    unpacking = Unpacking(path, path.stat().st_size, CheckpointError)
    with archive:
        return (
            _member(archive, CONFIG, MAX_CONFIG, path, unpacking),
            _member(archive, METADATA, MAX_CONFIG, path, unpacking),
            _member(archive, WEIGHTS, MAX_ARRAY, path, unpacking),
        )


@contextmanager
def _weights_again(path: Path) -> Iterator[Any]:
    """The weights of a ``.keras`` file, read once more: they are not kept in memory."""
    _, _, weights = _members(path)
    with open_h5(io.BytesIO(weights), name=f"{path}: {WEIGHTS}") as file:
        yield file


def _read(path: Path) -> Checkpoint:
    findings = Findings()
    config, metadata, weights = _members(path)
    stated = parse_config(metadata, f"{path.name}: {METADATA}").raw("keras_version")
    dialect = Dialect(number_of(stated))
    model = parse_config(config, f"{path.name}: {CONFIG}")
    with open_h5(io.BytesIO(weights), name=f"{path}: {WEIGHTS}") as file:
        network, input_shapes = read_network(
            model, ObjectGroup(file, "", str(path)), dialect, findings
        )
        leave_out_optimizer(file, findings, "optimizer")
    return keras_checkpoint(
        path, READER.name, dialect, network, findings,
        keras_version=dialect.number, input_shapes=input_shapes,
    )  # fmt: skip


READER = Reader(
    name="keras-v3",
    title="Keras model in a zip (.keras)",
    reads="what keras-h5 reads, from Keras 2.13 and later and Keras 3",
    does_not_read="sharded weights; ConvLSTM, Lambda and custom layers, which are named",
    sniff=_sniff,
    read=_read,
)
