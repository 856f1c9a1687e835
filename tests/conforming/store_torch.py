"""Stores what PyTorch makes of some cases: ``python tests/conforming/store_torch.py``, with torch.

Torch is in no test environment, since it is large; what it computed is in ``tests/data``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rnnscope.conforming.corpus import cases
from rnnscope.conforming.engines import make_engine

STORED = Path(__file__).resolve().parents[1] / "data/conforming/torch.npz"
NAMES = (
    "lstm/initial/given",
    "lstm/dtypes/float64-steps-40-initial",
    "lstm/lengths/mixed-bidirectional",
    "lstm/projection/to-2-bidirectional",
    "lstm/layout/time-first-lengths",
    "lstm/forget-bias/1",
    "gru/directions/bidirectional-initial-reset-after",
    "gru/lengths/batch-1-reset-after",
    "rnn/directions/bidirectional-initial",
    "rnn/activations/relu",
)


def main():
    engine = make_engine("torch")
    arrays = {"version": np.array(engine.version)}
    for name in NAMES:
        for number, one in enumerate(engine.run(next(cases(only=name)))):
            arrays |= {f"{name}:{number}:{array}": value for array, value in one.items()}
    STORED.parent.mkdir(exist_ok=True)
    np.savez_compressed(STORED, **arrays)


if __name__ == "__main__":
    main()
