"""An ONNX file as a graph: its messages, tensors, nodes in order, constants and axes."""
