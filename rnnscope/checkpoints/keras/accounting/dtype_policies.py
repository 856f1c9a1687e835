"""The dtype that a Keras layer computes in, which is a name or a policy of several classes."""

from __future__ import annotations

from typing import Any

POLICIES = ("DTypePolicy", "FloatDTypePolicy", "Policy", "PolicyV1")
"""Classes of a policy that is told by its name alone."""

FLOATS = ("float16", "bfloat16", "half", "float32", "float64", "double")
KNOWN = (
    *FLOATS, *(f"mixed_{name}" for name in FLOATS), "infer", "_infer", "infer_with_float32_vars",
    *(f"{kind}int{bits}" for kind in ("", "u") for bits in (8, 16, 32, 64)), "bool", "string",
)  # fmt: skip
"""Names that tell how wide numbers are; weights and inputs say that for themselves."""


def policy_name(stored: Any) -> str:
    """The name of a stored dtype or policy; one that quantizes has its mode in it."""
    if not isinstance(stored, dict):
        return "" if stored is None else str(stored)
    config = stored.get("config")
    config = config if isinstance(config, dict) else {}
    if stored.get("class_name") in POLICIES:
        return str(config.get("name", ""))
    if "mode" in config:
        return f"{config['mode']}_from_{config.get('source_name')} ({stored.get('class_name')})"
    return str(stored.get("class_name"))


def unknown_policy(stored: Any) -> str | None:
    """Why a layer with this dtype is not computed: the end of a sentence; None if it is."""
    name = policy_name(stored)
    if not name or name in KNOWN:
        return None
    if "_from_" in name:
        return f"is quantized: its dtype policy is {name}, which is not computed"
    return f"has the dtype policy '{name}', which rnnscope does not know"


def computes_in_16_bits(stored: Any) -> str:
    """The policy's name if Keras computes in half floats, else an empty text."""
    name = policy_name(stored)
    return name if "float16" in name or name == "half" else ""
