"""TensorFlow 1: Saver checkpoints, frozen graphs, SessionBundle exports."""
