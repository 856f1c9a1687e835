"""HDF5 files of strangers: probed first, then opened without following what they point at."""
