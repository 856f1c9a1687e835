"""Reading a trace back: what was written comes out, and other files are told apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnnscope.errors import TraceError
from rnnscope.model.cell import Array
from rnnscope.model.states import LayerFacts, LayerStates
from rnnscope.trace import LayerHeader, Trace, TraceHeader, TraceWriter

HEADER = TraceHeader(
    command="rnnscope run model.ckpt x.npy -o t.h5",
    checkpoint="model.ckpt",
    checkpoint_format="tf1-saver",
    checkpoint_sha256="ab" * 32,
    framework="TensorFlow 1.15.5",
    input="x.npy",
    input_sha256="cd" * 32,
    engine="numpy",
    rnnscope_version="0.1",
    created="2026-01-02T03:04:05+00:00",
    notes=("One note.", "Übrigens."),
)
FACTS = LayerFacts(
    "bw/lstm",
    cell="lstm",
    backward=True,
    reversal="within length",
    padding="zeros",
    m_bound=1.0,
    outputs_in_input_order=False,
    outputs_are_m=False,
)
LAYER = LayerHeader(
    "bw/lstm",
    output_size=3,
    widths={"c": 2, "m": 2},
    dtype="float64",
    timesteps=4,
    gates=("i", "f", "g", "o"),
    facts=FACTS,
    options={"forget_bias": (1.0, "graph"), "cell_clip": (None, "config"), "act": ("tanh", "flag")},
    source_class="BasicLSTMCell",
    stored_gate_order="i g f o",
    wiring="graph",
    variables=("bw/kernel", "bw/bias"),
    inputs=("x",),
    reads_input=True,
)
LENGTHS = np.array([4, 0, 2])


def random_states(layer: LayerHeader, sequences: int, timesteps: int, seed: int = 0) -> LayerStates:
    draw = np.random.default_rng(seed)

    def array(*shape: int) -> Array:
        return draw.standard_normal(shape).astype(layer.dtype)

    return LayerStates(
        {name: array(sequences, timesteps, width) for name, width in layer.widths.items()},
        array(sequences, timesteps, layer.output_size),
        {name: array(sequences, width) for name, width in layer.widths.items()},
        {name: array(sequences, width) for name, width in layer.widths.items()},
        {gate: array(sequences, timesteps, layer.unit_size or 0) for gate in layer.gates},
    )


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Three sequences of four steps, lengths 4, 0 and 2, one backward layer with gates."""
    path = tmp_path / "t.h5"
    with TraceWriter(path, HEADER, [LAYER], 3, 4, has_lengths=True) as writer:
        writer.write_common(slice(0, 3), lengths=LENGTHS, input_steps=np.array([4, 1, 2]))
        writer.write_layer("bw/lstm", random_states(LAYER, 3, 4), slice(0, 3))
        writer.set_checks('[{"check": "finite"}]')
    return path


def test_headers_come_back_as_they_were(trace: Path) -> None:
    """Every field, also None, empty lists and other alphabets."""
    with Trace.open(trace) as opened:
        assert opened.header == HEADER
        assert opened.layers == (LAYER,)
        assert opened.merges == ()
        assert opened.checks == '[{"check": "finite"}]'
        assert (opened.sequences, opened.timesteps) == (3, 4)
        assert opened.lengths is not None
        assert opened.lengths.tolist() == [4, 0, 2]
        assert opened.mask is None


def test_a_slice_of_a_layer_is_what_a_check_needs(trace: Path) -> None:
    """Facts, lengths, the mask that follows from them, input steps, and where the slice begins."""
    whole = random_states(LAYER, 3, 4)
    with Trace.open(trace) as opened:
        part = opened.read_layer("bw/lstm", slice(1, 3))
    assert part.facts == FACTS
    assert part.first_sequence == 1
    assert part.lengths is not None
    assert part.lengths.tolist() == [0, 2]
    assert part.mask is not None
    assert part.mask.tolist() == [[False] * 4, [True, True, False, False]]
    assert part.input_steps is not None
    assert part.input_steps.tolist() == [1, 2]
    np.testing.assert_array_equal(part.states.states["c"], whole.states["c"][1:3])
    np.testing.assert_array_equal(part.states.outputs, whole.outputs[1:3])
    np.testing.assert_array_equal(part.states.final["m"], whole.final["m"][1:3])
    assert list(part.states.gates) == ["i", "f", "g", "o"]
    np.testing.assert_array_equal(part.states.gates["g"], whole.gates["g"][1:3])


