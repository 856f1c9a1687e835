"""A folder of vectors: its files, written and read."""
