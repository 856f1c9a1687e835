"""From cells to layers: which are one, what stands around them, and the network of them."""
