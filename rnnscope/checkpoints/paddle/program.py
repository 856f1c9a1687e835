"""PaddlePaddle's programs in ``.json``: operations, their values by number, their attributes.

References
----------
PaddlePaddle 3.3: paddle/fluid/pir/serialize_deserialize (``base_code`` with the magic "pir";
``#`` an operation's or type's name, ``%`` a value, ``A`` attributes, ``I`` and ``O`` what goes in
and comes out, ``TT`` a type, ``D`` what an attribute or type holds).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError

MAX_BYTES = 512 * 2**20

OLD_START = re.compile(rb"\n[\x80-\xff]*[\x00-\x7f](\x08\x00)?\x10\xff{9}\x01")
"""A program before 3.0: its first block has the number 0 and no parent."""

ELEMENT_TYPES = {
    "0.t_f32": 1, "0.t_f64": 11, "0.t_f16": 10, "0.t_bf16": 16, "0.t_i32": 6, "0.t_i64": 7,
    "0.t_bool": 9, "0.t_ui8": 2, "0.t_i8": 3, "0.t_i16": 5,
}  # fmt: skip
"""Element types as ONNX's."""


MALFORMED = (
    OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError,
)  # fmt: skip
"""What reading a document of another form ends in."""


@dataclass(frozen=True, eq=False)
class PirOperation:
    """An operation.

    Attributes
    ----------
    kind : str
        Without its dialect's number: ``"rnn"``.
    attributes : dict of str to Any
        What each holds, without its type.
    inputs, outputs : tuple of int
        Values by number; 0 for one that is left out.
    types : tuple
        The type of each output, as stored.
    """

    kind: str
    attributes: dict[str, Any]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    types: tuple[Any, ...]

    def shape(self, place: int = 0) -> list[int]:
        """The sizes of an output; -1 is open."""
        try:
            return [int(size) for size in self.types[place]["D"][1]]
        except (IndexError, KeyError, TypeError, ValueError, OverflowError):
            return []

    def element_type(self, place: int = 0) -> int:
        """ONNX's number of the element type of an output; 0 for one that is not read."""
        try:
            return ELEMENT_TYPES.get(self.types[place]["D"][0]["#"], 0)
        except (IndexError, KeyError, TypeError):
            return 0


def read_program(path: Path) -> tuple[list[PirOperation], dict[str, Any]]:
    """The operations of a program's only block, and what the file says of itself.

    Raises
    ------
    CheckpointError
        The file is no such program, or damaged.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"{path.stat().st_size} bytes of text")
        whole = json.loads(path.read_bytes())
        (region,) = whole["program"]["regions"]
        (block,) = region["blocks"]
        return [_operation(one) for one in block["ops"]], dict(whole["base_code"])
    except MALFORMED as error:
        raise CheckpointError(
            "The PaddlePaddle program does not parse: it is truncated or damaged.",
            where=path,
            expected="a program of one block, as paddle.jit.save writes it",
            found=f"{type(error).__name__}: {error}"[:200],
            hint="copy both files of the model again, or save it anew",
        ) from error


def _operation(stored: dict[str, Any]) -> PirOperation:
    kind = str(stored["#"]).rpartition(".")[2]
    listed = stored.get("A", [])
    attributes: dict[str, Any]
    if kind == "p":
        attributes = {"name": str(listed[3]), "kept": bool(stored["OA"][0])}
    else:
        attributes = {str(one["N"]): _held(one["AT"]) for one in listed}
    made = stored["O"] if isinstance(stored["O"], list) else [stored["O"]]
    return PirOperation(
        kind,
        attributes,
        tuple(int(one["%"]) for one in stored.get("I", [])),
        tuple(int(one["%"]) for one in made),
        tuple(one.get("TT", {}) for one in made),
    )


def _held(attribute: Any) -> Any:
    """What an attribute holds: a number, a text, or a list of them."""
    held = attribute.get("D")
    if isinstance(held, list):
        return [_held(one) if isinstance(one, dict) else one for one in held]
    return held


def parameters(operations: list[PirOperation]) -> Iterator[PirOperation]:
    """What the file of parameters keeps, in its order: that of names."""
    kept = [one for one in operations if one.kind == "p" and one.attributes["kept"]]
    yield from sorted(kept, key=lambda one: str(one.attributes["name"]))
