"""m of every step with ONNX Runtime, to HDF5: no c, which its LSTM does not give.

python onnx_m.py FOLDER INPUT OUTPUT BATCH THREADS
"""

import sys
from pathlib import Path

import h5py
import numpy as np
import onnxruntime

folder, given, output = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
batch, threads = int(sys.argv[4]), int(sys.argv[5])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = threads
session = onnxruntime.InferenceSession(
    folder / "model.onnx", options, providers=["CPUExecutionProvider"]
)
x = np.load(given, mmap_mode="r")
with h5py.File(output, "w") as file:
    m = None
    for start in range(0, len(x), batch):
        part = np.ascontiguousarray(x[start : start + batch].swapaxes(0, 1))
        made = session.run(None, {"X": part})[0][:, 0].swapaxes(0, 1)
        if m is None:
            m = file.create_dataset("m", (*x.shape[:2], made.shape[2]), np.float32)
        m[start : start + batch] = made
