"""The command ``check``: its options, and what it looks at."""
