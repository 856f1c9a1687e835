"""An object file linked to an image: machine code that runs wherever it lies in memory.

LLVM's own loader takes thirty milliseconds, nearly all of them to load LLVM. What it does for our
code is little: no kernel calls anything outside its own file or writes to memory of its own, so the
sections are put one behind the other and the distances between them are filled in. That is done
once, when code is made; the image is what is kept. Whatever this does not know is not linked, and
LLVM loads it.

References
----------
System V Application Binary Interface, "Object Files"; its AMD64 supplement, 4.4 "Relocation".
"""

from __future__ import annotations

import json
import struct
from typing import NamedTuple

MARK = b"rnnscope image 1"
"""What an image begins with; no object file does."""

ALIGNMENT = 64
"""Of the code in an image: as much as its sections ask for."""

ELF64 = b"\x7fELF\x02\x01\x01"  # of 64 bits, little endian, version 1
RELOCATABLE, X86_64 = 1, 62
PROGBITS, SYMTAB, RELA, REL = 1, 2, 4, 9
WRITE, ALLOC = 1, 2
GLOBAL_FUNCTION = 1 << 4 | 2
UNWINDING = b".eh_frame"

DISTANCES = {2: "<i", 4: "<i", 24: "<q"}
"""R_X86_64_PC32, PLT32 and PC64: the distance from a place to a symbol, in so many bytes."""


class Section(NamedTuple):
    """A section's header, in the order of the file."""

    name: int
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry_size: int


class NotLinkedError(Exception):
    """The object file holds something that only a whole linker knows."""


def link(object_file: bytes) -> bytes | None:
    """An image of an object file.

    Parameters
    ----------
    object_file : bytes
        ELF of x86-64, whose code may lie anywhere (``reloc="pic"``).

    Returns
    -------
    bytes or None
        None where it asks for more than distances between its own sections.
    """
    try:
        return _link(object_file)
    except (NotLinkedError, struct.error):
        return None


def _link(file: bytes) -> bytes:
    if not file.startswith(ELF64) or struct.unpack_from("<HH", file, 16) != (RELOCATABLE, X86_64):
        raise NotLinkedError
    at, size, count, names = struct.unpack_from("<Q10xHHH", file, 40)
    sections = [Section._make(struct.unpack_from("<IIQQQQIIQQ", file, at + number * size))
                for number in range(count)]  # fmt: skip
    image, places = _put_together(file, sections, sections[names])
    symbols = next(section for section in sections if section.type == SYMTAB)
    for section in sections:
        if section.type in (REL, RELA) and section.info in places:
            _fill_in(image, file, section, places, symbols)
    head = json.dumps(_functions(file, places, symbols, sections[symbols.link])).encode()
    start = MARK + struct.pack("<I", len(head)) + head
    return start + bytes(-len(start) % ALIGNMENT) + bytes(image)


def _put_together(
    file: bytes, sections: list[Section], names: Section
) -> tuple[bytearray, dict[int, int]]:
    """The sections that are in memory, one behind the other; where each begins, by its number."""
    image, places = bytearray(), dict[int, int]()
    for number, section in enumerate(sections):
        if not (section.flags & ALLOC and section.size):
            continue
        if _text(file, names.offset + section.name).startswith(UNWINDING):
            continue  # no exception passes through a kernel
        if section.type != PROGBITS or section.flags & WRITE or section.alignment > ALIGNMENT:
            raise NotLinkedError
        image += bytes(-len(image) % max(1, section.alignment))
        places[number] = len(image)
        image += file[section.offset : section.offset + section.size]
    return image, places


def _fill_in(
    image: bytearray, file: bytes, section: Section, places: dict[int, int], symbols: Section
) -> None:
    """Write the distances that a section of relocations asks for."""
    if section.type == REL:  # which x86-64 does not use
        raise NotLinkedError
    for at in range(section.offset, section.offset + section.size, section.entry_size):
        offset, kind, symbol, addend = struct.unpack_from("<QIIq", file, at)
        _, _, _, of, value, _ = _symbol(file, symbols, symbol)
        if kind not in DISTANCES or of not in places:
            raise NotLinkedError
        place = places[section.info] + offset
        struct.pack_into(DISTANCES[kind], image, place, places[of] + value + addend - place)


def _functions(
    file: bytes, places: dict[int, int], symbols: Section, names: Section
) -> dict[str, int]:
    """Where each function begins that can be asked for."""
    found = {}
    for number in range(symbols.size // symbols.entry_size):
        name, info, _, of, value, _ = _symbol(file, symbols, number)
        if info == GLOBAL_FUNCTION and of in places:
            found[_text(file, names.offset + name).decode()] = places[of] + value
    return found


def _symbol(file: bytes, symbols: Section, number: int) -> tuple[int, ...]:
    return struct.unpack_from("<IBBHQQ", file, symbols.offset + number * symbols.entry_size)


def _text(file: bytes, at: int) -> bytes:
    return file[at : file.index(b"\0", at)]


def unpack(image: bytes) -> tuple[dict[str, int], bytes] | None:
    """Where the functions of an image begin, and its code; None for an object file."""
    if not image.startswith(MARK):
        return None
    (size,) = struct.unpack_from("<I", image, len(MARK))
    start = len(MARK) + 4 + size
    functions: dict[str, int] = json.loads(image[len(MARK) + 4 : start])
    return functions, image[start + -start % ALIGNMENT :]
