"""From the nodes of an ONNX graph to the layers of a `Network`."""
