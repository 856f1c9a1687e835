"""What calls in pickles would give: tensors, arrays and dicts as data, anything else as a record.

References
----------
torch/_utils.py (``_rebuild_…``), torch/storage.py (``_load_from_bytes``); numpy/_core/multiarray
and numeric (``_reconstruct``, ``scalar``, ``_frombuffer``); Lib/copyreg.py;
jax/_src/array.py (``_reconstruct_array``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import prod
from typing import Any

from rnnscope.checkpoints.torch.pickled_values import (
    DTYPE_BYTES,
    DTYPE_STORAGES,
    ITEM_BYTES,
    Dtype,
    Name,
    OpaqueKey,
    PickledArray,
    PickledTensor,
    Record,
    Script,
    Storage,
)

MAX_AXES = 32
MAX_KEY_PARTS = 64
MAX_INTEGER = 1 << 64
"""Numbers with more digits take long to write down."""

REFUSED_MODULES = frozenset(
    {"os", "posix", "nt", "posixpath", "ntpath", "subprocess", "sys", "shutil", "socket", "ctypes",
     "importlib", "runpy", "pty", "code", "codeop", "commands", "webbrowser", "pickle", "_pickle",
     "marshal", "urllib", "requests", "http", "ftplib", "asyncio", "multiprocessing", "threading",
     "signal", "platform", "pip", "pdb", "bdb", "timeit", "cProfile", "profile", "trace"}
)  # fmt: skip
"""Packages that no saved model has a use for: nothing would be executed, but such a file is no
checkpoint, and whoever opens it elsewhere should know."""

REFUSED_NAMES = frozenset(
    {Name("builtins", name)
     for name in ("eval", "exec", "compile", "__import__", "open", "input", "breakpoint",
                  "execfile", "exit", "quit", "apply", "file", "globals", "locals", "vars")}
    | {Name("torch", "load"), Name("torch.serialization", "load"), Name("torch.jit", "load"),
       Name("torch.hub", "load"), Name("numpy", "load"), Name("joblib", "load")}
)  # fmt: skip

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


def is_refused(name: Name) -> bool:
    """Whether a name has no place in any saved model."""
    return name.module.split(".")[0] in REFUSED_MODULES or name in REFUSED_NAMES


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
        _fill_array(target, shape, dtype, bool(fortran), data)
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


# Tensors


def _tensor(
    held: Any,
    offset: Any,
    shape: Any,
    strides: Any,
    _: Any = None,
    __: Any = None,
    bits: Any = None,
    *___: Any,
) -> PickledTensor:
    kind = held.kind if type(held) is Storage else ""
    return _view(held, offset, shape, strides, _with_bits(kind, bits))


def _tensor_of_dtype(
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


def _parameter(data: Any, *_: Any) -> Any:
    return data


def _of_type(function: Any, kind: Any, arguments: Any, state: Any = None, *_: Any) -> Any:
    """A tensor of an own class of tensors, or one with attributes."""
    made = call(function, arguments)
    own = Name("torch", "Tensor"), Name("torch.nn.parameter", "Parameter")
    return made if kind in own else Record(kind, (made,), state)


# Arrays of numpy


def _empty_array(kind: Any, *_: Any) -> Any:
    known = Name("numpy", "ndarray"), Name("numpy.core.memmap", "memmap"), Name("numpy", "memmap")
    return PickledArray() if kind in known else Record(kind)


def _scalar(dtype: Any, data: Any = b"") -> Any:
    array = PickledArray()
    _fill_array(array, (), dtype, False, data)
    return array


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any, *_: Any) -> Any:
    array = PickledArray()
    _fill_array(array, shape, dtype, order == "F", data)
    return array


def _jax_array(function: Any, arguments: Any, state: Any, *_: Any) -> Any:
    """An array of jax, which pickles as the numpy array of its values."""
    array = call(function, arguments)
    build(array, state)
    return array


def _dtype(code: Any = "", *_: Any) -> Any:
    return Dtype(code if type(code) is str else "")


def _fill_array(array: PickledArray, shape: Any, dtype: Any, fortran: bool, data: Any) -> None:
    if type(shape) is int:
        shape = (shape,)
    if type(data) is list:  # an array of objects
        if type(dtype) is not Dtype or not dtype.code.startswith("O"):
            raise ValueError("an array of numbers in a list")
        array.objects, data = data, b""
    if type(data) is str:  # from Python 2, where a text is bytes
        data = data.encode("latin-1")
    whole = all(type(size) is int and size >= 0 for size in shape)
    if type(dtype) is not Dtype or not whole or len(shape) > MAX_AXES:
        raise ValueError("an array without a dtype or shape")
    size = re.fullmatch(r"[biufc](\d{1,2})", dtype.code)
    if size is not None and type(data) in (bytes, bytearray, memoryview):
        if len(data) != prod(shape) * int(size[1]):
            raise ValueError(f"an array of shape {tuple(shape)} in {len(data)} bytes")
        array.data = data if type(data) is memoryview else bytes(data)
    array.dtype, array.shape, array.fortran = dtype, tuple(shape), fortran


# Python's own


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
    Name("torch._utils", "_rebuild_tensor"): _tensor,
    Name("torch._utils", "_rebuild_tensor_v2"): _tensor,
    Name("torch._utils", "_rebuild_tensor_v3"): _tensor_of_dtype,
    Name("torch._utils", "_rebuild_parameter"): _parameter,
    Name("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    Name("torch._utils", "_rebuild_device_tensor_from_numpy"): _parameter,
    Name("torch._tensor", "_rebuild_from_type_v2"): _of_type,
    Name("torch._tensor", "_rebuild_from_type"): _of_type,
    Name("torch.nn.parameter", "Parameter"): _parameter,
    Name("torch.autograd.variable", "Variable"): _parameter,
    Name("torch", "Size"): lambda shape=(), *_: tuple(shape),
    Name("numpy.core.multiarray", "_reconstruct"): _empty_array,
    Name("numpy.core.multiarray", "scalar"): _scalar,
    Name("numpy.core.numeric", "_frombuffer"): _from_buffer,
    Name("numpy", "dtype"): _dtype,
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
