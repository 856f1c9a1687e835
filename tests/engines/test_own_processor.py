"""Threads that compute beside one another, on a system that puts all on one processor."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from cell_cases import cell_of, layer_with

from rnnscope.engines import own_processor as module
from rnnscope.engines.choose import LayerEngine
from rnnscope.engines.own_processor import free_to_move, own_processor


class OneProcessorSystem:
    """A system that moves a thread when it must, and never otherwise: all begin on processor 0."""

    def __init__(self, processors):
        self.all = set(range(processors))
        self.allowed = {}
        self.at = {}
        self.calls = []

    def affinity(self, _):
        return set(self.allowed.get(threading.get_ident(), self.all))

    def bind(self, _, processors):
        this = threading.get_ident()
        self.calls.append(set(processors))
        self.allowed[this] = set(processors)
        if self.at.get(this, 0) not in processors:
            self.at[this] = min(processors)

    def where(self):
        return self.at.get(threading.get_ident(), 0)


@pytest.fixture
def system(monkeypatch, request):
    made = OneProcessorSystem(getattr(request, "param", 2))
    monkeypatch.setattr(module, "_where", made.where)
    monkeypatch.setattr(os, "sched_getaffinity", made.affinity, raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", made.bind, raising=False)
    monkeypatch.setattr(module, "_computing", {})
    monkeypatch.setattr(module, "_waiting", {})
    return made


def beside(threads, work, pool=None):
    """``work(number)`` in some threads, all inside at the same time; what they returned."""
    meeting = threading.Barrier(threads, timeout=30)

    def one(number):
        with own_processor(0 if pool is None else threads):
            meeting.wait()
            found = work(number)
            meeting.wait()
        return found

    if pool is not None:
        return list(pool.map(one, range(threads)))
    with ThreadPoolExecutor(threads) as fresh:
        return list(fresh.map(one, range(threads)))


@pytest.mark.parametrize("system", [2, 3, 8], indirect=True)
def test_each_moves_away_from_the_others(system):
    assert sorted(beside(2, lambda _: system.where())) == [0, 1]


@pytest.mark.parametrize("system", [2], indirect=True)
def test_more_threads_than_processors_stay(system):
    assert {*beside(3, lambda _: system.where())} == {0, 1}


def test_whoever_has_moved_may_use_all_processors(system):
    assert beside(2, lambda _: system.affinity(0)) == [{0, 1}, {0, 1}]


def test_a_thread_that_is_alone_is_left_alone(system):
    with own_processor():
        assert system.where() == 0
        with own_processor():
            assert system.where() == 0
    assert system.calls == []
    assert module._computing == {}


def test_a_pool_for_all_processors_waits_on_one_each(system):
    with ThreadPoolExecutor(2) as pool:
        beside(2, lambda _: None, pool)
        waiting = beside(2, lambda _: (system.where(), system.affinity(0)), pool)
        assert sorted(waiting, key=str) == [(0, {0}), (1, {1})]

        def computing(_):
            free_to_move()
            return system.affinity(0)

        assert beside(2, computing, pool) == [{0, 1}, {0, 1}]


@pytest.mark.parametrize("system", [3], indirect=True)
def test_a_pool_for_some_processors_waits_anywhere(system):
    with ThreadPoolExecutor(2) as pool:
        beside(2, lambda _: None, pool)
        assert beside(2, lambda _: system.affinity(0), pool) == [{0, 1, 2}, {0, 1, 2}]


def test_a_bound_thread_moves_where_another_computes_too(system):
    with ThreadPoolExecutor(2) as pool:
        beside(2, lambda _: None, pool)
        with own_processor():  # this thread, on processor 0, where one of them waits
            found = pool.submit(lambda: beside_one(system)).result()
            again = pool.submit(lambda: beside_one(system)).result()
    assert {found, again} <= {1}


def beside_one(system):
    with own_processor(2):
        return system.where()


def test_pools_of_before_leave_their_processors(system):
    for _ in range(3):
        with ThreadPoolExecutor(2) as pool:
            beside(2, lambda _: None, pool)
            found = beside(2, lambda _: system.affinity(0), pool)
            assert sorted(map(tuple, found)) == [(0,), (1,)]


def test_a_system_that_does_not_tell_or_allow_is_no_trouble(system, monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    assert beside(2, lambda _: system.where()) == [0, 0]
    monkeypatch.setattr(module, "_where", lambda: None)
    assert beside(2, lambda number: number) == [0, 1]
    free_to_move()
    assert module._computing == module._waiting == {}


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system has no such thing")
def test_a_run_leaves_the_calling_thread_as_it_was():
    before = os.sched_getaffinity(0)
    layer = layer_with(cell_of(np.random.default_rng(3), "lstm", 16, 32))
    with ThreadPoolExecutor(len(before)) as pool:
        engine = LayerEngine(layer, engine="compiled", threads=len(before), pool=pool)
        for _ in range(3):
            engine.run(np.zeros((64, 40, 16), np.float32))
    assert os.sched_getaffinity(0) == before
