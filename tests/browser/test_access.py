"""The page by keyboard, by screen reader, on paper and on a narrow screen."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from seen_traces import waves, write_trace

import rnnscope

CHECKPOINT = Path(__file__).parents[2] / "sample_data" / "lstm_float64" / "model.ckpt"
TOKENS = ["one", "two", "three", "four", "five", "six", "seven", "eight"]

CONTROLS = """() => [...document.querySelectorAll(
    "a[href], button, select, input, summary, [tabindex]")]
  .filter((one) => one.tabIndex >= 0 && !one.disabled && one.checkVisibility())
  .map((one) => { one.dataset.control ??= String(Math.random()); return one.dataset.control; })"""


@pytest.fixture(scope="module")
def full_page(tmp_path_factory):
    """A page with every part: failed checks, tokens, two other traces, two checkpoints."""
    folder = tmp_path_factory.mktemp("full")
    arrays = waves(2, 8, 5)
    a = write_trace(folder / "a.h5", arrays, lengths=[8, 5])
    b = write_trace(folder / "b.h5", {**arrays, "c": arrays["c"] + np.float32(0.1)})
    c = write_trace(folder / "c.h5", {name: array[:, ::-1] for name, array in arrays.items()})
    (folder / "tokens.txt").write_text("\n".join(TOKENS))
    rnnscope.write_report(
        a, b, c, output=folder / "page.html", weights=(CHECKPOINT, CHECKPOINT),
        labels=folder / "tokens.txt",
    )  # fmt: skip
    return (folder / "page.html").as_uri()


def test_tab_alone_reaches_every_control_and_leaves_it(open_tab, full_page):
    page = open_tab(full_page)
    page.fill("#span-from", 2)
    wanted = page.tab.evaluate(CONTROLS)
    assert len(wanted) > 40
    page.tab.focus("a.jump")
    reached = []
    while (control := page.tab.evaluate("document.activeElement.dataset.control")) is not None:
        if control in reached:
            break
        reached.append(control)
        page.tab.keyboard.press("Tab")
    missing = "(names) => names.map((name) => document.querySelector(`[data-control='${name}']`).outerHTML.slice(0, 90))"  # noqa: E501
    assert page.tab.evaluate(missing, [one for one in wanted if one not in reached]) == []


def test_arrow_keys_read_the_heatmap_aloud_and_select_a_span(open_tab, full_page):
    page = open_tab(full_page)
    page.tab.focus("#heatmap")
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "End", "Home", "ArrowRight"):
        page.tab.keyboard.press(key)
    page.settle()
    expected = waves(2, 8, 5)["c"][0, 1, 1]
    assert page.text("#spoken") == f"sequence 0, timestep 1 “two”, unit 1: c = {expected!s}"
    for _ in range(3):
        page.tab.keyboard.press("Shift+ArrowRight")
    page.settle()
    assert page.text("#spoken").endswith("; span of timesteps 1 to 4")
    assert page.tab.input_value("#span-from") == "1"
    assert page.tab.input_value("#span-to") == "4"
    page.tab.keyboard.press("Escape")
    page.settle()
    assert page.tab.input_value("#span-to") == ""
    assert page.messages == []


def test_keys_zoom_and_the_view_follows(open_tab, full_page):
    page = open_tab(full_page)
    page.fill("#from", 4)
    page.tab.focus("#heatmap")
    page.tab.keyboard.press("Home")
    page.settle()
    assert page.tab.input_value("#from") == "0"
    page.tab.keyboard.press("0")
    page.settle()
    assert page.tab.input_value("#to") == "7"


def test_one_token_is_a_stop_of_tab_and_arrows_move_it(open_tab, full_page):
    page = open_tab(full_page)
    assert page.tab.locator("#text [tabindex='0']").all_text_contents() == ["one"]
    page.tab.focus("#text [tabindex='0']")
    page.tab.keyboard.press("ArrowRight")
    page.settle()
    page.tab.keyboard.press("Shift+ArrowRight")
    page.settle()
    focused = page.tab.evaluate("() => document.activeElement.textContent")
    assert focused == "three"
    assert page.tab.locator("#text [aria-selected=true]").all_text_contents() == ["two", "three"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(open_tab, full_page, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = open_tab(full_page, color_scheme=scheme, bypass_csp=True)  # to bring axe in
    page.fill("#span-from", 1)
    page.fill("#threshold", -1)
    page.tab.evaluate(
        "() => document.querySelectorAll('details').forEach((one) => { one.open = true; })"
    )
    found = axe.Axe().run(page.tab).response["violations"]
    faults = [
        f"{fault['impact']}: {fault['id']}: {fault['help']}: {node['html'][:200]}"
        for fault in found
        for node in fault["nodes"]
    ]
    assert faults == []


def test_everything_fits_on_a_narrow_screen(open_tab, full_page):
    page = open_tab(full_page)
    page.tab.set_viewport_size({"width": 360, "height": 740})
    page.settle()
    width = page.tab.evaluate("() => document.documentElement.scrollWidth")
    assert width <= 360
    page.hover("#heatmap", (5, 8), 3, 6)
    assert "timestep 6 “seven”, unit 3" in page.text("#readout")


@contextmanager
def printing(tab):
    """Print media, and the events that a browser's own print dialogue sends."""
    tab.emulate_media(media="print")
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    yield
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    tab.emulate_media(media="screen")


def test_paper_is_light_and_unfolds_everything(open_tab, full_page):
    page = open_tab(full_page, color_scheme="dark")
    folded = page.tab.locator("details:not([open])").count()
    assert folded > 2
    with printing(page.tab):
        page.settle()
        assert page.tab.locator("details:not([open])").count() == 0
        style = page.tab.evaluate("() => getComputedStyle(document.body).backgroundColor")
        assert style == "rgb(255, 255, 255)"
        # An empty canvas on top would be printed as white.
        assert not page.tab.locator("#heatmap .marks").is_visible()
        assert page.tab.locator("#heatmap .cells").is_visible()
        assert page.tab.pdf(format="A4").startswith(b"%PDF")
    assert page.tab.locator("details:not([open])").count() == folded
    assert page.messages == []
