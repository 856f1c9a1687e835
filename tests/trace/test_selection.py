"""Traces that keep a part: of layers, states, units, timesteps."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnscope.checks import run_checks
from rnnscope.errors import OptionError, TraceError
from rnnscope.model.states import LayerStates
from rnnscope.trace import LayerHeader, Selection, Trace, TraceHeader, TraceWriter, parse_selection

GATES = ("i", "f", "g", "o")
LAYERS = [
    LayerHeader("rnn/a", 4, {"c": 6, "m": 4}, gates=GATES, outputs_are_m=True, reads_input=True),
    LayerHeader("rnn/b", 6, {"c": 6, "m": 6}, gates=GATES),
    LayerHeader("merge", 8),
]
SEQUENCES, STEPS = 3, 10


def full(layer: LayerHeader, seed: int = 0) -> LayerStates:
    draw = np.random.default_rng(seed)

    def array(*shape: int) -> np.ndarray:
        return draw.random((SEQUENCES, *shape), np.float32)

    states = {name: array(STEPS, width) for name, width in layer.widths.items()}
    outputs = states["m"] if layer.outputs_are_m else array(STEPS, layer.output_size)
    ends = [{name: array(width) for name, width in layer.widths.items()} for _ in range(2)]
    gates = {gate: array(STEPS, layer.unit_size or 0) for gate in layer.gates}
    return LayerStates(states, outputs, *ends, gates)


def write(path: Path, *texts: str, cut: int = STEPS) -> Path:
    """A trace of three layers, in two cuts of time."""
    with TraceWriter(
        path, TraceHeader(), LAYERS, SEQUENCES, STEPS, has_mask=True,
        selection=parse_selection(texts),
    ) as writer:  # fmt: skip
        mask = np.arange(SEQUENCES * STEPS).reshape(SEQUENCES, STEPS) % 3 > 0
        writer.write_common(slice(0, SEQUENCES), mask=mask, input_steps=np.full(SEQUENCES, STEPS))
        for steps in (slice(0, cut), slice(cut, STEPS)):
            for layer in LAYERS:
                whole = full(layer)
                part = LayerStates(
                    {name: array[:, steps] for name, array in whole.states.items()},
                    whole.outputs[:, steps], whole.initial, whole.final,
                    {name: array[:, steps] for name, array in whole.gates.items()},
                )  # fmt: skip
                if layer.widths:
                    writer.write_layer(layer.name, part, slice(0, SEQUENCES), steps)
                else:
                    writer.write_outputs(layer.name, part.outputs, slice(0, SEQUENCES), steps)
    return path


@pytest.mark.parametrize("cut", [0, 4, STEPS])
def test_only_what_is_selected_is_kept(tmp_path: Path, cut: int) -> None:
    """Coordinates hold the real places; ends are kept, cut to the units."""
    path = write(tmp_path / "t.h5", "layers=*/a", "states=c,f", "units=0:2,5", "steps=::4,last:1",
                 cut=cut)  # fmt: skip
    whole = full(LAYERS[0])
    with h5py.File(path) as file:
        assert sorted(file["rnn"]) == ["a"]
        layer = file["rnn/a"]
        assert sorted(layer) == ["c", "final", "gates", "initial", "output", "unit"]
        assert list(layer["gates"]) == ["f"]
        assert file["timestep"][...].tolist() == [0, 4, 8, 9]
        assert layer["unit"][...].tolist() == [0, 1, 5]
        assert layer["output"][...].tolist() == [0, 1]
        steps, units = np.ix_([0, 4, 8, 9], [0, 1, 5])
        np.testing.assert_array_equal(layer["c"][...], whole.states["c"][:, steps, units])
        np.testing.assert_array_equal(layer["gates/f"][...], whole.gates["f"][:, steps, units])
        np.testing.assert_array_equal(layer["final/m"][...], whole.final["m"][:, :2])
        assert file["mask"].shape == (SEQUENCES, 4)


def test_the_reader_knows_what_was_left_out(tmp_path: Path) -> None:
    """Sizes are those of the run; checks are skipped, since not every step is there."""
    path = write(tmp_path / "t.h5", "steps=5:", "units=1", "layers=rnn/*")
    with Trace.open(path) as trace:
        assert trace.selection == ("layers=rnn/*", "units=1", "steps=5:")
        assert trace.timesteps == STEPS
        assert trace.kept_timesteps is not None
        assert trace.kept_timesteps.tolist() == [5, 6, 7, 8, 9]
        a, b = trace.layers
        assert (a.widths, a.output_size, a.timesteps) == ({"c": 6, "m": 4}, 4, STEPS)
        assert a.outputs_are_m
        assert not b.outputs_are_m
        assert trace.is_cut("rnn/a")
        found = {finding.check: finding.status for finding in run_checks(trace.read_layer("rnn/a"))}
        assert found.pop("finite") in ("pass", "skip")
        assert set(found.values()) == {"skip"}
        stored = trace.read_states("rnn/a", slice(1, 2))
        np.testing.assert_array_equal(stored.m, full(LAYERS[0]).m[1:2, 5:, 1:2])
        assert stored.outputs is stored.m


def test_states_alone_leave_the_kept_ones_whole(tmp_path: Path) -> None:
    """Checks of what is there run; outputs without m are stored as outputs."""
    with Trace.open(write(tmp_path / "m.h5", "states=m")) as trace:
        assert not trace.is_cut("rnn/a")
        part = trace.read_layer("rnn/a")
        assert list(part.states.states) == ["m"]
        assert not len(part.states.outputs)
        statuses = {finding.check: finding.status for finding in run_checks(part)}
        assert statuses["final-is-last-m" if "final-is-last-m" in statuses else "finite"] != "skip"
        assert trace.merges == ()
        with pytest.raises(TraceError, match="lacks an array"):
            trace.read_outputs("rnn/a")
    with Trace.open(write(tmp_path / "o.h5", "states=outputs")) as trace:
        np.testing.assert_array_equal(trace.read_outputs("rnn/a"), full(LAYERS[0]).m)
        assert [layer.name for layer in trace.merges] == ["merge"]
    with Trace.open(write(tmp_path / "g.h5", "states=gates")) as trace:
        assert trace.layers[0].gates == GATES
        assert {finding.status for finding in run_checks(trace.read_layer("rnn/a"))} <= {
            "pass", "skip",
        }  # fmt: skip


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
def test_a_cut_trace_opens_in_xarray(tmp_path: Path, engine: str) -> None:
    """And is selected from by the real places."""
    xr = pytest.importorskip("xarray")
    path = write(tmp_path / "t.h5", "steps=1:9:3", "units=2,3")
    with xr.open_datatree(path, engine=engine) as tree:
        c = tree["rnn/a/c"]
        assert c.sizes == {"sequence": 3, "timestep": 3, "unit": 2}
        whole = full(LAYERS[0]).states["c"]
        assert float(c.sel(sequence=2, timestep=7, unit=3)) == whole[2, 7, 3]


def test_outputs_that_are_not_whole_cannot_be_read_back(tmp_path: Path) -> None:
    """The writer says so beforehand, too."""
    with (  # noqa: PT012  # the block raises at its end
        pytest.raises(TraceError, match="leaves out"),
        TraceWriter(tmp_path / "t.h5", TraceHeader(), LAYERS, SEQUENCES, STEPS,
                    selection=parse_selection(["layers=rnn/a"])) as writer,
    ):  # fmt: skip
        assert writer.keeps_outputs("rnn/a")
        assert not writer.keeps_outputs("merge")
        writer.read_outputs("merge", slice(0, 1))


@pytest.mark.parametrize(
    ("text", "size", "places"),
    [
        ("::10", 25, [0, 10, 20]),
        ("last:3", 5, [2, 3, 4]),
        ("last:9", 2, [0, 1]),
        ("5:20", 8, [5, 6, 7]),
        ("4,1,1,99,-1", 6, [1, 4, 5]),
        ("-3:,0:4:2", 6, [0, 2, 3, 4, 5]),
    ],
)
def test_places(text: str, size: int, places: list[int]) -> None:
    """Rising, each once; what lies beyond the axis is left out."""
    chosen = parse_selection([f"steps={text}"]).steps
    assert chosen is not None
    assert chosen.of(size).tolist() == places


@given(
    layers=st.lists(st.text("abc*?/_1", min_size=1, max_size=5), max_size=3),
    states=st.lists(st.sampled_from(["c", "m", "outputs", "gates", "i", "f"]), max_size=3),
    units=st.sampled_from(["", "3", "0:16,40"]),
)
def test_texts_come_back(layers: list[str], states: list[str], units: str) -> None:
    """A selection's texts make the same selection."""
    texts = [f"layers={','.join(layers)}"] * bool(layers)
    texts += [f"states={','.join(states)}"] * bool(states) + [f"units={units}"] * bool(units)
    selection = parse_selection(texts)
    assert parse_selection(selection.texts()) == selection
    assert selection.is_everything == (not texts)


