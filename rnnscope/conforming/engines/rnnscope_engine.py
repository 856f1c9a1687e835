"""rnnscope's own compiled steps, held to the same truth."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from rnnscope import __version__
from rnnscope.conforming.case import Answer, Case
from rnnscope.conforming.engines.interface import NotOffered
from rnnscope.engines.choose import LayerEngine


class RnnscopeEngine:
    """What a large ``rnnscope run`` computes with, in the case's own dtype."""

    gives: ClassVar[str] = "m and c of every step"
    version = f"rnnscope {__version__}, compiled steps"

    def run(self, case: Case) -> Answer:
        """The compiled steps of each direction."""
        if case.dtype == np.float16:
            raise NotOffered("rnnscope computes weights of float16 in float32")
        found = []
        for number, layer in enumerate(case.layers):
            engine = LayerEngine(layer, engine="compiled", sequences=len(case.x))
            states = engine.run(case.x, case.mask, case.lengths, case.start(number))
            arrays = {"outputs": states.outputs, "final_m": states.final["m"]}
            if "c" in states.states:
                arrays |= {"c": states.states["c"], "final_c": states.final["c"]}
            found.append(arrays)
        return tuple(found)

    def close(self) -> None:
        """Nothing runs beside this process."""
