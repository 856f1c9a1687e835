"""What of large arrays goes into a page: the least missed is given up first."""

from __future__ import annotations

import pytest

from rnnscope.seeing.page.budget import BASE64, ArraySize, Plan, plan_arrays

SMALL = ArraySize(2, 10, 64, 8)


def mega(number):
    return number * 1e6


@pytest.mark.parametrize(
    ("sizes", "budget", "expected"),
    [
        ([SMALL] * 6, mega(2), Plan(6, 2)),
        # 2,000 x 512 of float64: 8.2 MB as stored, 2.05 MB as whole numbers.
        ([ArraySize(1, 2000, 512, 8)], mega(11), Plan(1, 1)),
        ([ArraySize(1, 2000, 512, 8)], mega(6), Plan(1, 1, None, "float32")),
        ([ArraySize(1, 2000, 512, 8)], mega(3), Plan(1, 1, None, "int16")),
        ([ArraySize(1, 2000, 512, 8)], mega(2), Plan(1, 1, 512, "int16")),
        # Sequences go before timesteps do, down to eight.
        ([ArraySize(100, 100, 64, 4)], mega(1), Plan(1, 56, None, "int16")),
        ([ArraySize(100, 1000, 64, 4)], mega(1), Plan(1, 8, 256, "int16")),
        # Then bins get few, and single arrays go last.
        ([ArraySize(100, 1000, 512, 4)] * 2, mega(1), Plan(2, 1, 128, "int16")),
        ([ArraySize(1, 1000, 4096, 4)] * 8, mega(1.5), Plan(4, 1, 16, "int16")),
        ([ArraySize(1, 1000, 4096, 4)], 1, Plan(1, 1, 16, "int16")),
    ],
)
def test_the_first_plan_that_fits(sizes, budget, expected):
    plan = plan_arrays(sizes, budget)
    assert plan == expected
    assert budget == 1 or plan.size(sizes) <= budget


def test_a_size_is_that_of_the_text():
    binned = Plan(1, 2, 100, "int16")
    assert binned.size([ArraySize(3, 1000, 10, 8)]) == pytest.approx(2 * 2 * 100 * 10 * 2 * BASE64)
    # Fewer timesteps than bins are not binned.
    assert binned.size([ArraySize(3, 50, 10, 8)]) == pytest.approx(2 * 50 * 10 * 2 * BASE64)


def test_sequences_that_were_asked_for_stay():
    plan = plan_arrays([ArraySize(100, 1000, 512, 4)] * 4, mega(2), sequences=3)
    assert plan.sequences == 3
    assert plan.bins is not None


def test_differences_are_never_rounded_to_steps():
    sizes = [ArraySize(1, 2000, 512, 8)]
    assert plan_arrays(sizes, mega(3), rounded=False) == Plan(1, 1, 512, "float32")
