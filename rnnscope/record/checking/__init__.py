"""Checks of what is there: a trace, bare arrays, a saved model."""
