"""Reports of test vectors, written and checked."""
