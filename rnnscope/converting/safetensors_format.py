"""safetensors: torch's state dict in a file of arrays without code."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from rnnscope.converting.interface import FormatOptions, Plan, WeightFormat, Written
from rnnscope.converting.modules import state_dict
from rnnscope.converting.torch_format import torch_abilities, written_state_dict
from rnnscope.files.arrays.stored_array import LoadedArray
from rnnscope.files.containers.safetensors import write_safetensors
from rnnscope.model.cell import Array


def _save(path: Path, arrays: Mapping[str, Array]) -> None:
    write_safetensors(path, {name: LoadedArray(array) for name, array in arrays.items()})


def _write(plan: Plan, options: FormatOptions) -> Written:  # noqa: ARG001 - takes none
    made = state_dict(plan)
    return written_state_dict(
        plan,
        made,
        save=partial(_save, arrays=made.arrays),
        load='safetensors.torch.load_file("{target}")',
    )


WEIGHT_FORMAT = WeightFormat(
    name="safetensors",
    title="PyTorch state dict in .safetensors",
    holds="what torch holds",
    framework="PyTorch",
    suffixes=(".safetensors",),
    abilities=torch_abilities,
    write=_write,
)
