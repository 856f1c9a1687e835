"""Make ``tests/data/xlstm``: sLSTM layers of the package xlstm, and the states they compute.

    python make_xlstm.py FOLDER

with xlstm 2.0 and PyTorch 2.13, by xlstm's plain implementation. ``cuda.safetensors`` holds the
same layer as the CUDA kernels keep it, by xlstm's own conversion. The truth: x and the four states
of every step (y, c, n, m in xlstm's words), by feeding the first steps.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from xlstm import sLSTMLayer, sLSTMLayerConfig
from xlstm.blocks.slstm.cell import sLSTMCell_cuda, sLSTMCellConfig

FOLDER = Path(sys.argv[1])
torch.manual_seed(0)
TRUTH = {}
SIZES = {"embedding_dim": 6, "num_heads": 2}


def layer(**options):
    exact = {"dtype": "float32", "enable_automatic_mixed_precision": False}
    made = sLSTMLayer(sLSTMLayerConfig(**SIZES, **exact, backend="vanilla", **options))
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return made.eval()


@torch.no_grad()
def keep(name, module, x):
    states = [
        module(x[:, : t + 1], return_last_state=True)[1]["slstm_state"] for t in range(x.shape[1])
    ]
    y, c, n, m = torch.stack(states, 2)
    TRUTH.update({f"{name}:x": x.numpy(), f"{name}:m": y.numpy(), f"{name}:c": c.numpy(),
                  f"{name}:n": n.numpy(), f"{name}:stabilizer": m.numpy()})  # fmt: skip


x = torch.randn(2, 7, 6) * 2
first = layer()
keep("layer", first, x)
torch.save(first.state_dict(), FOLDER / "layer.pt")

arrays = {f"blocks.0.xlstm.{key}": value for key, value in first.state_dict().items()}
config = sLSTMCellConfig(hidden_size=6, num_heads=2, backend="vanilla", dtype="float32")
other = sLSTMCell_cuda(config, skip_backend_init=True)
other._recurrent_kernel_.data = other._recurrent_kernel_ext2int(
    first.slstm_cell._recurrent_kernel_int2ext(first.slstm_cell._recurrent_kernel_.data)
)
other._bias_.data = other._bias_ext2int(
    first.slstm_cell._bias_int2ext(first.slstm_cell._bias_.data)
)
for key in ("_recurrent_kernel_", "_bias_"):
    arrays[f"blocks.0.xlstm.slstm_cell.{key}"] = getattr(other, key).data.contiguous()
arrays["lm_head.weight"] = torch.zeros(3, 6)
save_file({key: value.contiguous() for key, value in arrays.items()}, FOLDER / "cuda.safetensors")

plain = layer(conv1d_kernel_size=0)
keep("plain", plain, x)
torch.save(plain.state_dict(), FOLDER / "plain.pt")
np.savez_compressed(FOLDER / "truth.npz", **TRUTH)
