"""Writing a trace: whole or not at all, and what stands in the file."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from rnnscope.errors import TraceError
from rnnscope.model.cell import Array
from rnnscope.model.states import LayerFacts, LayerStates
from rnnscope.trace import LayerHeader, Trace, TraceHeader, TraceWriter, check_target
from rnnscope.trace.schema import group_paths

ROOT = Path(__file__).resolve().parents[2]


def numbered(*shape: int, start: float = 0.0, dtype: str = "float32") -> Array:
    return (np.arange(np.prod(shape)).reshape(shape) + start).astype(dtype)


def states(sequences: int, timesteps: int, units: int, output: int, **more: Any) -> LayerStates:
    """Count c from 0, m from 1000; outputs are m, the ends have numbers of their own."""
    m = numbered(sequences, timesteps, output, start=1000)
    return LayerStates(
        states={"c": numbered(sequences, timesteps, units), "m": m},
        outputs=m,
        initial={"c": numbered(sequences, units, start=-50), "m": numbered(sequences, output)},
        final={"c": numbered(sequences, units, start=50), "m": numbered(sequences, output)},
        **more,
    )


LSTM = LayerHeader("rnn/lstm", 2, {"c": 3, "m": 2})


def write(path: Path, layer: LayerHeader = LSTM, **options: Any) -> None:
    """A trace of two sequences and four steps."""
    with TraceWriter(path, TraceHeader(command="test"), [layer], 2, 4, **options) as writer:
        writer.write_layer(layer.name, states(2, 4, 3, 2), slice(0, 2))


def test_the_arrays_stand_where_format_md_says(tmp_path: Path) -> None:
    """Groups, shapes, dtypes, values and dimensions of one small projected layer."""
    write(tmp_path / "t.h5")
    with h5py.File(tmp_path / "t.h5") as file:
        assert file.attrs["schema"] == "rnnscope-trace"
        assert file.attrs["schema_version"] == 2
        assert file.attrs["complete"] == 1
        assert file["sequence"][...].tolist() == [0, 1]
        assert file["timestep"][...].tolist() == [0, 1, 2, 3]
        layer = file["rnn/lstm"]
        assert layer["unit"][...].tolist() == [0, 1, 2]
        assert layer["output"][...].tolist() == [0, 1]
        assert layer["c"].shape == (2, 4, 3)
        assert layer["c"].dtype == np.float32
        assert layer["c"][1, 3].tolist() == [21, 22, 23]
        assert layer["m"][0, 1].tolist() == [1002, 1003]
        assert layer["initial/c"][0].tolist() == [-50, -49, -48]
        assert layer["final/c"][1].tolist() == [53, 54, 55]
        for axis, name in enumerate(("sequence", "timestep", "unit")):
            assert layer["c"].dims[axis].keys() == [name]
        assert layer["final/m"].dims[1][0] == layer["output"]
        assert "gates" not in layer


def test_only_what_was_given_is_in_the_root(tmp_path: Path) -> None:
    """Lengths and mask exist when they were asked for; booleans are 0 and 1."""
    write(tmp_path / "bare.h5")
    with TraceWriter(
        tmp_path / "full.h5", TraceHeader(), [LSTM], 2, 4, has_lengths=True, has_mask=True
    ) as writer:
        mask = np.array([[1, 1, 1, 0], [1, 0, 0, 0]], bool)
        writer.write_common(slice(0, 2), np.array([3, 1]), mask, np.array([4, 1]))
        writer.write_layer("rnn/lstm", states(2, 4, 3, 2), slice(0, 2))
    with h5py.File(tmp_path / "bare.h5") as bare, h5py.File(tmp_path / "full.h5") as full:
        assert sorted(bare) == ["input_steps", "rnn", "sequence", "timestep"]
        assert sorted(full) == ["input_steps", "lengths", "mask", "rnn", "sequence", "timestep"]
        assert full["lengths"][...].tolist() == [3, 1]
        assert full["mask"].dtype == np.int8
        assert full["mask"][...].tolist() == [[1, 1, 1, 0], [1, 0, 0, 0]]
        assert full["input_steps"][...].tolist() == [4, 1]


def test_options_keep_their_origin_in_the_attributes(tmp_path: Path) -> None:
    """Numbers stay numbers, a missing clip has its origin alone, booleans are 0 and 1."""
    options = {"forget_bias": (1.0, "graph"), "cell_clip": (None, "config"), "peep": (True, "flag")}
    write(tmp_path / "t.h5", LayerHeader("l", 2, {"c": 3, "m": 2}, options=options))
    with h5py.File(tmp_path / "t.h5") as file:
        attributes = dict(file["l"].attrs)
    assert attributes["option_forget_bias"] == 1.0
    assert attributes["option_forget_bias_origin"] == "graph"
    assert "option_cell_clip" not in attributes
    assert attributes["option_cell_clip_origin"] == "config"
    assert attributes["option_peep"] == 1
    assert attributes["layer"] == "l"


def test_slices_of_sequences_and_of_time_make_the_same_file_as_one_write(tmp_path: Path) -> None:
    """Cut both ways, in any order: c and m, the first part's initial and the last part's final."""
    whole = states(5, 6, 3, 2)
    write_header = (TraceHeader(created="now"), [LSTM], 5, 6)
    with TraceWriter(tmp_path / "whole.h5", *write_header) as writer:
        writer.write_layer("rnn/lstm", whole, slice(0, 5))
    with TraceWriter(tmp_path / "cut.h5", *write_header) as writer:
        for rows in (slice(2, 5), slice(0, 2)):
            for steps in (slice(0, 4), slice(4, 6)):
                part = LayerStates(
                    {name: array[rows, steps] for name, array in whole.states.items()},
                    whole.outputs[rows, steps],
                    {n: a[rows] + (99 if steps.start else 0) for n, a in whole.initial.items()},
                    {n: a[rows] + (0 if steps.start else 99) for n, a in whole.final.items()},
                )
                writer.write_layer("rnn/lstm", part, rows, steps)
    with h5py.File(tmp_path / "whole.h5") as one, h5py.File(tmp_path / "cut.h5") as two:
        for name in ("c", "m", "outputs", "initial/c", "initial/m", "final/c", "final/m"):
            assert one["rnn/lstm"][name][...].tolist() == two["rnn/lstm"][name][...].tolist(), name


def test_a_backward_layer_cut_in_time_starts_at_the_end(tmp_path: Path) -> None:
    """Its initial state is that of the last steps; processing order turns the outputs' place."""
    facts = LayerFacts("b", backward=True, outputs_in_input_order=False)
    header = LayerHeader("b", 1, {"m": 1}, facts=facts)

    def part(value: float, outputs: float) -> LayerStates:
        full = np.full((1, 2, 1), value, "float32")
        end = {"m": np.full((1, 1), value, "float32")}
        return LayerStates({"m": full}, np.full_like(full, outputs), end, end)

    with TraceWriter(tmp_path / "t.h5", TraceHeader(), [header], 1, 4) as writer:
        writer.write_layer("b", part(1, 10), slice(0, 1), slice(2, 4))  # processed first
        writer.write_layer("b", part(2, 20), slice(0, 1), slice(0, 2))
    with h5py.File(tmp_path / "t.h5") as file:
        assert file["b/m"][0, :, 0].tolist() == [2, 2, 1, 1]
        assert file["b/outputs"][0, :, 0].tolist() == [10, 10, 20, 20]
        assert file["b/initial/m"][0, 0] == 1
        assert file["b/final/m"][0, 0] == 2


