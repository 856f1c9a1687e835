"""MODULE_LAYOUTS: whose names arrays can have beside torch's. Adding one is an entry here."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence

from rnnscope.checkpoints.module_layouts.assembly import FoundParts, read_parts
from rnnscope.checkpoints.module_layouts.custom_cells import (
    CONCATENATED_GATES,
    GATES,
    JOINT,
    joint_is_meant,
)
from rnnscope.checkpoints.module_layouts.interface import ModuleLayout, plain_name
from rnnscope.checkpoints.module_layouts.jax_libraries import (
    EQUINOX,
    FLAX,
    HAIKU,
    HAIKU_GRU_LAYOUT,
    HAIKU_RNN_LAYOUT,
    MLX,
)
from rnnscope.checkpoints.torch.module_names import Module, ModuleDirection
from rnnscope.errors import OptionError, spell
from rnnscope.files.arrays.loadable_arrays import LoadableArray
from rnnscope.model.cell import GATE_ORDER, CellSpec

MODULE_LAYOUTS: tuple[ModuleLayout, ...] = (
    # In the order in which they are asked: libraries, whose names leave little doubt, then habits.
    EQUINOX,
    MLX,
    FLAX,
    HAIKU,
    HAIKU_GRU_LAYOUT,
    HAIKU_RNN_LAYOUT,
    *GATES,
    JOINT,
    CONCATENATED_GATES,
)

LAYOUT_NAMES = tuple(dict.fromkeys(layout.name for layout in MODULE_LAYOUTS))
"""What ``layout`` takes beside the layouts of `rnnscope.checkpoints.npz`."""


def layouts_of(name: str | None) -> tuple[ModuleLayout, ...]:
    """The layouts of a name, all of them without one; none for ``torch``, which is always known.

    Raises
    ------
    OptionError
        Arrays of that layout are not found by modules.
    """
    if name is None:
        return MODULE_LAYOUTS
    if name not in (*LAYOUT_NAMES, "torch"):
        raise OptionError(
            f"{spell('layout', name)} says nothing of this file.",
            expected="|".join(("torch", *LAYOUT_NAMES)),
            found=name,
            hint="it is for an .npz of arrays",
        )
    return tuple(layout for layout in MODULE_LAYOUTS if layout.name == name)


BOOKKEEPING = frozenset(
    {"opt_state", "optimizer", "optimizer_state", "optim", "mu", "nu", "exp_avg", "exp_avg_sq",
     "ema_params", "batch_stats", "momentum"}
)  # fmt: skip
"""Parts of names under which optimizers and averages keep what looks like weights."""

DENSE_WORDS = re.compile(
    r"(fc|dense|linear|head|classifier|out|output|decoder|emb|embed|embedding|embeddings|logits|"
    r"proj_out|fc_out|output_layer|h2o|i2o|lin|hidden2\w+|h2\w*tag)(_?\d+)?\.?(weight|bias|kernel|"
    r"embedding|w|b)?",
    re.IGNORECASE,
)
"""What is a dense layer or an embedding by its name, beside a cell at the root of a model."""


def find_layout_modules(
    arrays: Sequence[LoadableArray],
    layouts: Iterable[ModuleLayout],
    *,
    outside: Collection[str] = (),
) -> list[Module]:
    """The modules whose arrays a layout names, each with what makes its cell.

    Parameters
    ----------
    arrays : sequence of LoadableArray
    layouts : iterable of ModuleLayout
        An array belongs to the first that has a use for it.
    outside : collection of str
        Arrays that belong to no module.
    """
    names = {
        array.name: plain_name(array.name)
        for array in arrays
        if array.name not in outside and not BOOKKEEPING & {*plain_name(array.name).split(".")}
    }
    named = _NamedArrays(arrays, names)
    taken: set[str] = set()
    modules: list[Module] = []
    for layout in layouts:
        groups: dict[str, FoundParts] = {}
        for array in arrays:
            part = layout.part(names[array.name]) if array.name in names else None
            if part is not None and array.name not in taken:
                groups.setdefault(part.module, FoundParts(layout)).parts.append((part, array))
        for name, found in groups.items():
            if found.looks_whole and _is_meant(found):
                modules.append(_module(name, found, named))
                taken |= {array.name for _, array in found.parts}
    return modules


def _is_meant(found: FoundParts) -> bool:
    """Whether names that other libraries have, too, are meant so here."""
    if found.layout is EQUINOX:  # torch has two biases or none, and computes the same without
        return any(part.role == "bias" for part, _ in found.parts)
    if found.layout.guess and "att" in found.parts[0][0].module.lower():
        return False  # attention has matrices W and U, too
    if found.layout is CONCATENATED_GATES:
        kernels = found.kernels("xm")
        return len({array.shape for _, array in kernels}) == 1 and len(kernels) == len(GATE_ORDER)
    if found.layout is JOINT:
        return joint_is_meant(found)
    return True


class _NamedArrays:
    """Arrays by plain name, in order: those of one module are found without a look at the others.

    Parameters
    ----------
    arrays : sequence of LoadableArray
    names : dict of str to str
        Their plain names, of those that count.
    """

    def __init__(self, arrays: Sequence[LoadableArray], names: dict[str, str]) -> None:
        self._arrays = arrays
        self._sorted = sorted(
            (names[array.name], place) for place, array in enumerate(arrays) if array.name in names
        )

    def under(self, module: str) -> list[LoadableArray]:
        """The arrays of a module and of what lies in it, in the file's order."""
        if not module:
            return [self._arrays[place] for place in sorted(
                place for name, place in self._sorted if DENSE_WORDS.fullmatch(name) is None
            )]  # fmt: skip
        # The character behind a dot: between the two lies what begins with the module and a dot.
        first, last = (bisect_left(self._sorted, (module + end, 0)) for end in "./")
        return [self._arrays[place] for place in sorted(p for _, p in self._sorted[first:last])]


def _module(name: str, found: FoundParts, named: _NamedArrays) -> Module:
    own = {array.name for _, array in found.parts}
    module = Module(name, is_cell=True)
    module.layers[0, False] = ModuleDirection(
        {f"{part.role} {part.side} {part.gate}": array for part, array in found.parts}
    )
    module.extras = [array for array in named.under(name) if array.name not in own]
    module.layout = found.layout

    def read() -> dict[tuple[int, bool], CellSpec]:
        return {(0, False): read_parts(found)}

    module.read = read
    return module
