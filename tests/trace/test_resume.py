"""Continuing a run that was cut off: the same bytes as one that was not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from rnnscope.errors import TraceError
from rnnscope.model.states import LayerStates
from rnnscope.trace import LayerHeader, TraceHeader, TraceWriter

ROOT = Path(__file__).resolve().parents[2]
SEQUENCES, STEPS, UNITS = 60, 50, 64
LAYERS = [
    LayerHeader("a", UNITS, {"c": UNITS, "m": UNITS}, outputs_are_m=True),
    LayerHeader("b", 8, {"m": 8}),
]


def part(layer: LayerHeader, rows: slice) -> LayerStates:
    """States that depend on the sequence alone, as those of a network do."""
    made = {}
    for state, width in layer.widths.items():
        made[state] = np.stack([
            np.random.default_rng(row).random((STEPS, width), np.float32)
            for row in range(rows.start, rows.stop)
        ])  # fmt: skip
    ends = {state: array[:, -1] for state, array in made.items()}
    outputs = made["m"] if layer.outputs_are_m else made["m"] * 2
    return LayerStates(made, outputs, ends, ends)


def run(folder: Path, *, stop: int | None = None, error: type[BaseException] | None = None, pause=0,
        batch=5, **options) -> TraceWriter:  # fmt: skip
    """Write the trace in batches; raise `error` when `stop` sequences are written."""
    writer = TraceWriter(
        folder / "t.h5", TraceHeader(), LAYERS, SEQUENCES, STEPS, **{"resume": True, **options}
    )
    with writer:
        print("open", writer.done, flush=True)  # noqa: T201
        for first in range(writer.done, SEQUENCES, batch):
            rows = slice(first, min(first + batch, SEQUENCES))
            writer.write_common(rows, input_steps=np.arange(rows.start, rows.stop))
            for layer in LAYERS:
                writer.write_layer(layer.name, part(layer, rows), rows)
                time.sleep(pause)
            if error is not None and rows.stop >= (stop or 0):
                raise error
            writer.commit(rows.stop, f"state after {rows.stop}")
    return writer


def arrays(path: Path) -> dict[str, bytes]:
    """The bytes of every dataset by path."""
    found: dict[str, bytes] = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: item[...].tobytes()})
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("undisturbed")
    run(folder)
    assert [path.name for path in folder.iterdir()] == ["t.h5"]
    return arrays(folder / "t.h5")


def test_an_interrupt_keeps_what_was_committed(
    tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    """The next run begins there, with the state that was left, and ends with the same bytes."""
    writer = TraceWriter(tmp_path / "t.h5", TraceHeader(), LAYERS, SEQUENCES, STEPS, resume=True)
    with pytest.raises(KeyboardInterrupt), writer:  # noqa: PT012
        for layer in LAYERS:
            writer.write_layer(layer.name, part(layer, slice(0, 20)), slice(0, 20))
        writer.write_common(slice(0, 20), input_steps=np.arange(20))
        writer.commit(20, "ünï")
        writer.write_layer("a", part(LAYERS[0], slice(40, 60)), slice(20, 40))  # garbage
        raise KeyboardInterrupt
    assert writer.kept_partial == tmp_path / ".t.h5.partial"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".t.h5.partial", ".t.h5.partial.json",
    ]  # fmt: skip
    again = TraceWriter(tmp_path / "t.h5", TraceHeader(), LAYERS, SEQUENCES, STEPS, resume=True)
    with pytest.raises(SystemExit), again:  # noqa: PT012
        assert again.done == 20
        assert again.saved_state == "ünï"
        raise SystemExit
    run(tmp_path)
    assert arrays(tmp_path / "t.h5") == undisturbed
    assert [path.name for path in tmp_path.iterdir()] == ["t.h5"]


@pytest.mark.parametrize("moment", range(6))
def test_a_killed_run_ends_with_the_same_bytes(
    tmp_path: Path, undisturbed: dict[str, bytes], moment: int
) -> None:
    """SIGKILL twice, at any moment; the rest is done by a third run."""
    draw = np.random.default_rng(moment)
    code = (
        "import sys; sys.path[:0] = [sys.argv[1], sys.argv[2]]; from pathlib import Path; "
        "import test_resume; test_resume.run(Path(sys.argv[3]), batch=3, pause=0.01)"
    )
    command = [sys.executable, "-c", code, str(ROOT), str(Path(__file__).parent), str(tmp_path)]
    for _ in range(2):
        if (tmp_path / "t.h5").exists():
            break  # it was quicker than the signal
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        if moment:
            assert process.stdout.readline().startswith("open")
        time.sleep(draw.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        if (tmp_path / ".t.h5.partial.json").exists():
            with h5py.File(tmp_path / ".t.h5.partial") as file:
                assert file.attrs["complete"] == 0
    if not (tmp_path / "t.h5").exists():
        run(tmp_path)
    assert arrays(tmp_path / "t.h5") == undisturbed
    assert [path.name for path in tmp_path.iterdir()] == ["t.h5"]


def test_an_error_keeps_nothing(tmp_path: Path) -> None:
    """It would come again; an interrupt keeps what was committed, whoever asks for it later."""
    with pytest.raises(RuntimeError):
        run(tmp_path, stop=30, error=RuntimeError)
    assert not list(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, stop=30, error=KeyboardInterrupt, resume=False)
    assert (tmp_path / ".t.h5.partial.json").exists()
    assert run(tmp_path).done
    (tmp_path / "t.h5").unlink()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, error=KeyboardInterrupt)  # before the first commit
    assert not list(tmp_path.iterdir())


def test_another_run_is_not_continued(tmp_path: Path) -> None:
    """Another fingerprint or layout is refused and what was left stays; without resume it goes."""
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, stop=30, error=KeyboardInterrupt, fingerprint="one")
    left = (tmp_path / ".t.h5.partial").read_bytes()
    with pytest.raises(TraceError, match="not this one") as caught:
        run(tmp_path, fingerprint="two")
    assert "resume" in (caught.value.hint or "")
    with pytest.raises(TraceError, match="not this one"):
        run(tmp_path, fingerprint="one", has_lengths=True)
    assert (tmp_path / ".t.h5.partial").read_bytes() == left
    assert run(tmp_path, fingerprint="two", resume=False).done == 0


@pytest.mark.parametrize("damage", ["record", "partial", "structure"])
def test_what_cannot_be_understood_is_begun_anew(
    tmp_path: Path, undisturbed: dict[str, bytes], damage: str
) -> None:
    """Half a record, half a file, a file without its arrays."""
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, stop=30, error=KeyboardInterrupt)
    record, partial = tmp_path / ".t.h5.partial.json", tmp_path / ".t.h5.partial"
    assert json.loads(record.read_text())["done"] == 25
    if damage == "record":
        record.write_text(record.read_text()[:-5])
    elif damage == "partial":
        os.truncate(partial, 5000)
    else:
        with h5py.File(partial, "r+") as file:
            del file["b/m"]
    assert run(tmp_path).done == 0
    assert arrays(tmp_path / "t.h5") == undisturbed


def test_two_runs_cannot_write_one_trace(tmp_path: Path) -> None:
    """The second is told so, and the first is not disturbed."""
    first = TraceWriter(tmp_path / "t.h5", TraceHeader(), [LAYERS[1]], 2, STEPS)
    with first:
        for resume in (False, True):
            with pytest.raises(TraceError, match="Another run is writing"):
                run(tmp_path, resume=resume)
        first.write_layer("b", part(LAYERS[1], slice(0, 2)), slice(0, 2))
    assert [path.name for path in tmp_path.iterdir()] == ["t.h5"]


def test_a_very_long_name_has_a_partial_file_too(tmp_path: Path) -> None:
    """Cut, and told apart by a digest."""
    name = "n" * 250 + ".h5"
    with TraceWriter(tmp_path / name, TraceHeader(), [LAYERS[1]], 1, STEPS) as writer:
        writer.write_layer("b", part(LAYERS[1], slice(0, 1)), slice(0, 1))
    assert [path.name for path in tmp_path.iterdir()] == [name]
