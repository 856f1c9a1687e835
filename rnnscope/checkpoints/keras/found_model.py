"""What the readers of Keras' files have found, as a `Checkpoint`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnscope.checkpoints.interface import Checkpoint, LeftOut
from rnnscope.checkpoints.keras.dialect import Dialect
from rnnscope.checkpoints.keras.layer_steps import Findings
from rnnscope.files.hdf5.safe_hdf5 import child_group, walk_datasets
from rnnscope.model.network import Network

if TYPE_CHECKING:
    import h5py


def keras_checkpoint(
    path: Path, reader: str, dialect: Dialect, network: Network, findings: Findings, **more: Any
) -> Checkpoint:
    """The checkpoint of one file; `more` are other fields of it."""
    return Checkpoint(
        path=path,
        format=reader,
        framework=dialect.framework,
        files=(path,),
        network=network,
        left_out=tuple(findings.left_out),
        notes=tuple(findings.notes),
        hard_sigmoid=dialect.hard_sigmoid,
        **more,
    )


def leave_out_optimizer(file: h5py.File, findings: Findings, *groups: str) -> None:
    """List what an optimizer keeps in groups of a file."""
    for name in groups:
        group = child_group(file, name)
        for dataset in walk_datasets(group) if group is not None else ():
            shape = tuple(dataset.shape or ())
            findings.left_out.append(LeftOut(dataset.name.lstrip("/"), "optimizer slot", shape))
