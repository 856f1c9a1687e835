"""The axes of a model's inputs: named for people, and brought into rnnscope's order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rnnscope.checkpoints.onnx.evaluation.trial import ModelInputs
from rnnscope.checkpoints.onnx.network.wiring import OnnxWiring
from rnnscope.model.layers import Permute
from rnnscope.model.layers.evaluated import EvaluatedMask, EvaluatedPiece
from rnnscope.model.network import Node

NAMES = {"batch": "sequence", "time": "timestep", "feature": "feature"}


def named_axes(
    inputs: ModelInputs, batch_axes: Mapping[str, int | None]
) -> dict[str, tuple[str, ...]]:
    """What each axis of each input is: a name of ours, else the name or size that the file has."""
    found = {}
    for name in inputs.graph.inputs:
        dims = inputs.dims(name)
        roles = inputs.roles.get(name, ())
        if dims is None:
            dims = [""] * len(roles)
        if not dims or name in inputs.lengths | inputs.states:
            continue
        words = [
            NAMES.get(role, "") or str(size) or "open"
            for size, role in zip(dims, (*roles, *[""] * len(dims)), strict=False)
        ]
        place = batch_axes.get(name)
        if place is not None:
            words[place] = "sequence"
        found[name] = tuple(words)
    return found


def turn_inputs(wiring: OnnxWiring, inputs: ModelInputs) -> None:
    """Let layers read (sequence, timestep, feature) of inputs that have features before timesteps.

    An input of the network has the file's axes, those of sequences in front.
    """
    for name, roles in inputs.roles.items():
        if tuple(role for role in roles if role != "batch") != ("feature", "time"):
            continue
        turned = wiring.unique(f"{name}/turned")
        changed = {
            node.name: replace(
                node, reads=tuple(turned if read == name else read for read in node.reads)
            )
            for node in wiring.nodes.values()
            if name in node.reads and not isinstance(node.layer, (EvaluatedPiece, EvaluatedMask))
        }
        if changed:
            wiring.nodes.update(changed)
            wiring.nodes[turned] = Node(turned, Permute((2, 1)), (name,))
