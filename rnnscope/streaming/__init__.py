"""Sequences that are fed in chunks: that the state carries over, and who loses it on the way."""
