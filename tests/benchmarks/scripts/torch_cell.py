"""c and m of every step with a loop over torch's LSTMCell, to HDF5.

python torch_cell.py FOLDER INPUT OUTPUT BATCH THREADS
"""

import sys
from pathlib import Path

import h5py
import numpy as np
import torch

folder, given, output = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
batch, threads = int(sys.argv[4]), int(sys.argv[5])
torch.set_num_threads(threads)
with np.load(folder / "weights.npz") as stored:
    kernel, recurrent, bias = (stored[name] for name in ("kernel", "recurrent", "bias"))
units = len(recurrent)
cell = torch.nn.LSTMCell(len(kernel), units)
cell.load_state_dict({
    "weight_ih": torch.tensor(kernel.T.copy()),
    "weight_hh": torch.tensor(recurrent.T.copy()),
    "bias_ih": torch.tensor(bias),
    "bias_hh": torch.zeros(4 * units),
})  # fmt: skip
x = np.load(given, mmap_mode="r")
with h5py.File(output, "w") as file, torch.inference_mode():
    size = (*x.shape[:2], units)
    kept = {name: file.create_dataset(name, size, np.float32) for name in ("c", "m")}
    for start in range(0, len(x), batch):
        part = torch.tensor(np.ascontiguousarray(x[start : start + batch].swapaxes(0, 1)))
        steps, rows = part.shape[:2]
        all_c, all_m = torch.empty(rows, steps, units), torch.empty(rows, steps, units)
        m = c = torch.zeros(rows, units)
        for step in range(steps):
            m, c = cell(part[step], (m, c))
            all_c[:, step] = c
            all_m[:, step] = m
        kept["c"][start : start + batch] = all_c.numpy()
        kept["m"][start : start + batch] = all_m.numpy()
