"""Evaluating a stored TensorFlow graph op by op: for proofs, fronts and graph cells."""
