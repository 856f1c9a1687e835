"""A path of this system for whatever is named; what fetches is imported for addresses alone."""

from __future__ import annotations

from pathlib import Path

from rnnscope.errors import RnnscopeError
from rnnscope.files.remote.addresses import as_address, url_of


def here(path: Path, error: type[RnnscopeError], what: str) -> Path:
    """A path of this system: of what is at an address, a copy that is kept until the process ends.

    Parameters
    ----------
    path : Path
    error : type of RnnscopeError
        What is raised if it cannot be fetched.
    what : str
        What messages call it: ``checkpoint``.

    Raises
    ------
    RnnscopeError
    """
    if url_of(path) is None:
        return as_address(path)
    from rnnscope.files.remote.fetching import kept_copy

    return kept_copy(path, error, what)
