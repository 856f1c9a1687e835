"""Any result as JSON: one object, ``schema_version`` first.

``schema_version`` is raised when a key changes its meaning or goes; new keys may come at any time.
"""

from __future__ import annotations

import json

from rnnscope.printable import Printable


def render(result: Printable, *, width: int = 100, color: bool = False) -> str:  # noqa: ARG001
    """The result as JSON text; `width` and `color` change nothing.

    Returns
    -------
    str
        ASCII, indented by two, with a newline at the end.
    """
    return json.dumps(result.to_dict(), indent=2, allow_nan=False) + "\n"
