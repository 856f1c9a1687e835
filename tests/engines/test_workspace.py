"""Memory of the engines: where it begins, and what is used again."""

from __future__ import annotations

import numpy as np
import pytest

from rnnscope.engines.compiled.schedule import KEPT_PLACES, Schedule
from rnnscope.engines.step_order import Order
from rnnscope.engines.workspace import ALIGNMENT, Workspace, address, aligned


def read_only():
    array = np.ones((3, 4))
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "array",
    [np.zeros(5, np.float32), np.zeros((2, 3, 4))[1], np.arange(10)[3:], np.zeros((0, 4)),
     np.array(1.0), read_only(), np.frombuffer(b"12345678", np.float32)],
)  # fmt: skip
def test_an_address_is_what_numpy_says(array):
    """Two ways to ask, one answer: memory that may be written to, and other."""
    assert address(array) == array.__array_interface__["data"][0]


@pytest.mark.parametrize("zeros", [True, False])
def test_aligned_memory_starts_at_a_cache_line(zeros):
    for size in range(1, 40):
        array = aligned((size, 3), np.float32, zeros=zeros)
        assert address(array) % ALIGNMENT == 0
        assert array.shape == (size, 3)
        assert not (zeros and array.any())


def test_a_workspace_gives_the_same_memory_again():
    memory = Workspace()
    first = memory.array("c", (4, 5), np.dtype(np.float32))
    assert address(memory.array("c", (2, 5), np.dtype(np.float32))) == address(first)
    assert memory.array("c", (8, 5), np.dtype(np.float32)).shape == (8, 5)


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("timesteps", [7, KEPT_PLACES])  # kept for the next call, and not
def test_places_of_full_sequences_are_those_that_are_looked_for(timesteps, backward):
    """As an order with lengths finds them, of any part of the batch, asked for twice."""
    count = 3
    whole = Order(np.arange(4, 4 + count), np.full(count, timesteps), timesteps, backward, False)
    holes = np.ones((count, timesteps), bool)
    found = Order(whole.rows, whole.lengths, timesteps, backward, False, holes)
    for start, stop in ((0, timesteps), (1, 5), (1, 5)):
        quick, slow = Schedule(whole).at(start, stop), Schedule(found).at(start, stop)
        for name in ("starts", "places", "rows", "reads", "writes"):
            np.testing.assert_array_equal(getattr(quick, name), getattr(slow, name), name)
    assert Schedule(whole).span() == Schedule(found).span() == (0, timesteps, count)
