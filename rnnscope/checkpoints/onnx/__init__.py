"""ONNX models: recurrent operators and what stands between them."""
