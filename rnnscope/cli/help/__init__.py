"""The command ``help``: pages, and scripts that complete in shells."""
