"""Files of PyTorch in all their containers, and archives around them."""

from __future__ import annotations

import io
import pickle
import tarfile
import zipfile
from pathlib import Path
from typing import Any

from model_files.interface import UNITS, WIDTH, Write, Written, drawn


def _module(layers: int, rows: int) -> Any:
    import torch

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            if rows:
                self.embedding = torch.nn.Embedding.from_pretrained(
                    torch.from_numpy(drawn(rows, WIDTH)), freeze=False
                )
            self.rnn = torch.nn.LSTM(UNITS, UNITS, num_layers=layers, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.rnn(x)[0]

    return Net()


def state_dict(path: Path, layers: int, rows: int) -> Written:
    """A state dict in a zip."""
    import torch

    path = path.with_suffix(".pt")
    torch.save(_module(layers, rows).state_dict(), path)
    return Written(path)


def legacy(path: Path, layers: int, rows: int) -> Written:
    """A state dict as before torch 1.6."""
    import torch

    path = path.with_suffix(".pt")
    torch.save(_module(layers, rows).state_dict(), path, _use_new_zipfile_serialization=False)
    return Written(path)


def _holder(layers: int, rows: int) -> Any:
    """Modules of torch's own alone: those can be pickled from here."""
    import torch

    whole = torch.nn.ModuleDict({"rnn": torch.nn.LSTM(UNITS, UNITS, num_layers=layers)})
    if rows:
        whole["embedding"] = torch.nn.Embedding.from_pretrained(
            torch.from_numpy(drawn(rows, WIDTH))
        )
    return whole


def whole_module(path: Path, layers: int, rows: int) -> Written:
    """A pickled module in a zip."""
    import torch

    path = path.with_suffix(".pt")
    torch.save(_holder(layers, rows), path)
    return Written(path)


def legacy_module(path: Path, layers: int, rows: int) -> Written:
    """A pickled module as before torch 1.6."""
    import torch

    path = path.with_suffix(".pt")
    torch.save(_holder(layers, rows), path, _use_new_zipfile_serialization=False)
    return Written(path)


def torchscript(path: Path, layers: int, rows: int) -> Written:
    """A traced module."""
    import torch

    path = path.with_suffix(".pt")
    torch.jit.save(torch.jit.trace(_module(layers, rows), torch.zeros(1, 2, UNITS)), path)
    return Written(path)


def plain_pickle(path: Path, layers: int, rows: int) -> Written:
    """A state dict that ``pickle.dump`` wrote: every storage is a file of torch inside."""
    path = path.with_suffix(".pkl")
    with path.open("wb") as file:
        pickle.dump(dict(_module(layers, rows).state_dict()), file)
    return Written(path)


def compressed(path: Path, layers: int, rows: int) -> Written:
    """A state dict in a zip that was packed again."""
    stored = state_dict(path.with_name(f"{path.name}-stored"), layers, rows).path
    path = path.with_suffix(".pt")
    with (
        zipfile.ZipFile(stored) as old,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new,
    ):
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))
    stored.unlink()
    return Written(path)


def exported(path: Path, layers: int, rows: int) -> Written:
    """What ``torch.export.save`` writes."""
    import torch

    path = path.with_suffix(".pt2")
    program = torch.export.export(_module(layers, rows), (torch.zeros(1, 2, UNITS),))
    torch.export.save(program, path)
    return Written(path)


def distributed(path: Path, layers: int, rows: int) -> Written:
    """A folder of ``torch.distributed.checkpoint``."""
    from torch.distributed import checkpoint

    checkpoint.save(_module(layers, rows).state_dict(), checkpoint_id=path, no_dist=True)
    return Written(path)


def in_zip(path: Path, layers: int, rows: int) -> Written:
    """A state dict in a zip, compressed, as Stable-Baselines3 has it."""
    inner = state_dict(path.with_name(f"{path.name}-policy"), layers, rows).path
    path = path.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.write(inner, "policy.pth")
        archive.writestr("data", "{}")
    inner.unlink()
    return Written(path)


def _tar(path: Path, layers: int, rows: int, mode: str) -> Written:
    inner = state_dict(path.with_name(f"{path.name}-weights"), layers, rows).path
    options: dict[str, Any] = {"compresslevel": 1} if mode.endswith("gz") else {}
    with tarfile.open(path, mode, **options) as archive:  # type: ignore[call-overload]
        text = b"target: none\n"
        info = tarfile.TarInfo("model_config.yaml")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))
        archive.add(inner, "model_weights.ckpt")
    inner.unlink()
    return Written(path)


def in_tar(path: Path, layers: int, rows: int) -> Written:
    """A state dict in a tar, as NeMo has it."""
    return _tar(path.with_suffix(".nemo"), layers, rows, "w")


def in_gzip(path: Path, layers: int, rows: int) -> Written:
    """A state dict in a compressed tar, as AllenNLP has it."""
    return _tar(path.with_name(f"{path.name}.tar.gz"), layers, rows, "w:gz")


WRITERS: dict[str, Write] = {
    ".pt": state_dict, ".pt, before 1.6": legacy, ".pt, whole module": whole_module,
    ".pt, whole module, before 1.6": legacy_module, "TorchScript": torchscript,
    ".pt, compressed": compressed, "pickle of tensors": plain_pickle, ".pt2": exported,
    "distributed": distributed, "zip around .pt": in_zip, "tar around .pt": in_tar,
    "tar.gz around .pt": in_gzip,
}  # fmt: skip
