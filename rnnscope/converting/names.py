"""Names for layers that a target takes: no slashes or dots, each once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable


def clean(name: str) -> str:
    """The name in letters, digits and underlines, beginning with a letter."""
    found = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")
    return found if re.match(r"[A-Za-z]", found) else f"layer_{found}".rstrip("_")


def clean_names(
    names: Iterable[str], *, apart: bool = False, misread: Callable[[str], bool] = lambda _: False
) -> dict[str, str]:
    """Clean names by the names given.

    Parameters
    ----------
    names : iterable of str
        Each once.
    apart : bool
        No name may begin as another does up to an underline: bare arrays are told apart by that.
    misread : callable
        ``misread(name) -> bool``: whether a name says something that a reader would believe.

    Returns
    -------
    dict of str to str
    """
    found: dict[str, str] = {}
    for name in names:
        base = new = clean(name)
        if misread(base):
            base = new = "layer"
        number = 1
        while new in found.values():
            number += 1
            new = f"{base}_{number}"
        found[name] = new
    if apart and any(
        one != other and one.startswith(f"{other}_")
        for one in found.values()
        for other in found.values()
    ):
        return {name: f"layer{number}" for number, name in enumerate(found)}
    return found
