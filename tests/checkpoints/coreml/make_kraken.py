"""Make ``tests/data/coreml/kraken.mlmodel`` with kraken, and what its layers compute.

    python make_kraken.py FOLDER

with kraken 5.3 and PyTorch 2.13. kraken computes with PyTorch's LSTM; c of every step comes from
feeding the first steps, or the last ones.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from kraken.lib import vgsl

FOLDER = Path(sys.argv[1])
torch.manual_seed(2)
net = vgsl.TorchVGSLModel("[1,8,0,1 Cr3,3,4 S1(8x0)1,3 Lbx3 Do Lfx4 O1c5]")
net.init_weights()
for parameter in net.nn.parameters():
    torch.nn.init.normal_(parameter, std=0.5)
net.save_model(str(FOLDER / "kraken.mlmodel"))

x = torch.randn(2, 5, 4)
truth = {"x": x.numpy()}
with torch.no_grad():
    for name, module in net.nn.named_children():
        if not name.startswith("L_"):
            continue
        y, _ = module.layer(x)
        c = []
        for direction in range(2 if module.layer.bidirectional else 1):
            cuts = [x[:, t:] if direction else x[:, : t + 1] for t in range(5)]
            c.append(torch.stack([module.layer(cut)[1][1][direction] for cut in cuts], 1))
        truth |= {f"{name}:m": y.numpy(), f"{name}:c": torch.cat(c, -1).numpy()}
        x = y
np.savez_compressed(FOLDER / "kraken.npz", **truth)
