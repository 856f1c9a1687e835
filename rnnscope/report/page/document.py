"""The whole page: one file without anything from elsewhere.

The browser is told to run the one script and the one style that are in it, by their digests, and
to fetch nothing (a served page: from its own server alone). So even markup that had slipped in from
a file could not run.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from xml.etree.ElementTree import Element

from rnnscope import __version__
from rnnscope.json_values import plain
from rnnscope.report.page import about, compared
from rnnscope.report.page.markup import element, section, to_html
from rnnscope.seeing.page.contents import PageContents
from rnnscope.seeing.page.palette import palette
from rnnscope.wording import printable

SCRIPTS = (
    "numbers", "elements", "matrix", "together", "source", "store", "colours", "raster", "axes",
    "heatmap", "heatmap_input", "lines", "ranges", "states", "unit_view", "span_view",
    "differences", "weights", "main",
)  # fmt: skip
"""The parts of the script, each after what it uses."""


def render(contents: PageContents) -> str:
    """The page as HTML; the same contents make the same text."""
    return "".join(_parts(contents))


def _parts(contents: PageContents) -> Iterator[str]:
    title = escape(printable(contents.title))
    script, style = _script(), _asset("page.css")
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    policy = content_security_policy(served=contents.facts.served)
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield '<meta name="color-scheme" content="light dark">\n'
    yield '<meta name="referrer" content="no-referrer">\n'
    yield f"<title>{title} · rnnscope</title>\n<style>{style}</style>\n</head>\n<body>\n"
    yield '<a class="jump" href="#main">Skip to the content</a>\n'
    yield f"<header><h1>{title}</h1>{to_html(_contents_list(contents))}</header>\n"
    yield '<main id="main">\n'
    yield "<noscript><p>Tables need no script; pictures of states do.</p></noscript>\n"
    for part in _sections(contents):
        yield part if isinstance(part, str) else to_html(part) + "\n"
    yield f"</main>\n<footer>rnnscope {__version__}</footer>\n"
    for name, text in contents.blocks.items():
        yield f'<script type="text/plain" id="{name}">{text}</script>\n'
    yield f'<script type="application/json" id="facts">{_facts(contents)}</script>\n'
    yield f"<script>{script}</script>\n</body>\n</html>\n"


def _sections(contents: PageContents) -> Iterator[str | Element]:
    """Words and tables as elements; pictures as the page's own markup."""
    yield from about.summary(contents)
    if contents.checked is not None:
        yield about.checks(contents.checked)
    elif contents.facts.served:
        later = element("p", "The file is being checked …", id="checks-later", role="status")
        yield section("checks", "Checks", later)
    if contents.trace is not None:
        yield about.layers(contents.trace.layers)
    if contents.facts.layers:
        yield _asset("states.html")
    if contents.others:
        pictures = element("div", id="compared") if contents.facts.compared else None
        yield compared.differences(contents.others, pictures)
    if contents.weights is not None:
        pictures = element("div", id="blocks") if contents.facts.weights else None
        yield compared.weights(contents.weights, pictures)


def _contents_list(contents: PageContents) -> Element:
    """Links to the parts."""
    there = {
        "summary": contents.trace is not None,
        "checks": contents.trace is not None,
        "layers": contents.trace is not None,
        "states": bool(contents.facts.layers),
        "differences": bool(contents.others),
        "weights": contents.weights is not None,
    }
    links = [
        element("a", name.capitalize(), href=f"#{name}") for name, shown in there.items() if shown
    ]
    return element("nav", *links, aria_label="Parts of the page")


def content_security_policy(*, served: bool = False) -> str:
    """What the browser may do: run this script, use this style, and nothing else."""
    rules = [
        "default-src 'none'",
        f"script-src '{_digest(_script())}'",
        f"style-src '{_digest(_asset('page.css'))}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return "; ".join([*rules, "connect-src 'self'"] if served else rules)


def _facts(contents: PageContents) -> str:
    """The facts as JSON in which nothing can end the element that they stand in."""
    facts = {**plain(contents.facts), "colours": palette()}
    text = json.dumps(facts, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(sha256(text.encode()).digest()).decode("ascii")


@cache
def _script() -> str:
    parts = "\n".join(_asset(f"{name}.js") for name in SCRIPTS)
    return f'\n(() => {{\n"use strict";\n\n{parts}\n}})();\n'


@cache
def _asset(name: str) -> str:
    return (files("rnnscope.report.page") / "assets" / name).read_text("utf-8")