@pytest.mark.parametrize("batch", [1, 7, 20])
@pytest.mark.parametrize("steps", [6, 25])
def test_arrays_hold_what_was_written_and_can_be_read_back(
    tmp_path: Path, batch: int, steps: int
) -> None:
    """In cuts of both axes, from views in another order too; readable before the file is whole."""
    m = np.random.default_rng(0).random((25, 20, 7), np.float32).swapaxes(0, 1)
    header = LayerHeader("l", 7, {"m": 7})
    with TraceWriter(tmp_path / "t.h5", TraceHeader(), [header], 20, 25) as writer:
        for first in range(0, 20, batch):
            for start in range(0, 25, steps):
                rows, part = slice(first, min(first + batch, 20)), slice(start, start + steps)
                ends = {"m": m[rows, 0]}
                states = LayerStates({"m": m[rows, part]}, m[rows, part] + 1, ends, ends)
                writer.write_layer("l", states, rows, part)
                back = writer.read_outputs("l", rows, part)
                np.testing.assert_array_equal(back, m[rows, part] + 1)
    with h5py.File(tmp_path / "t.h5") as file:
        assert file["l/m"].chunks is None
        np.testing.assert_array_equal(file["l/m"][...], m)


def test_outputs_that_are_m_are_stored_once(tmp_path: Path) -> None:
    """Under two names; the file has the size of one."""
    m = np.random.default_rng(0).random((8, 100, 64), np.float32)
    ends = {"m": m[:, 0]}
    for once in (False, True):
        header = LayerHeader("l", 64, {"m": 64}, outputs_are_m=once)
        with TraceWriter(tmp_path / f"{once}.h5", TraceHeader(), [header], 8, 100) as writer:
            writer.write_layer("l", LayerStates({"m": m}, m, ends, ends), slice(0, 8))
            np.testing.assert_array_equal(writer.read_outputs("l", slice(2, 3)), m[2:3])
    assert (tmp_path / "False.h5").stat().st_size >= (
        tmp_path / "True.h5"
    ).stat().st_size + m.nbytes
    with h5py.File(tmp_path / "True.h5") as file:
        assert file["l/outputs"] == file["l/m"]
        np.testing.assert_array_equal(file["l/outputs"][...], m)
    with Trace.open(tmp_path / "True.h5") as trace:
        assert trace.layers[0].outputs_are_m
        layer = trace.read_layer("l").states
        assert layer.outputs is layer.m


