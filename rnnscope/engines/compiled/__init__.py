"""Cells whose steps are machine code, made for the CPU at hand; KERNEL.md tells how."""

from __future__ import annotations

from rnnscope.engines.compiled.layout import is_compiled
from rnnscope.engines.compiled.packed_cell import PackedCell

__all__ = ["PackedCell", "is_compiled"]
