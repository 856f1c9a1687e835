"""Commands that make other files of a trace's states: ``pool`` and ``export``."""
