"""Input arrays: forms, axes, and what goes with them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnscope.errors import InputError
from rnnscope.files.arrays import stored_array
from rnnscope.inputs import last_input_step, open_input
from rnnscope.model.cell import Array

X = np.arange(1, 25, dtype=np.float32).reshape(2, 3, 4)


def fails(path: Any, **options: Any) -> InputError:
    """The error of opening and reading an input, closed again."""
    with pytest.raises(InputError) as caught, open_input(path, **options) as source:
        source.read()
    return caught.value


def save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


# Forms of files


def test_npy(tmp_path: Path) -> None:
    """Three axes; nothing goes with it."""
    np.save(tmp_path / "x.npy", X)
    with open_input(tmp_path / "x.npy") as source:
        assert (source.sequences, source.timesteps, source.features) == (2, 3, 4)
        assert source.dtype == np.float32
        assert source.name == "x.npy"
        assert source.lengths is None
        assert source.mask is None
        assert source.notes == ()
        batch = source.read(slice(1, 2))
        assert source.sha256() == hashlib.sha256((tmp_path / "x.npy").read_bytes()).hexdigest()
    assert batch.values.tolist() == X[1:2].tolist()
    assert batch.values.flags.c_contiguous
    assert batch.input_steps.tolist() == [3]
    assert batch.mask is None


def test_npz_takes_known_names(tmp_path: Path) -> None:
    """Lengths, mask and initial states come along, and a note says so."""
    path = save(
        tmp_path / "in.npz",
        x=X,
        lengths=[3, 1],
        mask=[[1, 1, 1], [1, 0, 0]],
        initial_c=np.ones((2, 5)),
        initial_m=np.arange(3.0),
        **{"rnn/cell_0/initial_c": np.zeros((2, 1))},
    )
    with open_input(path) as source:
        assert source.name == "in.npz::x"
        assert source.lengths is not None
        assert source.lengths.tolist() == [3, 1]
        assert source.lengths.dtype == np.int64
        assert source.notes == ("Lengths taken from in.npz.", "Mask taken from in.npz.")
        batch = source.read(slice(1, 2))
    assert batch.lengths is not None
    assert batch.lengths.tolist() == [1]
    assert batch.mask is not None
    assert batch.mask.tolist() == [[True, False, False]]
    assert batch.initial[""]["c"].tolist() == [[1.0] * 5]
    assert batch.initial[""]["m"].tolist() == [[0.0, 1.0, 2.0]]
    assert batch.initial["rnn/cell_0"]["c"].shape == (1, 1)


def test_npz_without_known_names(tmp_path: Path) -> None:
    """The only array apart from companions may have any name; else the names are listed."""
    with open_input(save(tmp_path / "one.npz", train=X, lengths=[1, 2])) as source:
        assert source.name == "one.npz::train"
    error = fails(save(tmp_path / "two.npz", a=X, b=X))
    assert error.what == "two.npz holds several arrays: which one?"
    assert error.found == "a, b"
    with open_input(tmp_path / "two.npz", inputs_key="b") as source:
        assert source.features == 4
    with open_input(f"{tmp_path / 'two.npz'}::a") as source:
        assert source.name == "two.npz::a"
    error = fails(tmp_path / "two.npz", inputs_key="bb")
    assert error.hint == "did you mean b?"
    assert fails(save(tmp_path / "both.npz", x=X, inputs=X)).found == "x, inputs"


def test_ids(tmp_path: Path) -> None:
    """``ids`` counts when there is no x; a flag makes ids of integers; one axis, one sequence."""
    ids = np.array([[3, 1, 0], [2, 0, 0]])
    with open_input(save(tmp_path / "ids.npz", ids=ids, lengths=[2, 1])) as source:
        assert source.is_ids
        assert (source.sequences, source.timesteps, source.features) == (2, 3, None)
        assert source.read().input_steps.tolist() == [2, 1]
        assert source.read().values.dtype == ids.dtype
    with open_input(save(tmp_path / "both.npz", ids=ids, x=X)) as source:
        assert not source.is_ids
    with open_input(tmp_path / "both.npz", inputs_key="ids") as source:
        assert source.is_ids
    np.save(tmp_path / "row.npy", ids[0])
    with open_input(tmp_path / "row.npy", ids=True) as source:
        assert source.read().values.tolist() == [[3, 1, 0]]
    (tmp_path / "col.csv").write_text("word\n5\n6\n")
    with open_input(tmp_path / "col.csv", ids=True) as source:
        assert source.read().values.tolist() == [[5, 6]]
    assert fails(save(tmp_path / "f.npz", ids=ids / 2)).what == "Ids must be integers."


@pytest.mark.parametrize(
    "text",
    ["1,2\n3,4\n", "a,b\n1,2\n3,4\n", "\ufeff1;2\n3;4\n\n", "# c\n1\t2\n3\t4", "u v\n1 2\n3 4\n"],
)
def test_csv_is_one_sequence(tmp_path: Path, text: str) -> None:
    """Rows are timesteps, under any delimiter, with or without a header, whatever the suffix."""
    (tmp_path / "x.dat").write_text(text, "utf-8")
    with open_input(tmp_path / "x.dat") as source:
        assert source.read().values.tolist() == [[[1, 2], [3, 4]]]
        assert source.notes == ("The input of shape (2, 2) is one sequence: (timestep, feature).",)


def test_hdf5(tmp_path: Path) -> None:
    """A dataset by path; lengths beside it are not taken without being asked."""
    path = tmp_path / "d.h5"
    with h5py.File(path, "w") as file:
        file["train/x"] = X
        file["train/lengths"] = [3, 2]
    with open_input(f"{path}::/train/x") as source:
        assert source.lengths is None
        assert source.notes == (
            (
                "d.h5 also holds /train/lengths, which was not used; "
                f"lengths={path}::/train/lengths would use it."
            ),
        )
        assert source.read(slice(1, 2)).values.tolist() == X[1:].tolist()
    with open_input(f"{path}::train/x", lengths=f"{path}::/train/lengths") as source:
        assert source.lengths is not None
        assert source.lengths.tolist() == [3, 2]
        assert source.notes == ()
    error = fails(path)
    assert error.what == "An HDF5 file needs the dataset's name."
    assert error.found == "/train/lengths, /train/x"
    assert fails(f"{path}::/train/y").hint == "did you mean train/x?"


# Axes and dtypes


@pytest.mark.parametrize("dtype", ["float16", "int8", "bool", ">f4", "float64"])
def test_dtypes_are_kept_in_native_order(tmp_path: Path, dtype: str) -> None:
    """Widening is the runner's task."""
    np.save(tmp_path / "x.npy", X.astype(dtype))
    with open_input(tmp_path / "x.npy") as source:
        values = source.read().values
    assert values.dtype == np.dtype(dtype).newbyteorder("=")
    assert values.dtype.isnative
    np.testing.assert_array_equal(values, X.astype(dtype))


