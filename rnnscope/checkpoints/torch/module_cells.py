"""The cells of a recurrent module: every layer and direction, and that they make one stack."""

from __future__ import annotations

from collections.abc import Mapping

from rnnscope.checkpoints.torch.direction_cell import read_cell
from rnnscope.checkpoints.torch.module_names import TENSOR, MisfitError, Module
from rnnscope.model.cell import CellSpec

STOCK_CLASSES = frozenset(
    f"torch.nn.modules.rnn.{name}"
    for name in ("RNNBase", "LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell")
)


def read_cells(module: Module, troubles: Mapping[str, str]) -> dict[tuple[int, bool], CellSpec]:
    """The cells of a module, by layer and whether it is the second direction.

    Parameters
    ----------
    module : Module
    troubles : mapping of str to str
        Weights that are stored in parts of which none is known to be made, with the reasons.

    Raises
    ------
    MisfitError
        The module is none of torch's own.
    CheckpointError
        The file is damaged.
    """
    _require_stock_class(module)
    for whole, reason in troubles.items():
        match = TENSOR.fullmatch(whole)
        if match is not None and match["module"].rstrip("./") == module.name:
            raise MisfitError(reason, whole, hint="save the model with its plain weights")
    cells = {place: read_cell(one, module) for place, one in sorted(module.layers.items())}
    count = max((layer for layer, _ in cells), default=-1) + 1
    both = (0, True) in cells
    wanted = {(layer, reverse) for layer in range(count) for reverse in {False, both}}
    declared = module.declared.settings if module.declared is not None else {}
    layers, said_both = declared.get("num_layers", count), declared.get("bidirectional", both)
    if not cells or wanted != set(cells) or (layers, bool(said_both)) != (count, both):
        raise MisfitError(
            "is not complete",
            "",
            f"{max(layers if type(layers) is int else 0, count, 1)} layers"
            f"{' of two directions' if both or said_both else ''}",
            ", ".join(f"l{layer}{'_reverse' * rev}" for layer, rev in cells) or "none",
            "the file holds only a part of the model",
        )
    _require_one_stack(module, cells, count)
    return cells


def _require_one_stack(
    module: Module, cells: Mapping[tuple[int, bool], CellSpec], count: int
) -> None:
    """Refuse layers that do not fit each other."""
    first = cells[0, False]
    width = first.input_size
    biased = {place: "bias_ih" in one.tensors for place, one in module.layers.items()}
    for layer in range(count):
        level = {place: cell for place, cell in cells.items() if place[0] == layer}
        for place, cell in level.items():
            tensor = module.layers[place].tensors["weight_ih"]
            if cell.input_size != width:
                raise MisfitError(
                    f"has '{tensor.name}', which does not fit the layer below it",
                    tensor.name,
                    f"{width} features",
                    f"{cell.input_size}",
                    "the file is damaged, or the module is none of torch's own",
                )
            same = (cell.kind, cell.num_units, cell.output_size, biased[place]) == (
                first.kind, first.num_units, first.output_size, biased[0, False]
            )  # fmt: skip
            if not same:
                raise MisfitError(
                    f"has layers of several kinds, widths or biases: '{tensor.name}' begins one",
                    tensor.name,
                    "layers that are alike, as torch's modules have them",
                )
        width = sum(cell.output_size for cell in level.values())


def _require_stock_class(module: Module) -> None:
    """Refuse classes of somebody's own, and what runs before or behind a module."""
    declared = module.declared
    if declared is None:
        return
    if declared.class_name not in STOCK_CLASSES:
        raise MisfitError(
            f"is of the class {declared.class_name}, whose code is not in the file",
            "",
            "nn.LSTM, nn.GRU, nn.RNN, or one of their cells",
            declared.class_name,
            "its weights alone may do: save its state_dict, if it computes what torch's own does",
        )
    if declared.hooks:
        names = ", ".join(declared.hooks)
        raise MisfitError(
            f"has code around its forward pass that is not in the file ({names})", found=names
        )
