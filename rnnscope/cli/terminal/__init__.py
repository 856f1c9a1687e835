"""What is printed: results, errors, progress, and what the terminal at hand can do."""
