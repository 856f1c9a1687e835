"""Commands that compare: ``diff``, and ``explain`` for why numbers differ."""
