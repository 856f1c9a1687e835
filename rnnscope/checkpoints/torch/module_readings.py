"""Every recurrent module of a state dict, read with its initial states, or with why it is not."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import field

from rnnscope.checkpoints.torch.computed_weights import Resolved
from rnnscope.checkpoints.torch.learned_states import ModuleStates, find_states
from rnnscope.checkpoints.torch.module_cells import read_cells
from rnnscope.checkpoints.torch.module_names import (
    DeclaredModule,
    MisfitError,
    Module,
    ModuleDirection,
)
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import UnsupportedCellError
from rnnscope.files.arrays.loadable_arrays import LoadableArray
from rnnscope.model.cell import CellSpec


@dataclass
class ReadModule:
    """A recurrent module with its cells, and what the file says of its initial states."""

    module: Module
    cells: dict[tuple[int, bool], CellSpec]
    states: ModuleStates = field(default_factory=ModuleStates)


@dataclass
class MisfitModule:
    """A recurrent module that is none of torch's own, and the reason."""

    module: Module
    error: MisfitError

    @property
    def widths(self) -> tuple[int | None, int | None]:
        """Of its input and its outputs, as far as its tensors tell."""
        first = self.module.layers.get((0, False), ModuleDirection()).tensors
        shapes = [
            tensor.shape if (tensor := first.get(role)) is not None else ()
            for role in ("weight_ih", "weight_hh")
        ]
        found = [shape[1] if len(shape) == 2 else None for shape in shapes]
        return found[0], found[1]


def read_modules(
    modules: list[Module],
    resolved: Resolved,
    declared: Mapping[str, DeclaredModule],
    outside: Collection[str],
    constants: Collection[str],
) -> list[ReadModule | MisfitModule]:
    """Every module, read or with the reason why it is not.

    Parameters
    ----------
    modules : list of Module
        Each is given what the file says of it.
    resolved : Resolved
        All tensors of the file.
    declared : mapping of str to DeclaredModule
        What the file says of modules, by name.
    outside, constants : collection of str
        Tensors beside the state dict, and those of them that stand in code.
    """
    found: dict[int, ReadModule | MisfitModule] = {}
    for number, module in enumerate(modules):
        module.declared = None if module.layout else declared.get(module.name)
        try:
            cells = module.read() if module.read else read_cells(module, resolved.troubles)
            found[number] = ReadModule(module, cells)
        except MisfitError as error:
            found[number] = MisfitModule(module, error)
    read = {r.module.name: r for r in found.values() if isinstance(r, ReadModule)}
    of_layouts = _of_layouts(modules)
    states = find_states(
        {name: (reading.module, reading.cells) for name, reading in read.items()},
        [array for array in resolved.arrays if array.name not in of_layouts],
        outside,
        constants,
    )
    for number, reading in list(found.items()):
        if isinstance(reading, ReadModule):
            reading.states = states.get(reading.module.name, ModuleStates())
            extras = [a for a in reading.module.extras if a.name not in reading.states.used]
            if extras:
                found[number] = MisfitModule(reading.module, _of_extras(extras, reading.module))
    return list(found.values())


def _of_layouts(modules: Sequence[Module]) -> set[str]:
    """Tensors of cells that are not torch's: none of them is a state."""
    return {tensor.name for module in modules if module.layout for tensor in module.tensors()}


def _of_extras(extras: list[LoadableArray], module: Module) -> MisfitError:
    names = ", ".join(f"'{array.name}'" for array in extras[:6])
    more = f" and {len(extras) - 6} more" if len(extras) > 6 else ""
    kind = "cell" if module.is_cell else "module"
    return MisfitError(
        f"has {names}{more}, which no recurrent {kind} of torch has",
        extras[0].name,
        "weight_ih, weight_hh, bias_ih, bias_hh and weight_hr alone",
        f"{names}{more}",
        "it is a module of somebody's own, which computes something else with them"
        if module.name
        else "it is a module of somebody's own; what lies beside a module needs a name that does "
        "not begin with that module's",
    )


def all_misfits(
    readings: Sequence[ReadModule | MisfitModule], where: object
) -> UnsupportedCellError:
    """The error for a file none of whose modules is computed."""
    misfits = [reading for reading in readings if isinstance(reading, MisfitModule)]
    first = misfits[0].error
    words = [f"{_shown(one.module)} {one.error.reason}" for one in misfits[:6]]
    what = words[0] if len(misfits) == 1 else "none of the file's recurrent modules is computed"
    return UnsupportedCellError(
        f"{what[0].upper()}{what[1:]}.",
        where=f"{where}: {first.tensor}" if first.tensor else where,
        expected=first.expected or None,
        found=(first.found or None) if len(misfits) == 1 else "; ".join(words),
        hint=first.hint or None,
    )


def _shown(module: Module) -> str:
    return f"module '{module.name}'" if module.name else "the module"
