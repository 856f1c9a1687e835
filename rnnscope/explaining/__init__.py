"""Why numbers differ: which reading of a model, its input and a reference makes them agree."""
