"""HDF5 to zarr and back: every array, dimension and attribute, whatever the sizes."""

from __future__ import annotations

import json
import shutil

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rnnscope
from rnnscope.errors import OptionError, TraceError
from rnnscope.model.states import LayerFacts, LayerStates
from rnnscope.trace import LayerHeader, Trace, TraceHeader, TraceWriter, copying

pytest.importorskip("zarr")


def as_text(value):
    """An attribute as what it is compared by: a NaN, which is not equal to itself, is its word."""
    return repr(np.asarray(value).tolist())


def everything(path):
    """Every object of an HDF5 file: names that share an array, attributes, dimensions, bytes."""
    found = {}
    with h5py.File(path) as file:

        def walk(group, prefix):
            for name, item in group.items():
                place = f"{prefix}/{name}"
                attributes = {
                    key: as_text(value) for key, value in item.attrs.items()
                    if key not in ("DIMENSION_LIST", "REFERENCE_LIST")
                }  # fmt: skip
                if isinstance(item, h5py.Group):
                    found[place] = (attributes, None)
                    walk(item, place)
                    continue
                axes = [axis[0].name if len(axis) else "" for axis in item.dims]
                twins = [other for other in group if group[other] == item]
                found[place] = (attributes, axes, twins, item.dtype.str, item[()].tobytes())

        found["/"] = {key: as_text(value) for key, value in file.attrs.items()}
        walk(file, "")
    return found


names = st.text(st.characters(codec="utf-8", exclude_characters="/\x00"), min_size=1, max_size=8)
numbers = st.one_of(
    st.integers(-(2**53), 2**53), st.floats(width=64), st.booleans(), st.none(), names
)


@st.composite
def traces(draw):
    sequences, steps = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    layers = []
    for name in draw(st.lists(names, min_size=1, max_size=3, unique=True)):
        widths = draw(st.sampled_from([{}, {"m": 3}, {"c": 4, "m": 4}, {"c": 4, "m": 2}]))
        size = widths.get("m", 5)
        options = draw(st.dictionaries(st.sampled_from(["clip", "bias", "use"]), numbers))
        layers.append(
            LayerHeader(
                name, size, widths, draw(st.sampled_from(["float32", "float64"])),
                gates=("i", "o") if widths and draw(st.booleans()) else (),
                facts=LayerFacts(name, m_bound=draw(st.sampled_from([None, 1.0, float("inf")]))),
                options={key: (value, "flag") for key, value in options.items()},
                variables=tuple(draw(st.lists(names, max_size=2))),
                outputs_are_m=bool(widths) and draw(st.booleans()),
            )
        )  # fmt: skip
    return sequences, steps, layers, draw(st.booleans()), draw(st.integers(0, 2**32 - 1))


def write(path, case):
    sequences, steps, layers, has_mask, seed = case
    rng = np.random.default_rng(seed)

    def array(header, *shape):
        values = rng.standard_normal(shape).astype(header.dtype)
        values.reshape(-1)[:1] = rng.choice([np.nan, np.inf, -0.0, 1])
        return values

    rows = slice(0, sequences)
    with TraceWriter(
        path, TraceHeader(notes=("ü",)), layers, sequences, steps, has_mask=has_mask, force=True
    ) as writer:
        for layer in layers:
            if not layer.widths:
                writer.write_outputs(
                    layer.name, array(layer, sequences, steps, layer.output_size), rows
                )
                continue
            over = {s: array(layer, sequences, steps, w) for s, w in layer.widths.items()}
            ends = {s: array(layer, sequences, w) for s, w in layer.widths.items()}
            outputs = over["m"] if layer.outputs_are_m else over["m"] * 2
            gates = {g: array(layer, sequences, steps, layer.unit_size) for g in layer.gates}
            writer.write_layer(layer.name, LayerStates(over, outputs, ends, ends, gates), rows)
        mask = rng.random((sequences, steps)) < 0.5
        writer.write_common(rows, None, mask, np.full(sequences, steps))


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(traces())
def test_there_and_back_is_the_same_file(tmp_path, case):
    write(tmp_path / "a.h5", case)
    rnnscope.export(tmp_path / "a.h5", "zarr", tmp_path / "b.zarr", force=True)
    done = rnnscope.export(tmp_path / "b.zarr", "hdf5", tmp_path / "c.h5", force=True)
    assert (done.lost, done.not_read) == ((), ())
    assert everything(tmp_path / "a.h5") == everything(tmp_path / "c.h5")


def test_pooled_arrays_go_with_the_trace(tmp_path):
    layers = [LayerHeader("l", 2, {"m": 2})]
    write(tmp_path / "a.h5", (3, 4, layers, False, 1))
    rnnscope.pool(tmp_path / "a.h5", "mean", store=True)
    rnnscope.export(tmp_path / "a.h5", "zarr", tmp_path / "b.zarr")
    rnnscope.export(tmp_path / "b.zarr", "hdf5", tmp_path / "c.h5")
    assert "/pooled/l/m/mean" in everything(tmp_path / "c.h5")
    assert everything(tmp_path / "a.h5") == everything(tmp_path / "c.h5")


