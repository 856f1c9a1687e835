"""A graph as data: its nodes, where their values come from, what they compute of which weights."""
