"""The part of YAML that an ``lstm.yml`` is written in: mappings, lists, flow style, scalars.

Anchors, tags, documents and multi-line text are refused rather than misread. It spares a dependency
for one file of twenty lines.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

PAIR = re.compile(r"""(?P<key>"[^"]*"|'[^']*'|[^\s"'\[{][^:]*?)\s*:(?:\s+(?P<value>.*))?$""")
REFUSED = ("&", "*", "!", "|", ">", "%", "@", "`")
WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}


class YamlLine(NamedTuple):
    """A line that says something: its indentation and its text."""

    indent: int
    text: str


def read_yaml(text: str) -> Any:
    """The value of a document.

    Raises
    ------
    ValueError
        It is not of the kind that is read here.
    """
    lines = _logical_lines(text)
    value, rest = _block(lines, 0, lines[0].indent if lines else 0)
    if rest != len(lines):
        raise ValueError(f"not understood: {lines[rest].text!r}")
    return value


def _logical_lines(text: str) -> list[YamlLine]:
    """Lines without comments; a bracket that is open takes in the lines up to its end."""
    lines: list[YamlLine] = []
    depth = 0
    for raw in text.splitlines():
        bare = _without_comment(raw.expandtabs(2)).rstrip()
        if not bare.strip() or bare in ("---", "..."):
            continue
        if depth > 0:
            lines[-1] = YamlLine(lines[-1].indent, f"{lines[-1].text} {bare.strip()}")
        else:
            lines.append(YamlLine(len(bare) - len(bare.lstrip()), bare.strip()))
        unquoted = re.sub(r""""[^"]*"|'[^']*'""", "", bare)
        depth += sum(unquoted.count(mark) for mark in "[{")
        depth -= sum(unquoted.count(mark) for mark in "]}")
    if depth:
        raise ValueError("a bracket is not closed")
    return lines


def _without_comment(line: str) -> str:
    quote = ""
    for at, char in enumerate(line):
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char == "#" and (at == 0 or line[at - 1].isspace()):
            return line[:at]
    return line


def _block(lines: list[YamlLine], at: int, indent: int) -> tuple[Any, int]:
    """The mapping or list whose entries have this indentation."""
    if at >= len(lines) or lines[at].indent < indent:
        return None, at
    if lines[at].text.startswith("- ") or lines[at].text == "-":
        return _block_list(lines, at, indent)
    if not PAIR.match(lines[at].text):
        return _flow(lines[at].text), at + 1
    mapping: dict[str, Any] = {}
    while at < len(lines) and lines[at].indent == indent and not lines[at].text.startswith("- "):
        pair = PAIR.match(lines[at].text)
        if pair is None:
            raise ValueError(f"not understood: {lines[at].text!r}")
        key = str(_scalar(pair["key"]))
        at += 1
        if pair["value"]:
            mapping[key] = _flow(pair["value"])
        elif at < len(lines) and (
            lines[at].indent > indent
            or (lines[at].indent == indent and lines[at].text.startswith("- "))
        ):
            mapping[key], at = _block(lines, at, lines[at].indent)
        else:
            mapping[key] = None
    return mapping, at


def _block_list(lines: list[YamlLine], at: int, indent: int) -> tuple[list[Any], int]:
    entries = []
    while at < len(lines) and lines[at].indent == indent and lines[at].text[:1] == "-":
        text = lines[at].text[1:]
        inner = text.lstrip()
        # What follows the dash is a block of its own, as far in as it stands.
        lines[at] = YamlLine(indent + 1 + len(text) - len(inner), inner)
        value, at = _block(lines, at, lines[at].indent)
        entries.append(value)
    return entries, at


def _flow(text: str) -> Any:
    value, rest = _flow_value(text.strip())
    if rest.strip():
        raise ValueError(f"not understood: {rest!r}")
    return value


def _flow_value(text: str) -> tuple[Any, str]:
    text = text.lstrip()
    if text[:1] == "[":
        return _flow_list(text[1:])
    if text[:1] == "{":
        return _flow_mapping(text[1:])
    match = re.match(r""""(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^,\[\]{}]*""", text)
    token = match[0] if match else ""
    return _scalar(token.strip()), text[len(token) :]


def _flow_list(text: str) -> tuple[list[Any], str]:
    entries: list[Any] = []
    while True:
        text = text.lstrip()
        if text[:1] == "]":
            return entries, text[1:]
        if not text:
            raise ValueError("a list is not closed")
        value, text = _flow_value(text)
        entries.append(value)
        text = text.lstrip().removeprefix(",")


def _flow_mapping(text: str) -> tuple[dict[str, Any], str]:
    mapping: dict[str, Any] = {}
    while True:
        text = text.lstrip()
        if text[:1] == "}":
            return mapping, text[1:]
        key = re.match(r"""("[^"]*"|'[^']*'|[^:,{}\[\]]+)\s*:""", text)
        if key is None:
            raise ValueError(f"not understood: {text!r}")
        value, text = _flow_value(text[key.end() :])
        mapping[str(_scalar(key[1].strip()))] = value
        text = text.lstrip().removeprefix(",")


def _scalar(text: str) -> Any:
    if text[:1] == '"' and text[-1:] == '"' and len(text) > 1:
        return json.loads(text)
    if text[:1] == "'" and text[-1:] == "'" and len(text) > 1:
        return text[1:-1].replace("''", "'")
    if text.startswith(REFUSED):
        raise ValueError(f"not understood: {text!r}")
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    return int(text) if re.fullmatch(r"[-+]?\d+", text) else text
