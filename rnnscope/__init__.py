"""rnnscope looks inside a saved recurrent network: c and m of every timestep, from data alone."""

__version__ = "0.1.0"
