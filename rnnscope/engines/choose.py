"""Which engine runs a layer: compiled steps, the fast loop in numpy, or the reference.

`ENGINES` is what ``--engine`` offers. ``auto`` takes compiled steps for every cell that has them
where llvmlite is installed and the work is large enough to pay for loading it; else the fast loop
for LSTMs, and the reference for all others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np

from rnnscope.engines.compiled import PackedCell, is_compiled
from rnnscope.engines.episodes import run_by_episode
from rnnscope.engines.fast_engine import run_fast
from rnnscope.engines.lstm import FoldedLSTM
from rnnscope.engines.numpy_engine import run_layer
from rnnscope.engines.workspace import Workspace
from rnnscope.errors import EngineError, spell
from rnnscope.model.cell import Array
from rnnscope.model.cells import CELLS
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.resets import Resets
from rnnscope.model.states import LayerStates, beside

ENGINES = {
    "auto": "the fastest that pays for its start-up",
    "numpy": "the fast loop in numpy",
    "compiled": "the fast loop in machine code made for this CPU",
    "reference": "the equations as they are written, one step after another",
}

COMPILING_PAYS_FROM = {"numpy": 1_000_000, "reference": 250_000}
"""Cell-steps (sequence x timestep x unit) from which compiled steps are taken, by the engine that
would run without them: loading them takes some 10 ms (a fifth of a second the first time, when
they are compiled), and they save 11 to 110 ns a cell-step of the loop in numpy, 47 in the usual
batch, and several times as much of the reference (tests/benchmarks/engine.py and cells.py)."""


class LayerEngine:
    """Runs one recurrent layer, slice after slice.

    Parameters
    ----------
    layer : RecurrentLayer
    gates : bool
    engine : str
        A key of `ENGINES`.
    threads : int
    pool : ThreadPoolExecutor or None
    work : int
        Cell-steps of the whole run, to choose by.
    sequences : int
        Of the whole run, about; it changes no bit.
    """

    def __init__(
        self,
        layer: RecurrentLayer,
        *,
        gates: bool = False,
        engine: str = "auto",
        threads: int = 1,
        pool: ThreadPoolExecutor | None = None,
        work: int = 0,
        sequences: int = 32,
    ) -> None:
        self._layer = layer
        self._gates = gates
        self._threads = threads
        self._pool = pool
        self.name = choose(layer, engine, work)
        self._packed = PackedCell(layer.cell, gates, sequences) if self.name == "compiled" else None
        self._folded = FoldedLSTM(layer.cell) if self.name == "numpy" else None

    def run(
        self,
        x: Array,
        mask: Array | None = None,
        lengths: Array | None = None,
        initial: Mapping[str, Array] | None = None,
        held: Array | None = None,
        workspace: Workspace | None = None,
        resets: Resets | None = None,
    ) -> LayerStates:
        """Every state of a slice; arguments as in `run_layer` and `run_fast`.

        `lengths` are those of the slice, given only where the mask is a plain prefix. `resets` are
        of layers that read forward.
        """
        if resets is not None and not resets.steps.any():
            resets = None
        if resets is not None and self.name != "reference":
            return run_by_episode(self._run_episodes, self._layer, x, mask, initial, held, resets)
        holes = mask if lengths is None else None
        prepared = self._packed or self._folded
        if prepared is None or (self._folded is not None and holes is not None):
            return self._run_reference(x, mask, initial, held, resets)
        return run_fast(
            self._layer,
            x,
            lengths,
            initial,
            prepared=prepared,
            holes=holes,
            gates=self._gates,
            held=held,
            pool=self._pool,
            threads=self._threads,
            workspace=workspace,
        )

    def _run_episodes(
        self, x: Array, mask: Array, initial: Mapping[str, Array], held: Array
    ) -> LayerStates:
        return self.run(x, mask, prefix_lengths(mask), initial, held)

    def _run_reference(
        self,
        x: Array,
        mask: Array | None,
        initial: Mapping[str, Array] | None,
        held: Array | None,
        resets: Resets | None,
    ) -> LayerStates:
        """The reference, the batch in parts where each is large enough to keep a thread busy."""
        layer, gates = self._layer, self._gates
        sequences = x.shape[0]
        parts = min(self._threads, sequences * layer.cell.num_units // LEAST_OF_THREAD)
        if self._pool is None or parts < 2 or CELLS[layer.cell.kind].run is not None:
            return run_layer(layer, x, mask, initial, gates=gates, held=held, resets=resets)

        def of_rows(states: Mapping[str, Array], rows: slice) -> dict[str, Array]:
            return {
                name: np.broadcast_to(value, (sequences, *np.shape(value)[-1:]))[rows]
                for name, value in states.items()
            }

        def run(rows: slice) -> LayerStates:
            return run_layer(
                layer,
                x[rows],
                None if mask is None else mask[rows],
                of_rows(initial or {}, rows),
                gates=gates,
                held=None if held is None else held[rows],
                resets=None
                if resets is None
                else Resets(resets.steps[rows], of_rows(resets.state, rows)),
            )

        cuts = [number * sequences // parts for number in range(parts + 1)]
        every = [slice(*pair) for pair in pairwise(cuts)]
        return beside([job.result() for job in [self._pool.submit(run, rows) for rows in every]])


LEAST_OF_THREAD = 4096
"""Values of a step (sequence x unit) from which numpy is busy enough to let another thread run."""


def choose(layer: RecurrentLayer, engine: str, work: int) -> str:
    """The engine that runs a layer where one of `ENGINES` is asked for.

    Parameters
    ----------
    layer : RecurrentLayer
    engine : str
        A key of `ENGINES`.
    work : int
        Cell-steps of the whole run.

    Raises
    ------
    EngineError
        What was asked for is not installed.
    """
    if engine == "reference":
        return "reference"
    installed = find_spec("llvmlite") is not None
    if engine == "compiled" and not installed:
        raise EngineError(
            "The engine 'compiled' is not installed.",
            expected="the package llvmlite",
            found="none",
            hint=f"pip install llvmlite, or leave {spell('engine')} out",
        )
    plain = "numpy" if runs_in_numpy(layer) else "reference"
    worth = engine == "compiled" or (engine == "auto" and work >= COMPILING_PAYS_FROM[plain])
    return "compiled" if worth and installed and is_compiled(layer.cell) else plain


def runs_in_numpy(layer: RecurrentLayer) -> bool:
    """Whether the loop in numpy knows the layer's cell; the reference runs the others."""
    return layer.cell.kind == "lstm" and FoldedLSTM.takes(layer.cell)


@contextmanager
def one_blas_thread(limit: bool) -> Iterator[None]:
    """While the batch is split over threads, BLAS keeps to the thread that calls it."""
    if not limit:
        yield
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        yield


def prefix_lengths(mask: Array | None) -> Array | None:
    """The lengths that a mask says, if its valid steps are a plain prefix in every sequence."""
    if mask is None:
        return None
    lengths = np.count_nonzero(mask, axis=1)
    plain = bool((mask == (np.arange(mask.shape[1]) < lengths[:, None])).all())
    found: Any = lengths if plain else None
    return found  # type: ignore[no-any-return]
