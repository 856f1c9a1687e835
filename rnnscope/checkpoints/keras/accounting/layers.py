"""Whether the configuration of a Keras layer, and of what lies in it, is accounted for."""

from __future__ import annotations

from rnnscope.checkpoints.keras.accounting.dtype_policies import unknown_policy
from rnnscope.checkpoints.keras.accounting.known_keys import (
    CELL,
    LAYER,
    PLAIN,
    RNN,
    STACK,
    WRAPPER,
    KnownKeys,
    unknown_entry_key,
)
from rnnscope.checkpoints.keras.layer_entry import own_class
from rnnscope.checkpoints.keras.layer_steps import StoredLayer
from rnnscope.checkpoints.keras.recurrent import CELL_CLASSES, LAYER_CLASSES
from rnnscope.files.messages.json_config import ConfigView, object_views

KNOWN: dict[str, KnownKeys] = {
    **PLAIN,
    **dict.fromkeys(LAYER_CLASSES, LAYER),
    **dict.fromkeys(CELL_CLASSES, CELL),
    "RNN": RNN,
    "Bidirectional": WRAPPER,
    "StackedRNNCells": STACK,
}
"""What is known of the keys of every class that is computed."""

INNER = ("layer", "backward_layer", "cell")
MAX_DEPTH = 8


def unaccounted_config(stored: StoredLayer) -> str | None:
    """Why a layer's configuration is not accounted for: the end of a sentence; None if it is."""
    return _unaccounted(stored.class_name, stored.config, 0)


def _unaccounted(class_name: str, config: ConfigView, depth: int) -> str | None:
    known = KNOWN.get(class_name)
    if known is None or depth > MAX_DEPTH:
        # What builds the layer names the class that it does not know.
        return None
    reason = known.unaccounted(config.data)
    if reason is None and class_name != "Embedding":
        reason = unknown_policy(config.raw("dtype"))
    return reason or next(
        (inner for view in _inner(config) if (inner := _unaccounted_entry(view, depth + 1))), None
    )


def _unaccounted_entry(view: ConfigView, depth: int) -> str | None:
    """The same for a layer or cell within a layer; it is told by its class."""
    name = own_class(view)
    reason = unknown_entry_key(view.data) or (
        _unaccounted(name, view.view("config"), depth)
        if isinstance(view.raw("config"), dict)
        else None
    )
    return reason and f"wraps a {name} that {reason}"


def _inner(config: ConfigView) -> list[ConfigView]:
    """The layers and cells that a configuration holds."""
    found = [config.view(key) for key in INNER if isinstance(config.raw(key), dict)]
    cells = config.raw("cells")
    if isinstance(cells, list):
        found += object_views(cells, f"{config.where} > cells")
    return found
