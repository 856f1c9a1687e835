"""The options of a recurrent Keras layer that every cell reads in the same way."""

from __future__ import annotations

from rnnscope.checkpoints.keras.accounting.dtype_policies import computes_in_16_bits
from rnnscope.checkpoints.keras.dialect import is_known_activation
from rnnscope.checkpoints.keras.layer_steps import StoredLayer
from rnnscope.files.messages.json_config import ConfigView
from rnnscope.model.cell import Option
from rnnscope.model.recurrent_layer import PaddingRule

ACTIVATION_KEYS = ("activation", "recurrent_activation", "inner_activation")
"""Keras 1 calls the gates' activation the inner one."""


def unknown_activation(stored: StoredLayer, config: ConfigView) -> str | None:
    """Why a cell with this configuration cannot be computed, or None."""
    for key in ACTIVATION_KEYS:
        name = stored.dialect.activation(config.raw(key))
        if not is_known_activation(name):
            return f"has the {key} '{name}', which is not computed"
    return None


def activation_option(
    stored: StoredLayer, config: ConfigView, key: str, default: str
) -> Option[str]:
    """An activation from the configuration, or the class's default."""
    if key not in config:
        return Option(stored.dialect.activation(default), "class default")
    name = stored.dialect.activation(config.raw(key))
    if name.startswith("hard_sigmoid"):
        here, there = ("0.2 z + 0.5", "z / 6 + 0.5")
        if name == "hard_sigmoid_keras3":
            here, there = there, here
        stored.findings.note(
            f"hard_sigmoid is clip({here}) as in {stored.dialect.framework}, which wrote this "
            f"file; another Keras generation would compute clip({there})."
        )
    return Option(name, "config", key)


def gate_activation(stored: StoredLayer, config: ConfigView, *, cudnn: bool) -> Option[str]:
    """The activation of the gates; cuDNN has no choice, and so states none."""
    key = "recurrent_activation" if "recurrent_activation" in config else "inner_activation"
    default = "sigmoid" if cudnn and key not in config else "hard_sigmoid"
    return activation_option(stored, config, key, default)


def padding_rule(config: ConfigView) -> Option[PaddingRule]:
    """What a layer does at masked steps, on its own."""
    if config.get("zero_output_for_mask", bool, False):
        return Option("zeros", "config", "zero_output_for_mask")
    return Option("hold", "class default", "Keras repeats the last output at masked steps")


def padding_inside(stored: StoredLayer, config: ConfigView) -> Option[PaddingRule]:
    """Bidirectional sets zero_output_for_mask to return_sequences, from tf.keras 2.2.4-tf on."""
    if not stored.dialect.is_tf:
        return padding_rule(config)
    if config.get("return_sequences", bool, False):
        return Option("zeros", "class default", "Bidirectional with return_sequences")
    return Option("hold", "class default", "Bidirectional without return_sequences")


def go_backwards(config: ConfigView) -> Option[bool]:
    """Whether the layer reads time from its end."""
    return Option(config.get("go_backwards", bool, False), "config", "go_backwards")


def note_options(stored: StoredLayer, config: ConfigView, *, has_left_states: bool = False) -> None:
    """Say what the options change that a trace cannot show."""
    if config.get("stateful", bool, False):
        stored.findings.note(
            f"Layer '{stored.name}' is stateful: Keras goes on from the state that the last batch "
            "left, "
            + (
                "which the file holds, and so does rnnscope."
                if has_left_states
                else "which no file holds; rnnscope starts from zeros unless it is given a state."
            )
        )
    if config.get("time_major", bool, False):
        stored.findings.note(
            f"Layer '{stored.name}' was fed time-major by its model; rnnscope takes its input as "
            "(sequence, timestep, feature) all the same."
        )
    policy = computes_in_16_bits(config.raw("dtype"))
    if policy:
        stored.findings.note(
            f"Layer '{stored.name}' computes in 16 bits in Keras (dtype policy '{policy}'); "
            "rnnscope computes it in float32."
        )
