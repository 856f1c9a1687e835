"""A unit on its own computes what it does among the others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cell_cases import CASES, cell_of, layer_with, states_for

from rnnscope.engines.numpy_engine import run_layer
from rnnscope.reducing.one_unit import one_unit, why_whole


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("unit", [0, 5])
def test_one_step_of_one_unit(name, unit):
    rng = np.random.default_rng(8)
    cell = cell_of(rng, name, 4, 6, dtype="float64")
    if why_whole(cell):
        needs_all = cell.num_proj is not None or cell.kind == "layer_norm_lstm"
        assert needs_all or cell.options.reset_after.value is False
        return
    layer = layer_with(cell)
    x = rng.normal(size=(1, 1, 4))
    initial = states_for(rng, cell, 1)
    whole = run_layer(layer, x, None, initial, gates=True)
    cut = one_unit(cell, unit, x[0], {state: array[0] for state, array in initial.items()})
    assert (cut.cell.num_units, cut.cell.input_size) == (1, 4 + 5)
    start = {state: array[None] for state, array in cut.start.items()}
    alone = run_layer(replace(layer, cell=cut.cell), cut.x[None], None, start, gates=True)
    for kind in ("states", "gates"):
        for key, array in getattr(whole, kind).items():
            found = getattr(alone, kind)[key]
            np.testing.assert_allclose(found[..., 0], array[..., unit], rtol=0, atol=1e-13)
