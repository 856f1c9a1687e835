"""How a Keras configuration says what a layer is called on, in its three dialects.

Keras 1 and 2: ``[[["name", node, tensor, {kwargs}], …], …]``, one list a call. tf.keras: also
without the innermost list but one. Keras 3: ``[{"args": […], "kwargs": {…}}, …]`` with tensors as
``{"class_name": "__keras_tensor__", "config": {"keras_history": ["name", node, tensor]}}``.

What a call is given beside tensors is kept as well: constants, ``training``, any other argument.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, NamedTuple

from rnnscope.checkpoints.keras.calls.constants import (
    ConstantArray,
    constant_array,
    constant_arrays,
)
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError

MAX_DEPTH = 64
CONSTANT = "_CONSTANT_VALUE"
"""How Keras 2 marks a value that stands where a tensor may."""

POSITIONS: Mapping[str, tuple[str, ...]] = {
    "RNN": ("initial_state", "mask", "training"),
    "Bidirectional": ("initial_state", "mask", "training"),
    "TimeDistributed": ("training", "mask"),
    "BatchNormalization": ("training", "mask"),
    "Dropout": ("training",),
    "Model": ("training", "mask"),
    "Softmax": ("mask",),
    "GlobalAveragePooling1D": ("mask",),
}
"""What Keras 3 takes by position behind a layer's first argument, by kind of layer."""


class TensorRef(NamedTuple):
    """One tensor: the layer that makes it, in which of its calls, and which of its outputs."""

    layer: str
    call: int
    output: int


StateArgument = TensorRef | ConstantArray


@dataclass(frozen=True)
class Call:
    """One call of a layer: what it gets.

    Attributes
    ----------
    inputs : tuple of TensorRef
        Every tensor but those below.
    states : tuple of TensorRef or ConstantArray
        Given as ``initial_state``, by keyword or in second place.
    mask : tuple of TensorRef
        Given as ``mask``: an explicit mask, made by a layer.
    stored_mask : ConstantArray or None
        A mask whose values the file holds.
    arguments : mapping of str to object
        Every other argument that is not None, by name; ``"inputs"`` for a constant in a tensor's
        place.
    """

    inputs: tuple[TensorRef, ...]
    states: tuple[StateArgument, ...] = ()
    mask: tuple[TensorRef, ...] = ()
    stored_mask: ConstantArray | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tensors(self) -> tuple[TensorRef, ...]:
        """Everything that a layer makes, the mask too."""
        return (*self.inputs, *self.state_refs, *self.mask)

    @property
    def state_refs(self) -> tuple[TensorRef, ...]:
        """The initial states that are tensors."""
        return tuple(state for state in self.states if isinstance(state, TensorRef))


def tensor_refs(value: Any, where: str, depth: int = 0) -> list[TensorRef]:
    """Every tensor mentioned in a piece of configuration, in order."""
    if depth > MAX_DEPTH:
        raise CheckpointError(
            "The model's configuration nests its tensors too deep.",
            where=where,
            expected=f"at most {MAX_DEPTH} levels",
            found="more",
        )
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            inner = value.get("config")
            value = inner.get("keras_history") if isinstance(inner, dict) else None
            return [_as_ref(value, where)]
        return [ref for entry in value.values() for ref in tensor_refs(entry, where, depth + 1)]
    if not isinstance(value, list):
        return []
    if _is_ref(value):
        # A constant handed to an operation: not a tensor.
        return [] if value[0] == CONSTANT else [_as_ref(value[:3], where)]
    return [ref for entry in value for ref in tensor_refs(entry, where, depth + 1)]


def _is_ref(value: list[Any]) -> bool:
    return (
        len(value) >= 3
        and isinstance(value[0], str)
        and all(isinstance(number, int) for number in value[1:2])
    )


def _as_ref(value: Any, where: str) -> TensorRef:
    if (
        not isinstance(value, list)
        or len(value) != 3
        or not isinstance(value[0], str)
        or not all(isinstance(number, int) and number >= 0 for number in value[1:])
    ):
        raise CheckpointError(
            "The model's configuration does not say what a layer reads.",
            where=where,
            expected='["layer", call number, output number]',
            found=str(value)[:80],
            hint="The file is damaged or was edited; save the model again.",
        )
    return TensorRef(*value)


