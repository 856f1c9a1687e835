"""What an opened PyTorch file is, whatever it was stored in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from rnnscope.checkpoints.torch.frozen_code import FrozenModules
from rnnscope.checkpoints.torch.pickled_values import PickledTensor
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array


@dataclass(frozen=True, eq=False)
class TorchFile:
    """A PyTorch file, opened as data.

    Attributes
    ----------
    value : object
        What was saved, as `pickle_data.read_pickle` gives it.
    load : callable
        ``load(tensor, where) -> ndarray`` of a `PickledTensor`.
    is_script : bool
        A TorchScript archive.
    nonlinearity : str
        What the code of such an archive calls for nn.RNN, ``"tanh"`` or ``"relu"``, if only one.
    constants : mapping of int to PickledTensor
        Tensors that its code names by number; they have a loader of their own.
    frozen : FrozenModules
        Which of them the code calls recurrent functions with.
    load_constant : callable or None
        ``load_constant(tensor, where) -> ndarray`` of these.
    """

    value: Any
    load: Callable[[PickledTensor, object], Array]
    is_script: bool = False
    nonlinearity: str = ""
    constants: Mapping[int, PickledTensor] = field(default_factory=dict)
    frozen: FrozenModules = field(default_factory=FrozenModules)
    load_constant: Callable[[PickledTensor, object], Array] | None = None
