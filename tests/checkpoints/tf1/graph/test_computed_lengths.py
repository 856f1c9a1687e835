"""Lengths that a graph counts from what it is fed: of ids, of rows that are not zero, of a mask."""

from pathlib import Path

import numpy as np
import pytest

import rnnscope
from rnnscope.errors import RnnscopeError

DATA = Path(__file__).parents[3] / "data" / "computed_lengths"
CASES = ("rows_both_ways", "ids_behind_layers", "unknown_cells", "unknown_cells_fed_lengths")


def _case(name):
    with np.load(DATA / "truth.npz") as truth:
        return {key.partition("/")[2]: truth[key] for key in truth.files
                if key.startswith(f"{name}/")}  # fmt: skip


def _given(case, folder, *names):
    path = folder / "inputs.npz"
    np.savez(path, **{name: case[name] for name in names if name in case})
    return path


def _same(layer, case, direction):
    outputs = case[f"{direction}_outputs"]
    counts = np.any(outputs != 0, axis=-1)
    np.testing.assert_allclose(layer.outputs[...], outputs, rtol=0, atol=1e-6)
    np.testing.assert_allclose(layer.m[...][counts], outputs[counts], rtol=0, atol=1e-6)
    np.testing.assert_allclose(layer.final["m"], case[f"{direction}_m"], rtol=0, atol=1e-6)
    if f"{direction}_c" in case:
        np.testing.assert_allclose(layer.final["c"], case[f"{direction}_c"], rtol=0, atol=1e-6)
    ends = np.count_nonzero(counts, axis=1)
    for row, end in enumerate(ends):  # past its length a sequence keeps its last state
        assert np.all(layer.m[row, end:] == layer.final["m"][row])


@pytest.mark.parametrize("name", CASES)
def test_both_directions_are_tensorflows(name, tmp_path):
    case = _case(name)
    with rnnscope.run(DATA / f"{name}.pb", _given(case, tmp_path, "ids", "x", "lengths")) as trace:
        forward, backward = trace.layers.values()
        _same(forward, case, "fw")
        _same(backward, case, "bw")


def test_lengths_that_are_counted_are_told_and_make_stock_layers():
    model = rnnscope.open_model(DATA / "ids_behind_layers.pb")
    said = {node.recurrent.cell.kind: str(node.recurrent.lengths.value)
            for node in model.checkpoint.network.recurrent}  # fmt: skip
    words = "sequence_length computed from 'ids' (node 'Sum')"
    assert said == {"lstm": words, "gru": words}


def test_where_another_input_counts_lengths_those_given_are_used(tmp_path):
    case = _case("lengths_of_another_input")
    path = _given({**case, "lengths": case["input_mask"].sum(1)}, tmp_path, "ids", "lengths")
    with rnnscope.run(DATA / "lengths_of_another_input.pb", path) as trace:
        (layer,) = trace.layers.values()
        _same(layer, case, "fw")
        said = " ".join(str(trace.report).split())
        assert "which would compute lengths of 'input_mask', was not run" in said


def test_where_another_input_counts_lengths_none_given_is_told(tmp_path):
    path = _given(_case("lengths_of_another_input"), tmp_path, "ids")
    with pytest.raises(RnnscopeError) as told:
        rnnscope.run(DATA / "lengths_of_another_input.pb", path)
    assert "computes its lengths of 'input_mask', which is not given" in str(told.value)
