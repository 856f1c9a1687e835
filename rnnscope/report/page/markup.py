"""HTML as a tree: text that comes from a file becomes a text node, and never markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element, tostring

from rnnscope.wording import printable

Child = str | Element


def element(tag: str, /, *children: Child, **attributes: str) -> Element:
    """An element with children in order.

    Parameters
    ----------
    tag : str
    *children : str or Element
        Texts go through `printable`, so that nothing steers how the page reads.
    **attributes : str
        ``class_`` is the class; other underscores become hyphens.
    """
    names = {name: name.rstrip("_").replace("_", "-") for name in attributes}
    made = Element(tag, {names[name]: printable(value) for name, value in attributes.items()})
    for child in children:
        if isinstance(child, str):
            _append_text(made, printable(child))
        else:
            made.append(child)
    return made


def _append_text(to: Element, text: str) -> None:
    if len(to):
        to[-1].tail = (to[-1].tail or "") + text
    else:
        to.text = (to.text or "") + text


def section(name: str, title: str, *children: Child) -> Element:
    """A part of the page with its heading."""
    heading = element("h2", title, id=f"{name}-title")
    return element("section", heading, *children, id=name, aria_labelledby=f"{name}-title")


def table(
    caption: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Child]],
    *,
    numbers: frozenset[str] = frozenset(),
) -> Element:
    """A table that scrolls sideways where it is too wide; the first cell of a row heads it."""
    kinds = ["number" if column in numbers else "words" for column in columns]
    head = element("tr", *(element("th", column, scope="col", class_=kind)
                           for column, kind in zip(columns, kinds, strict=True)))  # fmt: skip
    body = [
        element(
            "tr",
            element("th", row[0], scope="row"),
            *(element("td", cell, class_=kind)
              for cell, kind in zip(row[1:], kinds[1:], strict=False)),
        )
        for row in rows
    ]  # fmt: skip
    whole = element(
        "table", element("caption", caption), element("thead", head), element("tbody", *body)
    )
    return element(
        "div", whole, class_="scroll", tabindex="0", role="group", aria_label=f"Table: {caption}"
    )


def pairs(entries: Iterable[tuple[str, Child]]) -> Element:
    """Names and what they stand for."""
    rows = [
        element("div", element("dt", name), element("dd", value))
        for name, value in entries
        if not isinstance(value, str) or value
    ]
    return element("dl", *rows)


def bullets(lines: Iterable[Child]) -> Element:
    """A list without numbers."""
    return element("ul", *(element("li", line) for line in lines))


def details(summary: Child, *children: Child, open_: bool = False) -> Element:
    """A part that unfolds."""
    made = element("details", element("summary", summary), *children)
    if open_:
        made.set("open", "")
    return made


def to_html(tree: Element) -> str:
    """The tree as HTML, with everything that is text escaped, in attributes, too.

    It is written as XML, which escapes more; none of the elements of a page is one that HTML leaves
    open.
    """
    return tostring(tree, encoding="unicode", short_empty_elements=False)
