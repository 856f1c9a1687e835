"""Errors, for people and for programs."""
