"""What a graph makes of what its layers return: logits, probabilities."""
