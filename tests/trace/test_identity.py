"""A trace whose run is known by its digests only later: nothing is promised before."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from rnnscope.errors import TraceError
from rnnscope.model.states import LayerStates
from rnnscope.trace import LayerHeader, TraceHeader, TraceWriter
from rnnscope.trace.identity import RunIdentity

LSTM = LayerHeader("rnn/lstm", 3, {"c": 3, "m": 3})
SEQUENCES = 6
KNOWN = RunIdentity("a run", {"input_sha256": "ab" * 32, "checkpoint_sha256": "cd" * 32})


class Asked:
    """An identity that is known from the `first`th question on, or when it is waited for."""

    def __init__(self, first: int, identity: RunIdentity = KNOWN, moment: bool = True) -> None:
        self.first, self.identity, self.moment = first, identity, moment
        self.waits: list[float | None] = []

    def __call__(self, seconds: float | None) -> RunIdentity | None:
        self.waits.append(seconds)
        waited = seconds is None or (seconds > 0 and self.moment)
        return self.identity if waited or len(self.waits) >= self.first else None


def write(
    target: Path, asked: Asked, *, stop: int = SEQUENCES, error: type[BaseException] | None = None,
    resume: bool = False,
) -> TraceWriter:  # fmt: skip
    """Two sequences at a time; what has been promised after each is kept in `records`."""
    writer = TraceWriter(
        target, TraceHeader(input="x.npy"), [LSTM], SEQUENCES, 4, identity=asked, resume=resume
    )
    with writer:
        for first in range(writer.done, SEQUENCES, 2):
            steps = np.full((2, 4, 3), first, np.float32)
            ends = {"c": steps[:, -1], "m": steps[:, -1]}
            states = LayerStates({"c": steps, "m": steps}, steps, ends, ends)
            writer.write_layer(LSTM.name, states, slice(first, first + 2))
            writer.commit(first + 2)
            if error is not None and first + 2 >= stop:
                raise error
    return writer


def record(target: Path) -> dict[str, object] | None:
    path = target.with_name(f".{target.name}.partial.json")
    return json.loads(path.read_text()) if path.exists() else None


@pytest.mark.parametrize("first", [1, 3, 99])
def test_the_trace_has_the_digests_whenever_they_are_known(tmp_path: Path, first: int) -> None:
    write(tmp_path / "t.h5", Asked(first))
    with h5py.File(tmp_path / "t.h5") as file:
        found = {name: file.attrs[name] for name in (*KNOWN.digests, "input", "complete")}
    assert found == {**KNOWN.digests, "input": "x.npy", "complete": 1}


def test_nothing_is_promised_before_the_run_is_known(tmp_path: Path) -> None:
    """And a run that needs to know it first asks until it is told."""
    target = tmp_path / "t.h5"
    late = Asked(99, moment=False)
    with pytest.raises(KeyboardInterrupt):
        write(target, late, stop=4, error=KeyboardInterrupt)
    assert None not in late.waits
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_run_waits_a_moment_to_know_which_it_is(tmp_path: Path) -> None:
    target = tmp_path / "t.h5"
    with pytest.raises(KeyboardInterrupt):
        write(target, Asked(99), stop=4, error=KeyboardInterrupt)
    assert (record(target) or {})["done"] == 4
    again = Asked(99)
    assert write(target, again, resume=True).done == 4
    assert again.waits[0] is None
    with h5py.File(target) as file:
        assert file["rnn/lstm/c"][:, 0, 0].tolist() == [0, 0, 2, 2, 4, 4]
        assert file.attrs["input_sha256"] == KNOWN.digests["input_sha256"]


def test_another_run_is_not_continued(tmp_path: Path) -> None:
    target = tmp_path / "t.h5"
    with pytest.raises(KeyboardInterrupt):
        write(target, Asked(1), stop=2, error=KeyboardInterrupt)
    with pytest.raises(TraceError, match="not this one"):
        write(target, Asked(1, RunIdentity("another run")), resume=True)
    assert (record(target) or {})["done"] == 2


def test_what_keeps_a_file_from_being_read_to_its_end_ends_the_run(tmp_path: Path) -> None:
    class Unreadable(Asked):
        def __call__(self, seconds: float | None) -> RunIdentity | None:
            if seconds is None:
                raise PermissionError("x.npy")
            return None

    with pytest.raises(PermissionError):
        write(tmp_path / "t.h5", Unreadable(99))
    assert list(tmp_path.iterdir()) == []
