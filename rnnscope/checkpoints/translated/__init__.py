"""Graphs of other formats told in ONNX's operators.

So one walk, one proof and one evaluation serve them all. A translation states every operator of its
format once, in a table.
"""
