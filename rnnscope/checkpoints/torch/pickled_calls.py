"""What calls in pickles would give: tensors, arrays and dicts as data, anything else as a record.

References
----------
torch/_utils.py (``_rebuild_…``), torch/storage.py (``_load_from_bytes``); numpy/_core/multiarray
and numeric (``_reconstruct``, ``scalar``, ``_frombuffer``); Lib/copyreg.py;
jax/_src/array.py (``_reconstruct_array``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rnnscope.checkpoints.torch.pickled_arrays import (
    array_of_buffer,
    dtype_of,
    empty_array,
    fill_array,
    scalar,
)
from rnnscope.checkpoints.torch.pickled_tensors import tensor, tensor_of_dtype
from rnnscope.checkpoints.torch.pickled_values import (
    ITEM_BYTES,
    Dtype,
    Name,
    OpaqueKey,
    PickledArray,
    PickledTensor,
    Record,
    Script,
)

MAX_KEY_PARTS = 64
MAX_INTEGER = 1 << 64
"""Numbers with more digits take long to write down."""


ALIASES = {"__builtin__": "builtins", "copy_reg": "copyreg"}
"""Modules of Python 2, by their names now."""

SCRIPT_TAGS = tuple(
    Name("torch.jit._pickle", name)
    for name in ("restore_type_tag", "build_intlist", "build_doublelist", "build_boollist",
                 "build_tensorlist")
)  # fmt: skip


def named(module: str, name: str) -> Name:
    """A name under which its module is known today."""
    module = ALIASES.get(module, module)
    if module.startswith("numpy._core"):
        module = module.replace("numpy._core", "numpy.core", 1)
    return Name(module, name)


def call(made: Any, arguments: Any, *, script: bool = False) -> Any:
    """What calling a name would give.

    Parameters
    ----------
    made : Name
    arguments : tuple
    script : bool
        True in a TorchScript archive.

    Raises
    ------
    TypeError, ValueError, IndexError
        The pickle is damaged.
    """
    if type(made) is Record:  # a function that another function made, such as functools.partial
        return Record(made.name, (made, *arguments))
    if type(made) is not Name or type(arguments) is not tuple:
        raise TypeError("a call of what is no name")
    if made in CALLS:
        return CALLS[made](*arguments)
    if made in SCRIPT_TAGS:
        return arguments[0]
    if script and made.module.split(".")[0] == "__torch__":
        return Script(made)
    if made.module == "torch" and made.name in ITEM_BYTES:
        raise TypeError(f"a call of the storage type {made.name}")
    return Record(made, arguments)


def build(target: Any, state: Any) -> None:
    """Give an object its state.

    Raises
    ------
    TypeError, ValueError
        The pickle is damaged.
    """
    if isinstance(target, Script):
        if type(state) is dict:
            target.state = {**target.attributes, **state}
    elif isinstance(target, Record):
        target.state = state
    elif type(target) is Dtype:
        order = state[1] if type(state) is tuple and len(state) > 1 else "="
        target.order = order if order in ("<", ">", "=", "|") else "="
    elif type(target) is PickledArray:
        _, shape, dtype, fortran, data = state
        fill_array(target, shape, dtype, bool(fortran), data)
    elif type(target) not in (dict, PickledTensor):
        # The versions that torch notes on an ordered dict, and hooks of a parameter, are dropped.
        raise TypeError(f"attributes of a {type(target).__name__}")


def key(value: Any) -> Any:
    """The key of a dict, if it is cheap to hash; else one that equals nothing."""
    plain = (str, bytes, int, float, bool, complex, type(None), Name)
    if type(value) in plain and (type(value) is not int or abs(value) < MAX_INTEGER):
        return value
    short = type(value) is tuple and len(value) <= MAX_KEY_PARTS
    if (
        short
        and all(key(part) is part for part in value if type(part) is not tuple)
        and not any(type(part) is tuple for part in value)
    ):
        return value
    return OpaqueKey(value)


def _parameter(data: Any, *_: Any) -> Any:
    return data


def _of_type(function: Any, kind: Any, arguments: Any, state: Any = None, *_: Any) -> Any:
    """A tensor of an own class of tensors, or one with attributes."""
    made = call(function, arguments)
    own = Name("torch", "Tensor"), Name("torch.nn.parameter", "Parameter")
    return made if kind in own else Record(kind, (made,), state)


def _jax_array(function: Any, arguments: Any, state: Any, *_: Any) -> Any:
    """An array of jax, which pickles as the numpy array of its values."""
    array = call(function, arguments)
    build(array, state)
    return array


def _ordered(pairs: Any = (), *_: Any) -> dict[Any, Any]:
    if type(pairs) is dict:
        return dict(pairs)
    return {key(name): value for name, value in (tuple(pair) for pair in pairs)}


def _default(_: Any = None, pairs: Any = (), *__: Any) -> dict[Any, Any]:
    return _ordered(pairs)


def _listed(items: Any = (), *_: Any) -> list[Any]:
    return list(items) if type(items) in (list, tuple) else [items]


def _encoded(text: Any, encoding: Any = "utf-8", *_: Any) -> bytes:
    """Bytes as old protocols write them."""
    if type(text) is not str or encoding not in ("latin1", "latin-1", "utf-8", "ascii"):
        raise TypeError("bytes that are no text")
    return text.encode(encoding)


def _bytes(data: Any = b"", encoding: Any = "latin-1", *_: Any) -> bytes | memoryview:
    if type(data) is memoryview:
        return data
    if type(data) is str:
        return _encoded(data, encoding)
    if type(data) not in (bytes, bytearray):
        raise TypeError("bytes of something else")
    return bytes(data)


def _new(kind: Any, *arguments: Any) -> Any:
    return call(kind, arguments)


def _reconstructed(kind: Any, _: Any = None, state: Any = None, *__: Any) -> Record:
    if type(kind) is not Name:
        raise TypeError("an object of what is no name")
    return Record(kind, () if state is None else (state,))


def _complex(real: Any = 0.0, imaginary: Any = 0.0, *_: Any) -> complex:
    return complex(float(real), float(imaginary))


CALLS: dict[Name, Callable[..., Any]] = {
    Name("torch._utils", "_rebuild_tensor"): tensor,
    Name("torch._utils", "_rebuild_tensor_v2"): tensor,
    Name("torch._utils", "_rebuild_tensor_v3"): tensor_of_dtype,
    Name("torch._utils", "_rebuild_parameter"): _parameter,
    Name("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    Name("torch._utils", "_rebuild_device_tensor_from_numpy"): _parameter,
    Name("torch._tensor", "_rebuild_from_type_v2"): _of_type,
    Name("torch._tensor", "_rebuild_from_type"): _of_type,
    Name("torch.nn.parameter", "Parameter"): _parameter,
    Name("torch.autograd.variable", "Variable"): _parameter,
    Name("torch", "Size"): lambda shape=(), *_: tuple(shape),
    Name("numpy.core.multiarray", "_reconstruct"): empty_array,
    Name("numpy.core.multiarray", "scalar"): scalar,
    Name("numpy.core.numeric", "_frombuffer"): array_of_buffer,
    Name("numpy", "dtype"): dtype_of,
    Name("jax._src.array", "_reconstruct_array"): _jax_array,
    Name("jax._src.device_array", "reconstruct_device_array"): _jax_array,
    Name("collections", "OrderedDict"): _ordered,
    Name("collections", "defaultdict"): _default,
    Name("collections", "Counter"): _ordered,
    Name("builtins", "dict"): _ordered,
    Name("builtins", "set"): _listed,
    Name("builtins", "frozenset"): _listed,
    Name("builtins", "list"): _listed,
    Name("builtins", "bytearray"): _bytes,
    Name("builtins", "bytes"): _bytes,
    Name("builtins", "complex"): _complex,
    Name("_codecs", "encode"): _encoded,
    Name("copyreg", "_reconstructor"): _reconstructed,
    Name("copyreg", "__newobj__"): _new,
}
"""What is known of the functions that saved models name; the rest become records."""
