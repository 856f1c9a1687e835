"""What becomes of each layer once the graph was asked: proved, evaluated, or refused."""
