"""The compiled pass over two blocks finds what the same pass in numpy finds, to the last bit."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from rnnscope.comparing import measure
from rnnscope.comparing.array_measure import AlignedArrays
from rnnscope.comparing.arrays import coordinates_of, diff_arrays
from rnnscope.comparing.block_difference import Measured, block_difference
from rnnscope.comparing.compiled import CompiledPass
from rnnscope.comparing.compiled.pass_code import module_of
from rnnscope.comparing.compiled.vector_difference import PassKind
from rnnscope.comparing.histogram import BINS, Histogram, _bins_above, bins_by_leading_bits
from rnnscope.comparing.tolerance import Tolerance, narrower
from rnnscope.engines.compiled import cpu, image
from rnnscope.files.arrays.stored_array import LoadedArray

SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 3e38, -3e38, 1e-42]
PAIRS = list(itertools.product(["f4", "f8"], repeat=2))
TOLERANCES = [Tolerance(1e-5, 1e-5), Tolerance(0, 0), Tolerance(1e-3, 0), Tolerance(0, 0, 4),
              Tolerance(0, 0, 2**40)]  # fmt: skip


def drawn(rng, dtypes, shape, specials):
    """Two arrays, some values of which are the same, and some of which are not finite."""
    a = (rng.normal(size=shape) * 10.0 ** rng.integers(-20, 20)).astype(dtypes[0])
    near = a * (1 + rng.normal(size=shape) * 10.0 ** rng.integers(-16, 1))
    b = np.where(rng.random(shape) < rng.choice([0, 0.5, 1]), a, near).astype(dtypes[1])
    for _ in range(specials):
        for side in (a, b):
            side[tuple(rng.integers(0, shape))] = rng.choice(SPECIAL)
        both = tuple(rng.integers(0, shape))
        a[both] = b[both] = rng.choice([np.nan, np.inf])
    return a, b


def fields(found):
    return {name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in vars(found).items()}  # fmt: skip


@pytest.mark.parametrize("dtypes", PAIRS, ids=" ".join)
@pytest.mark.parametrize("tolerance", TOLERANCES, ids=str)
@pytest.mark.parametrize("equal_nan", [False, True])
def test_the_same_as_in_numpy(dtypes, tolerance, equal_nan):
    rng = np.random.default_rng(0)
    ulp_dtype = narrower(*map(np.dtype, dtypes))
    how = Measured(tolerance, ulp_dtype, equal_nan)
    for trial in range(12):
        shape = tuple(rng.integers(1, [4, 5, 40])) if trial % 2 else tuple(rng.integers(1, [9, 30]))
        a, b = drawn(rng, dtypes, shape, specials=trial % 4)
        valid = rng.random(shape[:-1]) < 0.7 if trial % 3 else None
        counts, compiled_counts = Histogram(), Histogram()
        wanted = block_difference(a, b, valid, how, counts)
        found = CompiledPass(how, (a.dtype, b.dtype))(a, b, valid, compiled_counts)
        assert counts.counts.tolist() == compiled_counts.counts.tolist()
        if wanted.max_abs == 0 and not wanted.nonfinite_apart:
            assert (found.finite, found.compared) == (wanted.finite, wanted.compared)
            assert (found.nonfinite_a, found.nonfinite_b) == (
                wanted.nonfinite_a,
                wanted.nonfinite_b,
            )
            assert found.exceed == wanted.exceed == 0
        else:
            # A value below 0 is as good as 0: nothing is needed.
            assert fields(found) == fields(wanted) | {"needed": max(wanted.needed, 0.0)}


def test_bins_of_leading_bits_are_those_of_the_logarithm():
    rng = np.random.default_rng(0)
    distances = np.concatenate([
        2.0 ** rng.uniform(10, 64, 100_000),
        np.nextafter(2.0 ** np.arange(10, 64, 1 / 16), np.inf),
        np.nextafter(2.0 ** np.arange(10, 64, 1 / 16), 0)[1:],
        [1024.0, 2.0**64],
    ])  # fmt: skip
    bits = distances.view(np.int64)
    first, following = bins_by_leading_bits()[(bits >> 44) - (1023 << 8)].T
    found = first + (bits >= following)
    assert np.array_equal(found, _bins_above(distances))
    assert found.max() == BINS - 1


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_a_comparison_reports_the_same(monkeypatch, backward, masked):
    """Several blocks, and what is kept from one to the next."""
    rng = np.random.default_rng(1)
    shape = (64, 70, 131)
    a = rng.normal(size=shape).astype(np.float32)
    b = a.copy()
    changed = rng.random(shape) < 1e-3
    b[changed] += rng.normal(size=changed.sum()).astype(np.float32)
    b[5, 7, 9] = np.nan
    lengths = rng.integers(0, 71, 64)
    valid = np.arange(70) < lengths[:, None] if masked else None
    pair = AlignedArrays(LoadedArray(a), LoadedArray(b), valid, coordinates_of(shape), backward)
    assert a.size >= measure.COMPILED_FROM
    found = diff_arrays("c", pair, Tolerance(1e-5, 1e-5))
    monkeypatch.setattr(measure, "COMPILED_FROM", a.size + 1)
    assert found == diff_arrays("c", pair, Tolerance(1e-5, 1e-5))
    assert found.exceed > 100
    assert found.first.place[1] == (69 if backward else 0) or masked


@pytest.mark.skipif(not cpu.IS_LINKED, reason="LLVM loads the code on such a machine")
@pytest.mark.parametrize("by_ulp", [False, True])
def test_its_code_is_an_image(by_ulp):
    """A diff that finds it kept does not load LLVM."""
    kind = PassKind("float32", "float64", "float32", by_ulp, False)
    functions, code = image.unpack(cpu.machine_code(module_of(kind)))
    assert 0 <= functions["measure"] < len(code)
