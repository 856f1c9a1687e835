"""Ways of storing a trace: compressed, and ragged."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from rnnscope.errors import OptionError, TraceError
from rnnscope.model.cell import Array
from rnnscope.model.states import LayerFacts, LayerStates
from rnnscope.trace import LayerHeader, Trace, TraceHeader, TraceWriter, parse_selection
from rnnscope.trace.storage import CHUNK_BYTES, chunk_shape

LENGTHS = np.array([4, 0, 6, 1])
MASK = np.arange(6) < LENGTHS[:, None]


def random(*shape: int) -> Array:
    return np.random.default_rng(len(shape)).random(shape, np.float32)


def write(path: Path, m: Array, batch: int, **options: Any) -> None:
    layer = LayerHeader("l", m.shape[2], {"m": m.shape[2]}, outputs_are_m=True)
    with TraceWriter(path, TraceHeader(), [layer], *m.shape[:2], **options) as writer:
        for first in range(0, len(m), batch):
            rows = slice(first, min(first + batch, len(m)))
            ends = {"m": m[rows, 0]}
            writer.write_layer("l", LayerStates({"m": m[rows]}, m[rows], ends, ends), rows)


@pytest.mark.parametrize("compress", ["gzip", "lzf", "zstd"])
@pytest.mark.parametrize("batch", [3, 20])
def test_compressed_arrays_come_back(tmp_path: Path, compress: str, batch: int) -> None:
    """In batches that do not fit the chunks, too; the file is smaller."""
    if compress == "zstd":
        pytest.importorskip("hdf5plugin")
    m = np.round(random(20, 100, 32), 2)
    write(tmp_path / "t.h5", m, batch, compress=compress)
    with h5py.File(tmp_path / "t.h5") as file:
        assert file["l/m"].chunks == (16, 100, 32)
        assert file["l/m"].shuffle
    with Trace.open(tmp_path / "t.h5") as trace:
        np.testing.assert_array_equal(trace.read_layer("l", slice(3, 9)).states.m, m[3:9])
    assert (tmp_path / "t.h5").stat().st_size < m.nbytes


def test_a_state_that_never_moves_is_read_however_small_it_packs(tmp_path: Path) -> None:
    """Zeros shrink by more than any bomb; what is packed by the trace's own filters is believed."""
    for compress in ("gzip", "zstd"):
        if compress == "zstd":
            pytest.importorskip("hdf5plugin")
        write(tmp_path / f"{compress}.h5", np.zeros((8, 1000, 256), np.float32), 8,
              compress=compress)  # fmt: skip
        with Trace.open(tmp_path / f"{compress}.h5") as trace:
            assert not trace.read_layer("l").states.m.any()


