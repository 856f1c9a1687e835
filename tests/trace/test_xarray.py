"""A trace in xarray: three engines, one group or the whole tree, a name for every axis."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from rnnscope.model.states import LayerStates
from rnnscope.trace import LayerHeader, TraceHeader, TraceWriter

xr = pytest.importorskip("xarray")

ENGINES = [
    "h5netcdf",
    "netcdf4",
    pytest.param("zarr", marks=pytest.mark.skipif(find_spec("zarr") is None, reason="no zarr")),
]
GATES = ("i", "f", "g", "o")
FORWARD = LayerHeader(
    "bidi/forward", 2, {"c": 3, "m": 2}, gates=GATES, variables=("a", "b"), outputs_are_m=True
)
BACKWARD = LayerHeader("bidi/backward", 2, {"c": 3, "m": 2}, "float64", gates=GATES)
MERGE = LayerHeader("bidi", 4)
GRU = LayerHeader("mask", 5, {"m": 5}, options={"clip": (None, "config"), "bias": (1.5, "flag")})
WRAPPED = LayerHeader("wrapped", 6, {"c": 5, "m": 5})

ENDS = ("sequence", "unit")
C, M = ("sequence", "timestep", "unit"), ("sequence", "timestep", "output")
DIRECTION = {
    "": {"c": C, "m": M, "outputs": M, "unit": ("unit",), "output": ("output",)},
    "/gates": dict.fromkeys(GATES, C),
    "/initial": {"c": ENDS, "m": ("sequence", "output")},
    "/final": {"c": ENDS, "m": ("sequence", "output")},
}
EXPECTED = {
    "/": {
        "sequence": ("sequence",),
        "timestep": ("timestep",),
        "lengths": ("sequence",),
        "input_steps": ("sequence",),
        "mask": ("sequence", "timestep"),
    },
    "/bidi": {},
    **{f"/bidi/forward{group}": arrays for group, arrays in DIRECTION.items()},
    **{f"/bidi/backward{group}": arrays for group, arrays in DIRECTION.items()},
    "/bidi_layer": {"outputs": M, "output": ("output",)},
    "/mask_layer": {"m": M, "outputs": M, "unit": ("unit",), "output": ("output",)},
    "/mask_layer/initial": {"m": ("sequence", "output")},
    "/mask_layer/final": {"m": ("sequence", "output")},
    "/wrapped": {"c": C, "m": C, "outputs": M, "unit": ("unit",), "output": ("output",)},
    "/wrapped/initial": {"c": ENDS, "m": ENDS},
    "/wrapped/final": {"c": ENDS, "m": ENDS},
}


def write(path: Path, layers: list[LayerHeader], sequences: int, timesteps: int) -> None:
    rows = slice(0, sequences)
    with TraceWriter(
        path, TraceHeader(notes=("ünï",)), layers, sequences, timesteps,
        has_lengths=True, has_mask=True,
    ) as writer:  # fmt: skip
        mask = np.ones((sequences, timesteps), bool)
        writer.write_common(rows, mask.sum(axis=1), mask, mask.sum(axis=1))
        for layer in layers:
            steps = layer.timesteps or timesteps

            def array(*shape: int, dtype: str = layer.dtype) -> np.ndarray:
                return np.arange(np.prod(shape)).reshape(shape).astype(dtype)

            outputs = array(sequences, steps, layer.output_size)
            if not layer.widths:
                writer.write_outputs(layer.name, outputs, rows)
                continue
            ends = {name: array(sequences, width) for name, width in layer.widths.items()}
            states = {name: array(sequences, steps, width) for name, width in layer.widths.items()}
            gates = {gate: array(sequences, steps, layer.unit_size or 0) for gate in layer.gates}
            writer.write_layer(layer.name, LayerStates(states, outputs, ends, ends, gates), rows)


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two directions and their merge, a GRU with a reserved name, a wrapped cell."""
    folder = tmp_path_factory.mktemp("xarray")
    for name in ("t.h5", "t.zarr") if find_spec("zarr") else ("t.h5",):
        write(folder / name, [FORWARD, BACKWARD, MERGE, GRU, WRAPPED], 7, 11)
    return folder


