"""Pictures: inside their axes like the stored ones, the same bytes every time, labels inside.

``python tests/seeing/test_pictures.py`` draws the stored ones anew; look at them then.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

matplotlib = pytest.importorskip("matplotlib")

from matplotlib import image  # noqa: E402  # after the question whether it is there
from seen_traces import waves, write_trace  # noqa: E402

import rnnscope  # noqa: E402
from rnnscope.api.plot import plot  # noqa: E402
from rnnscope.errors import OptionError, TraceError  # noqa: E402
from rnnscope.seeing.drawing import draw  # noqa: E402
from rnnscope.seeing.picture import SIZES, _own_style, too_small  # noqa: E402
from rnnscope.seeing.plots import PLOTS  # noqa: E402

STORED = Path(__file__).parent / "pictures"
SAMPLE = Path(__file__).resolve().parents[2] / "sample_data" / "lstm_float64"
SIZE, DPI = "7x6", 70
LIKE = 0.87
"""The least similarity: other releases of matplotlib draw lines and hatches a little otherwise."""

GRID = (56, 96)

TOKENS = [
    "the",
    "quick",
    "brown",
    "<b>fox</b>",
    "$jumps$",
    "over",
    "lazy",
    "dogs",
    "x",
    "y",
    "z",
    "!",
]

PICTURES = {
    "heatmap": {"state": "c", "sequence": 1},
    "heatmap-tokens": {"kind": "heatmap", "labels": "tokens.txt", "rank": "variance"},
    "heatmap-bins": {"kind": "heatmap", "trace": "long.h5"},
    "units": {"kind": "units", "state": "c", "sequence": 1, "units": "1,3,5"},
    "units-bins": {"kind": "units", "trace": "long.h5", "units": "0:3"},
    "gates": {"kind": "gates", "units": "4", "sequence": 1},
    "saturation": {"kind": "saturation"},
    "norm": {"kind": "norm", "sequence": 1},
    "diff": {"kind": "diff", "other": "other.h5", "labels": "tokens.txt"},
}  # fmt: skip


def make_traces(folder):
    """A trace, another that parts from it at step 4 of sequence 1, and a long one; tokens."""
    arrays = waves(3, 12, 20)
    arrays["f"][:, :, ::3] = np.clip(arrays["f"][:, :, ::3] * 3 - 1, 0.01, 0.99)
    write_trace(folder / "trace.h5", arrays, lengths=[12, 7, 3])
    grows = 1e-4 * 3.0 ** np.arange(-4, 8, dtype=np.float32)
    arrays["c"][1, 4:] += (grows[4:, None] * np.cos(np.arange(20))).astype(np.float32)
    arrays["c"][2] += 0.3 * np.arange(12)[:, None] * np.eye(20, dtype=np.float32)[3] * (
        np.arange(12) >= 4
    )[:, None].astype(np.float32)  # fmt: skip
    write_trace(folder / "other.h5", arrays, lengths=[12, 7, 3])
    t = np.arange(900)[None, :, None]
    slow = np.sin(t * (0.01 + 0.013 * np.arange(30))) * np.linspace(0.2, 1, 30)
    write_trace(folder / "long.h5", {"m": slow.astype(np.float32)}, lengths=[800])
    (folder / "tokens.txt").write_text("\n".join(TOKENS), encoding="utf-8")


def interiors(picture):
    """What is drawn inside each axes, grey from 0 to 1, on grids of one size below each other.

    Letters stand outside: they, and with them the edges, differ between releases of matplotlib.
    """
    whole = image.imread(io.BytesIO(picture._repr_png_()))[:, :, :3].mean(axis=2)
    with _own_style():
        boxes = [axes.get_window_extent() for axes in picture.figure.axes]
    grids = []
    for box in boxes:
        rows = np.round(np.linspace(len(whole) - box.y1, len(whole) - box.y0, GRID[0] + 1))
        columns = np.round(np.linspace(box.x0, box.x1, GRID[1] + 1))
        inside = np.add.reduceat(whole, np.unique(rows).astype(int), axis=0)
        inside = np.add.reduceat(inside, np.unique(columns).astype(int), axis=1)
        counts = [np.diff(np.append(np.unique(edges), size))
                  for edges, size in zip((rows, columns), whole.shape, strict=True)]  # fmt: skip
        means = inside / counts[0][:, None] / counts[1]
        at = np.ix_(*(np.arange(side) * (size - 1) // side
                      for side, size in zip(GRID, means.shape, strict=True)))  # fmt: skip
        grids.append(means[at])
    return np.concatenate(grids)


def coarse(png, size=12):
    """A picture in squares of so many pixels: what is left of letters does not matter."""
    whole = image.imread(io.BytesIO(png))[:, :, :3].mean(axis=2)
    rows, columns = (side // size for side in whole.shape)
    squares = whole[: rows * size, : columns * size].reshape(rows, size, columns, size)
    return squares.mean(axis=(1, 3))


def stored(name):
    return image.imread(STORED / f"{name}.png")[:, :, 0]


def similarity(a, b, window=8):
    """Structural similarity (Wang et al. 2004) over windows that are not blank in both."""
    rows, columns = (min(sizes) // window for sizes in zip(a.shape, b.shape, strict=True))
    tiles = [
        one[: rows * window, : columns * window]
        .reshape(rows, window, columns, window)
        .transpose(0, 2, 1, 3)
        .reshape(rows * columns, -1)
        for one in (a, b)
    ]
    means = [tile.mean(axis=1) for tile in tiles]
    apart = [tile - mean[:, None] for tile, mean in zip(tiles, means, strict=True)]
    both = (apart[0] * apart[1]).mean(axis=1)
    spread = sum((part**2).mean(axis=1) for part in apart)
    small, smaller = 0.01**2, 0.03**2
    light = (2 * means[0] * means[1] + small) / (means[0] ** 2 + means[1] ** 2 + small)
    drawn_on = spread > 1e-6
    return float((light * (2 * both + smaller) / (spread + smaller))[drawn_on].mean())


def drawn(folder, name, **changes):
    options = {"kind": "heatmap", "trace": "trace.h5", "size": SIZE, "dpi": DPI}
    options |= PICTURES[name] | changes
    for key in ("other", "labels"):
        if key in options:
            options[key] = folder / options[key]
    return draw(folder / options.pop("trace"), **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("pictures")
    make_traces(place)
    return place


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_like_the_stored_one(folder, name):
    assert similarity(interiors(drawn(folder, name)), stored(name)) > LIKE


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("heatmap", {"state": "m"}),
        ("heatmap", {"sequence": 0}),
        ("units", {"units": "0,2,4"}),
        ("gates", {"units": "5"}),
        ("saturation", {"sequence": 2}),
        ("norm", {"sequence": 0}),
        ("diff", {"other": "trace.h5"}),
    ],
)
def test_another_picture_is_not(folder, name, changes):
    """So that being alike means something."""
    assert similarity(interiors(drawn(folder, name, **changes)), stored(name)) < LIKE


def test_every_kind_is_stored():
    assert {options.get("kind", "heatmap") for options in PICTURES.values()} == set(PLOTS)
    assert {path.stem for path in STORED.glob("*.png")} == set(PICTURES)
    assert set(SIZES) <= set(PLOTS)


def test_the_pictures_of_the_readme_are_what_its_commands_make(tmp_path):
    model, inputs = SAMPLE / "model.ckpt", SAMPLE / "inputs.npz"
    with (
        rnnscope.run(model, inputs) as trace,
        rnnscope.run(model, inputs, forget_bias=0.0, override=True) as port,
    ):
        states, parted = trace.plot(sequence=1), trace.plot("diff", other=port)
    for picture, name in ((states, "states"), (parted, "forget_bias")):
        ours = (SAMPLE.parent / "pictures" / f"{name}.png").read_bytes()
        assert similarity(coarse(picture._repr_png_()), coarse(ours), window=4) > LIKE
        assert len(ours) < 60_000


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_same_states_make_the_same_bytes(folder, tmp_path, suffix, monkeypatch):
    """In another process, and whatever the settings of the user."""
    first, second = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    plot(folder / "trace.h5", first, state="c", labels=folder / "tokens.txt")
    settings = tmp_path / "matplotlibrc"
    settings.write_text("font.size: 30\nsavefig.dpi: 20\nsvg.fonttype: none\n")
    monkeypatch.setenv("MATPLOTLIBRC", str(settings))
    arguments = ["plot", folder / "trace.h5", "-o", second, "--state", "c", "--labels"]
    arguments += [folder / "tokens.txt", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-m", "rnnscope", *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert first.read_bytes() == second.read_bytes()
    assert b"20" + b"26-" not in first.read_bytes()


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("size", ["3x2.4", "12x5"])
def test_nothing_is_cut_off(folder, tmp_path, name, size):
    """Everything that is drawn lies within the picture, or a note says that it is too small."""
    report = drawn(folder, name, size=size).save(tmp_path / "x.png")
    assert too_small() not in report.notes


def test_a_picture_that_is_too_small_says_so(folder, tmp_path):
    report = drawn(folder, "gates", size="1.5x1.5").save(tmp_path / "x.png")
    assert "the picture is too small for its labels: size enlarges it" in report.notes


def test_names_are_text_and_no_formulas(folder, tmp_path):
    """Matplotlib takes what stands between dollar signs for mathematics."""
    write_trace(tmp_path / "t.h5", waves(1, 4, 3), layer="$\\frac{x$ <script>&")
    plot(tmp_path / "t.h5", tmp_path / "x.svg", title="$\\undefined$ <b>")
    svg = (tmp_path / "x.svg").read_text("utf-8")
    assert "<script" not in svg
    assert "<b>" not in svg
    plot(tmp_path / "t.h5", tmp_path / "y.svg")
    assert "&lt;script&gt;&amp;" in (tmp_path / "y.svg").read_text("utf-8")


def test_what_the_picture_does_not_show_is_said(folder, tmp_path):
    notes = drawn(folder, "heatmap-bins", size="4.6x3", dpi=60).save(tmp_path / "a.png").notes
    assert notes == (
        "a cell is up to 2 units x 5 timesteps: the largest value above, the smallest below",
    )
    notes = drawn(folder, "diff").save(tmp_path / "b.png").notes
    assert notes == ("first: c of sequence 1, timestep 4, unit 0: A - B = -0.0001",)
    notes = drawn(folder, "diff", other="trace.h5").save(tmp_path / "c.png").notes
    assert notes == ("the same within the tolerance",)
    notes = drawn(folder, "gates", units=None).save(tmp_path / "d.png").notes
    assert notes == ("unit 19 is the one with the most variance of c",)


def test_a_failed_picture_leaves_the_old_one(folder, tmp_path):
    target = tmp_path / "x.png"
    target.write_bytes(b"old")
    with pytest.raises(TraceError, match="picture exists already"):
        plot(folder / "trace.h5", target)
    with pytest.raises(OptionError, match="no 'q' of this layer"):
        plot(folder / "trace.h5", target, state="q", force=True)
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]
    assert plot(folder / "trace.h5", target, force=True).notes == ()
    assert target.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "heatmpa"}, "did you mean heatmap"),
        ({"kind": "gates", "state": "c"}, "does not take this"),
        ({"kind": "heatmap", "other": "trace.h5"}, "where: a second trace\n  next: these do: diff"),
        ({"atol": 1e-3}, "where: atol, rtol\n  next: these do: diff"),
        ({"kind": "norm", "rank": "change"}, "where: rank"),
        ({"kind": "diff"}, "needs two traces"),
        ({"kind": "units", "units": "0:9"}, "too many units"),
        ({"kind": "gates", "units": "0:2"}, "shows one unit"),
        ({"kind": "saturation", "state": "g"}, "no gate that could saturate"),
        ({"kind": "gates", "trace": "long.h5"}, "holds no gates"),
        ({"size": "3"}, "WIDTHxHEIGHT"),
        ({"size": "1x3"}, "too small or large"),
        ({"size": "100x100", "dpi": 900}, "too small or large"),
    ],
)
def test_what_cannot_be_drawn_is_refused(folder, options, message):
    options = {key: folder / value if key == "other" else value for key, value in options.items()}
    trace = folder / options.pop("trace", "trace.h5")
    with pytest.raises(OptionError, match=message):
        draw(trace, **options)


def test_other_commands_do_not_import_matplotlib(folder):
    code = (
        "import sys; from rnnscope.cli.main import run; "
        f"run(['show', r'{folder / 'trace.h5'}']); assert 'matplotlib' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        make_traces(Path(scratch))
        STORED.mkdir(exist_ok=True)
        for picture in PICTURES:
            grey = np.rint(interiors(drawn(Path(scratch), picture)) * 255).astype(np.uint8)
            image.imsave(STORED / f"{picture}.png", np.stack([grey] * 3, -1), metadata={
                "Software": None
            })  # fmt: skip
