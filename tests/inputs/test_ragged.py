"""Ragged inputs: sequences of different lengths, one after another, and where each begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnscope.errors import InputError
from rnnscope.inputs import open_input

FLAT = np.arange(1, 13, dtype=np.float32).reshape(6, 2)
OFFSETS = np.array([0, 3, 3, 6])


def save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_an_npz_with_offsets_is_ragged(tmp_path: Path) -> None:
    """Lengths are the differences; zeros follow each sequence; a note says so."""
    with open_input(save(tmp_path / "in.npz", x=FLAT, offsets=OFFSETS)) as source:
        assert (source.sequences, source.timesteps, source.features) == (3, 3, 2)
        assert source.lengths is not None
        assert source.lengths.tolist() == [3, 0, 3]
        assert source.notes == (
            f"The input is ragged: 3 sequences of 0 to 3 steps, where {tmp_path / 'in.npz'}::"
            "offsets says that they begin.",
        )
        batch = source.read()
    assert batch.values.tolist() == [FLAT[:3].tolist(), [[0, 0]] * 3, FLAT[3:].tolist()]
    assert batch.mask is not None
    assert batch.mask.tolist() == [[True] * 3, [False] * 3, [True] * 3]
    assert batch.input_steps is not None
    assert batch.input_steps.tolist() == [3, 0, 3]


def test_ids_and_hdf5_and_other_names(tmp_path: Path) -> None:
    """Flat ids; a dataset of offsets; a key; none of it."""
    ids = np.array([5, 6, 7, 8, 9, 4])
    with open_input(save(tmp_path / "ids.npz", ids=ids, offsets=[0, 1, 6])) as source:
        assert source.is_ids
        assert source.read().values.tolist() == [[5, 0, 0, 0, 0], [6, 7, 8, 9, 4]]
        assert source.read(slice(0, 1), pad_to=1).values.tolist() == [[5]]
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["x"], file["begin"] = FLAT, OFFSETS
    path = tmp_path / "d.h5"
    with open_input(f"{path}::/x", offsets=f"{path}::/begin") as source:
        assert source.read(slice(2, 3), slice(1, 3)).values.tolist() == [FLAT[4:].tolist()]
    with open_input(save(tmp_path / "k.npz", x=FLAT, at=OFFSETS), offsets="at") as source:
        assert source.sequences == 3
    with open_input(save(tmp_path / "n.npz", x=FLAT, offsets=OFFSETS), offsets="none") as source:
        assert source.sequences == 1


def test_padding_only_as_far_as_needed(tmp_path: Path) -> None:
    """Input steps are known as long as no sequence is cut."""
    path = save(tmp_path / "in.npz", x=FLAT, offsets=[0, 1, 6])
    with open_input(path) as source:
        short = source.read(slice(0, 1), pad_to=2)
        assert short.values.tolist() == [[[1, 2], [0, 0]]]
        assert short.input_steps is not None
        assert short.input_steps.tolist() == [1]
        assert source.read(slice(0, 2), pad_to=2).input_steps is None


@given(
    lengths=st.lists(st.integers(0, 6), min_size=1, max_size=8).filter(any),
    scratch=st.sampled_from([1, 40, 2**20]),
    cuts=st.tuples(*[st.integers(0, 8)] * 4),
    in_place=st.booleans(),
)
def test_any_slice_is_that_slice_of_the_padded_array(
    tmp_path_factory: pytest.TempPathFactory,
    lengths: list[int],
    scratch: int,
    cuts: tuple[int, int, int, int],
    *,
    in_place: bool,
) -> None:
    """Read together or one by one; buffers that are used again hold nothing old."""
    path = tmp_path_factory.mktemp("ragged") / "in.npz"
    flat = np.random.default_rng(0).standard_normal((sum(lengths), 2))
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    np.savez(path, x=flat, offsets=offsets)
    padded = np.zeros((len(lengths), max(lengths), 2))
    for number, length in enumerate(lengths):
        padded[number, :length] = flat[offsets[number] : offsets[number + 1]]
    part = slice(*cuts[:2]), slice(*cuts[2:])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "rnnscope.files.arrays.stored_array.LOAD_BELOW_BYTES", 0 if in_place else 2**60
        )
        patch.setattr("rnnscope.inputs.ragged.SCRATCH_BYTES", scratch)
        with open_input(path) as source:
            out = np.full(padded[part].shape, np.nan)
            batch = source.read(*part, out=out)
    np.testing.assert_array_equal(batch.values, padded[part])


@pytest.mark.parametrize(
    ("arrays", "what", "found"),
    [
        ({"offsets": [0, 4, 2, 6]}, "Offsets must not fall.", "2"),
        ({"offsets": [0, 3, 5]}, "The offsets do not fit the input.", "from 0 to 5"),
        ({"offsets": [1, 3, 6]}, "The offsets do not fit the input.", "from 1 to 6"),
        ({"offsets": [0.0, 6.0]}, "Offsets must be integers, one more", "shape (2,), float64"),
        ({"offsets": [0]}, "Offsets must be integers, one more", "shape (1,), int64"),
        ({"offsets": [0, 6], "lengths": [5]}, "Offsets say the lengths", "other lengths"),
        ({"offsets": [0, 6], "mask": [[1] * 6]}, "Offsets say the lengths", "a mask"),
        ({"offsets": [0, 6], "x": FLAT[None]}, "An input with offsets has no axis", "(1, 6, 2)"),
    ],
)
def test_offsets_that_do_not_fit(
    tmp_path: Path, arrays: dict[str, Any], what: str, found: str
) -> None:
    """Each is named with what was found."""
    path = save(tmp_path / "in.npz", **{"x": FLAT, **arrays})
    with pytest.raises(InputError) as caught:
        open_input(path)
    assert caught.value.what.startswith(what)
    assert found in (caught.value.found or "")