def of(folder: Path, engine: str) -> Path:
    return folder / ("t.zarr" if engine == "zarr" else "t.h5")


@pytest.mark.parametrize("engine", ENGINES)
def test_the_tree_names_every_axis_of_every_array(trace: Path, engine: str) -> None:
    """``open_datatree`` takes the whole file, and there is nothing in it beyond what we list."""
    with xr.open_datatree(of(trace, engine), engine=engine) as tree:
        found = {
            node.path: {
                name: variable.dims
                for name, variable in node.to_dataset(inherit=False).variables.items()
            }
            for node in tree.subtree
        }
        assert found == EXPECTED
        assert tree["bidi/forward/c"].sizes == {"sequence": 7, "timestep": 11, "unit": 3}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("group", EXPECTED)
def test_a_group_on_its_own_names_every_axis(trace: Path, engine: str, group: str) -> None:
    """``open_dataset`` finds the root's dimensions from a group inside."""
    with xr.open_dataset(of(trace, engine), group=group, engine=engine) as dataset:
        assert {name: array.dims for name, array in dataset.variables.items()} == EXPECTED[group]


@pytest.mark.parametrize("engine", ENGINES)
def test_values_and_attributes_arrive(trace: Path, engine: str) -> None:
    """Numbers, text in UTF-8, coordinates, and selection by name."""
    with xr.open_datatree(of(trace, engine), engine=engine) as tree:
        assert tree["bidi/forward"]["c"].isel(sequence=1, timestep=2, unit=0) == 39
        for name in ("m", "outputs"):  # one array under two names
            assert tree["bidi/forward"][name].values[6, 10].tolist() == [152, 153]
        assert tree["bidi/backward"]["c"].dtype == np.float64
        assert tree["bidi/forward"]["timestep"].values.tolist() == list(range(11))
        assert tree["mask"].dtype == np.int8
        assert tree.attrs["schema"] == "rnnscope-trace"
        assert np.atleast_1d(tree.attrs["notes"]).tolist() == ["ünï"]
        layer = tree["mask_layer"].attrs
        assert layer["layer"] == "mask"
        assert "option_clip" not in layer
        assert layer["option_clip_origin"] == "config"
        assert layer["option_bias"] == 1.5
        assert list(tree["bidi/forward"].attrs["variables"]) == ["a", "b"]


@pytest.mark.parametrize("engine", ENGINES)
def test_layers_with_other_steps_than_the_input_have_their_own_timestep(
    tmp_path: Path, engine: str
) -> None:
    """The root's time is then called input_timestep: xarray takes no two sizes of one name."""
    layers = [LayerHeader("encoder", 2, {"m": 2}), LayerHeader("decoder", 2, {"m": 2}, timesteps=5)]
    write(of(tmp_path, engine), layers, 3, 4)
    with xr.open_datatree(of(tmp_path, engine), engine=engine) as tree:
        assert tree["mask"].dims == ("sequence", "input_timestep")
        assert tree["encoder/m"].sizes == {"sequence": 3, "timestep": 4, "output": 2}
        assert tree["decoder/m"].sizes == {"sequence": 3, "timestep": 5, "output": 2}
        assert tree["decoder"]["timestep"].values.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("engine", ENGINES)
def test_chunked_arrays_and_odd_names_open_too(tmp_path: Path, engine: str) -> None:
    """Several MiB, and a name that netCDF would not choose."""
    write(of(tmp_path, engine), [LayerHeader("rnn/~lstm: 1 ü.", 256, {"c": 256, "m": 256})], 9, 200)
    with xr.open_datatree(of(tmp_path, engine), engine=engine) as tree:
        assert tree["rnn/~lstm: 1 ü./c"].dims == ("sequence", "timestep", "unit")
        assert tree["rnn/~lstm: 1 ü./c"].values[8, 199, 255] == 9 * 200 * 256 - 1
