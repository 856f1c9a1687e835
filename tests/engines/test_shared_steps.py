"""Threads that share steps: the same bits, whoever comes, and no deadlock."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import numpy as np
import pytest
from cell_cases import CASES, cell_of, layer_with, states_for

from rnnscope.engines import fast_engine
from rnnscope.engines.choose import prefix_lengths
from rnnscope.engines.compiled import PackedCell
from rnnscope.engines.compiled.tile import Tile

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

from rnnscope.engines.compiled import compiled_steps, meeting, meeting_code, panels, team

NARROW = Tile(4, 6, 16)
"""Small vectors, so that a small cell has panels for three threads."""


@pytest.fixture
def parties(monkeypatch):
    """Steps are shared whatever they cost; how many shared each call."""
    monkeypatch.setattr(fast_engine, "OWN_BYTES", 0)
    monkeypatch.setattr(fast_engine, "LEAST_STEP", 1)
    monkeypatch.setattr(fast_engine, "LEAST_SHARED", 1)
    monkeypatch.setattr(fast_engine, "LEAST_STEP_ALONE", 1)
    monkeypatch.setattr(team, "PATIENCE", 30.0)
    monkeypatch.setattr(panels, "tile", lambda: NARROW)
    counts = []
    split = compiled_steps.CompiledSteps._split

    def telling(self, parties):
        counts.append(parties)
        split(self, parties)

    monkeypatch.setattr(compiled_steps.CompiledSteps, "_split", telling)
    return counts


def run(layer, x, mask=None, initial=None, threads=1):
    lengths = prefix_lengths(mask)
    holes = mask if lengths is None else None
    with ThreadPoolExecutor(threads) as pool:
        return fast_engine.run_fast(
            layer, x, lengths, initial, prepared=PackedCell(layer.cell, gates=True), holes=holes,
            gates=True, pool=pool, threads=threads,
        )  # fmt: skip


def assert_same(expected, found):
    for kind in ("states", "final", "gates"):
        for name, array in getattr(expected, kind).items():
            np.testing.assert_array_equal(getattr(found, kind)[name], array, err_msg=name)


@pytest.mark.parametrize("sequences", [1, 5])
@pytest.mark.parametrize("name", CASES)
def test_sharing_steps_changes_no_bit(name, sequences, parties):
    """In two threads and three, over masks with holes; 37 units leave a panel that is not full."""
    rng = np.random.default_rng(31)
    cell = cell_of(rng, name, 5, 37)
    layer = layer_with(cell, backward=True)
    x = rng.standard_normal((sequences, 60, 5)).astype("float32")
    initial = states_for(rng, cell, sequences)
    for mask in (None, rng.random((sequences, 60)) < 0.7):
        alone = run(layer, x, mask, initial)
        for threads in (2, 3):
            parties.clear()
            assert_same(alone, run(layer, x, mask, initial, threads))
            assert threads in parties  # and 1 behind it, if the machine was too busy to go on


def test_more_threads_than_panels_have_nothing_to_do_and_do_not_mind(parties):
    rng = np.random.default_rng(32)
    layer = layer_with(cell_of(rng, "gru, reset before", 2, 3))
    x = rng.standard_normal((1, 20, 2)).astype("float32")
    alone = run(layer, x)
    assert_same(alone, run(layer, x, threads=4))
    assert 4 in parties


@pytest.mark.parametrize("name", ["lstm, everything", "gru, reset before", "layer norm"])
def test_who_waits_too_often_goes_on_alone_from_the_step_that_is_done(name, parties, monkeypatch):
    def crowded():
        place = meeting.new_place()
        place[meeting.LATE] = (
            meeting_code.FORGIVEN + 3
        )  # forgiven from step 48 on: never asked there
        return place

    monkeypatch.setattr(compiled_steps, "new_place", crowded)
    advanced = []
    advance = compiled_steps.CompiledSteps._advance

    def telling(self, start, stop):
        done = advance(self, start, stop)
        advanced.append((start, stop, done))
        return done

    monkeypatch.setattr(compiled_steps.CompiledSteps, "_advance", telling)
    rng = np.random.default_rng(33)
    cell = cell_of(rng, name, 5, 37)
    layer = layer_with(cell)
    x = rng.standard_normal((2, 90, 5)).astype("float32")
    found = run(layer, x, threads=2)
    assert advanced == [(0, 90, 1), (1, 90, 89)]
    assert parties[-2:] == [2, 1]
    assert_same(run(layer, x), found)


def test_a_pool_without_a_free_thread_holds_up_nothing(parties, monkeypatch):
    monkeypatch.setattr(team, "PATIENCE", 0.01)
    rng = np.random.default_rng(34)
    layer = layer_with(cell_of(rng, "lstm", 5, 37))
    x = rng.standard_normal((1, 20, 5)).astype("float32")
    over = Event()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(over.wait)
        found = fast_engine.run_fast(
            layer, x, prepared=PackedCell(layer.cell, gates=True), gates=True, pool=pool, threads=2
        )
        over.set()
    assert parties[-1] == 1
    assert_same(run(layer, x), found)


def test_teams_that_share_a_pool_do_not_wait_for_one_another(monkeypatch):
    """Both begin in the pool's only threads, so that neither finds a helper there."""
    monkeypatch.setattr(team, "PATIENCE", 0.01)
    begun, counts = Barrier(2), []
    with ThreadPoolExecutor(2) as pool:

        def begin():
            begun.wait()
            team.run_together(pool, 2, counts.append, lambda _: None)

        for job in [pool.submit(begin), pool.submit(begin)]:
            job.result(timeout=30)
    assert len(counts) == 2


