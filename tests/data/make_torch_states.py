"""States as ``torch.save`` writes them, for the tests of comparing checkpoints: needs torch alone.

    python make_torch_states.py torch_states

``tuple.pt`` is what ``nn.LSTM`` returns, ``(output, (h_n, c_n))``; ``dict.pt`` its states by name;
``truth.npz`` the same numbers as numpy has them. Made with torch 2.13.0.
"""

import sys
from pathlib import Path

import numpy as np
import torch

folder = Path(sys.argv[1])
torch.manual_seed(0)
lstm = torch.nn.LSTM(2, 3, batch_first=True)
with torch.no_grad():
    output, (h, c) = lstm(torch.randn(2, 4, 2))
torch.save((output, (h, c)), folder / "tuple.pt")
torch.save({"h_n": h, "c_n": c}, folder / "dict.pt")
np.savez(folder / "truth.npz", output=output.numpy(), h_n=h.numpy(), c_n=c.numpy())
