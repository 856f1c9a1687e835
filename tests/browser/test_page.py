"""The page in a real browser: it shows the trace's own numbers, and asks for nothing else."""

from __future__ import annotations

import re

import numpy as np
import pytest
from seen_traces import waves, write_trace

import rnnscope
from rnnscope.seeing.colours import diverging

SEQUENCES, STEPS, UNITS = 3, 12, 6
LENGTHS = (12, 7, 9)
TOKENS = ["the", "cat", "sat", "on", "the", "mat", "and", "saw", "a", "dog", "go", "by"]


@pytest.fixture(scope="module")
def states():
    return waves(SEQUENCES, STEPS, UNITS)


@pytest.fixture(scope="module")
def address(states, tmp_path_factory):
    """A page about a trace of three sequences with gates, lengths and tokens."""
    folder = tmp_path_factory.mktemp("page")
    trace = write_trace(folder / "trace.h5", states, lengths=LENGTHS)
    (folder / "tokens.txt").write_text("\n".join(TOKENS))
    page = folder / "page.html"
    rnnscope.write_report(trace, output=page, labels=folder / "tokens.txt")
    return page.as_uri()


def value(readout):
    return float(re.fullmatch(r".* = (\S+)(?: \(past the length\))?", readout)[1])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_loads_from_a_file_and_says_and_asks_nothing(open_tab, address, scheme):
    page = open_tab(address, color_scheme=scheme, offline=True)
    assert page.messages == []
    assert page.requests == [address]
    assert page.tab.locator("#states").is_visible()


@pytest.mark.parametrize(("array", "sequence"), [("c", 0), ("m", 1), ("f", 2)])
def test_hovering_a_cell_shows_the_number_of_the_trace(open_tab, address, states, array, sequence):
    page = open_tab(address)
    page.pick_array(array)
    page.fill("#sequence", sequence)
    for unit, step in ((0, 0), (5, 11), (3, 6), (2, 8)):
        page.hover("#heatmap", (UNITS, STEPS), unit, step)
        shown = page.text("#readout")
        assert shown.startswith(
            f"sequence {sequence}, timestep {step} “{TOKENS[step]}”, unit {unit}: {array} = "
        )
        assert np.float32(value(shown)) == states[array][sequence, step, unit]
        assert shown.endswith("(past the length)") == (step >= LENGTHS[sequence])
    assert page.messages == []


PIXEL = """([x, y]) => {
  const canvas = document.querySelector("#heatmap .cells");
  const box = canvas.getBoundingClientRect();
  const ratio = canvas.width / box.width;
  const at = [(x - box.left) * ratio, (y - box.top) * ratio];
  return [...canvas.getContext("2d").getImageData(at[0], at[1], 1, 1).data].slice(0, 3);
}"""


def assert_colour(page, row, step, number):
    """The cell in a row of the heatmap has the colour that Python gives to this number."""
    limit = float(page.tab.input_value("#limit"))
    shown = page.tab.evaluate(PIXEL, list(page.cell("#heatmap", (UNITS, STEPS), row, step)))
    expected = diverging(np.array([number]), limit)[0].astype(int)
    assert np.abs(np.array(shown) - expected).max() <= 2, (row, step)


def test_a_cell_has_the_colour_of_its_value(open_tab, address, states):
    page = open_tab(address)
    for unit, step in ((0, 0), (5, 3), (4, 11)):
        assert_colour(page, unit, step, states["c"][0, step, unit])


@pytest.mark.parametrize(
    ("sequence", "first", "last", "side", "threshold"),
    [
        (0, 2, 4, "above", 0.1),
        (1, 5, 11, "below", -0.05),
        (2, 0, 0, "above", 0),
        (0, 3, 9, "above", 2),
    ],
)
def test_a_span_lists_exactly_the_units_that_numpy_lists(
    open_tab, address, states, sequence, first, last, side, threshold
):
    page = open_tab(address)
    page.fill("#sequence", sequence)
    page.fill("#span-from", first)
    page.fill("#span-to", last)
    page.pick("#side", side)
    page.fill("#threshold", threshold)
    values = states["c"][sequence, first : min(last + 1, LENGTHS[sequence])]
    on = values >= threshold if side == "above" else values <= threshold
    expected = [str(unit) for unit in np.flatnonzero(on.all(axis=0))]
    assert page.tab.locator("#together-units button").all_text_contents() == expected
    words = "unit" if len(expected) == 1 else "units"
    assert page.text("#together-result").startswith(f"{len(expected)} {words} of {UNITS}: c is at")
    assert page.messages == []


def test_dragging_selects_the_span_under_the_pointer(open_tab, address):
    page = open_tab(address)
    page.drag("#heatmap", (UNITS, STEPS), 2, 3, 7)
    assert page.tab.input_value("#span-from") == "3"
    assert page.tab.input_value("#span-to") == "7"
    assert page.tab.locator("#text [aria-selected=true]").all_text_contents() == TOKENS[3:8]


