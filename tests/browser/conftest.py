"""A real browser for the page: Debian's chromium, driven by Playwright.

Without them these tests are skipped and say why. ``RNNSCOPE_CHROMIUM`` names another browser.
"""

from __future__ import annotations

import os
import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


def browser_path():
    named = os.environ.get("RNNSCOPE_CHROMIUM")
    return named or next((path for name in NAMES if (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra: test)")
    path = browser_path()
    if path is None:
        pytest.skip("needs a browser: apt-get install chromium, or RNNSCOPE_CHROMIUM=PATH")
    # Chromium's sandbox cannot be set up by root, which containers often run as.
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=path, args=flags)
        yield opened
        opened.close()


class OpenPage:
    """A page in the browser, and whatever it said or asked for.

    Attributes
    ----------
    tab : playwright Page
    messages : list of str
        Of the console, errors, dialogs.
    requests : list of str
        Every address that was fetched, the page's own apart.
    """

    def __init__(self, tab):
        self.tab, self.messages, self.requests = tab, [], []
        tab.on("console", lambda message: self.messages.append(message.text))
        tab.on("pageerror", lambda error: self.messages.append(str(error)))
        tab.on("dialog", self._note_dialog)
        tab.on("request", lambda request: self.requests.append(request.url))

    def _note_dialog(self, dialog):
        self.messages.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def go(self, address):
        self.tab.goto(address)
        self.tab.wait_for_load_state("networkidle")
        self.settle()
        return self

    def settle(self):
        """Wait until what was changed is drawn: it is at most once a frame, and once more."""
        self.tab.evaluate(
            "async () => { for (let i = 0; i < 4; i += 1)"
            " await new Promise((done) => requestAnimationFrame(done)); }"
        )

    def text(self, selector):
        return self.tab.locator(selector).text_content().strip()

    def fill(self, selector, value):
        self.tab.fill(selector, str(value))
        self.tab.press(selector, "Enter")
        self.settle()

    def pick(self, selector, value):
        self.tab.select_option(selector, value)
        self.settle()

    def pick_array(self, name):
        """Choose an array of the layer by what its label begins with."""
        labels = self.tab.locator("#array option").all_text_contents()
        wanted = next(label for label in labels if label.partition(",")[0] == name)
        self.tab.select_option("#array", label=wanted)
        self.settle()

    def cell(self, heatmap, shape, unit, step):
        """The middle of a cell of a heatmap that shows all of (unit, timestep), in the window."""
        self.tab.locator(heatmap).scroll_into_view_if_needed()
        box = self.tab.locator(heatmap).bounding_box()
        left, right, top, bottom = 44, 8, 9, 34  # MARGIN of heatmap.js
        units, steps = shape
        across = left + (step + 0.5) / steps * (box["width"] - left - right)
        down = top + (unit + 0.5) / units * (box["height"] - top - bottom)
        return box["x"] + across, box["y"] + down

    def hover(self, heatmap, shape, unit, step):
        self.tab.mouse.move(*self.cell(heatmap, shape, unit, step))
        self.settle()

    def drag(self, heatmap, shape, unit, first, last):
        self.tab.mouse.move(*self.cell(heatmap, shape, unit, first))
        self.tab.mouse.down()
        self.tab.mouse.move(*self.cell(heatmap, shape, unit, last), steps=3)
        self.tab.mouse.up()
        self.settle()


@pytest.fixture
def open_tab(browser):
    """``open_tab(address, **context)``: an `OpenPage`, closed after the test."""
    contexts = []

    def open_one(address, **settings):
        context = browser.new_context(viewport={"width": 1200, "height": 900}, **settings)
        contexts.append(context)
        return OpenPage(context.new_page()).go(address)

    yield open_one
    for context in contexts:
        context.close()
