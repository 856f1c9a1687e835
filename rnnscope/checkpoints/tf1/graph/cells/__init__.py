"""Recognising cells in a graph by what they compute: a module a family, and FINDERS."""
