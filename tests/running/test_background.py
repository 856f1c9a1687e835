"""Functions called in threads of their own."""

from __future__ import annotations

import threading

import pytest

from rnnscope.running.background import background_call, prefetch


def test_what_a_function_returns_or_raises_is_there_when_asked_for():
    assert background_call(lambda: 7).result(10) == 7
    with pytest.raises(ZeroDivisionError):
        background_call(lambda: 1 // 0).result(10)


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_items_come_in_order_with_what_was_made_of_them(count):
    assert list(prefetch(range(count), str)) == [(n, str(n)) for n in range(count)]


def test_the_next_is_made_while_one_is_in_use_and_no_more():
    begun = [threading.Event() for _ in range(4)]
    for number, _ in prefetch(range(4), lambda item: begun[item].set()):
        if number < 3:
            assert begun[number + 1].wait(10)
        assert not any(event.is_set() for event in begun[number + 2 :])


def test_calls_follow_one_another():
    busy = threading.Lock()

    def alone(item):
        assert busy.acquire(blocking=False)
        busy.release()
        return item

    assert [made for _, made in prefetch(range(50), alone)] == list(range(50))


def test_an_error_comes_in_its_turn():
    made = prefetch([2, 1, 0, 3], lambda item: 2 // item)
    assert [next(made), next(made)] == [(2, 1), (1, 2)]
    with pytest.raises(ZeroDivisionError):
        next(made)


def test_leaving_early_waits_for_what_was_begun():
    ended = threading.Event()

    def slow(item):
        if item:
            threading.Event().wait(0.05)
            ended.set()
        return item

    items = prefetch(range(3), slow)
    next(items)
    items.close()
    assert ended.is_set()
