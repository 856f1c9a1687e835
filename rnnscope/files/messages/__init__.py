"""Structured messages: protocol buffers, FlatBuffers, XML, JSON configurations."""
