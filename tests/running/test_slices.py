"""How a run is cut into slices: every sequence once, wherever it is taken up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rnnscope.running.memory import SliceSize

SIZES = st.builds(
    lambda rows, least: SliceSize(rows, 9, min(least, rows)),
    st.integers(1, 200), st.integers(0, 50),
)  # fmt: skip


@given(SIZES, st.integers(0, 1000))
def test_each_sequence_is_in_one_slice_of_the_right_size(size: SliceSize, sequences: int) -> None:
    slices = list(size.rows_of(sequences))
    assert [row for one in slices for row in range(one.start, one.stop)] == [*range(sequences)]
    lengths = [one.stop - one.start for one in slices]
    assert all(0 < length <= size.rows for length in lengths)
    assert all(length >= size.least_rows for length in lengths[:-1])


@given(SIZES, st.integers(1, 1000), st.data())
def test_a_run_taken_up_between_two_slices_has_the_others(
    size: SliceSize, sequences: int, data: st.DataObject
) -> None:
    slices = list(size.rows_of(sequences))
    done = data.draw(st.integers(0, len(slices) - 1))
    assert list(size.rows_of(sequences, slices[done].start)) == slices[done:]


def test_the_last_slices_grow_shorter() -> None:
    def rows(size: SliceSize, sequences: int) -> list[int]:
        return [one.stop - one.start for one in size.rows_of(sequences)]

    assert rows(SliceSize(128, 9, 32), 400) == [128, 128, 128, 16]
    assert rows(SliceSize(128, 9, 32), 384) == [128, 128, 64, 32, 32]
    assert rows(SliceSize(128, 9), 300) == [128, 128, 44]


@given(
    rows=st.integers(1, 80),
    least=st.integers(0, 40),
    sequences=st.integers(1, 3000),
    threads=st.integers(1, 4),
)
def test_threads_that_take_slices_in_turn_have_as_many_each(
    rows: int, least: int, sequences: int, threads: int
) -> None:
    size = SliceSize(rows, 5, least).side_by_side(sequences, threads)
    lengths = [one.stop - one.start for one in size.rows_of(sequences)]
    assert sum(lengths) == sequences
    assert max(lengths) <= rows  # what fits the memory still does
    assert len({*lengths[:-1]}) <= 1
    assert len(lengths) <= threads * -(-sequences // (rows * threads))


def test_slices_side_by_side_by_hand() -> None:
    def lengths(sequences: int) -> list[int]:
        size = SliceSize(64, 100, 16).side_by_side(sequences, 2)
        return [one.stop - one.start for one in size.rows_of(sequences)]

    assert lengths(1024) == [64] * 16
    assert lengths(192) == [48] * 4
    assert lengths(200) == [50] * 4
    assert lengths(130) == [33, 33, 33, 31]
