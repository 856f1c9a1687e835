"""OPS: every operation by name. Adding one is a line in the table of its family."""

from __future__ import annotations

from rnnscope.model.ops.activations import ACTIVATIONS
from rnnscope.model.ops.elementwise import ELEMENTWISE
from rnnscope.model.ops.indexing import INDEXING
from rnnscope.model.ops.interface import Operation
from rnnscope.model.ops.linear import LINEAR
from rnnscope.model.ops.normalisation import NORMALISATION
from rnnscope.model.ops.quantised import QUANTISED
from rnnscope.model.ops.reductions import REDUCTIONS
from rnnscope.model.ops.shapes import SHAPES
from rnnscope.model.ops.spectra import SPECTRA

OPS: dict[str, Operation] = {
    **ELEMENTWISE,
    **ACTIVATIONS,
    **SHAPES,
    **INDEXING,
    **REDUCTIONS,
    **LINEAR,
    **NORMALISATION,
    **QUANTISED,
    **SPECTRA,
}
