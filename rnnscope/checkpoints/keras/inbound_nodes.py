"""How a Keras configuration says what a layer is called on, in its three dialects.

Keras 1 and 2: ``[[["name", node, tensor, {kwargs}], …], …]``, one list a call. tf.keras: also
without the innermost list but one. Keras 3: ``[{"args": […], "kwargs": {…}}, …]`` with tensors as
``{"class_name": "__keras_tensor__", "config": {"keras_history": ["name", node, tensor]}}``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from rnnscope.errors import CheckpointError

MAX_DEPTH = 64


class TensorRef(NamedTuple):
    """One tensor: the layer that makes it, in which of its calls, and which of its outputs."""

    layer: str
    call: int
    output: int


@dataclass(frozen=True)
class Call:
    """One call of a layer: the tensors that it gets.

    Attributes
    ----------
    inputs : tuple of TensorRef
        Every tensor but those below.
    states : tuple of TensorRef
        Given as ``initial_state``, by keyword or in second place.
    mask : tuple of TensorRef
        Given as ``mask``: an explicit mask, made by a layer.
    """

    inputs: tuple[TensorRef, ...]
    states: tuple[TensorRef, ...] = ()
    mask: tuple[TensorRef, ...] = ()


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
        # A number handed to an operation: not a tensor.
        return [] if value[0] == "_CONSTANT_VALUE" else [_as_ref(value[:3], where)]
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


def read_calls(inbound_nodes: Any, where: str) -> list[Call]:
    """The calls of one layer, from its ``inbound_nodes``.

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
    return [_read_call(node, where) for node in inbound_nodes]


def _read_call(node: Any, where: str) -> Call:
    if isinstance(node, dict):
        return _keras3_call(node, where)
    if not isinstance(node, list):
        node = [node]
    entries = [node] if _is_ref(node) else node
    inputs: list[TensorRef] = []
    states: list[TensorRef] = []
    mask: list[TensorRef] = []
    for entry in entries:
        if not isinstance(entry, list):
            # A layer called on a dict of tensors.
            inputs += tensor_refs(entry, where)
            continue
        inputs += tensor_refs(entry[:3] if _is_ref(entry) else entry, where)
        kwargs = entry[3] if _is_ref(entry) and len(entry) > 3 else {}
        if isinstance(kwargs, dict):
            states += tensor_refs(kwargs.get("initial_state"), where)
            mask += tensor_refs(kwargs.get("mask"), where)
            rest = {key: kwargs[key] for key in kwargs.keys() - {"initial_state", "mask"}}
            inputs += tensor_refs(rest, where)
    return Call(tuple(inputs), tuple(states), tuple(mask))


def _keras3_call(node: dict[str, Any], where: str) -> Call:
    arguments, kwargs = node.get("args", []), node.get("kwargs", {})
    if not isinstance(arguments, list) or not isinstance(kwargs, dict):
        raise CheckpointError(
            "The model's configuration does not say what a layer reads.",
            where=where,
            expected="args: a list, kwargs: an object",
            found=f"{type(arguments).__name__}, {type(kwargs).__name__}",
        )
    states = tensor_refs(kwargs.get("initial_state"), where)
    mask = tensor_refs(kwargs.get("mask"), where)
    rest = {key: kwargs[key] for key in kwargs.keys() - {"initial_state", "mask"}}
    inputs = tensor_refs(arguments, where) + tensor_refs(rest, where)
    return Call(tuple(inputs), tuple(states), tuple(mask))
