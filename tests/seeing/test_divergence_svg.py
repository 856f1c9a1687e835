"""The small picture of the first divergence: well-formed, small, the same every time, escaped."""

from __future__ import annotations

import base64
import zlib
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from seen_traces import waves, write_trace

from rnnscope.seeing import diff_traces, first_divergence
from rnnscope.seeing.colours import PADDING, diverging, rgb
from rnnscope.seeing.divergence_svg import divergence_svg
from rnnscope.seeing.png import png
from rnnscope.trace import Trace

SVG = "{http://www.w3.org/2000/svg}"


def unpacked(image):
    """The pixels of a PNG without filters, by hand."""
    assert image.startswith(b"\x89PNG\r\n\x1a\n")
    columns, rows = (int.from_bytes(image[at : at + 4], "big") for at in (16, 20))
    start = image.index(b"IDAT") + 4
    size = int.from_bytes(image[start - 8 : start - 4], "big")
    lines = np.frombuffer(zlib.decompress(image[start : start + size]), np.uint8)
    return lines.reshape(rows, 1 + 3 * columns)[:, 1:].reshape(rows, columns, 3)


def test_a_png_holds_its_pixels():
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    np.testing.assert_array_equal(unpacked(png(pixels)), pixels)
    image = pytest.importorskip("matplotlib.image")
    import io

    found = image.imread(io.BytesIO(png(pixels)))
    np.testing.assert_array_equal(np.rint(found * 255).astype(np.uint8), pixels)


@pytest.fixture
def parts(tmp_path):
    """`parts(change, **how)`: the picture of two traces, parsed, and the text of it."""

    def make(change, **how):
        arrays = waves(2, 30, 24)
        write_trace(tmp_path / "a.h5", arrays, **how)
        change(arrays)
        write_trace(tmp_path / "b.h5", arrays, **how)
        with Trace.open(tmp_path / "a.h5") as a, Trace.open(tmp_path / "b.h5") as b:
            found = first_divergence(a, diff_traces(a, b))
            text = divergence_svg(a, b, found)
            assert divergence_svg(a, b, found) == text
        return ET.fromstring(text), text  # noqa: S314  # we wrote it

    return make


def change_c(arrays):
    arrays["c"][1, 9:, 20] += np.float32(0.25)
    arrays["c"][1, 12:, 3] -= np.float32(0.5)


def test_it_shows_the_difference_around_the_first_place(parts):
    root, text = parts(change_c, lengths=[30, 25])
    words = [element.text for element in root.iter(f"{SVG}text")]
    assert root.find(f"{SVG}title").text == words[0]
    assert words[0] == "c of rnn/lstm parts first at sequence 1, timestep 9, unit 20"
    assert "A - B = -0.25" in words[1]
    address = root.find(f"{SVG}image").get("href")
    pixels = unpacked(base64.b64decode(address.partition(",")[2]))
    # The units that differ, and the first others, of 16; steps 1 to 29 around step 9.
    assert pixels.shape == (16, 29, 3)
    units = [int(word) for word in words[2 + words[2:].count("where") :] if word.isdigit()][:16]
    assert units == [*range(15), 20]
    # The scale ends at 0.51: 0.5 is rounded, as it is added to float32.
    expected = diverging(np.array([0, -0.25, 0.5]), 0.51)
    np.testing.assert_allclose(pixels[[15, 15, 3], [7, 8, 20]], expected, atol=2)
    assert (pixels[:, 24:] == rgb(PADDING)).all()
    assert len(text) < 8000


def test_a_backward_layer_is_shown_from_its_own_first_step_on(parts):
    root, _ = parts(change_c, facts={"backward": True})
    words = [element.text for element in root.iter(f"{SVG}text")]
    assert words[0].endswith("timestep 29, unit 3")


def test_names_stay_text(parts):
    root, text = parts(change_c, layer="<img src=x onerror=alert(1)>&\x1b" + "long" * 40)
    assert "<img" not in text
    first = next(root.iter(f"{SVG}text")).text
    assert first.startswith("c of <img src=x onerror=alert(1)>&long")
    assert first.endswith("…")
    assert {element.tag.removeprefix(SVG) for element in root.iter()} == {
        "svg", "title", "rect", "text", "image", "polyline", "circle"
    }  # fmt: skip


def test_what_is_no_number_does_not_stop_it(parts):
    def change(arrays):
        arrays["c"][1, 9, 20] = np.nan
        arrays["c"][1, 10:] = np.inf

    root, _ = parts(change)
    assert "A - B = nan" in list(root.iter(f"{SVG}text"))[1].text
