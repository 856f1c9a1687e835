"""What a notebook shows of a trace, and what xarray gets."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
import pytest
from seen_traces import waves, write_trace

import rnnscope


class Elements(HTMLParser):
    """Every element with its attributes, and the text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.depth = [], "", 0
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.depth += tag not in ("img", "br")

    def handle_endtag(self, tag):
        self.depth -= 1

    def handle_data(self, data):
        self.text += f"{data}|"


@pytest.fixture
def path(tmp_path):
    return write_trace(tmp_path / "t.h5", lengths=[12, 7, 3])


def test_a_trace_shows_layers_arrays_options_and_a_heatmap(path):
    with rnnscope.open_trace(path) as trace:
        found = Elements(trace._repr_html_())
    assert found.depth == 0
    details = [attributes for tag, attributes in found.tags if tag == "details"]
    assert details[0] == {"open": None}
    images = [attributes for tag, attributes in found.tags if tag == "img"]
    assert len(images) == 1
    assert images[0]["src"].startswith("data:image/png;base64,")
    assert images[0]["alt"] == (
        "m, sequence 0: 6 units down, 12 timesteps across; blue -1, red 1"
    ).replace("-1, red 1", f"-{(limit := _limit(path))}, red {limit}")
    for text in ("3 sequences x 12 timesteps, lengths 12, 7, 3", "rnn/lstm", "gates/f",
                 "sequence, timestep, unit", "3 x 12 x 6", "forget_bias|1.0|graph",
                 "cell_clip|none|class default", "model.ckpt"):  # fmt: skip
        assert text in found.text


def test_of_a_sequence_that_is_too_long_the_beginning_is_shown(path, monkeypatch):
    monkeypatch.setattr("rnnscope.report.contents.trace_html.MOST_BYTES", 6 * 4 * 5)
    with rnnscope.open_trace(path) as trace:
        assert "6 units down, the first 5 of 12 timesteps across" in trace._repr_html_()


def _limit(path):
    found = rnnscope.show(path).heatmap.limit
    return f"{found:.3g}"


def test_names_of_a_file_are_escaped(tmp_path):
    name = '<img src=x onerror=alert(1)>"&'
    path = write_trace(tmp_path / "t.h5", layer=name, options={"<b>o</b>": ("<i>", "<u>")})
    with rnnscope.open_trace(path) as trace:
        found = Elements(trace._repr_html_())
    assert name in found.text.replace("|", "")
    tags = {tag for tag, _ in found.tags}
    assert tags <= {"div", "style", "b", "code", "details", "summary", "span", "figure", "img",
                    "figcaption", "table", "tr", "th", "td"}  # fmt: skip
    assert not any(key.startswith("on") for _, attributes in found.tags for key in attributes)
    assert sum(tag == "img" for tag, _ in found.tags) == 1


def test_a_closed_trace_shows_its_one_line(path):
    trace = rnnscope.open_trace(path)
    trace.close()
    assert trace._repr_html_().startswith("<pre>&lt;trace ")
    with pytest.raises(rnnscope.RnnscopeError, match="trace is closed"):
        rnnscope.show(trace)
    with pytest.raises(rnnscope.RnnscopeError, match="trace is closed"):
        trace.plot()


def test_plot_gives_a_picture_that_a_notebook_shows(path, tmp_path):
    pytest.importorskip("matplotlib")
    with rnnscope.open_trace(path) as trace:
        picture = trace.plot("units", state="c", units="1,3", title="two")
    assert picture._repr_png_().startswith(b"\x89PNG")
    picture.figure.axes[0].set_ylabel("changed")
    report = picture.save(tmp_path / "x.svg")
    assert (report.kind, report.notes) == ("units", ())
    assert "changed" in (tmp_path / "x.svg").read_text("utf-8")


def test_matplotlib_that_is_not_there_is_named(path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with rnnscope.open_trace(path) as trace, pytest.raises(
        rnnscope.RnnscopeError, match="matplotlib is not installed"
    ):  # fmt: skip
        trace.plot()


def test_xarray_has_numbers_coordinates_and_origins(path):
    pytest.importorskip("xarray")
    with rnnscope.open_trace(path) as trace:
        tree = trace.to_xarray()
    node = tree["rnn/lstm"]
    assert node["gate_f"].dims == ("sequence", "timestep", "unit")
    np.testing.assert_array_equal(node["c"].sel(sequence=1, timestep=5), waves()["c"][1, 5])
    assert tree["valid"].sum(dim="timestep").values.tolist() == [12, 7, 3]
    assert node.attrs["option_forget_bias_origin"] == "graph"
    assert node.attrs["layer"] == "rnn/lstm"


def test_xarray_has_what_a_cut_trace_kept(tmp_path):
    pytest.importorskip("xarray")
    kept = ("steps=3:", "units=2,5", "states=c,f")
    path = write_trace(tmp_path / "t.h5", lengths=[12, 7, 3], selection=kept)
    with rnnscope.open_trace(path) as trace:
        node = (tree := trace.to_xarray())["rnn/lstm"]
    assert {"c", "gate_f", "final_c"} <= set(node.data_vars)
    assert "m" not in node
    assert node["c"].sel(unit=5, timestep=4, sequence=0) == waves()["c"][0, 4, 5]
    assert tree["valid"].sum(dim="timestep").values.tolist() == [9, 4, 0]


def test_xarray_takes_a_ragged_trace_padded(tmp_path):
    pytest.importorskip("xarray")
    lengths = np.array([12, 7, 3])
    path = write_trace(tmp_path / "t.h5", lengths=lengths, ragged=lengths)
    with rnnscope.open_trace(path) as trace:
        tree = trace.to_xarray()
    assert tree["rnn/lstm/c"].shape == (3, 12, 6)
    assert tree["valid"].sum().item() == 22
