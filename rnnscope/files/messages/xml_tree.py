"""XML of strangers as a tree: no document types, no entities of its own, bounded in every way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from pathlib import Path
from xml.parsers import expat

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import RnnscopeError
from rnnscope.files.guarding.limits import check_time

MAX_BYTES = 512 * 2**20
MAX_ELEMENTS = 3_000_000
MAX_DEPTH = 64
PIECE = 1 << 20


@dataclass(eq=False)
class Element:
    """An element.

    Attributes
    ----------
    tag : str
    attributes : dict of str to str
    children : list of Element
    text : str
        All of its own text, without that of its children.
    """

    tag: str
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def all(self, tag: str) -> Iterator[Element]:
        """The children of that tag."""
        return (child for child in self.children if child.tag == tag)

    def first(self, tag: str) -> Element:
        """The first child of that tag; an empty one if there is none."""
        return next(self.all(tag), Element(tag, {}))


class _Refused(Exception):  # noqa: N818 - it never leaves this module
    """What is wrong with a document."""


class _Builder:
    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._count = 0

    def begin_document(self, size: int) -> None:
        if size > MAX_BYTES:
            raise _Refused(f"{size} bytes of text")

    def begin(self, tag: str, attributes: dict[str, str]) -> None:
        element = Element(tag, attributes)
        self._count += 1
        if self._count > MAX_ELEMENTS or len(self._open) >= MAX_DEPTH:
            raise _Refused(f"more than {MAX_ELEMENTS} elements, or deeper than {MAX_DEPTH}")
        if self._open:
            self._open[-1].children.append(element)
        elif self.root is None:
            self.root = element
        self._open.append(element)

    def end(self, _: str) -> None:
        self._open.pop()

    def text(self, data: str) -> None:
        if not data.isspace():
            self._open[-1].text += data

    def refuse(self, *_: object) -> None:
        raise _Refused("a document type of its own, which may hold entities")


def read_xml(path: Path, error: type[RnnscopeError]) -> Element:
    """The outermost element of a file.

    Parameters
    ----------
    path : Path
    error : type
        What is raised.

    Raises
    ------
    error
        It is no XML, is cut off, is too large, or declares a document type.
    """
    builder = _Builder()
    parser = expat.ParserCreate()
    parser.StartElementHandler = builder.begin
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = builder.refuse
    try:
        builder.begin_document(path.stat().st_size)
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                check_time(path, error)
                parser.Parse(piece, False)
        parser.Parse(b"", True)
    except (expat.ExpatError, _Refused) as found:
        raise error(
            "The XML file does not parse: it is truncated or damaged.",
            where=path,
            expected=f"one XML document of at most {MAX_BYTES} bytes, without a document type",
            found=str(found),
            hint="copy or download the file again, and compare its size with the original",
        ) from found
    assert builder.root is not None  # expat does not accept a document without an element
    return builder.root