def test_time_major_turns_input_and_mask(tmp_path: Path) -> None:
    """Both have time first."""
    mask = np.array([[1, 1, 1], [1, 1, 0]])
    path = save(tmp_path / "in.npz", x=X.swapaxes(0, 1), mask=mask.T)
    with open_input(path, time_major=True) as source:
        assert (source.sequences, source.timesteps) == (2, 3)
        batch = source.read(slice(1, 2))
        assert source.lengths is not None
        assert source.lengths.tolist() == [3, 2]
    assert batch.values.tolist() == X[1:].tolist()
    assert batch.values.flags.c_contiguous


@given(
    sequences=st.integers(1, 6),
    timesteps=st.integers(1, 5),
    features=st.integers(1, 4),
    form=st.sampled_from(["npy", ">f8", "fortran", "npz", "compressed", "hdf5", "time major"]),
    in_place=st.booleans(),
    gap=st.sampled_from([0, 64, 2**13]),
    scratch=st.sampled_from([1, 100, 2**20]),
    first=st.integers(0, 6),
    stop=st.integers(0, 6),
    start=st.integers(0, 5),
    end=st.integers(0, 5),
)
@settings(max_examples=200, deadline=None)
def test_any_slice_of_any_form_is_that_slice(
    tmp_path_factory: pytest.TempPathFactory,
    *,
    sequences: int,
    timesteps: int,
    features: int,
    form: str,
    in_place: bool,
    gap: int,
    scratch: int,
    first: int,
    stop: int,
    start: int,
    end: int,
) -> None:
    """Loaded or read in place, whatever the order in the file, and into a buffer too."""
    folder = tmp_path_factory.mktemp("slice")
    x = np.random.default_rng(0).standard_normal((sequences, timesteps, features))
    spec = str(folder / "in")
    if form == "hdf5":
        with h5py.File(spec, "w") as file:
            file.create_dataset("x", data=x, chunks=x.shape, compression="gzip")
        spec += "::x"
    elif form in ("npz", "compressed"):
        with Path(spec).open("wb") as out:
            (np.savez if form == "npz" else np.savez_compressed)(out, other=np.ones(3), x=x)
    else:
        forms = {
            "fortran": np.asfortranarray(x), "time major": x.swapaxes(0, 1), ">f8": x.astype(">f8")
        }  # fmt: skip
        stored = forms.get(form, x)
        with Path(spec).open("wb") as out:
            np.save(out, stored)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "rnnscope.files.arrays.stored_array.LOAD_BELOW_BYTES", 0 if in_place else 2**60
        )
        patch.setattr("rnnscope.files.arrays.stored_array.GAP_BYTES", gap)
        patch.setattr("rnnscope.files.arrays.stored_array.SCRATCH_BYTES", scratch)
        with open_input(spec, time_major=form == "time major") as source:
            batch = source.read(slice(first, stop), slice(start, end))
            again = np.empty_like(batch.values)
            assert source.read(slice(first, stop), slice(start, end), out=again).values is again
    np.testing.assert_array_equal(batch.values, x[first:stop, start:end])
    np.testing.assert_array_equal(again, batch.values)
    assert type(batch.values) is np.ndarray
    assert batch.values.flags.c_contiguous