def test_states_of_other_files_become_a_trace_of_that_kind(tmp_path):
    m = np.random.default_rng(0).standard_normal((2, 3, 4))
    np.savez(tmp_path / "s.npz", m=m, c=m + 1)
    done = rnnscope.export(tmp_path / "s.npz", "zarr", tmp_path / "s.zarr")
    assert done.lost
    with Trace.open(tmp_path / "s.zarr") as trace:
        np.testing.assert_array_equal(trace.read_array(trace.layers[0].name, "c"), m + 1)


@pytest.mark.parametrize(
    ("to", "name", "options", "says"),
    [
        ("zarr", "x.h5", {}, "not called as a store of the format zarr"),
        ("hdf5", "x.zarr", {}, "not called as a store of the format hdf5"),
        ("zarr", "x.npz", {}, r"next: output=\S*x\.zarr"),
        ("hdf5", "x.npz", {}, "name of another kind"),
        ("zarr", "x.zarr", {"steps": "final"}, "copied whole"),
        ("zarr", "x.zarr", {"layers": ["l"]}, "copied whole"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path, to, name, options, says):
    write(tmp_path / "a.h5", (1, 2, [LayerHeader("l", 2, {"m": 2})], False, 1))
    with pytest.raises((OptionError, TraceError), match=says):
        rnnscope.export(tmp_path / "a.h5", to, tmp_path / name, **options)
    assert [one.name for one in tmp_path.iterdir()] == ["a.h5"]


def test_a_file_that_is_called_as_a_store_is_not_replaced_by_one(tmp_path):
    write(tmp_path / "a.h5", (1, 2, [LayerHeader("l", 2, {"m": 2})], False, 1))
    (tmp_path / "b.zarr").touch()
    with pytest.raises(TraceError, match="a file has this name"):
        rnnscope.export(tmp_path / "a.h5", "zarr", tmp_path / "b.zarr", force=True)


def test_an_axis_without_coordinates_is_copied_without(tmp_path):
    """A store of a stranger may name a dimension that nothing describes, or none."""
    write(tmp_path / "a.zarr", (2, 3, [LayerHeader("l", 2, {"m": 2})], False, 1))
    root = json.loads((tmp_path / "a.zarr/zarr.json").read_text())
    inside = root["consolidated_metadata"]["metadata"]
    inside["l/m"]["dimension_names"] = ["sequence", None, "nothing"]
    (tmp_path / "a.zarr/zarr.json").write_text(json.dumps(root))
    rnnscope.export(tmp_path / "a.zarr", "hdf5", tmp_path / "b.h5")
    assert everything(tmp_path / "b.h5")["/l/m"][1] == ["/sequence", "", ""]
    with Trace.open(tmp_path / "b.h5") as trace:
        assert trace.read_array("l", "m").shape == (2, 3, 2)


def test_a_copy_in_an_object_store_says_that_it_is_complete_last_of_all(tmp_path, monkeypatch):
    """A process that is killed meanwhile leaves no half trace that passes for a whole one."""
    pytest.importorskip("fsspec")
    write(tmp_path / "a.h5", (2, 3, [LayerHeader("l", 2, {"m": 2})], False, 1))
    target = f"memory://copies/{tmp_path.name}/b.zarr"
    seen = []

    def looking(source):
        with pytest.raises(TraceError, match="not complete"):
            Trace.open(target)
        seen.append(source.path)
        return blocks(source)

    blocks = copying._blocks
    monkeypatch.setattr(copying, "_blocks", looking)
    rnnscope.export(tmp_path / "a.h5", "zarr", target)
    assert "/l/m" in seen
    Trace.open(target).close()


def test_a_copy_of_a_trace_in_parts_needs_no_parts(tmp_path):
    """Else the copy would ask for files whose values it holds itself."""
    np.save(tmp_path / "x.npy", np.random.default_rng(3).normal(size=(5, 4, 8)))
    model = "sample_data/lstm_float64/model.ckpt"
    rnnscope.run(model, tmp_path / "x.npy", output=tmp_path / "one.h5").close()
    for number in (1, 2):
        rnnscope.run_part(model, tmp_path / "x.npy", part=(number, 2), output=tmp_path / "t.h5")
    rnnscope.join(tmp_path / "t.h5.parts", tmp_path / "t.h5")
    rnnscope.export(tmp_path / "t.h5", "zarr", tmp_path / "b.zarr")
    rnnscope.export(tmp_path / "b.zarr", "hdf5", tmp_path / "c.h5")
    done = rnnscope.export(tmp_path / "t.h5", "hdf5", tmp_path / "d.h5")
    assert not [one for one in done.arrays if one.name.startswith("parts")]
    shutil.rmtree(tmp_path / "t.h5.parts")
    whole = everything(tmp_path / "one.h5")
    for name in ("c.h5", "d.h5"):
        assert rnnscope.diff(tmp_path / "one.h5", tmp_path / name, exact=True).verdict == "same"
        found = everything(tmp_path / name)
        assert found.keys() == whole.keys()
        assert found["/"].keys() == whole["/"].keys()
