"""Where a trace lies: HDF5 files and zarr stores behind one small interface."""
