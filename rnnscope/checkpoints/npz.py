"""``.npz`` files of named arrays: weights that someone has copied out of a framework.

An ``.npz`` does not say who wrote it, so ``--layout`` must. Names are those of the framework.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path

from rnnscope.checkpoints.interface import Checkpoint, Reader
from rnnscope.checkpoints.module_layouts import (
    LAYOUT_NAMES,
    MODULE_LAYOUTS,
    find_layout_modules,
)
from rnnscope.checkpoints.onnx.bare_names import read_onnx_arrays
from rnnscope.checkpoints.tf1.graph_model import GraphModel
from rnnscope.checkpoints.tf1.names import read_named_model
from rnnscope.checkpoints.torch.module_names import TENSOR
from rnnscope.checkpoints.torch.network import read_state_dict
from rnnscope.errors import CheckpointError, InputError, OptionError, UnsupportedCellError, spell
from rnnscope.files.arrays.loadable_arrays import LoadableArray
from rnnscope.files.containers.npz import NpzFile, member_names
from rnnscope.files.tensorflow.bundle import VariableInfo
from rnnscope.model.cell import Array


class NpzVariables:
    """The arrays of an ``.npz`` by name."""

    def __init__(self, path: Path) -> None:
        self.files = (path,)
        with _as_checkpoint_errors():
            self._file = NpzFile(path)

    @cached_property
    def variables(self) -> Mapping[str, VariableInfo]:
        with _as_checkpoint_errors():
            arrays = {name: self._file.array(name) for name in self._file.names}
        return {
            name: VariableInfo(name, array.dtype.name, tuple(array.shape))
            for name, array in arrays.items()
        }

    def read(self, name: str) -> Array:
        """The whole array."""
        with _as_checkpoint_errors():
            return self._file.array(name).read()


@contextmanager
def _as_checkpoint_errors() -> Iterator[None]:
    """The file is read with what reads inputs, but is no input here."""
    try:
        yield
    except InputError as error:
        raise CheckpointError(
            error.what,
            where=error.where,
            expected=error.expected,
            found=error.found,
            hint="save the weights again with numpy.savez",
        ) from error


def sniff(path: Path) -> bool:
    """Whether a file is a zip of nothing but ``.npy`` members. Never raises."""
    names = member_names(path)
    return bool(names) and all(name.endswith(".npy") for name in names)


def read_npz(path: Path, layout: str | None = None) -> Checkpoint:
    """Read weights from an ``.npz``.

    Parameters
    ----------
    path : Path
    layout : str
        A key of `LAYOUTS`.

    Raises
    ------
    OptionError
        Without a layout.
    CheckpointError
        The file is damaged, or arrays do not fit each other.
    UnsupportedCellError
        No array is named as those of a recurrent cell are.
    """
    variables = NpzVariables(path)
    if layout is None:
        raise OptionError(
            "An .npz of weights does not say whose names and gate order it has.",
            where=path,
            expected=spell("layout", "|".join(LAYOUTS)),
            found=", ".join(list(variables.variables)[:6]),
            hint=_fitting_layout(variables),
        )
    model = LAYOUTS[layout](variables, path)
    if not model.network.recurrent:
        raise UnsupportedCellError(
            f"No array is named as those of a recurrent cell are in the layout '{layout}'.",
            where=path,
            expected=EXAMPLES[layout],
            found=", ".join(list(variables.variables)[:8]),
            hint="is it another layout? Or rename the arrays",
        )
    left = {one.name for one in model.left_out}
    return Checkpoint(
        path=path,
        format=READER.name,
        framework=f"arrays in the layout of {layout}",
        files=(path,),
        network=model.network,
        left_out=model.left_out,
        notes=model.notes,
        read_variable=variables.read,
        own_arrays=frozenset(
            name for name in variables.variables if not {name, _torch_name(name)} & left
        ),
    )


def _fitting_layout(variables: NpzVariables) -> str | None:
    """Which layout knows the names, if it is one: they are a sign, and no proof."""
    arrays = [
        LoadableArray(name, info.shape, partial(variables.read, name))
        for name, info in variables.variables.items()
    ]
    stock = any(TENSOR.fullmatch(_torch_name(name)) for name in variables.variables)
    found = {
        module.layout.name
        for module in find_layout_modules(arrays, MODULE_LAYOUTS)
        if module.layout is not None
    }
    fitting = sorted(found or ({"torch"} if stock else set()))
    if len(fitting) != 1:
        return None
    return f"the names are those of {spell('layout', fitting[0])}"


def _read_tensorflow(variables: NpzVariables, path: Path) -> GraphModel:  # noqa: ARG001 - as the others
    return read_named_model(variables)


SHORT = re.compile(
    r"(?P<module>.*?)[._/]?(?P<role>w|weight|b|bias)_(?P<end>(ih|hh|hr)(_l\d+(_reverse)?)?)",
    re.IGNORECASE,
)
"""How people name what they copy out of a PyTorch module: ``enc_w_ih``, ``weight_hh_l0``."""


def _torch_name(name: str) -> str:
    """The name that PyTorch would give an array."""
    found = SHORT.fullmatch(name)
    if found is None:
        return name
    role = "weight" if found["role"][0] in "wW" else "bias"
    module = f"{found['module']}." if found["module"] else ""
    return f"{module}{role}_{found['end'].lower()}"


def _read_torch(variables: NpzVariables, path: Path) -> GraphModel:
    arrays = [
        LoadableArray(_torch_name(name), info.shape, partial(variables.read, name))
        for name, info in variables.variables.items()
    ]
    found = read_state_dict(arrays, path, by_hand=True)
    return GraphModel(found.network, tuple(found.left_out), tuple(found.notes))


def _read_library(name: str, variables: NpzVariables, path: Path) -> GraphModel:
    arrays = [
        LoadableArray(array, info.shape, partial(variables.read, array))
        for array, info in variables.variables.items()
    ]
    layouts = [layout for layout in MODULE_LAYOUTS if layout.name == name]
    found = read_state_dict(arrays, path, layouts=layouts)
    return GraphModel(found.network, tuple(found.left_out), tuple(found.notes))


LAYOUTS: dict[str, Callable[[NpzVariables, Path], GraphModel]] = {
    "tf1": _read_tensorflow,
    "keras": _read_tensorflow,
    "torch": _read_torch,
    "onnx": read_onnx_arrays,
    **{name: partial(_read_library, name) for name in LAYOUT_NAMES},
}
"""Layouts by name. TensorFlow's and Keras' names tell themselves apart by ``recurrent_kernel``."""

EXAMPLES = {
    "tf1": "rnn/lstm_cell/kernel and rnn/lstm_cell/bias",
    "keras": "lstm/kernel, lstm/recurrent_kernel and lstm/bias",
    "torch": "lstm.weight_ih_l0 and lstm.weight_hh_l0",
    "onnx": "lstm_W, lstm_R and lstm_B",
    **{layout.name: layout.example for layout in reversed(MODULE_LAYOUTS)},
}

READER = Reader(
    name="npz",
    title="Named arrays of weights (.npz), of a layout that the user names",
    reads="weights by the names and in the gate order of TensorFlow 1, Keras, PyTorch, ONNX, Flax, "
    "Haiku, Equinox or MLX, or of people's own cells",
    does_not_read="options and wiring, which are defaults and guesses",
    sniff=sniff,
    read=read_npz,
    options=("layout",),
    takes_any_arrays=True,
)
