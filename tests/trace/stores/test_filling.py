"""Blocks of any size and order end in the array that they are parts of, each object once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnscope.trace.stores.interface import NewArray
from rnnscope.trace.stores.zarr_filling import Budget, Filling
from rnnscope.trace.stores.zarr_shapes import SHARD_BYTES, SMALL_BYTES, cut


class Kept:
    """A zarr array as far as `Filling` knows it: which parts were written, and when."""

    def __init__(self, shape):
        self.values = np.full(shape, np.nan)
        self.written = []

    def __setitem__(self, key, array):
        self.written.append(key)
        self.values[key] = array

    def __getitem__(self, key):
        return self.values[key]


@st.composite
def partitions(draw):
    """A shape, the size of objects, and blocks that fill the array in some order."""
    shape = tuple(draw(st.lists(st.integers(1, 7), min_size=1, max_size=3)))
    objects = tuple(draw(st.integers(1, size + 2)) for size in shape)
    steps = tuple(draw(st.integers(1, size)) for size in shape)
    grids = [range(0, size, step) for size, step in zip(shape, steps, strict=True)]
    corners = np.stack(np.meshgrid(*grids, indexing="ij"), -1).reshape(-1, len(shape)).tolist()
    return (
        shape,
        objects,
        steps,
        draw(st.permutations(corners)),
        draw(st.sampled_from([0, 64, 10**6])),
    )


@settings(max_examples=150, deadline=None)
@given(partitions())
def test_any_blocks_in_any_order_give_the_array(case):
    shape, objects, steps, corners, budget = case
    whole = np.random.default_rng(0).standard_normal(shape)
    kept = Kept(shape)
    filling = Filling(shape, objects, whole.dtype, lambda: kept, Budget(budget))
    for count, corner in enumerate(corners):
        span = tuple(slice(at, at + step) for at, step in zip(corner, steps, strict=True))
        filling.write(np.ascontiguousarray(whole[span]), tuple(corner))
        if count % 3 == 0:  # what was written can be read back before it is whole
            back = np.empty_like(whole[span])
            filling.read(back, tuple(corner))
            np.testing.assert_array_equal(back, whole[span])
    filling.finish()
    np.testing.assert_array_equal(kept.values, whole)


def test_each_object_is_written_once_where_there_is_room():
    kept = Kept((10, 6))
    filling = Filling((10, 6), (4, 6), np.dtype(float), lambda: kept, Budget())
    for row in range(0, 10, 3):
        filling.write(np.ones((min(3, 10 - row), 6)), (row, 0))
    filling.finish()
    assert [(key[0].start, key[0].stop) for key in kept.written] == [(0, 4), (4, 8), (8, 10)]


def test_blocks_that_are_whole_objects_go_on_as_they_are():
    kept = Kept((8, 6))
    filling = Filling((8, 6), (2, 6), np.dtype(float), lambda: kept, Budget())
    filling.write(np.ones((8, 6)), (0, 0))
    assert len(kept.written) == 1


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 5000), st.integers(1, 20000), st.integers(1, 3000), st.sampled_from([4, 8]),
    st.integers(1, 2000), st.booleans(),
)  # fmt: skip
def test_the_cut_of_any_array_is_one_that_zarr_takes(rows, steps, width, itemsize, count, flat):
    shape = (rows * steps, width) if flat else (rows, steps, width)
    dtype = np.dtype(f"f{itemsize}")
    found = cut(NewArray(shape, dtype, ("a",) * len(shape), over_time=True), count)
    assert found.chunks is not None
    assert all(a % b == 0 for a, b in zip(found.objects, found.chunks, strict=True))
    assert found.chunks[-1] == width  # the whole width, as in HDF5
    row = width * itemsize
    assert np.prod(found.chunks) * itemsize <= max(2**20, row)
    assert np.prod(found.objects) * itemsize <= 2 * SHARD_BYTES + row
    if not flat and found.chunks[0] > 1:
        assert found.chunks[1] == steps  # one sequence is never cut where several are together


@pytest.mark.parametrize(("rows", "objects"), [(10, 1), (SMALL_BYTES // 8 + 1, 2)])
def test_an_array_without_time_is_one_object_while_it_is_small(rows, objects):
    found = cut(NewArray((rows,), np.dtype("i8"), ("sequence",)), 200)
    assert found.chunks is None
    assert -(-rows // found.objects[0]) >= objects
