"""The zip archives of ``torch.save`` and ``torch.jit.save``: pickles, storages, code.

References
----------
torch/serialization.py: ``_save``; caffe2/serialize/inline_container.h.
"""

from __future__ import annotations

import io
import math
import re
from functools import partial

from rnnscope.checkpoints.torch.frozen_code import FrozenModules, find_frozen
from rnnscope.checkpoints.torch.opened_file import TorchFile
from rnnscope.checkpoints.torch.pickle_data import read_pickle
from rnnscope.checkpoints.torch.pickled_values import PickledTensor
from rnnscope.checkpoints.torch.stored_tensors import tensor_values
from rnnscope.checkpoints.torch.zip_members import ZipMembers, damaged
from rnnscope.files.archives.inner_file import AnyFile
from rnnscope.model.cell import Array

MAX_PICKLE = 256 * 2**20
MAX_CODE = 2**24
RNN_CALL = re.compile(rb"torch\.rnn_(tanh|relu)\(")
SCRIPT_MEMBER = "constants.pkl"


def read_zip(path: AnyFile) -> TorchFile:
    """Open a zip archive of ``torch.save`` or ``torch.jit.save``.

    Raises
    ------
    CheckpointError
        It is damaged, or its pickle is refused.
    """
    members = ZipMembers(path)
    found = [info.filename for info in members.infos() if _is_main(info.filename)]
    if len(found) != 1:
        raise damaged(path, "one member data.pkl", f"{len(found)} of that name")
    root = found[0].removesuffix("data.pkl")
    script = f"{root}{SCRIPT_MEMBER}" in members
    pickle = members.read(found[0], MAX_PICKLE)
    order = ">" if _byte_order(members, root) == b"big" else "<"
    code = _code(members, f"{root}code/") if script else b""
    nonlinearity = _nonlinearity(code)
    stored = members.read(f"{root}{SCRIPT_MEMBER}", MAX_PICKLE) if script else b""
    value = read_pickle(io.BytesIO(pickle), f"{path}: {found[0]}", script=script)
    constants = _constants(stored, f"{path}: {root}{SCRIPT_MEMBER}") if script else {}
    frozen = find_frozen(code.decode(errors="replace")) if constants else FrozenModules()
    load, load_constant = (
        partial(_from_zip, members, f"{root}{folder}/", order) for folder in ("data", "constants")
    )
    return TorchFile(value, load, script, nonlinearity, constants, frozen, load_constant)


def _constants(pickle: bytes, where: str) -> dict[int, PickledTensor]:
    """The tensors that the code of a TorchScript archive names by number."""
    held = read_pickle(io.BytesIO(pickle), where, script=True)
    found = held if isinstance(held, (tuple, list)) else ()
    return {number: one for number, one in enumerate(found) if isinstance(one, PickledTensor)}


def _is_main(name: str) -> bool:
    return name == "data.pkl" or (name.endswith("/data.pkl") and name.count("/") == 1)


def _byte_order(members: ZipMembers, root: str) -> bytes:
    name = f"{root}byteorder"
    return members.read(name, 16).strip() if name in members else b"little"


def _code(members: ZipMembers, folder: str) -> bytes:
    """The code of a TorchScript archive, which is text; none if there is too much of it."""
    parts: list[bytes] = []
    read = 0
    for info in members.infos():
        if info.filename.startswith(folder) and info.filename.endswith(".py"):
            read += info.file_size
            if read > MAX_CODE:
                return b""
            parts.append(members.read(info.filename, MAX_CODE))
    return b"\n".join(parts)


def _nonlinearity(code: bytes) -> str:
    """The one function of nn.RNN that the code of a TorchScript archive calls."""
    found = {*RNN_CALL.findall(code)}
    return found.pop().decode() if len(found) == 1 else ""


def _from_zip(
    members: ZipMembers, folder: str, order: str, tensor: PickledTensor, where: object
) -> Array:
    storage = tensor.storage
    data = storage.data
    if data is None:
        is_shared = math.prod(tensor.shape) < storage.count
        data = members.storage(folder + storage.key, storage.bytes, is_shared=is_shared)
    return tensor_values(data, order, tensor, where)
