"""A PyTorch state dict as a network: certain within a module, guessed between modules.

A state dict holds tensors and no wiring. Within one ``nn.LSTM`` the class fixes it: layer on
layer, both directions concatenated. Between modules widths are all there is to go by.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from rnnscope.checkpoints.module_layouts import MODULE_LAYOUTS, find_layout_modules
from rnnscope.checkpoints.module_layouts.interface import ModuleLayout
from rnnscope.checkpoints.torch.building import Building, StateDict
from rnnscope.checkpoints.torch.computed_weights import computed_words, resolve_weights
from rnnscope.checkpoints.torch.module_names import TENSOR, DeclaredModule, Module, find_modules
from rnnscope.checkpoints.torch.module_readings import ReadModule, all_misfits, read_modules
from rnnscope.errors import UnsupportedCellError
from rnnscope.files.arrays.loadable_arrays import LoadableArray


def read_state_dict(
    arrays: Sequence[LoadableArray],
    where: object,
    *,
    declared: Mapping[str, DeclaredModule] | None = None,
    outside: Collection[str] = (),
    constants: Collection[str] = (),
    by_hand: bool = False,
    layouts: Sequence[ModuleLayout] = MODULE_LAYOUTS,
) -> StateDict:
    """The recurrent modules of a state dict.

    Parameters
    ----------
    arrays : sequence of LoadableArray
    where : object
        The file, for messages.
    declared : mapping of str to DeclaredModule, optional
        What the file says of modules, by name, where it keeps the objects themselves.
    outside : collection of str
        Arrays that lie beside the state dict, and so belong to none of its modules.
    constants : collection of str
        Those of them that stand in code, by number.
    by_hand : bool
        Somebody has named the arrays one by one, without a tree of modules.
    layouts : sequence of ModuleLayout
        Whose names are known beside torch's.

    Raises
    ------
    UnsupportedCellError
        There is none, or none that is computed; it names what there is.
    CheckpointError
        The file is damaged.
    """
    resolved = resolve_weights(arrays)
    modules = _all_modules(resolved.arrays, layouts, outside, by_hand=by_hand)
    if not modules:
        raise UnsupportedCellError(
            "No tensor of the file belongs to a recurrent module that is known.",
            where=where,
            expected="names that end in weight_ih_l0 and weight_hh_l0, or as those of "
            + ", ".join(dict.fromkeys(layout.title for layout in layouts)),
            found=", ".join(array.name for array in arrays[:8]) or "no tensors",
        )
    readings = read_modules(modules, resolved, declared or {}, outside, constants)
    if not any(isinstance(reading, ReadModule) for reading in readings):
        raise all_misfits(readings, where)
    built = Building(arrays, resolved.arrays, declared or {})
    for reading in readings:
        built.add(reading)
    built.notes.extend(
        computed_words(array for array in resolved.arrays if array.name in built.made)
    )
    if declared:
        built.notes.append(
            "The file tells the classes of its modules; what feeds what stands in code that is not "
            "read, and is a guess."
        )
    return built.result()


def _all_modules(
    arrays: Sequence[LoadableArray],
    layouts: Sequence[ModuleLayout],
    outside: Collection[str],
    *,
    by_hand: bool,
) -> list[Module]:
    """Torch's modules and those of other layouts, in the order of their first tensors."""
    others = find_layout_modules(arrays, layouts, outside=outside)
    owned = {tensor.name for module in others for tensor in module.tensors()}
    rest = [
        array for array in arrays if array.name not in owned or not TENSOR.fullmatch(array.name)
    ]
    stock = find_modules(rest, outside=outside, by_hand=by_hand)
    if not others:
        return stock
    place = {array.name: number for number, array in enumerate(arrays)}
    last = len(arrays)
    return sorted(
        [*stock, *others],
        key=lambda module: min((place.get(one.name, last) for one in module.tensors()), default=0),
    )
