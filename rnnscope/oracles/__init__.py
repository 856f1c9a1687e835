"""Engines of others that compute a layer again: TensorFlow, ONNX Runtime, Keras."""
