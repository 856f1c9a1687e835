"""Keras' recurrent layers and wrappers: LSTM, CuDNNLSTM, RNN of LSTMCells, Bidirectional."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rnnscope.cell import Option
from rnnscope.checkpoints.config_view import ConfigView, object_views
from rnnscope.checkpoints.keras_built import Builder, Built, Output, Step, StoredLayer, unsupported
from rnnscope.checkpoints.keras_dialect import is_known_activation
from rnnscope.checkpoints.keras_lstm import lstm_layer
from rnnscope.checkpoints.keras_weights import LayerWeights
from rnnscope.errors import CheckpointError
from rnnscope.layers import BidirectionalMerge
from rnnscope.layers.merges import BIDIRECTIONAL_MODES
from rnnscope.network import PaddingRule, RecurrentLayer

NOT_BUILT_YET = (
    "ConvLSTM1D",
    "ConvLSTM2D",
    "ConvLSTM3D",
    "CuDNNGRU",
    "GRU",
    "SimpleRNN",
)
"""Recurrent classes that rnnscope names but does not compute."""

_LSTM_CLASSES = ("LSTM", "CuDNNLSTM", "UnifiedLSTM")


def _unknown_activation(stored: StoredLayer, config: ConfigView) -> str | None:
    """Why an LSTM with this configuration cannot be computed, or None."""
    for key in ("activation", "recurrent_activation", "inner_activation"):
        name = stored.dialect.activation(config.raw(key))
        if not is_known_activation(name):
            return f"has the {key} '{name}', which is not computed"
    return None


def _padding(config: ConfigView) -> Option[PaddingRule]:
    if config.get("zero_output_for_mask", bool, False):
        return Option("zeros", "config", "zero_output_for_mask")
    return Option("hold", "class default", "Keras repeats the last output at masked steps")


def _note_options(stored: StoredLayer, config: ConfigView) -> None:
    """Say what the options change that a trace cannot show."""
    if config.get("stateful", bool, False):
        stored.findings.note(
            f"Layer '{stored.name}' is stateful: Keras goes on from the state that the last batch "
            "left, which no file holds; rnnscope starts from zeros unless it is given a state."
        )
    if config.get("time_major", bool, False):
        stored.findings.note(
            f"Layer '{stored.name}' was fed time-major by its model; rnnscope takes its input as "
            "(sequence, timestep, feature) all the same."
        )
    policy = config.raw("dtype")
    if isinstance(policy, dict):
        inner = policy.get("config")
        policy = inner.get("name") if isinstance(inner, dict) else None
    if isinstance(policy, str) and "float16" in policy:
        stored.findings.note(
            f"Layer '{stored.name}' computes in 16 bits in Keras (dtype policy '{policy}'); "
            "rnnscope computes it in float32."
        )


def _outputs(suffix: str = "") -> tuple[Output, ...]:
    """What an LSTM returns with return_state: its output, then h, then c."""
    return (Output(suffix), Output(suffix, "h"), Output(suffix, "c"))


def _backward(config: ConfigView) -> Option[bool]:
    return Option(config.get("go_backwards", bool, False), "config", "go_backwards")


def _lstm(stored: StoredLayer) -> Built:
    config = stored.config
    reason = _unknown_activation(stored, config)
    if reason:
        return unsupported(stored, reason)
    _note_options(stored, config)
    cudnn = stored.class_name == "CuDNNLSTM"
    weights = stored.weights if cudnn else stored.weights.parts("cell")[0]
    layer = lstm_layer(
        stored,
        config,
        weights,
        backward=_backward(config),
        padding=_padding(config),
        cudnn=cudnn,
    )
    return Built((Step("", layer, states=(0, 2)),), _outputs())


def _rnn(stored: StoredLayer) -> Built:
    """``RNN(LSTMCell(…))``, and ``RNN([LSTMCell(…), …])``, which is a stack of layers."""
    cell = stored.config.view("cell")
    class_name = cell.get("class_name", str)
    stacked = class_name == "StackedRNNCells"
    cells = (
        list(object_views(cell.view("config").get("cells", list), f"{cell.where} > cells"))
        if stacked
        else [cell]
    )
    configs = [entry.view("config") for entry in cells]
    for entry, config in zip(cells, configs, strict=True):
        if entry.get("class_name", str) != "LSTMCell":
            found = entry.get("class_name", str)
            return unsupported(stored, f"has a cell of class {found}, which is not built yet")
        reason = _unknown_activation(stored, config)
        if reason:
            return unsupported(stored, reason)
    if not configs:
        return unsupported(stored, "has no cells")
    _note_options(stored, stored.config)
    inner = stored.weights.parts("cell")[0]
    weights = inner.parts(*_numbered("cells/lstm_cell", len(cells))) if stacked else (inner,)
    return _stack(stored, configs, weights)


def _numbered(name: str, count: int) -> list[str]:
    """Keras' names for equal things in one container: name, name_1, name_2 and on."""
    return [name if number == 0 else f"{name}_{number}" for number in range(count)]


