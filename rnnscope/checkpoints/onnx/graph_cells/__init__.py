"""Recurrent computations of ONNX graphs that are no recurrent operators: loops, written-out steps."""
