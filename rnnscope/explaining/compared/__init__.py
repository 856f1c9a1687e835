"""Both sides: the run that is explained, and the reference with every way to read it."""
