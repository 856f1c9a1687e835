"""What enters a layer of a graph: its x, its lengths or mask, what it starts from."""