def test_outputs_that_differ_from_m_are_never_dropped(tmp_path: Path) -> None:
    """A header that is wrong about it is found out; equal copies pass."""
    m = np.zeros((2, 4, 2), np.float32)
    ends = {"m": m[:, 0]}
    header = LayerHeader("l", 2, {"m": 2}, outputs_are_m=True)
    with TraceWriter(tmp_path / "t.h5", TraceHeader(), [header], 2, 4) as writer:
        with pytest.raises(ValueError, match="differ from m"):
            # Minus zero equals zero, but is not the same.
            writer.write_layer("l", LayerStates({"m": m}, -m, ends, ends), slice(0, 2))
        writer.write_layer("l", LayerStates({"m": m}, m.copy(), ends, ends), slice(0, 2))
    backward = LayerFacts("l", backward=True, outputs_in_input_order=False)
    for wrong in ({"widths": {"m": 3}}, {"facts": backward, "widths": {"m": 2}}):
        header = LayerHeader("l", 2, **wrong, outputs_are_m=True)
        with (
            pytest.raises(ValueError, match="its outputs cannot be m"),
            TraceWriter(tmp_path / "u.h5", TraceHeader(), [header], 2, 4),
        ):
            pass


@pytest.mark.parametrize(
    ("names", "paths"),
    [
        (["lstm", "a/b"], ["lstm", "a/b"]),
        (["b", "b/fw"], ["b_layer", "b/fw"]),
        (["b/fw", "b", "b_layer"], ["b/fw", "b_layer_layer", "b_layer"]),
        (["c", "m/sequence", "x/gates"], ["c_layer", "m_layer/sequence_layer", "x/gates_layer"]),
        (["", "a//b", "..", "x/./y"], ["_layer", "a/_layer/b", ".._layer", "x/._layer/y"]),
        (["a\x00b\n", "lstm "], ["ab_", "lstm"]),
    ],
)
def test_a_layer_has_the_group_of_its_name_where_that_can_be(
    names: list[str], paths: list[str]
) -> None:
    """Reserved, empty and enclosing names get _layer appended."""
    assert list(group_paths(names).values()) == paths


