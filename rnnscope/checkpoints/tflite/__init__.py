"""TensorFlow Lite: FlatBuffers of one graph or several, whose operators are told as ONNX's."""
