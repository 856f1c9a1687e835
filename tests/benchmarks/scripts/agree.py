"""The largest difference of c and m between a trace of rnnscope and the file of a script.

python agree.py TRACE OUTPUT
"""

import sys

import h5py
import numpy as np

with h5py.File(sys.argv[1]) as trace, h5py.File(sys.argv[2]) as other:
    paths = []
    trace.visit(paths.append)  # goes on as long as it is answered with None
    states = {
        path[-1]: trace[path]
        for path in paths
        if path.endswith(("/c", "/m")) and trace[path].ndim == 3
    }
    largest = 0.0
    for name in ("c", "m"):
        if name in other:
            for start in range(0, len(other[name]), 128):
                part = slice(start, start + 128)
                difference = np.abs(states[name][part] - other[name][part]).max()
                largest = max(largest, float(difference))
print(largest)
