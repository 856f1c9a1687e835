"""The pass of `rnnscope.comparing.block_difference` as machine code."""

from __future__ import annotations

from rnnscope.comparing.compiled.compiled_pass import CompiledPass

__all__ = ["CompiledPass"]