def test_compression_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown, not installed, or together with resume: each is named, at once."""
    m = np.zeros((1, 1, 1), np.float32)
    with pytest.raises(OptionError, match="no such compression") as caught:
        write(tmp_path / "t.h5", m, 1, compress="zip")
    assert caught.value.expected == "gzip, lzf, zstd"
    with pytest.raises(OptionError, match="cannot be continued"):
        write(tmp_path / "t.h5", m, 1, compress="gzip", resume=True)
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    with pytest.raises(OptionError, match="needs the package hdf5plugin") as caught:
        write(tmp_path / "t.h5", m, 1, compress="zstd")
    assert (caught.value.hint or "").startswith("pip install hdf5plugin")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("shape", "chunks"),
    [
        ((200, 200, 512), (1, 200, 512)),
        ((1024, 20, 32), (64, 20, 32)),
        ((1, 1_000_000, 128), (1, 2048, 128)),
        ((3, 7, 2_000_000), (1, 1, 2_000_000)),
        ((1_000_000, 64), (4096, 64)),
    ],
)
def test_chunks_hold_whole_sequences_where_they_can(
    shape: tuple[int, ...], chunks: tuple[int, ...]
) -> None:
    """The whole width, at most 1 MiB unless a row is larger."""
    assert chunk_shape(shape, 4) == chunks
    assert np.prod(chunks) * 4 <= max(CHUNK_BYTES, chunks[-1] * 4)


def layer_states(facts: LayerFacts, *, of_m: bool) -> tuple[LayerHeader, LayerStates]:
    """Random valid steps, and past the length what the padding table of layers says."""
    header = LayerHeader(
        "l", 3, {"c": 5, "m": 3}, timesteps=6, gates=("i",), facts=facts, outputs_are_m=of_m
    )
    c, m, gate = random(4, 6, 5), random(4, 6, 3) + 1, random(4, 6, 5) * MASK[..., None]
    initial = {"c": random(4, 5) + 2, "m": random(4, 3) + 3}
    whole = facts.backward and facts.reversal == "whole"
    final = {}
    for name, array in (("c", c), ("m", m)):
        ends = array[:, 0] if facts.backward else array[np.arange(4), LENGTHS - 1]
        final[name] = np.where(LENGTHS[:, None] > 0, ends, initial[name])
        carried = initial[name] if whole else final[name]
        array[~MASK] = carried[np.nonzero(~MASK)[0]]
    outputs = m.copy()
    held = 0 * m[:, 0]
    if facts.padding == "hold" and not whole:
        held = np.where(LENGTHS[:, None] > 0, final["m"], 0)
    if not of_m:
        outputs[~MASK] = held[np.nonzero(~MASK)[0]]
    return header, LayerStates({"c": c, "m": m}, outputs, initial, final, {"i": gate})


FACTS = [
    LayerFacts("l", backward=backward, reversal=reversal, padding=padding)
    for backward in (False, True)
    for reversal in ("whole", "within length")
    for padding in ("zeros", "hold")
]


@pytest.mark.parametrize("facts", FACTS, ids=str)
@pytest.mark.parametrize("of_m", [False, True])
def test_a_ragged_trace_comes_back_padded(tmp_path: Path, facts: LayerFacts, of_m: bool) -> None:
    """Bit for bit what was written, in cuts of both axes; the file holds valid steps alone."""
    header, whole = layer_states(facts, of_m=of_m)
    with TraceWriter(
        tmp_path / "t.h5", TraceHeader(), [header], 4, 6, has_lengths=True, ragged=LENGTHS
    ) as writer:
        writer.write_common(slice(0, 4), LENGTHS)
        for rows in (slice(0, 3), slice(3, 4)):
            for steps in (slice(0, 2), slice(2, 6)) if rows.start else (slice(0, 6),):
                part = LayerStates(
                    *({n: a[rows, steps] for n, a in whole.states.items()},
                      whole.outputs[rows, steps]),
                    *({n: a[rows] for n, a in e.items()} for e in (whole.initial, whole.final)),
                    {n: a[rows, steps] for n, a in whole.gates.items()},
                )  # fmt: skip
                writer.write_layer("l", part, rows, steps)
        back = writer.read_outputs("l", slice(1, 4), slice(0, 2))
        np.testing.assert_array_equal(back, np.where(MASK[..., None], whole.outputs, 0)[1:, :2])
    with h5py.File(tmp_path / "t.h5") as file:
        assert file["offsets"][...].tolist() == [0, 4, 4, 10, 11]
        assert file["l/c"].shape == (11, 5)
        np.testing.assert_array_equal(file["l/c"][...], whole.states["c"][MASK])
        assert "timestep" not in file
    with Trace.open(tmp_path / "t.h5") as trace:
        assert trace.layers == (header,)
        assert (trace.timesteps, trace.layers[0].timesteps) == (6, 6)
        assert trace.kept_timesteps is None
        assert not trace.is_cut("l")
        part = trace.read_layer("l", slice(1, 4))
        assert part.mask is not None
        np.testing.assert_array_equal(part.mask, MASK[1:])
        for kind in ("states", "initial", "final", "gates"):
            for name, array in getattr(whole, kind).items():
                np.testing.assert_array_equal(getattr(part.states, kind)[name], array[1:4])
        np.testing.assert_array_equal(part.states.outputs, whole.outputs[1:4])
        np.testing.assert_array_equal(trace.read_outputs("l", slice(0, 2)), whole.outputs[:2])


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
def test_a_ragged_trace_opens_in_xarray(tmp_path: Path, engine: str) -> None:
    """With the dimensions step and unit, cut to some units."""
    xr = pytest.importorskip("xarray")
    header, whole = layer_states(FACTS[0], of_m=True)
    with TraceWriter(
        tmp_path / "t.h5", TraceHeader(), [header], 4, 6, ragged=LENGTHS, compress="gzip",
        selection=parse_selection(["units=1"]),
    ) as writer:  # fmt: skip
        writer.write_layer("l", whole, slice(0, 4))
    with xr.open_datatree(tmp_path / "t.h5", engine=engine) as tree:
        assert tree["l/c"].dims == ("step", "unit")
        assert tree["l/outputs"].dims == ("step", "output")
        assert tree["offsets"].values.tolist() == [0, 4, 4, 10, 11]
        assert tree["l/c"].sel(step=4, unit=1) == whole.states["c"][2, 0, 1]


@pytest.mark.parametrize(
    ("facts", "options", "found"),
    [
        ({"padding": "none"}, {}, "computes on past the lengths"),
        ({"outputs_in_input_order": False, "padding": "zeros"}, {}, "not in the order of time"),
        ({"padding": "zeros"}, {"has_mask": True}, "a mask with holes"),
        ({"padding": "zeros"}, {"selection": parse_selection(["steps=1"])}, "of timesteps"),
    ],
)
def test_runs_that_have_no_ragged_trace(
    tmp_path: Path, facts: dict[str, Any], options: dict[str, Any], found: str
) -> None:
    """Each is named before anything is computed."""
    layer = LayerHeader("l", 3, {"m": 3}, facts=LayerFacts("l", **facts))
    with pytest.raises(OptionError, match="no ragged trace") as caught:
        TraceWriter(tmp_path / "t.h5", TraceHeader(), [layer], 4, 6, ragged=LENGTHS, **options)
    assert found in (caught.value.found or "")


def test_offsets_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    """In a file that somebody has changed."""
    header, whole = layer_states(FACTS[0], of_m=True)
    with TraceWriter(tmp_path / "t.h5", TraceHeader(), [header], 4, 6, ragged=LENGTHS) as writer:
        writer.write_layer("l", whole, slice(0, 4))
    with h5py.File(tmp_path / "t.h5", "r+") as file:
        file["offsets"][1] = 12
    with pytest.raises(TraceError, match="offsets of the trace"):
        Trace.open(tmp_path / "t.h5")
