"""Archives with a saved model inside: tars (``.nemo``, ``model.tar.gz``) and zips.

NeMo keeps ``model_weights.ckpt`` in a tar, AllenNLP ``weights.th`` in a ``model.tar.gz``,
Stable-Baselines3 ``policy.pth`` in a zip, TorchServe a ``.pt`` in a ``.mar``.

References
----------
nemo/core/connectors/save_restore_connector.py; allennlp/models/archival.py;
stable_baselines3/common/save_util.py.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from rnnscope.checkpoints import safetensors
from rnnscope.checkpoints.containers import choose_one
from rnnscope.checkpoints.interface import Checkpoint, Reader
from rnnscope.checkpoints.torch import torch_file
from rnnscope.checkpoints.torch.zip_members import ZipMembers
from rnnscope.errors import CheckpointError
from rnnscope.files.archives.first_bytes import ZIP, may_be_model
from rnnscope.files.archives.inner_file import InnerFile
from rnnscope.files.archives.members import MAX_MEMBERS, Members, looks_like_tar, read_tar

MAX_MEMBER = 16 * 2**30
LOOKED_AT = 256
"""Members of a zip whose first bytes are looked at."""

OTHERS_OWN = ("data.pkl", "config.json", "metadata.json", "model.json")
"""Members by which other readers know their zips."""

OLD_TORCH = ("pickle", "storages", "tensors", "sys_info")
"""Members of the tars that PyTorch wrote before 0.1.10 (torch/serialization.py, _legacy_load)."""


def _read_inner(file: InnerFile) -> Checkpoint:
    if safetensors.sniff(file):
        return safetensors.read_safetensors(file)
    if torch_file.sniff(file):
        return torch_file.read_torch(file)
    raise CheckpointError(
        "A member of the archive is of a format that is read from a file of its own alone.",
        where=file,
        expected="a file of PyTorch or safetensors",
        found=f"bytes that begin with {bytes(file.data[:8])!r}",
        hint="unpack the archive, and name that file",
    )


def _zip_members(path: Path) -> Members:
    stored = ZipMembers(path)
    infos = [info for info in stored.infos() if not f"/{info.filename}".endswith("/")]
    if len(infos) > MAX_MEMBERS:
        raise CheckpointError(
            "The archive has too many members.",
            where=path,
            expected=f"at most {MAX_MEMBERS}",
            found=str(len(infos)),
        )
    members = Members([info.filename for info in infos])
    for info in infos[:LOOKED_AT]:
        if may_be_model(stored.head(info)):
            data = stored.storage(info.filename, MAX_MEMBER, is_shared=False)
            members.add(path, info.filename, data)
    return members


def _looks_like_zip(path: Path) -> bool:
    """Whether a file is a zip with a saved model inside, and no other reader's. Never raises."""
    try:
        with path.open("rb") as file:
            if file.read(4) != ZIP:
                return False
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            names = [info.filename for info in infos]
            if any(name.rsplit("/", 1)[-1] in OTHERS_OWN for name in names):
                return False
            for info in infos[:LOOKED_AT]:
                if info.file_size >= 16 and not info.flag_bits & 0x1:
                    with archive.open(info) as member:
                        if may_be_model(member.read(16)):
                            return True
    except Exception:  # noqa: BLE001 - zipfile raises whatever its decompressors do
        return False
    return False


def sniff(path: Path) -> bool:
    """Whether a file is a tar, or a zip with a saved model inside. Never raises."""
    return path.is_file() and (looks_like_tar(path) or _looks_like_zip(path))


def read_archive(path: Path) -> Checkpoint:
    """Read the saved model inside an archive; nothing is unpacked to the disk.

    Raises
    ------
    CheckpointError
        The archive is damaged, or holds no saved model, or several.
    UnsupportedCellError
        The model inside holds no recurrent module that is computed.
    """
    tar = looks_like_tar(path)
    members = read_tar(path) if tar else _zip_members(path)
    if tar and {name.rpartition("/")[2] for name in members.names} >= {*OLD_TORCH}:
        raise CheckpointError(
            "This is a tar that PyTorch wrote before version 0.1.10, which is not read.",
            where=path,
            found=", ".join(members.names[:6]),
            hint="load it with torch.load, and save its state_dict again",
        )
    return choose_one(path, members.files.values(), _read_inner, members.names)


READER = Reader(
    name="archive",
    title="Archive with a saved model inside (.nemo, .tar.gz, zip of Stable-Baselines3)",
    reads="tars, compressed or not, and zips in which one member is a file of PyTorch or "
    "safetensors; nothing is unpacked to the disk",
    does_not_read="archives with several models or with other formats inside, whose members are "
    "named; tars of PyTorch before 0.1.10",
    sniff=sniff,
    read=read_archive,
)