def _stack(
    stored: StoredLayer, configs: Sequence[ConfigView], weights: Sequence[LayerWeights]
) -> Built:
    steps: list[Step] = []
    outputs: list[Output] = []
    last = len(configs) - 1
    for number, (config, cell_weights) in enumerate(zip(configs, weights, strict=True)):
        layer = lstm_layer(
            stored,
            config,
            cell_weights,
            backward=_backward(stored.config),
            padding=_padding(stored.config),
        )
        # Between the cells of a stack time runs in one direction, whatever the layer returns.
        layer = replace(
            layer,
            return_sequences=number < last or stored.config.get("return_sequences", bool, False),
            outputs_in_input_order=number < last or layer.outputs_in_input_order,
        )
        suffix = "" if number == last else f"/cell_{number}"
        reads = (steps[-1].suffix,) if steps else None
        steps.append(Step(suffix, layer, reads, states=(2 * number, 2 * number + 2)))
        outputs += [Output(suffix, "h"), Output(suffix, "c")]
    return Built(tuple(steps), (Output(), *outputs))


def _bidirectional(stored: StoredLayer) -> Built:
    forward = stored.config.view("layer")
    class_name = forward.get("class_name", str)
    config = forward.view("config")
    if class_name not in _LSTM_CLASSES:
        return unsupported(stored, f"wraps a {class_name}, which is not built yet")
    mode = stored.config.raw("merge_mode", "concat")
    if mode not in (None, *BIDIRECTIONAL_MODES):
        raise CheckpointError(
            f"Layer '{stored.name}' has no usable 'merge_mode'.",
            where=stored.config.where,
            expected=", ".join(BIDIRECTIONAL_MODES) + " or null",
            found=str(mode)[:80],
        )
    backward_config = _backward_config(stored, config)
    for direction in (config, backward_config):
        reason = _unknown_activation(stored, direction)
        if reason:
            return unsupported(stored, reason)
        _note_options(stored, direction)
    names = (_prefixed("forward_", config, stored), _prefixed("backward_", backward_config, stored))
    layers = [
        _direction(stored, direction, weights, class_name)
        for direction, weights in zip(
            (config, backward_config),
            stored.weights.parts("forward_layer", "backward_layer"),
            strict=True,
        )
    ]
    if mode is None and not layers[1].backward.value:
        return unsupported(stored, "returns a turned round forward direction, not computed")
    return _directions(names, layers, mode)


def _backward_config(stored: StoredLayer, forward: ConfigView) -> ConfigView:
    """The second direction: as stored, or the first one turned round (files before TF 2.1)."""
    if isinstance(stored.config.raw("backward_layer"), dict):
        return stored.config.view("backward_layer").view("config")
    # Keras 3 has prefixed the stored name already.
    name = forward.get("name", str, "lstm").removeprefix("forward_")
    turned = not forward.get("go_backwards", bool, False)
    return replace(forward, data={**forward.data, "go_backwards": turned, "name": name})


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


def _direction(
    stored: StoredLayer, config: ConfigView, weights: LayerWeights, class_name: str
) -> RecurrentLayer:
    cudnn = class_name == "CuDNNLSTM"
    backward = _backward(config)
    return lstm_layer(
        stored,
        config,
        weights if cudnn else weights.parts("cell")[0],
        backward=replace(backward, detail="Bidirectional" if backward.value else ""),
        padding=_padding_inside(stored, config),
        cudnn=cudnn,
    )


def _padding_inside(stored: StoredLayer, config: ConfigView) -> Option[PaddingRule]:
    """Bidirectional sets zero_output_for_mask to return_sequences, from tf.keras 2.2.4-tf on."""
    if not stored.dialect.is_tf:
        return _padding(config)
    if config.get("return_sequences", bool, False):
        return Option("zeros", "class default", "Bidirectional with return_sequences")
    return Option("hold", "class default", "Bidirectional without return_sequences")


def _directions(names: tuple[str, str], layers: list[RecurrentLayer], mode: str | None) -> Built:
    first, second = layers
    # The wrapper turns the second direction's outputs round, whichever way that one reads.
    flip = not second.backward.value
    steps = [
        Step(names[0], first, states=(0, 2)),
        Step(names[1], replace(second, outputs_in_input_order=True), states=(2, 4)),
    ]
    states = (*_outputs(names[0])[1:], *_outputs(names[1])[1:])
    if mode is None:
        return Built(tuple(steps), (Output(names[0]), Output(names[1]), *states))
    steps.append(Step("", BidirectionalMerge(mode, flip_second=flip), reads=names))
    return Built(tuple(steps), (Output(), *states))


def _not_built_yet(stored: StoredLayer) -> Built:
    return unsupported(stored, "is a recurrent layer that rnnscope does not build yet")


RECURRENT_BUILDERS: dict[str, Builder] = {
    **dict.fromkeys(_LSTM_CLASSES, _lstm),
    "RNN": _rnn,
    "Bidirectional": _bidirectional,
    **dict.fromkeys(NOT_BUILT_YET, _not_built_yet),
}
"""What builds each recurrent Keras class."""
