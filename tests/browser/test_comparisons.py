"""Traces side by side and weights gate by gate, in a real browser."""

from __future__ import annotations

import re

import numpy as np
import pytest
from seen_traces import waves, write_trace

import rnnscope
from rnnscope.files.arrays.stored_array import LoadedArray
from rnnscope.files.containers.safetensors import write_safetensors

SEQUENCES, STEPS, UNITS = 3, 10, 4
KERNEL, RECURRENT = (3, 20), (5, 20)


@pytest.fixture(scope="module")
def arrays():
    return waves(SEQUENCES, STEPS, UNITS)


@pytest.fixture(scope="module")
def address(arrays, tmp_path_factory):
    """A beside B, which parts from it at [1, 6, 2], and C, which has but some timesteps."""
    folder = tmp_path_factory.mktemp("compared")
    c = arrays["c"].copy()
    c[1, 6:, 2] += 0.25
    a = write_trace(folder / "a.h5", {"c": arrays["c"], "m": arrays["m"]})
    b = write_trace(folder / "b.h5", {"c": c, "m": arrays["m"]})
    some = write_trace(folder / "c.h5", {"c": c, "m": arrays["m"]}, selection=["steps=4:8"])
    rnnscope.write_report(a, b, some, output=folder / "page.html")
    return (folder / "page.html").as_uri()


def panel(page, title):
    figures = page.tab.locator("#compared figure")
    return figures.filter(has=page.tab.get_by_text(re.compile(rf"^{title} \(")))


def test_the_first_difference_is_gone_to_with_both_values(open_tab, address, arrays):
    page = open_tab(address)
    titles = page.tab.locator("#compared figcaption").all_text_contents()
    assert [title.partition(" (")[0] for title in titles] == ["A", "B", "C", "A − B", "A − C"]
    page.tab.get_by_role("button", name="Go to where they part").click()
    page.settle()
    a, b = arrays["c"][1, 6, 2], arrays["c"][1, 6, 2] + np.float32(0.25)
    shown = page.text("#compared .readout")
    assert shown.startswith("sequence 1, timestep 6, unit 2: ")
    numbers = dict(re.findall(r"([ABC− ]+?) = (\S+?)(?:,|$)", shown.partition(": ")[2]))
    numbers = {name.strip(): float(number) for name, number in numbers.items()}
    assert numbers.keys() == {"A", "B", "C", "A − B", "A − C"}
    assert np.float32(numbers["A"]) == a
    assert np.float32(numbers["B"]) == np.float32(numbers["C"]) == b
    assert numbers["A − B"] == float(np.float64(a) - b)
    assert page.messages == []


def test_hovering_one_picture_reads_them_all_by_the_runs_own_numbers(open_tab, address, arrays):
    page = open_tab(address)
    page.tab.locator("#compared input").fill("0")
    page.tab.locator("#compared input").press("Enter")
    page.settle()
    figure = panel(page, "C").locator(".heatmap")
    figure.scroll_into_view_if_needed()
    box = figure.bounding_box()
    # C holds four timesteps, from 4 on: its second column is timestep 5.
    page.tab.mouse.move(
        box["x"] + 44 + 1.5 / 4 * (box["width"] - 52), box["y"] + 9 + 0.5 * (box["height"] - 43) / 4
    )
    page.settle()
    value = arrays["c"][0, 5, 0]
    assert page.text("#compared .readout").startswith(
        f"sequence 0, timestep 5, unit 0: A = {value!s}, B = {value!s}, C = {value!s}, A − B = 0"
    )


def test_tables_say_what_differs_without_a_script(open_tab, address, browser):
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(address)
    words = tab.locator("#differences").text_content()
    assert "They part first in c of rnn/lstm at sequence 1, timestep 6, unit 2" in words
    context.close()


def checkpoint(folder, name, kernel, recurrent, bias):
    path = folder / f"{name}.safetensors"
    arrays = {
        "lstm.weight_ih_l0": kernel.T,
        "lstm.weight_hh_l0": recurrent.T,
        "lstm.bias_ih_l0": bias,
        "lstm.bias_hh_l0": bias,
    }
    write_safetensors(path, {name: LoadedArray(array) for name, array in arrays.items()})
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Two checkpoints, and the differences of their arrays in the order i f g o."""
    folder = tmp_path_factory.mktemp("weights")
    draw = np.random.default_rng(3)
    kernel, recurrent = draw.normal(size=KERNEL), draw.normal(size=RECURRENT)
    other = kernel.copy()
    other[:, 5:10] += np.arange(15).reshape(3, 5) / 8  # the second block: f in Keras's order
    a = checkpoint(folder, "a", kernel, recurrent, np.zeros(20))
    b = checkpoint(folder, "b", other, recurrent, np.zeros(20))
    return folder, a, b, kernel - other


def test_weights_are_compared_gate_by_gate(open_tab, weights, tmp_path):
    _, a, b, difference = weights
    done = rnnscope.write_report(output=tmp_path / "w.html", weights=(a, b))
    assert done.size < 200_000
    page = open_tab((tmp_path / "w.html").as_uri())
    rows = page.tab.locator("#weights table").first.locator("tbody tr").all_text_contents()
    assert any("1.75 (" in row for row in rows)
    heatmap = "#blocks .heatmap"
    # Rows of the input, columns of the gates i f g o: the fourth column of f.
    page.hover(heatmap, (3, 20), 2, 5 + 3)
    assert page.text("#blocks .readout") == (
        f"gate f, column 3, row 2: A − B = {np.float32(difference[2, 8])!s}"
    )
    page.hover(heatmap, (3, 20), 0, 0)
    assert page.text("#blocks .readout") == "gate i, column 0, row 0: A − B = 0"
    assert page.messages == []
