"""Bytes in files as named arrays and messages, read lazily and with limits; no model yet."""
