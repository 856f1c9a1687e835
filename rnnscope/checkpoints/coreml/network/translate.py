"""From the layers of a neural network to an ONNX graph in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rnnscope.checkpoints.coreml.network.interface import NetworkScope
from rnnscope.checkpoints.coreml.network.layers import LAYERS
from rnnscope.checkpoints.coreml.network.recurrent import RECURRENT
from rnnscope.checkpoints.coreml.proto import LAYER_NAMES
from rnnscope.checkpoints.coreml.recurrence import UnknownActivation
from rnnscope.checkpoints.translated.messages import NotTranslated, OnnxModel
from rnnscope.errors import CheckpointError
from rnnscope.files.guarding.limits import check_time

DOMAIN = "CoreML"

ARRAY_TYPES = {65568: 1, 65600: 1, 131104: 6, 131080: 3, 65552: 1}
"""ArrayFeatureType.ArrayDataType as ONNX's; networks compute in 32 bits whatever they are given."""

IDS = 7
KEEP_IDS = ("expandDims", "squeeze", "transpose", "permute", "reshapeStatic", "copy")
"""Layers between ids and the table that they are looked up in."""

EXACT = 1
"""Inputs have the axes that the model declares. Of others, five: (timestep, sequence, channel,
height, width); declared are the last three, or channels alone."""

LAYER_FIELDS = range(100, 2000)


def write_network(model: Any, network: Any, path: Path) -> tuple[OnnxModel, NetworkScope]:
    """Write the layers of a network in ONNX's operators.

    Raises
    ------
    CheckpointError
        Weights do not fit their layer.
    """
    made = OnnxModel()
    scope = NetworkScope(made.graph, five_axes=network.arrayInputShapeMapping != EXACT)
    read = {name for layer in network.layers if layer.WhichOneof("layer") in RECURRENT
            for name in list(layer.input)[1:]}  # fmt: skip
    ids = _read_as_ids(network)
    for feature in model.description.input:
        if feature.name in read and _is_optional(feature):
            scope.from_zeros.add(feature.name)
        else:
            scope.values[feature.name] = _write_input(scope, feature, network, feature.name in ids)
    for layer in network.layers:
        check_time(path, CheckpointError)
        _write(scope, layer)
    for feature in model.description.output:
        if feature.name in scope.values:
            made.graph.output(scope.values[feature.name])
    return made, scope


def _is_optional(feature: Any) -> bool:
    return bool(feature.type.isOptional)


def _read_as_ids(network: Any) -> set[str]:
    """Values that embeddings look up; a network declares them as floats."""
    makers = {name: layer for layer in network.layers for name in layer.output}
    found = set()
    for layer in network.layers:
        if layer.WhichOneof("layer") not in ("embedding", "embeddingND"):
            continue
        name = next(iter(layer.input), "")
        while (maker := makers.get(name)) is not None and maker.WhichOneof("layer") in KEEP_IDS:
            name = next(iter(maker.input), "")
        found.add(name)
    return found


def _write_input(scope: NetworkScope, feature: Any, network: Any, ids: bool) -> str:
    array = feature.type.multiArrayType
    kind = IDS if ids else ARRAY_TYPES.get(array.dataType, 1)
    stated = [int(size) for size in array.shape]
    ranges = [one.upperBound != one.lowerBound for one in array.shapeRange.sizeRanges]
    dims: list[int | str] = [
        "" if ranges[axis : axis + 1] == [True] else size for axis, size in enumerate(stated)
    ]
    if network.arrayInputShapeMapping == EXACT:
        return scope.made.input(feature.name, kind, dims)
    if len(stated) == 1:
        key = scope.made.input(feature.name, kind, ["timesteps", "sequences", *dims])
        return scope.made.one("Unsqueeze", [key, scope.made.ints([3, 4])], f"{feature.name}/axes")
    return scope.made.input(feature.name, kind, ["timesteps", "sequences", *dims])


def _write(scope: NetworkScope, layer: Any) -> None:
    kind = layer.WhichOneof("layer")
    reason = "is not read"
    made: list[str] = []
    if kind in LAYERS:
        try:
            made = list(LAYERS[kind](scope, layer, getattr(layer, kind)))
        except NotTranslated as error:
            reason = str(error)
        except UnknownActivation as error:
            reason = f"has the activation {error}"
    if not made:
        kind = kind or _unread_kind(layer)
        if kind in RECURRENT or kind in ("loop", "branch"):
            scope.notes.append(f"Layer '{layer.name}' of type {kind} {reason}.")
        reads = [scope.values[name] for name in layer.input if name in scope.values]
        made = list(
            scope.made.node(kind, reads, layer.name, max(1, len(layer.output)), domain=DOMAIN)
        )
    scope.values.update(zip(layer.output, made, strict=False))


def _unread_kind(layer: Any) -> str:
    """What kind of layer it is whose parameters are not read."""
    from google.protobuf.unknown_fields import UnknownFieldSet

    held: Any = UnknownFieldSet(layer)
    numbers = [field.field_number for field in held]
    number = next((one for one in numbers if one in LAYER_FIELDS), 0)
    return LAYER_NAMES.get(number, f"layer {number}")
