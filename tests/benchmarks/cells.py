"""How fast the compiled steps of every cell are: beside peers, and beside the plain LSTM.

    python tests/benchmarks/cells.py [--repeat N] [--threads N] [--avx2] [--only WORD] [--json FILE]

A contest has a few contenders that take turns in one process, round after round; ratios to the
first are taken within a round, and their median is shown. A peer that is not installed is left out.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

from cell_cases import cell_of, layer_with
from machine import described, installed, machine
from narrow_vectors import hold_onnxruntime, hold_rnnscope, hold_torch

from rnnscope.engines.choose import LayerEngine, one_blas_thread, prefix_lengths
from rnnscope.engines.workspace import Workspace
from rnnscope.model.cell import Array, CellSpec, reorder_gates

Run = Callable[[], Any]
Shape = tuple[int, int, int, int]
"""(batch, time, in, units)."""

BATCH: Shape = (32, 100, 128, 256)
LARGE: Shape = (64, 200, 256, 512)
WIDE: Shape = (256, 50, 64, 128)
ALONE: Shape = (1, 2000, 64, 128)
PACKAGES = ("rnnscope", "numpy", "llvmlite", "onnxruntime", "torch")
SETTLE_SECONDS = 0.05
CALLS = 2

ONNX_ORDER = {"lstm": ("i", "o", "f", "g"), "gru": ("z", "r", "n"), "simple_rnn": ("m",)}
OUR_ORDER = {"lstm": ("i", "f", "g", "o"), "gru": ("r", "z", "n"), "simple_rnn": ("m",)}
ONNX_OP = {"lstm": "LSTM", "gru": "GRU", "simple_rnn": "RNN"}
ONNX_NAMES = {"sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "Relu", "hard_sigmoid": "HardSigmoid"}


def drawn(name: str, shape: Shape, dtype: str = "float32", **more: Any) -> tuple[CellSpec, Array]:
    """A cell of `cell_cases`, and its input (sequence, timestep, feature)."""
    rng = np.random.default_rng(7)
    batch, steps, features, units = shape
    cell = cell_of(rng, name, features, units, dtype, **more)
    return cell, rng.standard_normal((batch, steps, features)).astype(dtype)


def ours(
    cell: CellSpec, x: Array, threads: int, *, gates: bool = False, mask: Array | None = None
) -> Run:
    """A call of the compiled engine, as a run does it slice after slice."""
    engine = LayerEngine(
        layer_with(cell), engine="compiled", gates=gates, threads=threads,
        pool=ThreadPoolExecutor(threads), sequences=len(x),
    )  # fmt: skip
    assert engine.name == "compiled", cell.kind
    workspace, lengths = Workspace(), prefix_lengths(mask)
    return lambda: engine.run(x, mask, lengths, workspace=workspace)


def onnxruntime(cell: CellSpec, x: Array, threads: int) -> Run:
    """A session of the operator, time-major as it likes it; it gives m alone."""
    import onnxruntime as runtime  # type: ignore[import-untyped]
    from onnx import TensorProto, helper, numpy_helper

    order, weights = OUR_ORDER[cell.kind], cell.weights

    def stored(array: Array, name: str) -> Any:
        turned = reorder_gates(array, order, order=ONNX_ORDER[cell.kind])
        return numpy_helper.from_array(np.ascontiguousarray(turned.T[None]), name)

    second = getattr(weights, "recurrent_bias", None)
    second = np.zeros_like(weights.bias) if second is None else second
    both = np.concatenate(
        [reorder_gates(bias, order, order=ONNX_ORDER[cell.kind]) for bias in (weights.bias, second)]
    )
    settings: dict[str, Any] = {"hidden_size": cell.num_units}
    if cell.kind == "gru":
        settings["linear_before_reset"] = int(cell.options.reset_after.value)
    if cell.kind == "lstm":
        options = cell.options
        used = (options.recurrent_activation, options.activation, options.output_activation)
        settings["activations"] = [ONNX_NAMES[option.value] for option in used]
        if used[0].value == "hard_sigmoid":
            settings |= {"activation_alpha": [0.2], "activation_beta": [0.5]}
    node = helper.make_node(ONNX_OP[cell.kind], ["X", "W", "R", "B"], ["Y"], **settings)
    graph = helper.make_graph(
        [node], "cell",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, None, cell.input_size])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, None)],
        [stored(weights.kernel, "W"), stored(weights.recurrent_kernel, "R"),
         numpy_helper.from_array(both[None], "B")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = runtime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    turned = np.ascontiguousarray(x.swapaxes(0, 1))
    made = session.run(None, {"X": turned})[0][:, 0].swapaxes(0, 1)
    differs = float(np.abs(made - ours(cell, x, threads)().m).max())
    assert differs < 1e-4, f"ONNX Runtime differs by {differs}"
    return lambda: session.run(None, {"X": turned})


def torch(cell: CellSpec, x: Array, threads: int) -> Run:
    """The module of the same size and dtype; it gives m alone."""
    import torch as framework

    framework.set_num_threads(threads)
    kind = {"lstm": "LSTM", "gru": "GRU", "simple_rnn": "RNN"}[cell.kind]
    dtype = getattr(framework, cell.dtype.name)
    module = getattr(framework.nn, kind)(cell.input_size, cell.num_units, dtype=dtype)
    turned = framework.tensor(np.ascontiguousarray(x.swapaxes(0, 1)))

    def run() -> Any:
        with framework.inference_mode():
            return module(turned)[0]

    return run


def contests(threads: int) -> dict[str, Callable[[], dict[str, Run]]]:
    """What is compared, by name: the first contender is what the others are a part of."""

    def beside(peer: Callable[..., Run], *case: Any) -> Callable[[], dict[str, Run]]:
        def made() -> dict[str, Run]:
            cell, x = drawn(*case)
            return {peer.__name__: peer(cell, x, threads), "rnnscope": ours(cell, x, threads)}

        return made

    found = {
        f"{name}, {shape[0]} x {shape[1]}": beside(onnxruntime, name, shape)
        for name in ("gru, reset before", "gru, reset after", "rnn", "lstm", "lstm, relu",
                     "lstm, hard sigmoid")
        for shape in (BATCH, WIDE, ALONE)
    }  # fmt: skip
    found |= {
        f"float64 lstm, {shape[0]} x {shape[1]}": beside(torch, "lstm", shape, "float64")
        for shape in (BATCH, LARGE, ALONE)
    }
    return {**found, "lstm and what it may be asked for": lambda: _extras(threads)}


def _extras(threads: int) -> dict[str, Run]:
    """The plain LSTM, and the same with more to do."""
    cell, x = drawn("lstm", BATCH)
    rng = np.random.default_rng(3)
    holes = rng.random(x.shape[:2]) < 0.7
    others = ("lstm, everything", "coupled", "layer norm", "gru, reset before")
    return {
        "plain": ours(cell, x, threads),
        "gates": ours(cell, x, threads, gates=True),
        "mask with holes (0.7 valid)": ours(cell, x, threads, mask=holes),
        "softsign": ours(drawn("lstm", BATCH, activation="softsign")[0], x, threads),
        **{name: ours(drawn(name, BATCH)[0], x, threads) for name in others},
    }


def race(runs: dict[str, Run], repeat: int) -> dict[str, list[float]]:
    """Seconds of each contender, round after round."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(repeat):
        for name, run in runs.items():
            time.sleep(SETTLE_SECONDS)
            run()
            taken = []
            for _ in range(CALLS):
                started = time.perf_counter()
                run()
                taken.append(time.perf_counter() - started)
            seconds[name].append(min(taken))
    return seconds


