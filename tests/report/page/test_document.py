"""The page as a document: nothing from elsewhere, nothing that could run, always the same bytes."""

from __future__ import annotations

import base64
import json
import re
from hashlib import sha256
from importlib.resources import files

import pytest
from seen_traces import waves, write_trace

import rnnscope
from rnnscope.report.page.document import SCRIPTS, content_security_policy
from rnnscope.report.page.markup import element, table, to_html


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The same page twice, of a layer with a hostile name."""
    folder = tmp_path_factory.mktemp("pages")
    trace = write_trace(folder / "t.h5", waves(2, 5, 3), layer="</script><img src=x onerror=a>")
    other = write_trace(
        folder / "u.h5", waves(2, 5, 3, seed=1), layer="</script><img src=x onerror=a>"
    )
    for name in ("one", "two"):
        rnnscope.write_report(trace, other, output=folder / f"{name}.html", title="<b>&amp;")
    return [(folder / f"{name}.html").read_bytes() for name in ("one", "two")]


def test_the_same_contents_make_the_same_bytes(pages):
    assert pages[0] == pages[1]


def elements(page, name):
    return re.findall(rf"<{name}((?: [^>]*)?)>(.*?)</{name}>", page.decode(), re.DOTALL)


def test_the_policy_allows_the_one_script_and_the_one_style_that_are_there(pages):
    policy = re.search(rb'Content-Security-Policy" content="([^"]+)"', pages[0])[1].decode()
    scripts = [text for attributes, text in elements(pages[0], "script") if not attributes]
    styles = [text for _, text in elements(pages[0], "style")]
    for kind, texts in (("script", scripts), ("style", styles)):
        assert len(texts) == 1
        digest = base64.b64encode(sha256(texts[0].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "eval" not in scripts[0].replace("evaluat", "")
    # It comes before whatever it is to govern.
    assert pages[0].index(b"Content-Security-Policy") < pages[0].index(b"<style")
    assert content_security_policy(served=True) == f"{policy}; connect-src 'self'"


def test_nothing_comes_from_elsewhere_and_nothing_runs_in_place(pages):
    text = pages[0].decode()
    assert re.findall(r'(?:src|href)="(?!#)[^"]*"', text) == []
    assert "http://" not in text
    assert re.findall(r"url\(|@import|<link|<iframe|<img", text) == []
    assert re.findall(r' (?:on\w+|style)="', text) == []


def test_names_from_files_are_text_and_cannot_end_an_element(pages):
    text = pages[0].decode()
    assert "<title>&lt;b&gt;&amp;amp; · rnnscope</title>" in text
    assert "&lt;/script&gt;&lt;img src=x onerror=a&gt;" in text
    facts = next(
        text for attributes, text in elements(pages[0], "script") if 'id="facts"' in attributes
    )
    assert "<" not in facts
    assert json.loads(facts)["layers"][0]["label"] == "</script><img src=x onerror=a>"


def test_every_part_of_the_script_is_in_the_package_and_used():
    found = {item.name for item in (files("rnnscope.report.page") / "assets").iterdir()}
    assert found == {f"{name}.js" for name in SCRIPTS} | {"page.css", "states.html"}


def test_text_and_attributes_are_escaped_and_made_printable():
    made = element("p", "<b>", element("i", "&"), "a\u202eb\x00", title='"<x>\u202e')
    assert to_html(made) == '<p title="&quot;&lt;x&gt;">&lt;b&gt;<i>&amp;</i>ab</p>'
    whole = to_html(table("<c>", ("a", "b"), [("<r>", element("b", "<x>"))]))
    assert '<th scope="row">&lt;r&gt;</th>' in whole
    assert "<b>&lt;x&gt;</b>" in whole
