"""A cell that is no stock cell, by the file's own graph: rnnscope's evaluator beside TensorFlow's.

    python tests/benchmarks/graphs.py [--repeat N] [--threads N] [--json FILE] [--check]

A minimal gated unit (Zhou et al., 2016) in a loop of TensorFlow 1, of either control flow; 32
sequences of 100 steps, 64 features, 128 units. TensorFlow's session computes its outputs, the
evaluator its state and outputs; they take turns, and the outputs are compared first.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from machine import described, machine

SIZE = (32, 100, 64, 128)
"""Sequences, timesteps, features, units."""

BAR = 20.0
"""The most that the evaluator may take, as a part of the session's time."""

LARGEST_DIFFERENCE = 1e-4
PACKAGES = ("rnnscope", "numpy", "tensorflow")


def build(folder: Path, second: bool) -> Any:
    """Save the model; a function that runs TensorFlow's session on an input."""
    import tensorflow as tf

    tf1 = tf.compat.v1
    _, _, features, units = SIZE
    graph = tf1.Graph()
    with graph.as_default():
        (tf1.enable_control_flow_v2 if second else tf1.disable_control_flow_v2)()
        x = tf1.placeholder(tf.float32, [None, None, features], name="x")
        with tf1.variable_scope("rnn/mgu"):
            kernels = {
                part: tf1.get_variable(
                    f"{part}_kernel", [features + units, units],
                    initializer=tf1.glorot_uniform_initializer(seed=number),
                )
                for number, part in enumerate(("gate", "candidate"))
            }  # fmt: skip
        turned = tf1.transpose(x, [1, 0, 2])
        steps = tf1.shape(turned)[0]
        inputs = tf1.TensorArray(tf.float32, steps).unstack(turned)

        def body(step: Any, m: Any, written: Any) -> Any:
            here = inputs.read(step)
            here.set_shape([None, features])
            gate = tf1.sigmoid(tf1.matmul(tf1.concat([here, m], 1), kernels["gate"]))
            read = tf1.matmul(tf1.concat([here, gate * m], 1), kernels["candidate"])
            new = (1 - gate) * m + gate * tf1.tanh(read)
            return step + 1, new, written.write(step, new)

        zeros = tf1.zeros([tf1.shape(turned)[1], units])
        start = (0, zeros, tf1.TensorArray(tf.float32, steps))
        _, _, written = tf1.while_loop(lambda step, *_: step < steps, body, start)
        outputs = tf1.transpose(written.stack(), [1, 0, 2], name="outputs")
        threads = int(os.environ["BENCHMARK_THREADS"])
        session = tf1.Session(config=tf1.ConfigProto(
            intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads,
        ))  # fmt: skip
        session.run(tf1.global_variables_initializer())
        tf1.train.Saver().save(session, str(folder / "model.ckpt"))
    return lambda values: session.run(outputs, {x: values})


def evaluator(folder: Path) -> Any:
    """A function that evaluates the graph as ``rnnscope run`` does."""
    from rnnscope.checkpoints import read_checkpoint

    (node,) = read_checkpoint(folder / "model.ckpt").network.recurrent
    assert node.recurrent is not None
    computation = node.recurrent.cell.weights
    return lambda values: computation.run(values, None, {}).outputs


def measure(second: bool, repeat: int) -> dict[str, Any]:
    """Both in turns, in this process."""
    import numpy as np

    from rnnscope.engines.choose import one_blas_thread

    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name, one_blas_thread(True):
        theirs, ours = build(Path(name), second), evaluator(Path(name))
        taken: dict[str, list[float]] = {"TensorFlow session": [], "rnnscope": []}
        for number in range(repeat + 1):
            # Another input each time: the evaluator knows one that it has just seen.
            values = rng.standard_normal(SIZE[:3]).astype(np.float32)
            made = []
            for peer, run in zip(taken, (theirs, ours), strict=True):
                started = time.perf_counter()
                made.append(run(values))
                if number:
                    taken[peer].append(time.perf_counter() - started)
            difference = float(np.abs(made[0] - made[1]).max())
            if not difference <= LARGEST_DIFFERENCE:
                raise SystemExit(f"The two differ by {difference:.2g}.")
    ratios = [b / a for a, b in zip(*taken.values(), strict=True)]
    return {
        "seconds": taken,
        "difference": difference,
        "ratio": round(statistics.median(ratios), 2),
        "of_least": round(min(taken["rnnscope"]) / min(taken["TensorFlow session"]), 2),
    }


def main() -> int:
    """Measure, print, and judge if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeat", type=int, default=15, help="rounds (default 15)")
    parser.add_argument("--threads", type=int, default=2, help="TensorFlow's (default 2)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    parser.add_argument("--check", action="store_true", help="exit with 1 if the bar is not kept")
    parser.add_argument("--one", choices=("v1", "v2"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["BENCHMARK_THREADS"] = str(given.threads)
    if given.one:
        print(json.dumps(measure(given.one == "v2", given.repeat)))
        return 0
    on = machine(*PACKAGES)
    print(described(on), flush=True)
    results = {}
    for kind in ("v1", "v2"):
        command = [sys.executable, __file__, "--one", kind, "--repeat", str(given.repeat),
                   "--threads", str(given.threads)]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = done.stderr.strip().rpartition("\n")[2]
            print(f"control flow {kind}: failed: {last}"[:200])
            continue
        found = results[kind] = json.loads(done.stdout.strip().rpartition("\n")[2])
        shown = ", ".join(f"{peer} {statistics.median(seconds) * 1e3:.1f} ms"
                          for peer, seconds in found["seconds"].items())  # fmt: skip
        print(f"control flow {kind}: {shown}; rnnscope / session {found['ratio']}, "
              f"of the least {found['of_least']}, bar {BAR:g}", flush=True)  # fmt: skip
    if given.json:
        whole = {"machine": on, "size": SIZE, "bar": BAR, "results": results}
        given.json.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    kept = results and all(found["ratio"] <= BAR for found in results.values())
    return 1 if given.check and not kept else 0


if __name__ == "__main__":
    sys.exit(main())