def test_layers_keep_the_order_of_the_run(tmp_path: Path) -> None:
    """Not that of the alphabet; merges are listed apart."""
    layers = [LayerHeader("z", 1, {"m": 1}), LayerHeader("merge", 2), LayerHeader("a", 1, {"m": 1})]
    with TraceWriter(tmp_path / "t.h5", HEADER, layers, 1, 2) as writer:
        for name in ("z", "a"):
            writer.write_layer(name, random_states(layers[0], 1, 2), slice(0, 1))
        writer.write_outputs("merge", np.ones((1, 2, 2), "float32"), slice(0, 1))
    with Trace.open(tmp_path / "t.h5") as opened:
        assert [layer.name for layer in opened.layers] == ["z", "a"]
        assert [layer.name for layer in opened.merges] == ["merge"]
        assert opened.read_outputs("merge").tolist() == [[[1, 1], [1, 1]]]
        assert opened.read_layer("z").input_steps is None
        with pytest.raises(TraceError, match="no such layer") as caught:
            opened.read_layer("b")
    assert caught.value.expected == "z, merge, a"


def test_a_layer_with_other_steps_does_not_get_the_inputs_lengths(tmp_path: Path) -> None:
    """They tell of the input's steps, not of the layer's."""
    layer = LayerHeader("decoder", 1, {"m": 1}, timesteps=5)
    with TraceWriter(tmp_path / "t.h5", HEADER, [layer], 1, 2, has_lengths=True) as writer:
        writer.write_common(slice(0, 1), lengths=np.array([2]))
        writer.write_layer("decoder", random_states(layer, 1, 5), slice(0, 1))
    with Trace.open(tmp_path / "t.h5") as opened:
        assert opened.timesteps == 2
        assert opened.layer("decoder").timesteps == 5
        assert opened.read_layer("decoder").mask is None


names = st.lists(
    st.text(st.sampled_from("ab/cm_. ünit\n"), max_size=8), min_size=1, max_size=4, unique=True
)


@given(
    names=names,
    sequences=st.integers(1, 5),
    timesteps=st.integers(1, 6),
    units=st.integers(1, 5),
    output=st.integers(1, 5),
    dtype=st.sampled_from(["float32", "float64"]),
    cut=st.integers(0, 5),
    gates=st.booleans(),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_layer_comes_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory,
    *,
    names: list[str],
    sequences: int,
    timesteps: int,
    units: int,
    output: int,
    dtype: str,
    cut: int,
    gates: bool,
) -> None:
    """Any names, sizes and cuts."""
    path = tmp_path_factory.mktemp("round") / "t.h5"
    layers = [
        LayerHeader(
            name, output, {"c": units, "m": output}, dtype, gates=("i", "f") if gates else ()
        )
        for name in names
    ]
    whole = {
        layer.name: random_states(layer, sequences, timesteps, seed)
        for seed, layer in enumerate(layers)
    }
    with TraceWriter(path, HEADER, layers, sequences, timesteps) as writer:
        for rows in (slice(0, min(cut, sequences)), slice(min(cut, sequences), sequences)):
            for name, full in whole.items():
                writer.write_layer(name, _rows(full, rows), rows)
    with Trace.open(path) as opened:
        assert [layer.name for layer in opened.layers] == names
        for name, full in whole.items():
            back = opened.read_layer(name).states
            np.testing.assert_array_equal(back.outputs, full.outputs)
            for part in ("states", "initial", "final", "gates"):
                assert getattr(back, part).keys() == getattr(full, part).keys()
                for key, array in getattr(full, part).items():
                    assert getattr(back, part)[key].dtype == dtype
                    np.testing.assert_array_equal(getattr(back, part)[key], array)


