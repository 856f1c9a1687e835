"""Kinds of files that hold arrays, a module a kind; `opening` tells which one a file is."""