def read_calls(inbound_nodes: Any, where: str, kind: str = "") -> list[Call]:
    """The calls of one layer, from its ``inbound_nodes``.

    Parameters
    ----------
    inbound_nodes : object
        As stored.
    where : str
    kind : str
        A key of `POSITIONS`: what arguments by position are. ``"Operation"``: any of them may be
        a tensor or a constant, which whoever computes it reads for itself.

    Raises
    ------
    CheckpointError
        It is no list, or holds something that is no call; it names the layer.
    """
    if not isinstance(inbound_nodes, list):
        raise CheckpointError(
            "The model's configuration does not say what a layer reads.",
            where=where,
            expected="inbound_nodes: a list",
            found=type(inbound_nodes).__name__,
        )
    return [_read_call(node, where, kind) for node in inbound_nodes]


def _read_call(node: Any, where: str, kind: str) -> Call:
    if isinstance(node, dict):
        return _keras3_call(node, where, kind)
    if not isinstance(node, list):
        node = [node]
    entries = [node] if _is_ref(node) else node
    inputs: list[TensorRef] = []
    arguments: dict[str, Any] = {}
    for entry in entries:
        if not isinstance(entry, list) or not _is_ref(entry):
            # A layer called on a dict or a list of tensors.
            inputs += tensor_refs(entry, where)
            continue
        inputs += tensor_refs(entry[:3], where)
        if entry[0] == CONSTANT:
            arguments["inputs"] = entry[2]
        kwargs = entry[3] if len(entry) > 3 else {}
        if isinstance(kwargs, dict):
            arguments.update(kwargs)
    return _call(inputs, arguments, where)


def _keras3_call(node: dict[str, Any], where: str, kind: str) -> Call:
    given, kwargs = node.get("args", []), node.get("kwargs", {})
    if not isinstance(given, list) or not isinstance(kwargs, dict):
        raise CheckpointError(
            "The model's configuration does not say what a layer reads.",
            where=where,
            expected="args: a list, kwargs: an object",
            found=f"{type(given).__name__}, {type(kwargs).__name__}",
        )
    positions = POSITIONS.get(kind, ())
    first, others = (given[:1], given[1:]) if positions else (given, [])
    inputs = tensor_refs(first, where)
    arguments = dict(zip(positions, others, strict=False))
    if len(others) > len(positions):
        arguments["args"] = others[len(positions) :]
    if kind != "Operation" and not _tensors_alone(first):
        arguments["inputs"] = first
    # Keras 3 notes "mask": null by keyword where a mask was given by position.
    arguments |= {key: value for key, value in kwargs.items() if value is not None}
    return _call(inputs, arguments, where)


def _tensors_alone(value: Any, depth: int = 0) -> bool:
    """Whether nothing but tensors stands in an argument, in lists or objects."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            return True
        value = [*value.values()]
    return (
        isinstance(value, list)
        and depth < MAX_DEPTH
        and all(_tensors_alone(part, depth + 1) for part in value)
    )


def _call(inputs: list[TensorRef], arguments: dict[str, Any], where: str) -> Call:
    """A call of which the arguments' names are known."""
    rest = {key: value for key, value in arguments.items() if value is not None}
    states = _states(rest.pop("initial_state", None), where)
    stored = rest.pop("mask", None)
    mask = tuple(tensor_refs(stored, where))
    stored_mask = None if mask or stored is None else constant_array(stored)
    if stored is not None and not mask and stored_mask is None:
        rest["mask"] = stored
    if not isinstance(states, tuple):
        rest["initial_state"] = states
        states = ()
    for key in [*rest]:
        refs = tensor_refs(rest[key], where)
        if refs and key not in ("training", "constants"):
            inputs = inputs + refs
            del rest[key]
    return Call(tuple(inputs), states, mask, stored_mask, rest)


def _states(value: Any, where: str) -> tuple[StateArgument, ...] | Any:
    """The initial states, each a tensor or an array; what is neither comes back as it is."""
    if value is None:
        return ()
    refs = tensor_refs(value, where)
    arrays = constant_arrays(value)
    if refs and not arrays:
        return tuple(refs)
    if arrays is not None and not refs:
        return tuple(arrays)
    # Some of each, as Keras 3 allows: one after another.
    parts = value if isinstance(value, list) else [value]
    found: list[StateArgument] = []
    for part in parts:
        inner = tensor_refs(part, where)
        constants = constant_arrays(part)
        if len(inner) + len(constants or ()) != 1:
            return value
        found += inner or constants or []
    return tuple(found)
