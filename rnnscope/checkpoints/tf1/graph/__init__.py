"""Reading cells and their wiring from a TensorFlow 1 graph, by data flow."""
