"""Recurrences of ONNX graphs that are no recurrent operators: loops, and written-out steps."""
