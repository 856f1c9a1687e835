"""Named arrays in an .npz: for code of one's own in any language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from rnnscope.converting.interface import Abilities, FormatOptions, Plan, WeightFormat, Written
from rnnscope.converting.modules import state_dict
from rnnscope.converting.tf1_arrays import TF1
from rnnscope.converting.tf1_scopes import write_scopes
from rnnscope.converting.torch_format import TORCH, written_state_dict
from rnnscope.errors import OptionError, spell
from rnnscope.files.arrays.stored_array import LoadedArray
from rnnscope.model.cell import Array
from rnnscope.states.saving import write_npz

LAYOUTS = ("torch", "tf1")


def _save(path: Path, arrays: Mapping[str, Array]) -> None:
    write_npz(path, {name: LoadedArray(array) for name, array in arrays.items()})


def _layout(options: FormatOptions) -> str:
    layout = options.layout or LAYOUTS[0]
    if layout not in LAYOUTS:
        raise OptionError(
            "An .npz of weights is not written in this layout.",
            where=spell("as_layout", layout),
            expected=", ".join(LAYOUTS),
            found=layout,
        )
    return layout


def _abilities(options: FormatOptions) -> Abilities:
    return TORCH if _layout(options) == "torch" else TF1


def _write(plan: Plan, options: FormatOptions) -> Written:
    if _layout(options) == "torch":
        made = state_dict(plan, apart=True)
        return written_state_dict(
            plan,
            made,
            save=partial(_save, arrays=made.arrays),
            load='{k: torch.from_numpy(v) for k, v in numpy.load("{target}").items()}',
            layout="torch",
        )
    written = write_scopes(plan, _save, "an .npz")
    load = ('arrays = numpy.load("{target}")', *(f"# {line}" for line in written.load))
    return replace(written, layout="tf1", load=load)


WEIGHT_FORMAT = WeightFormat(
    name="npz",
    title="named arrays (.npz)",
    holds="weights by the names and in the gate order of PyTorch or TensorFlow 1",
    framework="numpy",
    suffixes=(".npz",),
    abilities=_abilities,
    write=_write,
    takes=("layout",),
)
