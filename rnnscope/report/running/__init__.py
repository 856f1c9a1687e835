"""Reports of runs and of pooled states."""
