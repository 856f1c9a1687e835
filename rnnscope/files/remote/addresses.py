"""Addresses of object stores: which protocols are taken, and what an address may not hold.

An address travels as a `Path` that prints itself as a URL, so that it goes wherever a path goes:
nothing on the disk has its name. Keys are never printed or stored: an address that holds one is
refused before anything is done with it, and shown without it.
"""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from rnnscope.errors import OptionError, RnnscopeError


class Protocol(NamedTuple):
    """One kind of address.

    Attributes
    ----------
    title : str
    package : str
        What fsspec needs for it beside itself, as Python imports it; empty: nothing.
    installs : str
        What pip installs for it.
    """

    title: str
    package: str = ""
    installs: str = "fsspec"


_GOOGLE = Protocol("Google Cloud Storage", "gcsfs", "gcsfs")
_AZURE = Protocol("Azure Blob Storage", "adlfs", "adlfs")

PROTOCOLS: dict[str, Protocol] = {
    "s3": Protocol("Amazon S3 and what speaks like it", "s3fs", "'rnnscope[remote]'"),
    "gs": _GOOGLE,
    "gcs": _GOOGLE,
    "az": _AZURE,
    "abfs": _AZURE,
    "abfss": _AZURE,
    "memory": Protocol("memory of this process", "", "'rnnscope[remote]'"),
    "file": Protocol("a file of this machine"),
}
"""Every protocol that is taken. No other is ever looked up, whatever fsspec knows."""

ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.*)", re.DOTALL)
"""A URL, also one of which `Path` has made ``s3:/bucket/key``; a drive has one letter."""


class Address(type(Path())):  # type: ignore[misc]  # the class of this system's paths
    """A path that is no path of this system and prints itself as a URL."""

    def __str__(self) -> str:
        text = super().__str__()
        found = ADDRESS.fullmatch(text)
        return f"{found[1]}://{found[2]}" if found else text

    def absolute(self) -> Address:
        """Itself: an address depends on no folder."""
        return self


def as_address(path: str | os.PathLike[str]) -> Path:
    """A path; where it is an address of a protocol that is taken, an `Address`.

    ``file://`` becomes the path that it means.

    Raises
    ------
    OptionError
        The address holds a key or a password, a query, or another address.
    """
    text = os.fspath(path)
    found = ADDRESS.match(text)
    if found is None or found[1].lower() not in PROTOCOLS:
        return Path(path)
    protocol, rest = found[1].lower(), found[2]
    _refuse_secrets(protocol, rest)
    if protocol == "file":
        return Path(f"/{rest}")
    return Address(f"{protocol}://{rest}")


def url_of(path: str | os.PathLike[str]) -> str | None:
    """The URL that a path stands for; None for a path of this system.

    Raises
    ------
    OptionError
        As `as_address`.
    """
    place = as_address(path)
    return str(place) if isinstance(place, Address) else None


def is_address(text: object) -> bool:
    """Whether a text begins as an address that is taken; ``file://`` is one, too."""
    found = ADDRESS.match(text) if isinstance(text, str) else None
    return found is not None and found[1].lower() in PROTOCOLS


def split_address(spec: str) -> tuple[str, str | None]:
    """``URL::NAME`` into the URL and the name of an array in it."""
    url, mark, name = spec.rpartition("::")
    is_name = mark and "/" in url and "://" not in name
    return (url, name) if is_name else (spec, None)


def without_secrets(text: str) -> str:
    """A text with what may be a key taken out of every address in it."""
    return re.sub(r"(\w+:/+)[^/@\s]*@", r"\1…@", re.sub(r"(\w+:/+[^\s?]*)\?\S*", r"\1?…", text))


def file_system(url: str, error: type[RnnscopeError]) -> tuple[Any, str]:
    """What reads and writes at an address, and the address as it takes it.

    Parameters
    ----------
    url : str
        As `url_of` gives it.
    error : type of RnnscopeError
        What is raised if a package is missing.
    """
    name = url.partition(":")[0]
    protocol = PROTOCOLS[name]
    for package in ("fsspec", protocol.package):
        if package and find_spec(package) is None:
            installs = "'rnnscope[remote]'" if package == "fsspec" else protocol.installs
            raise error(
                f"Addresses of {name}:// ({protocol.title}) need the package {package}.",
                where=url,
                expected=package,
                found="it is not installed",
                hint=f"pip install {installs}",
            )
    import fsspec

    with plain_errors():
        system = fsspec.filesystem(name)
        # What it listed once may be old by now.
        system.invalidate_cache()
        return system, str(system._strip_protocol(url))  # noqa: SLF001  # its name since the start


class plain_errors:  # noqa: N801  # used as a function
    """What libraries of object stores raise becomes an `OSError` without keys in its text."""

    def __enter__(self) -> None:
        """Nothing needs to be prepared."""

    def __exit__(self, kind: object, fault: BaseException | None, trace: object) -> None:
        if fault is None or isinstance(fault, RnnscopeError) or not isinstance(fault, Exception):
            return
        said = without_secrets(str(fault).strip()) or type(fault).__name__
        known = (FileNotFoundError, FileExistsError, PermissionError)
        as_known = next((one for one in known if isinstance(fault, one)), OSError)
        raise as_known(said) from None


def _refuse_secrets(protocol: str, rest: str) -> None:
    shown = without_secrets(f"{protocol}://{rest}")
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    keys_in_environment = (
        "leave it out: keys are read from the environment or the provider's own configuration "
        "(AWS_ACCESS_KEY_ID, AWS_PROFILE …)"
    )
    # container@account is how Azure's addresses are written; a key has a colon.
    if "@" in host and (protocol not in ("abfs", "abfss") or ":" in host):
        wrong, hint = "a key or a password before @", keys_in_environment
    elif "?" in rest:
        wrong, hint = "a query, in which keys are", keys_in_environment
    elif "::" in rest or "://" in rest:
        wrong, hint = "another address", "name one address"
    elif ".." in rest.split("/"):
        wrong, hint = "..", "write the address without it"
    else:
        return
    raise OptionError(
        "An address holds what it must not.",
        where=shown,
        expected=f"{protocol}://PLACE/NAME",
        found=wrong,
        hint=hint,
    )
