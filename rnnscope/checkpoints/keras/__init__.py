"""Keras 1 to 3: configurations and weights, in HDF5 and in .keras files."""
