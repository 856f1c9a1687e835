"""Commands that look: ``inspect``, ``show``, ``plot``, ``report`` and ``view``."""