@pytest.mark.parametrize("form", ["npy", "npz"])
def test_large_arrays_are_read_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """At their offset, without a memory map; the file is closed with the source."""
    monkeypatch.setattr(stored_array, "LOAD_BELOW_BYTES", 0)
    path = tmp_path / f"in.{form}"
    np.savez(path, pad=np.ones(7), x=X) if form == "npz" else np.save(path, X)
    with open_input(path) as source:
        assert isinstance(source.array, stored_array.FileArray)
        np.testing.assert_array_equal(source.read(slice(1, 2), slice(1, 3)).values, X[1:2, 1:3])
    with pytest.raises(ValueError, match="closed"):
        source.read()


def test_a_file_that_shrinks_while_it_is_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never garbage, never a crash."""
    monkeypatch.setattr(stored_array, "LOAD_BELOW_BYTES", 0)
    np.save(tmp_path / "x.npy", X)
    with open_input(tmp_path / "x.npy") as source:
        with (tmp_path / "x.npy").open("r+b") as file:
            file.truncate(200)
        with pytest.raises(InputError, match="to its end") as caught:
            source.read()
    assert caught.value.found == "it ends at byte 200"


def test_some_steps_come_with_their_part_of_the_mask(tmp_path: Path) -> None:
    """Lengths stay those of the whole sequence; input steps cannot be known yet."""
    with open_input(save(tmp_path / "in.npz", x=X, lengths=[3, 1])) as source:
        batch = source.read(slice(0, 2), slice(1, 3))
        assert batch.values.tolist() == X[:, 1:3].tolist()
        assert batch.lengths is not None
        assert batch.lengths.tolist() == [3, 1]
        assert batch.mask is not None
        assert batch.mask.tolist() == [[True, True], [False, False]]
        assert batch.input_steps is None
        with pytest.raises(ValueError, match="step 1"):
            source.read(slice(0, 2, 2))
        with pytest.raises(ValueError, match="out is"):
            source.read(out=np.empty((2, 3, 5), np.float32))


@given(
    kept=st.lists(st.lists(st.booleans(), min_size=7, max_size=7), min_size=1, max_size=4),
    cut=st.integers(0, 7),
    turned=st.booleans(),
)
def test_input_steps_are_gathered_over_slices_in_any_order(
    kept: list[list[bool]], cut: int, *, turned: bool
) -> None:
    """As if all steps had been seen at once."""
    values = np.array(kept)[..., None] * np.float32([0, -2])
    expected = [max((step + 1 for step in range(7) if row[step]), default=0) for row in kept]
    assert last_input_step(values).tolist() == expected
    parts = [(0, values[:, :cut]), (cut, values[:, cut:])]
    found = None
    for first, part in reversed(parts) if turned else parts:
        found = last_input_step(part, first, found)
    assert found is not None
    assert found.tolist() == expected


def test_a_large_array_that_must_be_loaded_is_mentioned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its size, and with what would help."""
    monkeypatch.setattr("rnnscope.inputs.shaping.MENTION_LOADED_BYTES", 100)
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros((50, 100, 100), np.float32))
    with open_input(tmp_path / "x.npz") as source:
        (note,) = source.notes
    assert "(2 MB)" in note
    assert "numpy.savez is read in slices" in note


