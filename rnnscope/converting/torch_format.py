"""PyTorch: a state dict in torch's own zip format, written as data.

References
----------
torch/serialization.py (``_save``): a zip of stored members below one folder: ``data.pkl``, a pickle
of the values with a persistent id for every storage; ``byteorder``; ``data/0``, … the bytes;
``version``, 3. caffe2/serialize/inline_container.cc: members begin at multiples of 64 bytes, by
filling the extra field of their headers.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from rnnscope.converting.folding import folding_words
from rnnscope.converting.interface import Abilities, FormatOptions, Plan, WeightFormat, Written
from rnnscope.converting.left_out_words import wiring_words
from rnnscope.converting.modules import StateDict, constructor, state_dict
from rnnscope.model.cell import Array
from rnnscope.running.overrides import LayerOptions, ValuesByLayer

TORCH = Abilities(
    title="torch's nn.LSTM, nn.GRU and nn.RNN",
    activation={
        "lstm": {"tanh": "tanh"},
        "gru": {"tanh": "tanh"},
        "simple_rnn": {"tanh": "tanh", "relu": "relu"},
    },
    recurrent_activation={"lstm": {"sigmoid": "sigmoid"}, "gru": {"sigmoid": "sigmoid"}},
    projection=True,
    lone_backward=False,
)

STORAGES = {"float32": "FloatStorage", "float64": "DoubleStorage"}
ALIGNMENT = 64
ROOT = "archive"
LOCAL_HEADER = 30
"""Bytes of a member's header in a zip, before its name."""


def torch_abilities(options: FormatOptions) -> Abilities:  # noqa: ARG001 - the same for all
    """What torch's recurrent modules compute."""
    return TORCH


def write_torch(plan: Plan, options: FormatOptions) -> Written:  # noqa: ARG001
    """The levels as a state dict; see `modules`."""
    made = state_dict(plan)
    return written_state_dict(
        plan,
        made,
        save=partial(save_state_dict, arrays=made.arrays),
        load='torch.load("{target}", weights_only=True)',
    )


def written_state_dict(
    plan: Plan, made: StateDict, *, save: partial[None], load: str, layout: str | None = None
) -> Written:
    """What is said of a state dict, in whichever file it is.

    Parameters
    ----------
    plan : Plan
    made : StateDict
    save : callable
    load : str
        The expression that loads it in torch.
    layout : str, optional
    """
    if len(made.modules) == 1:
        model = constructor(made.modules[0][1])
    else:
        parts = ", ".join(f'"{name}": {constructor(one)}' for name, one in made.modules)
        model = f"torch.nn.ModuleDict({{{parts}}})"
    relu = tuple(
        (made.names[node.name], "relu")
        for node in plan.nodes
        if node.recurrent is not None
        and node.recurrent.cell.kind == "simple_rnn"
        and node.recurrent.cell.options.activation.value == "relu"
    )
    return Written(
        save=save,
        names=made.names,
        load=(f"model = {model}", f"model.load_state_dict({load})"),
        folded=folding_words(plan, joined=False),
        left_out=wiring_words(plan, "a state dict"),
        notes=_notes(plan),
        given=LayerOptions(activation=ValuesByLayer(relu)),
        layout=layout,
    )


def _notes(plan: Plan) -> tuple[str, ...]:
    notes = []
    if any(level.takes_lengths for level in plan.levels):
        notes.append(
            "Sequences of several lengths: give torch a packed sequence "
            "(torch.nn.utils.rnn.pack_padded_sequence); outputs past a length are then zeros."
        )
    held = [
        f"'{node.name}'"
        for node in plan.nodes
        if node.recurrent is not None and node.recurrent.padding.value == "hold"
    ]
    if held:
        which = f"layer {held[0]} goes on giving its"
        if len(held) > 1:
            which = f"layers {', '.join(held[:-1])} and {held[-1]} go on giving their"
        notes.append(
            f"Past a sequence's length {which} last valid output, where torch gives zeros."
        )
    return tuple(notes)


def save_state_dict(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write tensors as ``torch.save`` does an OrderedDict of them.

    Parameters
    ----------
    path : Path
        A new file.
    arrays : mapping of str to ndarray
        float32 or float64.
    """
    with zipfile.ZipFile(path, "x", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, content in _members(arrays):
            info = zipfile.ZipInfo(f"{ROOT}/{name}", (1980, 1, 1, 0, 0, 0))
            begin = archive.start_dir + LOCAL_HEADER + len(info.filename) + 4
            fill = -begin % ALIGNMENT
            info.extra = b"FB" + struct.pack("<H", fill) + b"Z" * fill
            archive.writestr(info, content)


def _members(arrays: Mapping[str, Array]) -> Iterator[tuple[str, bytes]]:
    yield "data.pkl", pickled_state_dict(arrays)
    yield "byteorder", b"little"
    for number, array in enumerate(arrays.values()):
        yield f"data/{number}", array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    yield "version", b"3\n"


def pickled_state_dict(arrays: Mapping[str, Array]) -> bytes:
    """The pickle of an OrderedDict of tensors, in opcodes of protocol 2.

    Only names that ``torch.load`` takes with ``weights_only=True`` are in it; nothing is pickled by
    Python's own module, so that no object of this process can get into the file.
    """
    ordered_dict = b"ccollections\nOrderedDict\n)R"
    parts = [b"\x80\x02", ordered_dict, b"("]
    for number, (name, array) in enumerate(arrays.items()):
        strides = np.ones(array.ndim, np.int64)
        strides[:-1] = np.cumprod(array.shape[:0:-1])[::-1]
        storage = STORAGES[array.dtype.name].encode()
        parts += [
            _text(name),
            b"ctorch._utils\n_rebuild_tensor_v2\n((",
            _text("storage"),
            b"ctorch\n" + storage + b"\n",
            _text(str(number)),
            _text("cpu"),
            _number(array.size),
            b"tQ",  # the persistent id of a storage
            _number(0),  # where in it the tensor begins
            _numbers(array.shape),
            _numbers(strides.tolist()),
            b"\x89",  # requires_grad=False
            ordered_dict,  # no backward hooks
            b"tR",
        ]
    return b"".join([*parts, b"u."])


def _text(text: str) -> bytes:
    encoded = text.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def _number(value: int) -> bytes:
    if value < 2**31:
        return b"J" + struct.pack("<i", value)
    return b"\x8a\x08" + struct.pack("<q", value)


def _numbers(values: tuple[int, ...] | list[int]) -> bytes:
    return b"(" + b"".join(map(_number, values)) + b"t"


WEIGHT_FORMAT = WeightFormat(
    name="torch",
    title="PyTorch state dict (.pt)",
    holds="weights of nn.LSTM, nn.GRU and nn.RNN by torch's names",
    framework="PyTorch",
    suffixes=(".pt", ".pth"),
    abilities=torch_abilities,
    write=write_torch,
)
