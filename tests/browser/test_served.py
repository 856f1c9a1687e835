"""``rnnscope view`` in a real browser: the same page, with values fetched from the file."""

from __future__ import annotations

import numpy as np
import pytest
from seen_traces import waves, write_trace

import rnnscope

STEPS, UNITS = 30, 7


@pytest.fixture(scope="module")
def arrays():
    return waves(4, STEPS, UNITS, seed=2)


@pytest.fixture(scope="module")
def served(arrays, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    trace = write_trace(folder / "trace.h5", arrays, lengths=[30, 20, 30, 11])
    words = [f"w{step}" for step in range(STEPS)]
    (folder / "tokens.txt").write_text("\n".join(words))
    with rnnscope.view(trace, labels=folder / "tokens.txt") as page:
        yield page.address


def test_the_same_page_shows_values_that_it_fetches(open_tab, served, arrays):
    page = open_tab(served)
    page.fill("#sequence", 3)
    page.tab.wait_for_function(
        "document.getElementById('readout').textContent.includes('sequence 3')"
    )
    page.hover("#heatmap", (UNITS, STEPS), 4, 17)
    value = arrays["c"][3, 17, 4]
    assert page.text("#readout") == (
        f"sequence 3, timestep 17 “w17”, unit 4: c = {value!s} (past the length)"
    )
    page.tab.locator("#checks").wait_for()
    assert page.messages == []
    assert all(address.startswith(served) for address in page.requests)


def test_units_and_places_are_searched_in_the_file(open_tab, served, arrays):
    page = open_tab(served)
    page.fill("#span-from", 3)
    page.fill("#span-to", 6)
    page.fill("#threshold", 0.1)
    expected = np.flatnonzero((arrays["c"][0, 3:7] >= 0.1).all(axis=0)).astype(str).tolist()
    assert expected
    page.tab.wait_for_selector("#together-places table")
    assert page.tab.locator("#together-units button").all_text_contents() == expected
    page.tab.locator("#together-places button").first.click()
    page.settle()
    assert page.messages == []


def test_a_long_sequence_comes_in_bins_and_sharpens_when_it_is_zoomed(
    open_tab, tmp_path, monkeypatch
):
    from rnnscope.seeing.page import served as module

    monkeypatch.setattr(module, "ANSWER_VALUES", 200)
    arrays = waves(1, 400, 5, seed=5)
    trace = write_trace(tmp_path / "t.h5", {"c": arrays["c"], "m": arrays["m"]})
    with rnnscope.view(trace) as viewed:
        page = open_tab(viewed.address)
        page.hover("#heatmap", (5, 20), 2, 0)
        low, high = arrays["c"][0, :20, 2].min(), arrays["c"][0, :20, 2].max()
        assert page.text("#readout") == (
            f"sequence 0, timesteps 0 to 19, unit 2: c = {low!s} to {high!s}"
        )
        page.fill("#to", 9)
        page.tab.mouse.move(0, 0)
        page.hover("#heatmap", (5, 10), 2, 7)
        page.tab.wait_for_function(
            "!document.getElementById('readout').textContent.includes(' to ')"
        )
        assert page.text("#readout").endswith(f"timestep 7, unit 2: c = {arrays['c'][0, 7, 2]!s}")
        assert page.messages == []