@pytest.mark.parametrize(
    ("array", "what", "expected"),
    [
        (np.ones(3), "The input has the wrong number of axes.", "(sequence, timestep, feature)"),
        (np.ones((1, 1, 1, 1)), "The input has the wrong number of axes.", "for one sequence"),
        (np.ones((2, 0, 3)), "The input has no steps.", "(sequence, timestep, feature)"),
        (np.ones((2, 2, 2), complex), "The input is not an array of real numbers.", "float32"),
        (np.full((2, 2), "a"), "The input is not an array of real numbers.", "float32"),
        (np.ones((2, 2), "f8,i4"), "The input is not an array of real numbers.", "float32"),
    ],
)
def test_arrays_that_are_no_input(tmp_path: Path, array: Array, what: str, expected: str) -> None:
    """Each is named with its shape or dtype."""
    np.save(tmp_path / "x.npy", array)
    error = fails(tmp_path / "x.npy")
    assert error.what == what
    assert expected in (error.expected or "")
    assert error.found


# Values


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_must_be_finite(tmp_path: Path, bad: float) -> None:
    """The place is that in the whole input; padding is recognised."""
    x = X.copy()
    x[1, 2, 3] = bad
    np.save(tmp_path / "x.npy", x)
    with open_input(tmp_path / "x.npy", lengths="3,2") as source:
        assert source.read(slice(0, 1)).values.shape == (1, 3, 4)
        with pytest.raises(InputError, match="not a finite number") as caught:
            source.read(slice(1, 2))
    assert (caught.value.where or "").endswith("sequence 1, timestep 2, feature 3")
    assert caught.value.found == str(np.float32(bad))
    assert caught.value.hint == (
        "the step is padding (length 2): fill it with 0, or repair the data; allow_nan computes on"
    )


def test_input_steps_count_up_to_the_last_row_with_anything_in_it(tmp_path: Path) -> None:
    """A zero row in between counts; an empty sequence has none."""
    x = np.zeros((3, 4, 2))
    x[0, 0] = x[0, 2] = 1
    x[1, 3, 1] = -1
    np.save(tmp_path / "x.npy", x)
    with open_input(tmp_path / "x.npy") as source:
        assert source.read().input_steps.tolist() == [3, 4, 0]
    with open_input(tmp_path / "x.npy", lengths="auto") as source:
        assert source.lengths is not None
        assert source.lengths.tolist() == [3, 4, 0]
        assert source.notes == (
            (
                "Lengths 'auto': trailing all-zero timesteps were taken as padding; "
                "lengths run from 0 to 4 of 4."
            ),
        )


# Lengths and masks


@pytest.mark.parametrize("form", ["inline", "npy", "csv", "column", "txt", "npz", "key", "floats"])
def test_lengths_in_every_form(tmp_path: Path, form: str) -> None:
    """Numbers on the command line, a file, a key."""
    path = save(tmp_path / "in.npz", x=X, n=[3, 2])
    np.save(tmp_path / "n.npy", np.array([3, 2], "uint8"))
    np.save(tmp_path / "f.npy", np.array([3.0, 2.0]))
    save(tmp_path / "n.npz", n=[3, 2], other=[9])
    (tmp_path / "n.csv").write_text("3,2\n")
    (tmp_path / "c.csv").write_text("length\n3\n2\n")
    (tmp_path / "n.txt").write_text("3 2")
    spec = {
        "inline": "3, 2",
        "npy": f"{tmp_path}/n.npy",
        "csv": f"{tmp_path}/n.csv",
        "column": f"{tmp_path}/c.csv",
        "txt": f"{tmp_path}/n.txt",
        "npz": f"{tmp_path}/n.npz::n",
        "key": "n",
        "floats": f"{tmp_path}/f.npy",
    }[form]
    with open_input(path, lengths=spec) as source:
        assert source.lengths is not None
        assert source.lengths.tolist() == [3, 2]
        assert source.lengths.dtype == np.int64
        mask = source.read().mask
    assert mask is not None
    assert mask.tolist() == [[True, True, True], [True, True, False]]


