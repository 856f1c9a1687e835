"""TensorFlow 2: object-based checkpoints and SavedModel folders."""
