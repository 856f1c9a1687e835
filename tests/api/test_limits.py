"""`rnnscope.limits`: a block's own, in its thread and what is computed for it, and nowhere else."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

import rnnscope
from rnnscope.errors import CheckpointError, OptionError
from rnnscope.files.guarding.limits import check_time, limits, time_to_read
from rnnscope.running.background import background_call
from rnnscope.running.pipeline import WritingThread

SAMPLE = Path(__file__).resolve().parents[2] / "sample_data/lstm_float32/model.ckpt"


def test_bytes_are_limited_in_the_block_alone(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros((2, 10_000, 8)))
    model = Path(SAMPLE).parents[1] / "lstm_float64/model.ckpt"
    with (
        rnnscope.limits(max_bytes="100KB"),
        pytest.raises(
            rnnscope.RnnscopeError, match=r"allow more with rnnscope\.limits\(max_bytes=…\)"
        ),
    ):
        rnnscope.run(model, str(tmp_path / "x.npz"))
    assert limits().max_bytes is None


def test_seconds_are_limited():
    with (
        rnnscope.limits(max_seconds=1e-6),
        pytest.raises(
            CheckpointError,
            match=r"Reading the file takes too long\.(.|\n)*limits\(max_seconds=…\)",
        ),
    ):
        rnnscope.open_model(SAMPLE)
    rnnscope.open_model(SAMPLE)


def test_blocks_stand_in_one_another():
    with rnnscope.limits(max_bytes=5, allow_outside=True):
        with rnnscope.limits(max_seconds=3):
            assert (limits().max_bytes, limits().max_seconds) == (5, 3)
            with rnnscope.limits(allow_outside=False):
                assert not limits().allow_outside
        assert limits().allow_outside
        assert limits().max_seconds == 60
    assert limits() == type(limits())()


def test_an_error_ends_the_block_too():
    with pytest.raises(ZeroDivisionError), rnnscope.limits(max_bytes=5):
        1 / 0  # noqa: B018
    assert limits().max_bytes is None


def test_threads_that_work_for_the_block_have_its_limits_and_others_do_not():
    seen = {}

    def look(name):
        seen[name] = limits().max_bytes

    with rnnscope.limits(max_bytes=7):
        background_call(lambda: look("read ahead")).result()
        with WritingThread() as thread:
            thread.put(lambda: look("written"))
        other = threading.Thread(target=look, args=("another's",))
        other.start()
        other.join()
    assert seen == {"read ahead": 7, "written": 7, "another's": None}


def test_a_thread_that_has_computed_long_may_still_read():
    """Each thread's time is its own: once, another's deadline was held against this one's clock."""
    started, go_on = threading.Event(), threading.Event()

    def other():
        with rnnscope.limits(max_seconds=0.2), time_to_read():
            started.set()
            go_on.wait(30)

    thread = threading.Thread(target=other)
    until = time.thread_time() + 0.3
    while time.thread_time() < until:
        pass
    thread.start()
    assert started.wait(30)
    check_time("a file", CheckpointError)  # would raise if the deadline were everybody's
    go_on.set()
    thread.join()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"max_bytes": "many"}, "The limit of bytes is no size"),
        ({"max_bytes": 0}, "The limit of bytes is no size"),
        ({"max_bytes": -5}, "The limit of bytes is no size"),
        ({"max_seconds": 0}, "The limit of seconds is no time"),
        ({"max_seconds": float("nan")}, "The limit of seconds is no time"),
        ({"max_seconds": "1"}, "The limit of seconds is no time"),
        ({"max_seconds": True}, "The limit of seconds is no time"),
    ],
)
def test_what_is_no_limit_is_refused(given, words):
    with pytest.raises(OptionError, match=words), rnnscope.limits(**given):
        pytest.fail("the block was entered")
