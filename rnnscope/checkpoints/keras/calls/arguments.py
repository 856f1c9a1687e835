"""What a Keras layer is called with beside tensors: harmless, or a reason to refuse the layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rnnscope.checkpoints.keras.accounting.known_keys import DROPOUT, shown

RANDOM_KEYS = DROPOUT.keys() - {"noise_shape"}
"""Keys of a configuration that say how much training drops or adds."""

TRAINED_OTHERWISE = ("BatchNormalization", "BatchNormalizationV1", "BatchNormalizationV2")
"""Classes that compute otherwise in training, whatever their configuration."""

MAX_DEPTH = 32


def unaccounted_argument(
    class_name: str, config: Mapping[str, Any], arguments: Mapping[str, Any], *, is_model: bool
) -> str | None:
    """Why a call is not accounted for: the end of a sentence; None if it is.

    Parameters
    ----------
    class_name : str
    config : mapping
        Of the layer.
    arguments : mapping of str to object
        As `Call.arguments`.
    is_model : bool
    """
    for key, value in arguments.items():
        if key == "training" and (
            value in (False, 0) or not _trains(class_name, config, is_model=is_model)
        ):
            continue
        if key == "inputs":
            return f"is called on a constant ({shown(value)}), which is not computed"
        return f"is called with {key}={shown(value)}, which is not computed"
    return None


def _trains(class_name: str, config: Mapping[str, Any], *, is_model: bool) -> bool:
    """Whether training=True changes what a layer computes."""
    return is_model or class_name in TRAINED_OTHERWISE or _is_random(config, 0)


def _is_random(value: Any, depth: int) -> bool:
    if depth > MAX_DEPTH:
        return True
    if isinstance(value, Mapping):
        return value.get("class_name") in TRAINED_OTHERWISE or any(
            (key in RANDOM_KEYS and bool(part)) or _is_random(part, depth + 1)
            for key, part in value.items()
        )
    return isinstance(value, list) and any(_is_random(part, depth + 1) for part in value)