def test_every_party_has_a_number_of_its_own_and_all_are_there_at_once(monkeypatch):
    monkeypatch.setattr(team, "PATIENCE", 30.0)
    counts, seen, all_here = [], [], Barrier(3, timeout=30)

    def work(party):
        all_here.wait()  # breaks if one of them were left out
        seen.append(party)

    with ThreadPoolExecutor(2) as pool:
        team.run_together(pool, 3, counts.append, work)
    assert counts == [3]
    assert sorted(seen) == [0, 1, 2]


def test_without_a_function_that_lets_others_run_threads_only_spin(parties, monkeypatch):
    monkeypatch.setattr(compiled_steps, "letting_others_run", lambda: 0)
    rng = np.random.default_rng(35)
    layer = layer_with(cell_of(rng, "lstm", 5, 37))
    x = rng.standard_normal((1, 30, 5)).astype("float32")
    assert_same(run(layer, x), run(layer, x, threads=2))
    assert 2 in parties


@pytest.mark.parametrize(
    ("sequences", "timesteps", "units", "shared"),
    [
        (1, 1000, 128, True), (1, 250, 128, True),
        (1, 1000, 64, False), (1, 150, 128, False),  # too little to do
        (4, 1000, 64, False), (8, 1000, 256, True), (32, 100, 256, True),
        (256, 100, 512, True), (512, 100, 1024, False),  # too much to read
        (2, 1000, 128, True), (8, 1000, 128, False),  # each core holds all weights
    ],
)  # fmt: skip
def test_steps_are_shared_where_it_pays(sequences, timesteps, units, shared):
    cell = cell_of(np.random.default_rng(36), "lstm", 2, units)
    assert fast_engine._share_steps(PackedCell(cell), sequences, timesteps, 2) is shared
    assert not fast_engine._share_steps(PackedCell(cell), sequences, timesteps, 1)


def test_an_interrupt_before_the_work_begins_leaves_no_thread_waiting(monkeypatch):
    """A thread of the pool that waits for ever would keep the process from ending."""
    monkeypatch.setattr(team, "PATIENCE", 30.0)
    worked = []

    def interrupted(parties):
        assert parties == 2
        raise KeyboardInterrupt

    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(KeyboardInterrupt):
            team.run_together(pool, 2, interrupted, worked.append)
        assert pool.submit(lambda: "free").result(timeout=10) == "free"
    assert worked == []
