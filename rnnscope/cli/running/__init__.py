"""Commands that compute states: ``run``, ``rerun``, and ``join`` for runs in parts."""
