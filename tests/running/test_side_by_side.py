"""Slices that threads take whole: begun and ended in order, whoever is first."""

from __future__ import annotations

import threading

import pytest

from rnnscope.running.side_by_side import side_by_side

WAIT = 10


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_every_item_comes_once_and_in_order(count):
    begun, ended = [], []

    def begin(item):
        begun.append(item)
        return -item

    def work(item, of_begin):
        assert of_begin == -item
        return lambda: ended.append(item)

    assert list(side_by_side(range(count), 2, begin, work)) == list(range(count))
    assert begun == ended == list(range(count))


def test_two_are_worked_on_at_once_and_the_later_one_waits_for_its_turn():
    both, ended = threading.Barrier(2), []
    second_worked = threading.Event()

    def work(item, _):
        both.wait(WAIT)
        if item == 0:
            assert second_worked.wait(WAIT)
        else:
            second_worked.set()
        return lambda: ended.append(item)

    assert list(side_by_side([0, 1], 2, lambda _: None, work)) == [0, 1]
    assert ended == [0, 1]


@pytest.mark.parametrize("where", ["begin", "work", "end"])
def test_an_error_comes_after_all_before_it_and_nothing_after_it_ends(where):
    ended = []

    def fail(stage, item):
        if stage == where and item == 2:
            raise OSError("disk")

    def work(item, _):
        fail("work", item)

        def end():
            fail("end", item)
            ended.append(item)

        return end

    found = side_by_side(range(9), 2, lambda item: fail("begin", item), work)
    assert [next(found), next(found)] == [0, 1]
    with pytest.raises(OSError, match="disk"):
        next(found)
    assert ended == [0, 1]


def test_leaving_early_waits_for_what_is_worked_on_and_ends_nothing_more():
    going, ended, threads = threading.Event(), [], set()

    def work(item, _):
        threads.add(threading.current_thread())
        if item:
            going.wait(0.05)
        return lambda: ended.append(item)

    found = side_by_side(range(100), 2, lambda _: None, work)
    assert next(found) == 0
    found.close()
    assert threads
    assert not any(thread.is_alive() for thread in threads)
    assert len(ended) < 100