def test_merged_outputs_have_a_group_without_states(tmp_path: Path) -> None:
    """The merge of a bidirectional pair encloses its directions by name, not in the file."""
    merge = LayerHeader("bidi", 4)
    forward = LayerHeader("bidi/forward", 2, {"c": 3, "m": 2})
    with TraceWriter(tmp_path / "t.h5", TraceHeader(), [forward, merge], 2, 4) as writer:
        writer.write_layer("bidi/forward", states(2, 4, 3, 2), slice(0, 2))
        writer.write_outputs("bidi", numbered(2, 4, 4), slice(0, 2))
    with h5py.File(tmp_path / "t.h5") as file:
        assert sorted(file["bidi_layer"]) == ["output", "outputs"]
        assert file["bidi_layer"].attrs["layer"] == "bidi"
        assert file["bidi_layer/outputs"][1, 3].tolist() == [28, 29, 30, 31]


def test_an_existing_trace_needs_force(tmp_path: Path) -> None:
    """Refused at once, before anything is written; replaced with force."""
    target = tmp_path / "t.h5"
    target.write_text("precious")
    with pytest.raises(TraceError, match="exists already") as caught:
        TraceWriter(target, TraceHeader(), [LSTM], 2, 4)
    assert caught.value.where == str(target)
    assert caught.value.found == "8 bytes"
    assert "force" in (caught.value.hint or "")
    assert target.read_text() == "precious"
    write(target, force=True)
    assert h5py.is_hdf5(target)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError, SystemExit])
def test_a_failed_run_leaves_nothing_and_spares_what_was_there(
    tmp_path: Path, stop: type[BaseException]
) -> None:
    """Any exception removes the partial file; an existing target keeps its bytes."""
    target = tmp_path / "t.h5"
    target.write_text("precious")
    with (  # noqa: PT012  # what raises is the block itself
        pytest.raises(stop),
        TraceWriter(target, TraceHeader(), [LSTM], 2, 4, force=True) as writer,
    ):
        writer.write_layer("rnn/lstm", states(2, 4, 3, 2), slice(0, 2))
        raise stop
    assert [path.name for path in tmp_path.iterdir()] == ["t.h5"]
    assert target.read_text() == "precious"


def test_a_trace_with_missing_steps_is_not_kept(tmp_path: Path) -> None:
    """A writer that was not given everything refuses to call the file whole."""
    with (
        pytest.raises(TraceError, match="not whole") as caught,
        TraceWriter(tmp_path / "t.h5", TraceHeader(), [LSTM], 2, 4) as writer,
    ):
        writer.write_layer("rnn/lstm", states(1, 4, 3, 2), slice(0, 1))
    assert caught.value.expected == "8 steps"
    assert caught.value.found == "4 steps written"
    assert not list(tmp_path.iterdir())


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    """Two runs to one name: the second to finish fails."""
    target = tmp_path / "t.h5"
    with (  # noqa: PT012  # leaving the block raises
        pytest.raises(TraceError, match="exists already"),
        TraceWriter(target, TraceHeader(), [LSTM], 2, 4) as writer,
    ):
        writer.write_layer("rnn/lstm", states(2, 4, 3, 2), slice(0, 2))
        target.write_text("first")
    assert target.read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["t.h5"]