def test_other_places_are_those_that_python_finds_and_show_themselves(open_tab, tmp_path):
    from rnnscope.seeing import open_view
    from rnnscope.seeing.together import OnRule, Span, find_together
    from rnnscope.trace import Trace

    draw = np.random.default_rng(1)
    c = (1.2 * draw.normal(size=(4, 60, 1)) + draw.normal(size=(4, 60, 9))).astype(np.float32)
    arrays = {"c": c, "m": np.tanh(c)}
    trace = write_trace(tmp_path / "t.h5", arrays, lengths=[60, 44, 60, 12])
    rnnscope.write_report(trace, output=tmp_path / "page.html")
    with Trace.open(trace) as opened:
        view = open_view(opened, name="c")
        found = find_together(view, Span(1, 9, 11), OnRule("above", 0.05))
    assert len(found.units) == 7
    assert {place.together for place in found.places} == {5, 6, 7}
    page = open_tab((tmp_path / "page.html").as_uri())
    page.fill("#sequence", 1)
    page.fill("#span-from", 9)
    page.fill("#span-to", 10)
    page.fill("#threshold", 0.05)
    rows = page.tab.locator("#together-places tbody tr").all()
    shown = [row.locator("td").all_text_contents()[:4] for row in rows]
    assert shown == [
        [
            str(place.span.sequence),
            f"{place.span.start} to {place.span.stop - 1}"
            if place.span.stop - place.span.start > 1
            else str(place.span.start),
            f"{place.together} of {len(found.units)}",
            str(place.others),
        ]
        for place in found.places
    ]
    rows[2].get_by_role("button").click()
    page.settle()
    assert page.tab.input_value("#sequence") == str(found.places[2].span.sequence)
    assert page.tab.input_value("#span-from") == str(found.places[2].span.start)


def test_the_text_has_the_colours_of_the_chosen_unit(open_tab, address, states):
    page = open_tab(address)
    page.fill("#unit", 4)
    limit = float(page.tab.input_value("#limit"))
    styles = page.tab.locator("#text [role=option]").evaluate_all(
        "(all) => all.map((one) => getComputedStyle(one).backgroundColor)"
    )
    shown = np.array([[int(part) for part in re.findall(r"\d+", style)[:3]] for style in styles])
    assert np.abs(shown - diverging(states["c"][0, :, 4], limit).astype(int)).max() <= 2


def test_rows_are_ordered_by_what_python_ranks(open_tab, address, states):
    page = open_tab(address)
    page.pick("#order", "variance")
    valid = np.concatenate([states["c"][s, :length] for s, length in enumerate(LENGTHS)])
    order = np.argsort(-valid.astype(np.float64).var(axis=0), kind="stable")
    assert order.tolist() != list(range(UNITS))
    for row, unit in enumerate(order):
        page.hover("#heatmap", (UNITS, STEPS), row, 2)
        assert f"unit {unit}: " in page.text("#readout")
        page.tab.mouse.move(0, 0)
        assert_colour(page, row, 2, states["c"][0, 2, unit])


def test_rows_are_ordered_by_the_weakest_step_of_a_span(open_tab, address, states):
    page = open_tab(address)
    page.pick("#order", "span")
    page.fill("#span-from", 3)
    page.fill("#span-to", 6)
    for row, unit in enumerate(np.argsort(-states["c"][0, 3:7].min(axis=0), kind="stable")):
        page.hover("#heatmap", (UNITS, STEPS), row, 2)
        assert f"unit {unit}: " in page.text("#readout")


def test_values_that_are_not_finite_are_seen_and_said(open_tab, tmp_path):
    arrays = waves(1, 8, 4)
    arrays["c"][0, 3, 1], arrays["c"][0, 4, 2] = np.nan, -np.inf
    trace = write_trace(tmp_path / "t.h5", {"c": arrays["c"], "m": arrays["m"]})
    for budget in (2, 1e-4):  # as stored, and as whole numbers
        rnnscope.write_report(trace, output=tmp_path / "p.html", force=True, budget=budget)
        page = open_tab((tmp_path / "p.html").as_uri())
        page.hover("#heatmap", (4, 8), 1, 3)
        assert page.text("#readout").endswith("c = NaN")
        page.hover("#heatmap", (4, 8), 2, 4)
        assert page.text("#readout").endswith("c = -inf")
        page.fill("#span-from", 3)
        assert "1" not in page.tab.locator("#together-units button").all_text_contents()
        assert page.messages == []


HOSTILE = "<img src=x onerror=alert(1)>"


def test_names_from_files_stay_text(open_tab, tmp_path):
    trace = write_trace(
        tmp_path / "t.h5", waves(1, 4, 3), layer=HOSTILE, source_class="<script>alert(2)</script>",
        options={"<b>bold</b>": ("</script><script>alert(3)</script>", "<i>graph</i>")},
    )  # fmt: skip
    (tmp_path / "tokens.json").write_text(
        '["</script><script>alert(4)</script>", "<img src=x onerror=alert(5)>", "&lt;", "\\u202e"]'
    )
    rnnscope.write_report(
        trace, trace, output=tmp_path / "p.html", labels=tmp_path / "tokens.json",
        title="<svg onload=alert(6)>",
    )  # fmt: skip
    page = open_tab((tmp_path / "p.html").as_uri())
    assert page.messages == []
    assert page.tab.locator("img, svg, b, i").count() == 0
    assert page.text("h1") == "<svg onload=alert(6)>"
    assert page.tab.locator("#layer option").all_text_contents() == [HOSTILE]
    assert page.tab.locator("#text [role=option]").all_text_contents()[:3] == [
        "</script><script>alert(4)</script>",
        HOSTILE.replace("(1)", "(5)"),
        "&lt;",
    ]
    options = page.tab.locator("#layers details td").all_text_contents()
    assert options == ["</script><script>alert(3)</script>", "<i>graph</i>"]
    # Nothing that was slipped in could run, either.
    page.tab.evaluate(
        "() => { document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=alert(7)>'); }"
    )
    page.settle()
    assert not any("dialog" in message for message in page.messages)
    assert any("Content Security Policy" in message for message in page.messages)
