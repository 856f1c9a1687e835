"""Keras files that hold weights alone: what names, places and shapes tell of layers."""
