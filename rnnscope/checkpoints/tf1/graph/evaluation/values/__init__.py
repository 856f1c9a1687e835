"""Values of tensors: a graph's ops as calls of OPS, its loops and its lists."""