def _rows(full: LayerStates, rows: slice) -> LayerStates:
    parts = {
        part: {name: array[rows] for name, array in getattr(full, part).items()}
        for part in ("states", "initial", "final", "gates")
    }
    return LayerStates(outputs=full.outputs[rows], **parts)


def test_other_files_are_called_what_they_are(tmp_path: Path) -> None:
    """A missing file, an empty one, text, a Keras model, some HDF5."""
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("hello")
    with h5py.File(tmp_path / "keras", "w") as file:
        file.attrs["model_config"] = "{}"
    with h5py.File(tmp_path / "other", "w") as file:
        file["x"] = [1.0]
    cases = [
        ("missing", "no such file", None),
        ("empty", "file is empty", "0 bytes"),
        ("text", "no rnnscope trace", "no HDF5 file"),
        ("keras", "no rnnscope trace", "a Keras model"),
        ("other", "no rnnscope trace", "an HDF5 file that holds x"),
    ]
    for name, message, found in cases:
        with pytest.raises(TraceError, match=message) as caught:
            Trace.open(tmp_path / name)
        assert caught.value.found == found
        assert caught.value.where == str(tmp_path / name)


def changed(trace: Path, **attributes: Any) -> Path:
    with h5py.File(trace, "r+") as file:
        for name, value in attributes.items():
            file.attrs[name] = value
    return trace


def test_an_unfinished_trace_is_refused(trace: Path) -> None:
    """It says that the run did not finish."""
    with pytest.raises(TraceError, match="did not finish"):
        Trace.open(changed(trace, complete=0))


def test_a_newer_schema_is_refused(trace: Path) -> None:
    """With the advice to update."""
    with pytest.raises(TraceError, match="newer schema") as caught:
        Trace.open(changed(trace, schema_version=2))
    assert caught.value.hint == "update rnnscope"


def test_a_truncated_trace_is_refused(trace: Path) -> None:
    """Cut anywhere, the error is ours."""
    whole = trace.read_bytes()
    for share in (0.3, 0.6, 0.9):
        trace.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(TraceError, match="damaged"):
            Trace.open(trace)


@pytest.mark.parametrize("kind", ["soft", "external"])
def test_links_are_refused(trace: Path, kind: str) -> None:
    """A trace that points elsewhere is not followed."""
    with h5py.File(trace, "r+") as file:
        del file["bw/lstm/m"]
        target = "/bw/lstm/c"
        link = h5py.SoftLink(target) if kind == "soft" else h5py.ExternalLink("other.h5", target)
        file["bw/lstm/m"] = link
    with pytest.raises(TraceError, match="link"), Trace.open(trace) as opened:
        opened.read_layer("bw/lstm")


def test_a_dataset_larger_than_its_bytes_is_refused(trace: Path) -> None:
    """A declared size without stored values would read as zeros, or fill the memory."""
    with h5py.File(trace, "r+") as file:
        del file["bw/lstm/c"]
        file["bw/lstm"].create_dataset("c", (3, 4, 2), "f8", chunks=(3, 4, 2))
    with (
        pytest.raises(TraceError, match="not all in its file") as caught,
        Trace.open(trace) as opened,
    ):
        opened.read_layer("bw/lstm")
    assert caught.value.found == "192 bytes declared, 0 stored"


def test_a_missing_attribute_is_named(trace: Path) -> None:
    """Where somebody has changed the file."""
    with h5py.File(trace, "r+") as file:
        del file["bw/lstm"].attrs["padding"]
    with pytest.raises(TraceError, match="lacks an attribute") as caught:
        Trace.open(trace)
    assert caught.value.where == "layer bw/lstm"
    assert caught.value.expected == "attribute padding"
