"""Tars and zips whose members are read as files, and what a file is by its first bytes."""
