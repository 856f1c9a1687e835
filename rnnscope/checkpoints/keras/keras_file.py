"""The `.keras` file (Keras 3, and Keras 2.13 and later): a zip of a config and numbered weights.

Layout (`saving_lib.py` of Keras 2.13, tf_keras and Keras 3): ``config.json``, ``metadata.json``
with ``keras_version``, and ``model.weights.h5`` with one group per object, found by the attribute
that holds it: ``layers/lstm_1/cell/vars/0``. Objects in a list go by the snake_case name of their
class and a counter per class, not by the layer's name.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnscope.checkpoints.interface import Checkpoint, Reader
from rnnscope.checkpoints.keras.config import read_network
from rnnscope.checkpoints.keras.dialect import Dialect, number_of
from rnnscope.checkpoints.keras.found_model import keras_checkpoint, leave_out_optimizer
from rnnscope.checkpoints.keras.keras_members import (
    CONFIG,
    METADATA,
    WEIGHTS,
    KerasMembers,
    looks_like_keras_zip,
    read_members,
)
from rnnscope.checkpoints.keras.layer_steps import Findings
from rnnscope.checkpoints.keras.weights import (
    LayerKey,
    LayerWeights,
    Reopen,
    StoredVariable,
    hdf5_variable,
)
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError
from rnnscope.files.hdf5.safe_hdf5 import (
    attribute_text,
    child,
    child_group,
    child_names,
    open_h5,
    walk_datasets,
)
from rnnscope.files.messages.json_config import parse_config

if TYPE_CHECKING:
    import h5py


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


@contextmanager
def _open_weights(path: Path, members: KerasMembers) -> Iterator[Any]:
    with members.open_weights() as content, open_h5(content, name=f"{path}: {WEIGHTS}") as file:
        yield file


@contextmanager
def _weights_again(path: Path) -> Iterator[Any]:
    """The weights of a ``.keras`` file, read once more: they are not kept in memory."""
    with _open_weights(path, read_members(path)) as file:
        yield file


def _read(path: Path) -> Checkpoint:
    findings = Findings()
    members = read_members(path)
    stated = parse_config(members.metadata, f"{path.name}: {METADATA}").raw("keras_version")
    dialect = Dialect(number_of(stated))
    model = parse_config(members.config, f"{path.name}: {CONFIG}")
    with _open_weights(path, members) as file:
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
    sniff=looks_like_keras_zip,
    read=_read,
)
