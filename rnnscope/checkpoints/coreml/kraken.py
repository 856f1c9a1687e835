"""kraken's ``.mlmodel``: a Core ML message as a box for weights, computed by kraken's own layers.

What stands in the message is no graph that Core ML could run: kraken builds its network from the
VGSL specification in the metadata and computes with PyTorch's modules, which clip nothing. So the
recurrent layers are read, and those that follow each other directly read each other; pictures,
convolutions and reshapes in front are not computed.

References
----------
kraken 5: kraken/lib/vgsl.py and kraken/lib/layers.py (``TransposedSummarizingRNN.serialize``).
"""

from __future__ import annotations

import re
from typing import Any

from rnnscope.checkpoints.coreml.network.interface import NetworkScope
from rnnscope.checkpoints.coreml.network.recurrent import RECURRENT, lstm_of
from rnnscope.checkpoints.coreml.recurrence import UnknownActivation
from rnnscope.checkpoints.translated.messages import NotTranslated, OnnxModel

SPECIFICATION = "vgsl"
"""The key of the metadata that kraken writes."""

_BLOCK = re.compile(r"L(?P<direction>[frb])(?P<axis>[xy])(?P<summarise>s?)")


def is_kraken(model: Any) -> bool:
    """Whether a Model is kraken's."""
    return SPECIFICATION in model.description.metadata.userDefined


def write_kraken(model: Any, network: Any) -> tuple[OnnxModel, NetworkScope]:
    """Write the recurrent layers of a network of kraken in ONNX's operators."""
    made = OnnxModel()
    scope = NetworkScope(made.graph)
    text = model.description.metadata.userDefined[SPECIFICATION]
    follows = _follows(text)
    recurrent = [layer for layer in network.layers if layer.WhichOneof("layer") in RECURRENT]
    previous = ""
    for place, layer in enumerate(recurrent):
        name = layer.name.removesuffix("_transposed")
        params = getattr(layer, layer.WhichOneof("layer"))
        linked = previous and follows[place : place + 1] == [True]
        x = previous if linked else made.graph.input(
            f"{name}/x", 1, ["timesteps", "sequences", int(params.inputVectorSize)]
        )  # fmt: skip
        try:
            recurrence = lstm_of(scope, layer, name, [()] * 2, title="kraken", clipped=False)
            previous, _ = recurrence.write(made.graph, x)
            made.graph.output(previous)
        except (NotTranslated, UnknownActivation) as reason:
            scope.notes.append(f"Layer '{name}' is not read: {reason}.")
            previous = ""
    scope.notes.append(
        f"A model of kraken, {text[:200]}: its recurrent layers alone are read; what they are "
        "given is what kraken's layers in front of them make."
    )
    return made, scope


def _follows(text: str) -> list[bool]:
    """For each recurrent layer of a specification: whether it reads the one before it as it is."""
    found: list[bool] = []
    before: re.Match[str] | None = None
    for block in text.strip("[] ").split():
        own = _BLOCK.match(block)
        if own is None:
            before = before if block.startswith("Do") else None  # dropout does nothing
            continue
        alike = before is not None and before["axis"] == own["axis"] and not before["summarise"]
        found.append(alike)
        before = own
    return found
