"""Keras' Bidirectional wrapper: two recurrent layers and the join of what they return."""

from __future__ import annotations

from dataclasses import replace

from rnnscope.checkpoints.keras.cells.options import go_backwards, note_options, padding_inside
from rnnscope.checkpoints.keras.layer_entry import own_class
from rnnscope.checkpoints.keras.layer_steps import (
    BuiltLayer,
    LayerStep,
    StepOutput,
    StoredLayer,
    unsupported,
)
from rnnscope.checkpoints.keras.left_states import left_states
from rnnscope.checkpoints.keras.recurrent import (
    LAYER_CLASSES,
    NOT_BUILT,
    build_recurrent,
    not_built,
    read_cells,
    recurrent_steps,
    turned,
    variable_count,
)
from rnnscope.errors import CheckpointError
from rnnscope.files.messages.json_config import ConfigView
from rnnscope.model.layers import BidirectionalMerge
from rnnscope.model.layers.merges import BIDIRECTIONAL_MODES
from rnnscope.model.recurrent_layer import RecurrentLayer


def build_bidirectional(stored: StoredLayer) -> BuiltLayer:
    """Both directions, each with its own name, and their join."""
    forward = stored.config.view("layer")
    class_name = own_class(forward)
    config = forward.view("config")
    mode = stored.config.raw("merge_mode", "concat")
    if mode not in (None, *BIDIRECTIONAL_MODES):
        raise CheckpointError(
            f"Layer '{stored.name}' has no usable 'merge_mode'.",
            where=stored.config.where,
            expected=", ".join(BIDIRECTIONAL_MODES) + " or null",
            found=str(mode)[:80],
        )
    if class_name not in LAYER_CLASSES and class_name != "RNN":
        return unsupported(stored, f"wraps a {class_name}, which is not computed")
    second_class, second_config = _backward_layer(stored, class_name, config)
    if mode is None and not go_backwards(second_config).value:
        return unsupported(stored, "returns a turned round forward direction, not computed")
    if second_class not in LAYER_CLASSES and second_class != "RNN":
        return unsupported(stored, f"wraps a {second_class}, which is not computed")
    sizes = (variable_count(class_name, config), variable_count(second_class, second_config))
    parts = stored.weights.parts("forward_layer", "backward_layer", sizes=sizes)
    first = read_cells(stored, class_name, config, parts[0])
    second = read_cells(stored, second_class, second_config, parts[1])
    for cells in (first, second):
        if isinstance(cells, str):
            return unsupported(stored, cells)
    assert not isinstance(first, str)
    assert not isinstance(second, str)
    left = (
        left_states(first.states, config, parts[0]),
        left_states(second.states, second_config, parts[1]),
    )
    note_options(stored, config, has_left_states=bool(left[0]))
    note_options(stored, second_config, has_left_states=bool(left[1]))
    count = sum(len(names) for names in first.states)
    return _joined(
        recurrent_steps(
            first,
            config,
            padding_inside(stored, config),
            base=_prefixed("forward_", config, stored),
            left=left[0],
        ),
        recurrent_steps(
            second,
            second_config,
            padding_inside(stored, second_config),
            base=_prefixed("backward_", second_config, stored),
            first_state=count,
            left=left[1],
        ),
        mode,
    )


def _backward_layer(
    stored: StoredLayer, class_name: str, forward: ConfigView
) -> tuple[str, ConfigView]:
    """The second direction: as stored, or the first one turned round (files before TF 2.1)."""
    if isinstance(stored.config.raw("backward_layer"), dict):
        own = stored.config.view("backward_layer")
        return own_class(own), own.view("config")
    # Keras 3 has prefixed the stored name already.
    name = forward.get("name", str, "lstm").removeprefix("forward_")
    other = not forward.get("go_backwards", bool, False)
    return class_name, replace(forward, data={**forward.data, "go_backwards": other, "name": name})


def _prefixed(prefix: str, config: ConfigView, stored: StoredLayer) -> str:
    name = config.get("name", str, "lstm")
    if name.startswith(prefix):
        return f"/{name}"
    # A backward layer of one's own keeps its name in Keras 3.
    own = (
        prefix == "backward_"
        and stored.dialect.number >= (3,)
        and (stored.config.raw("backward_layer") is not None)
    )
    return f"/{name}" if own else f"/{prefix}{name}"


def _joined(first: BuiltLayer, second: BuiltLayer, mode: str | None) -> BuiltLayer:
    backward = _told_by_wrapper(second)
    layer = backward.steps[-1].layer
    assert isinstance(layer, RecurrentLayer)
    names = (first.steps[-1].suffix, backward.steps[-1].suffix)
    steps = (*first.steps, *turned(backward).steps)
    states = (*first.outputs[1:], *backward.outputs[1:])
    no_states = first.takes_no_states or second.takes_no_states
    if mode is None:
        outputs = (StepOutput(names[0]), StepOutput(names[1]), *states)
        return BuiltLayer(steps, outputs, no_states)
    # The wrapper turns the second direction's outputs round, whichever way that one reads.
    merge = BidirectionalMerge(mode, flip_second=not layer.backward.value)
    return BuiltLayer(
        (*steps, LayerStep("", merge, reads=names)),
        (StepOutput(), *states),
        no_states,
    )


def _told_by_wrapper(built: BuiltLayer) -> BuiltLayer:
    """With the wrapper named as what says that the second direction reads backwards."""
    steps = []
    for step in built.steps:
        layer = step.layer
        assert isinstance(layer, RecurrentLayer)
        detail = "Bidirectional" if layer.backward.value else layer.backward.detail
        told = replace(layer, backward=replace(layer.backward, detail=detail))
        steps.append(replace(step, layer=told))
    return replace(built, steps=tuple(steps))


RECURRENT_BUILDERS = {
    **dict.fromkeys((*LAYER_CLASSES, "RNN"), build_recurrent),
    "Bidirectional": build_bidirectional,
    **dict.fromkeys(NOT_BUILT, not_built),
}
"""What builds each recurrent Keras class."""
