"""Readings tried one after another, and numbers solved for."""