@pytest.mark.parametrize(
    ("texts", "what", "hint"),
    [
        (["step=1"], "something unknown: 'step'", "did you mean steps?"),
        (["states=output"], "something unknown: 'output'", "did you mean outputs?"),
        (["steps"], "not to be understood", None),
        (["steps=1", "steps=2"], "not to be understood", None),
        (["steps=last"], "A selection of steps", "did you mean last:n?"),
        (["units=1.5"], "A selection of units", None),
        (["steps=::0"], "A selection of steps", None),
    ],
)
def test_selections_that_are_not_to_be_understood(
    texts: list[str], what: str, hint: str | None
) -> None:
    """The nearest name is offered."""
    with pytest.raises(OptionError, match=what) as caught:
        parse_selection(texts)
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("layers=rnn/c", "something unknown: 'rnn/c'"),
        ("steps=10:", "leaves nothing of an axis"),
        ("units=5", "leaves nothing of an axis"),  # rnn/a has four outputs
        ("states=r", "The run has no 'r'"),
    ],
)
def test_selections_that_do_not_fit_the_run(tmp_path: Path, text: str, what: str) -> None:
    """Said before anything is computed."""
    with pytest.raises(OptionError, match=what):
        write(tmp_path / "t.h5", text)
    assert not list(tmp_path.iterdir())
    assert Selection().is_everything