def test_targets_that_cannot_be(tmp_path: Path) -> None:
    """A folder, a missing folder, a file as folder, an input, a pipe: each is named."""
    taken = tmp_path / "input.npz"
    taken.write_bytes(b"x")
    os.mkfifo(tmp_path / "pipe")
    cases: list[tuple[Path, str, str]] = [
        (tmp_path, "replace a folder", "a folder"),
        (tmp_path / "no" / "t.h5", "folder for the trace does not exist", "nothing"),
        (taken / "t.h5", "folder for the trace does not exist", "a file"),
        (taken, "a file that the run reads", "the checkpoint or input itself"),
        (tmp_path / "pipe", "is no file", "a device, pipe or socket"),
    ]
    for target, message, found in cases:
        with pytest.raises(TraceError, match=message) as caught:
            check_target(target, True, [taken, tmp_path / "gone"])
        assert caught.value.found == found
        assert caught.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    """Before anything is computed."""
    folder = tmp_path / "locked"
    folder.mkdir(mode=stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(TraceError, match="cannot be written to"):
        check_target(folder / "t.h5", False)


def test_a_symbolic_link_is_followed(tmp_path: Path) -> None:
    """The link stays a link; the trace is made where it points."""
    (tmp_path / "link.h5").symlink_to(tmp_path / "real.h5")
    write(tmp_path / "link.h5")
    assert (tmp_path / "link.h5").is_symlink()
    assert h5py.is_hdf5(tmp_path / "real.h5")


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"outputs": numbered(2, 3, 2)}, r"\(2, 3, 2\) of float32 does not go"),
        ({"outputs": numbered(2, 4, 2, dtype="float64")}, "of float64 does not go"),
        ({"gates": {"i": numbered(2, 4, 3)}}, "missing, or not in the header: gates/i"),
        ({"final": {}}, "missing, or not in the header: final/c, final/m"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    tmp_path: Path, part: dict[str, Any], message: str
) -> None:
    """Never written somewhere else, cut, narrowed or left out."""
    whole = states(2, 4, 3, 2)
    fields = {name: getattr(whole, name) for name in ("states", "outputs", "initial", "final")}
    with (
        pytest.raises(ValueError, match=message),
        TraceWriter(tmp_path / "t.h5", TraceHeader(), [LSTM], 2, 4) as writer,
    ):
        writer.write_layer("rnn/lstm", LayerStates(**(fields | part)), slice(0, 2))


def run_script(body: str, folder: Path) -> subprocess.Popen[str]:
    script = (
        "import resource, sys, time\nimport numpy as np\nfrom rnnscope.errors import TraceError\n"
        "from rnnscope.model.states import LayerStates\n"
        "from rnnscope.trace import LayerHeader, TraceHeader, TraceWriter\n"
        "big = np.ones((50, 100, 256), 'float32')\nends = {'m': big[:, 0]}\n"
        "part = LayerStates({'m': big}, big, ends, ends)\n"
        "layers = [LayerHeader('l', 256, {'m': 256})]\n" + textwrap.dedent(body)
    )
    return subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    """The disk is played by a limit on the size of files."""
    process = run_script(
        """
        resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))
        try:
            with TraceWriter("t.h5", TraceHeader(), layers, 100, 100) as writer:
                writer.write_layer("l", part, slice(0, 50))
                writer.write_layer("l", part, slice(50, 100))
        except TraceError as error:
            print(error)
            sys.exit(7)
        """,
        tmp_path,
    )
    said, complaints = process.communicate(timeout=60)
    assert process.returncode == 7, complaints
    assert said.startswith("The trace cannot be written.\n")
    assert "free some space" in said
    assert not list(tmp_path.iterdir())


def test_a_killed_run_leaves_no_file_that_looks_whole(tmp_path: Path) -> None:
    """SIGKILL in the middle: no trace of that name, and the remainder says it is not complete."""
    process = run_script(
        """
        with TraceWriter("t.h5", TraceHeader(), layers, 100, 100) as writer:
            writer.write_layer("l", part, slice(0, 50))
            writer._draft.file.flush()
            print("half", flush=True)
            time.sleep(60)
        """,
        tmp_path,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    left, lock = sorted(tmp_path.iterdir())
    assert left.name == ".t.h5.partial"
    assert lock.name == ".t.h5.partial.lock"
    with h5py.File(left) as file:
        assert file.attrs["complete"] == 0


def test_float16_has_no_place_in_a_trace(tmp_path: Path) -> None:
    """Readers of netCDF crash on it."""
    with (
        pytest.raises(ValueError, match="float16"),
        TraceWriter(tmp_path / "t.h5", TraceHeader(), [LayerHeader("l", 1, dtype="float16")], 1, 1),
    ):
        pass
    assert not list(tmp_path.iterdir())
