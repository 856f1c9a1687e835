"""Computing values of an ONNX graph on OPS, within limits of work, and small trials of it."""
