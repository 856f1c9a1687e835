"""What the functions of `rnnscope.engines.lstm.kernel_code` take, by name, with shapes.

`STEPS` is called from outside; the others are parts of it, described where they are written.
"""

from __future__ import annotations

from rnnscope.engines.lstm.vectors import FLOAT, FLOATS, INT, INTS

STEPS = {
    # A call runs some steps, in chunks whose input is projected ahead.
    "chunks": INT,
    "cuts": INTS,  # (chunks + 1,) the first step of each
    "starts": INTS,  # (steps + 1,) the first place of each
    "places": INTS,  # where rows read and write: sequence x timesteps + timestep
    "first": INT,  # 0 or 1: which m the first step reads
    # The projection of the input.
    "x": FLOATS,  # (place, input)
    "input": INT,
    "kernel": FLOATS,  # (panel, input, GATES, lane)
    "bias": FLOATS,  # (panel, GATES, lane)
    "z": FLOATS,  # (panel, place of the chunk, GATES, lane)
    # The cell.
    "recurrent": FLOATS,  # (panel, depth, GATES, lane)
    "panels": INT,
    "units": INT,
    "forget_bias": FLOAT,
    "peepholes": FLOATS,  # (3, panels x lanes)
    "cell_clip": FLOAT,
    # States.
    "rows": INT,  # of c and m
    "c": FLOATS,  # (row, panels x lanes)
    "m": FLOATS,  # (2, row, m_stride): of even and of odd steps, of which one is read
    "m_stride": INT,
    "depth": INT,  # width of m
    "all_c": FLOATS,  # (place, unit)
    "all_m": FLOATS,  # (place, depth)
    "part_c": FLOATS,  # (tile row, lane), for panels that are not full
    "part_m": FLOATS,
    "numbers": INTS,  # (row,) 0, 1, 2 ...
    # The projection of the output.
    "wide": FLOATS,  # (row, panels x lanes): o * tanh(c), to be projected
    "projection": FLOATS,  # (panel, unit, GATES x lane)
    "projection_panels": INT,
    "zeros": FLOATS,  # (GATES, lane)
    "proj_clip": FLOAT,  # infinite for none
}
"""Arguments of ``steps``."""

PROJECT = {
    "x": FLOATS,
    "input": INT,
    "places": INTS,
    "count": INT,
    "kernel": FLOATS,
    "bias": FLOATS,
    "panels": INT,
    "z": FLOATS,
}

STEP = {
    **{name: kind for name, kind in STEPS.items() if name not in ("chunks", "cuts", "starts")},
    "running": INT,
    "z_count": INT,
    "m_new": FLOATS,
}

PRODUCT = {
    "x": FLOATS,
    "places": INTS,
    "stride": INT,
    "depth": INT,
    "panel": FLOATS,
    "ahead": FLOATS,
    "base": FLOATS,
    "base_stride": INT,
    "out": FLOATS,
    "out_stride": INT,
}

CELL = {
    "rows": INT,
    "z": FLOATS,
    "c": FLOATS,
    "out": FLOATS,
    "stride": INT,
    "places": INTS,
    "all_c": FLOATS,
    "all_m": FLOATS,
    "width": INT,
    "forget_bias": FLOAT,
    "peepholes": FLOATS,
    "cell_clip": FLOAT,
}