@pytest.mark.parametrize(
    ("lengths", "where", "expected", "found"),
    [
        ("3", "lengths=3", "2 lengths", "1 lengths"),
        ("3,4", "lengths=3,4, sequence 1", "a whole number from 0 to 3", "4"),
        ("-1,2", "lengths=-1,2, sequence 0", "a whole number from 0 to 3", "-1"),
        ("half", "sequence 0", "a whole number from 0 to 3", "2.5"),
        ("nan", "sequence 1", "a whole number from 0 to 3", "nan"),
        ("flags", "::flags", "integers", "an array of bool"),
        ("square", "::square", "2 lengths", "shape (2, 2)"),
        ("lenghts", "lenghts", "one of x, lengths", "nothing of that name"),
    ],
)
def test_lengths_that_do_not_fit(
    tmp_path: Path, lengths: str, where: str, expected: str, found: str
) -> None:
    """The sequence and the value are named."""
    path = save(
        tmp_path / "in.npz",
        x=X,
        lengths=[1, 1],
        half=[2.5, 1],
        nan=[1, np.nan],
        flags=[True, True],
        square=np.ones((2, 2), int),
    )
    error = fails(path, lengths=lengths)
    assert (error.where or "").endswith(where)
    assert expected in (error.expected or "")
    assert error.found == found


def test_a_mask_with_holes_is_no_lengths(tmp_path: Path) -> None:
    """It stays a mask, cut in slices like the rest."""
    path = save(tmp_path / "in.npz", x=X, mask=[[0, 1, 1], [1, 1, 0]])
    with open_input(path) as source:
        assert source.lengths is None
        mask = source.read(slice(0, 1)).mask
    assert mask is not None
    assert mask.tolist() == [[False, True, True]]


def test_a_plain_mask_is_lengths_too(tmp_path: Path) -> None:
    """And a note says so."""
    (tmp_path / "mask.csv").write_text("1,1,1\n1,0,0\n")
    np.save(tmp_path / "x.npy", X)
    with open_input(tmp_path / "x.npy", mask=str(tmp_path / "mask.csv")) as source:
        assert source.lengths is not None
        assert source.lengths.tolist() == [3, 1]
        assert source.notes == (
            "The mask is valid steps, then padding: it was read as lengths too.",
        )


def test_lengths_and_mask_must_agree(tmp_path: Path) -> None:
    """The first place where they do not is named; either can be left out."""
    path = save(tmp_path / "in.npz", x=X, lengths=[3, 2], mask=[[1, 1, 1], [1, 0, 0]])
    error = fails(path)
    assert error.what == "Lengths and mask contradict each other."
    assert error.where == "sequence 1, timestep 1"
    assert error.found == "length 2, but the mask says that this step is padding"
    with open_input(path, mask="none") as source:
        assert source.mask is None
    with open_input(path, lengths="none") as source:
        assert source.lengths is not None
        assert source.lengths.tolist() == [3, 1]


@pytest.mark.parametrize(
    ("mask", "what", "found"),
    [
        (np.ones((2, 4)), "The mask does not fit the input.", "shape (2, 4)"),
        (np.array([[1, 1, 2], [1, 1, 1]]), "The mask holds a value other than 0 and 1.", "2"),
    ],
)
def test_masks_that_do_not_fit(tmp_path: Path, mask: Array, what: str, found: str) -> None:
    """Shape and values."""
    error = fails(save(tmp_path / "in.npz", x=X, mask=mask))
    assert error.what == what
    assert error.found == found


# Initial states


def test_initial_states_by_flag(tmp_path: Path) -> None:
    """A key or a file, for one layer or by name; they replace what the file gives."""
    path = save(tmp_path / "in.npz", x=X, initial_c=np.zeros((2, 2)), mine=np.ones((2, 2)))
    np.save(tmp_path / "m.npy", np.full(2, 7.0))
    initial = {"initial_c": "mine", "a/b/initial_m": str(tmp_path / "m.npy")}
    with open_input(path, initial=initial) as source:
        assert source.initial[""]["c"].tolist() == [[1, 1], [1, 1]]
        assert source.initial["a/b"]["m"].tolist() == [[7, 7], [7, 7]]


@pytest.mark.parametrize(
    ("state", "what", "found"),
    [
        (np.ones((3, 2)), "The initial state does not fit the input.", "3 sequences"),
        (np.ones((2, 1, 2)), "The initial state is not an array of", "shape (2, 1, 2), float64"),
        (np.array([[1, 2], [np.nan, 1]]), "The initial state holds a value that", "nan"),
    ],
)
def test_initial_states_that_do_not_fit(
    tmp_path: Path, state: Array, what: str, found: str
) -> None:
    """Sequences, axes, values."""
    error = fails(save(tmp_path / "in.npz", x=X, initial_c=state))
    assert error.what.startswith(what)
    assert error.found == found
