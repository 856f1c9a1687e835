"""A trace in parts: each an ordinary trace of some sequences, and a master that ties them.

The master holds no states: its arrays are HDF5 virtual datasets, for plain readers. rnnscope itself
never lets HDF5 follow them, since HDF5 reads a file that is not there as fill values: it opens the
parts, each the safe way, and names one that is missing or another than it was.
"""

from rnnscope.trace.parts.mark import PartMark
from rnnscope.trace.parts.place import PartPlace, parse_part, part_path, parts_words

__all__ = ["PartMark", "PartPlace", "parse_part", "part_path", "parts_words"]
