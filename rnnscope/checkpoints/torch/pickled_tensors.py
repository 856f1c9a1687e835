"""What calls in pickles would give: tensors, as views of their storages.

References
----------
torch/_utils.py (``_rebuild_…``).
"""

from __future__ import annotations

from typing import Any

from rnnscope.checkpoints.torch.pickled_values import (
    DTYPE_BYTES,
    DTYPE_STORAGES,
    ITEM_BYTES,
    MAX_AXES,
    Name,
    PickledTensor,
    Storage,
)


def storage(persistent: Any) -> Storage:
    """('storage', its type, its key, the device, its number of elements, …)."""
    if type(persistent) is not tuple or len(persistent) < 5 or persistent[0] != "storage":
        raise ValueError("a persistent id that is no storage")
    if any(part is not None for part in persistent[5:]):
        raise ValueError("a storage that is a view of another")
    _, kind, name, _, count = persistent[:5]
    if type(kind) is not Name or kind.name not in ITEM_BYTES or type(count) is not int or count < 0:
        raise ValueError("a storage without a type or size")
    return Storage(kind.name, str(name), count)


def tensor(
    held: Any,
    offset: Any,
    shape: Any,
    strides: Any,
    _: Any = None,
    __: Any = None,
    bits: Any = None,
    *___: Any,
) -> PickledTensor:
    """What ``_rebuild_tensor`` and its like give, of a storage whose type is that of the tensor."""
    kind = held.kind if type(held) is Storage else ""
    return _view(held, offset, shape, strides, _with_bits(kind, bits))


def tensor_of_dtype(
    held: Any,
    offset: Any,
    shape: Any,
    strides: Any,
    _: Any,
    __: Any,
    dtype: Any,
    bits: Any = None,
    *___: Any,
) -> PickledTensor:
    """What ``_rebuild_tensor_v3`` gives: the storage is untyped, and the dtype stands beside it."""
    if type(dtype) is not Name or dtype.module != "torch":
        raise ValueError("a tensor without a dtype")
    kind = DTYPE_STORAGES.get(dtype.name, dtype.name)
    return _view(held, offset, shape, strides, _with_bits(kind, bits))


def _with_bits(kind: str, bits: Any) -> str:
    """A kind that is read, or one that is not: ``neg`` and ``conj`` stand beside the values."""
    asked = [str(name) for name, on in bits.items() if on] if type(bits) is dict else []
    return f"{kind} with {', '.join(asked)}" if asked else kind


def _view(held: Any, offset: Any, shape: Any, strides: Any, kind: str) -> PickledTensor:
    numbers = (offset, *shape, *strides)
    whole = all(type(number) is int and number >= 0 for number in numbers)
    if type(held) is not Storage or not whole or not len(shape) == len(strides) <= MAX_AXES:
        raise ValueError("a tensor without a storage, shape or strides")
    size = ITEM_BYTES.get(kind) or DTYPE_BYTES.get(kind, 1)
    count = held.bytes // size
    # Where the last element lies; a tensor without elements lies nowhere.
    steps = (stride * (size - 1) for stride, size in zip(strides, shape, strict=True))
    if 0 not in shape and offset + sum(steps) >= count:
        raise ValueError(f"a tensor that reaches beyond the {count} elements it views")
    return PickledTensor(held, offset, tuple(shape), tuple(strides), kind)
