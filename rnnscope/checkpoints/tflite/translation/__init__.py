"""A TensorFlow Lite model told in ONNX's operators, so that one reader follows and judges both."""