def judged(seconds: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Medians in milliseconds, and ratios to the first contender."""
    first = next(iter(seconds.values()))
    return {
        name: {
            "ms": round(statistics.median(taken) * 1e3, 2),
            "ratio": round(statistics.median(a / b for a, b in zip(taken, first, strict=True)), 2),
            "of_least": round(min(taken) / min(first), 2),
        }
        for name, taken in seconds.items()
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeat", type=int, default=9, help="rounds (default 9)")
    parser.add_argument("--threads", type=int, default=2, help="of each contender (default 2)")
    parser.add_argument("--avx2", action="store_true", help="keep all to AVX2's vectors")
    parser.add_argument("--only", default="", help="contests whose name has this in it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    given = parser.parse_args()
    if given.avx2:
        for hold in (hold_rnnscope, hold_torch, hold_onnxruntime):
            with contextlib.suppress(ImportError):
                hold()
    on = machine(*PACKAGES)
    print(described(on), flush=True)
    results: dict[str, Any] = {}
    with one_blas_thread(limit=True):
        for name, prepare in contests(given.threads).items():
            if given.only not in name:
                continue
            try:
                runs = prepare()
            except ImportError as error:
                print(f"\n{name}: left out, {error}")
                continue
            results[name] = judged(race(runs, given.repeat))
            print(f"\n{name}")
            for label, row in results[name].items():
                print(f"  {label:<30}{row['ms']:>9.2f} ms  {row['ratio']:>6.2f}  "
                      f"(of the least {row['of_least']:.2f})", flush=True)  # fmt: skip
    if given.json:
        given.json.write_text(
            json.dumps({"machine": on, "avx2": given.avx2, "contests": results}, indent=1) + "\n"
        )
    return 0 if results and installed("llvmlite") else 1


if __name__ == "__main__":
    sys.exit(main())
