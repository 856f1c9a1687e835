"""Whether a graph computes what was read of it, on random inputs, step by step."""
