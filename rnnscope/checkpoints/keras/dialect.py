"""What the version in a Keras file changes: hard_sigmoid, padding, how masks join.

One file format, four programs: Keras 1, Keras 2 (standalone), tf.keras (``2.2.4-tf``, ``2.4.0``
and up, tf_keras) and Keras 3. The version that the file itself states decides.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.activations import ACTIVATIONS
from rnnscope.model.layers.merges import MaskRule

_ALIASES = {"silu": "swish", "leaky_relu": "leaky_relu(0.2)"}
"""Keras' names for what rnnscope calls otherwise; its leaky_relu has a slope of 0.2."""

StackStates = Literal["first cell first", "last cell first", "not told"]
"""The order of the states of a stack of cells, where it gets or returns them as a list."""


@dataclass(frozen=True)
class Dialect:
    """The Keras that wrote a file.

    Attributes
    ----------
    version : str
        As the file states it: ``"2.2.4-tf"``; empty if it does not (Keras before 1.0.8).
    """

    version: str

    told: str = ""
    """Who wrote the file, in words, where it does not state its version."""

    @property
    def framework(self) -> str:
        if self.told:
            return self.told
        return f"Keras {self.version}" if self.version else "Keras (version not stated)"

    @property
    def is_plain(self) -> bool:
        """True if the version tells the defaults: stated, and not one that two programs share."""
        return bool(self.version) and not self.version.startswith("2.2.4-tf")

    @property
    def number(self) -> tuple[int, ...]:
        """The leading numbers of the version, (1,) where it is not stated."""
        return tuple(int(part) for part in re.findall(r"\d+", self.version)[:3]) or (1,)

    @property
    def is_tf(self) -> bool:
        """True for tf.keras and its heirs, where RNNs know zero_output_for_mask."""
        return self.number >= (2, 4) or (self.version.endswith("-tf") and self.number >= (2, 2, 4))

    @property
    def hard_sigmoid(self) -> str:
        """Keras 3 redefined hard_sigmoid and kept its name."""
        return "hard_sigmoid_keras3" if self.number >= (3,) else "hard_sigmoid"

    @property
    def reset_after(self) -> bool:
        """Whether a GRU resets after the matrix product unless its file says otherwise."""
        return self.number >= (2, 3)

    @property
    def stack_states(self) -> StackStates:
        """In which order a stack of cells takes and returns its states.

        Keras turned it round in 2.2.3. TensorFlow did so while its Keras kept calling itself
        2.1.6-tf, and a file that states no version says nothing.
        """
        if not self.version or (self.version.endswith("-tf") and self.number < (2, 2, 4)):
            return "not told"
        return "last cell first" if self.number < (2, 2, 3) else "first cell first"

    @property
    def mask_rule(self) -> MaskRule:
        return "any" if self.number >= (3, 4) else "all"

    def activation(self, stored: Any) -> str:
        """The name in `ACTIVATIONS` of a stored activation; a name that is not there as it is.

        Parameters
        ----------
        stored : str, dict or None
            A name, a serialized function (``{"class_name": "function", "config": "relu"}``), a
            serialized layer or class, or None for linear.
        """
        if stored is None:
            return "linear"
        if isinstance(stored, dict):
            if stored.get("class_name") != "function":
                return str(stored.get("class_name"))
            registered = stored.get("registered_name")
            if isinstance(registered, str) and ">" in registered:
                # A function of somebody's own, which may have the name of one of Keras.
                return registered
            # Keras 3 writes the bare name to registered_name or to config, by version.
            stored = stored.get("config") or stored.get("registered_name")
            if isinstance(stored, dict):
                stored = stored.get("name")
        name = str(stored)
        if name == "hard_sigmoid":
            return self.hard_sigmoid
        return _ALIASES.get(name, name)


def is_known_activation(name: str) -> bool:
    """True if rnnscope computes it."""
    return name in ACTIVATIONS or name in _ALIASES.values()


def number_of(stored_version: object) -> str:
    """The version as text, whatever the file holds."""
    return stored_version.strip() if isinstance(stored_version, str) else ""
