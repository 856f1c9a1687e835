"""Whether what was read of an ONNX graph computes what the graph computes."""
