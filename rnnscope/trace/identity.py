"""Which run a trace is of: known only when checkpoint and input have been read to their ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field

from rnnscope.deferred_dataclass import dataclass


@dataclass(frozen=True)
class RunIdentity:
    """What tells a run from others.

    Attributes
    ----------
    fingerprint : str
        The same for runs of the same checkpoint, input and options.
    digests : mapping of str to str
        Attributes of the trace's header that tell what was read, such as ``input_sha256``.
    """

    fingerprint: str
    digests: Mapping[str, str] = field(default_factory=dict)


AskIdentity = Callable[[float | None], RunIdentity | None]
"""``ask(seconds)`` waits so long at most (None: until it is known); None: not known yet."""
