"""What a user says of the checks of a trace: which, of which layers, within what limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from difflib import get_close_matches
from fnmatch import fnmatchcase

from rnnscope.checks import CHECKS
from rnnscope.checks.weights import WEIGHT_CHECKS
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import OptionError, spell
from rnnscope.options.kinds import AtMost


@dataclass(frozen=True)
class CheckSettings:
    """Which checks are done.

    Attributes
    ----------
    only : tuple of str
        Ids; empty: all.
    skip : tuple of str
        Ids that are left out.
    layers : tuple of str
        Globs; empty: all layers.
    limits : mapping of str to float
        By id of the check.
    """

    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    limits: Mapping[str, float] = field(default_factory=dict)

    def ids(self, known: Iterable[str] = CHECKS) -> frozenset[str]:
        """The ids of the checks that are wanted, in the table of what is checked.

        Parameters
        ----------
        known : iterable of str
            `CHECKS` for states, `WEIGHT_CHECKS` for a model alone.

        Raises
        ------
        OptionError
            An id is unknown, or none is left.
        """
        self.refuse_unknown()
        of_table = frozenset(known)
        wanted = (of_table & {*self.only} if self.only else of_table) - {*self.skip}
        if not wanted:
            raise OptionError(
                "No check is left to do.",
                where=f"{spell('only')} and {spell('skip')}",
                expected="one of " + ", ".join(known),
                found="every chosen check is left out again, or is one of other things",
            )
        return wanted

    def refuse_unknown(self) -> None:
        """Refuse an id that no check has.

        Raises
        ------
        OptionError
        """
        every = (*CHECKS, *WEIGHT_CHECKS)
        for name in (*self.only, *self.skip):
            if name not in every:
                near = get_close_matches(name, every, n=1)
                raise OptionError(
                    f"There is no check '{name}'.",
                    expected="one of " + ", ".join(every),
                    found=name,
                    hint=f"Did you mean '{near[0]}'?" if near else None,
                )

    def keeps(self, layer: str) -> bool:
        """Whether a layer is checked."""
        return not self.layers or any(fnmatchcase(layer, glob) for glob in self.layers)

    def check_layers(self, names: Iterable[str]) -> None:
        """Refuse a glob that fits none of these layers.

        Raises
        ------
        OptionError
        """
        known = list(names)
        for glob in self.layers:
            if not any(fnmatchcase(name, glob) for name in known):
                raise OptionError(
                    f"{spell('layers')} fits no recurrent layer.",
                    expected=", ".join(known) or "a run with recurrent layers",
                    found=glob,
                )


def parse_limits(texts: Iterable[str]) -> dict[str, float]:
    """``CHECK=VALUE`` as limits.

    Raises
    ------
    OptionError
        The check is unknown or has no limit to set, or the value is no number of 0 or more.
    """
    limits = {}
    for text in texts:
        name, mark, value = (part.strip() for part in text.partition("="))
        if not mark:
            listed = [f"{known}={own:g}" for known, own in adjustable().items()]
            raise OptionError(
                f"{spell('limit')} needs CHECK=VALUE.",
                expected=f"one of {', '.join(listed)}, which are the defaults",
                found=text,
            )
        limits[name] = limit_value(name, value, spell("limit"))
    return limits


def adjustable() -> dict[str, float]:
    """The checks whose limit can be set, with the limit that each has by itself."""
    of_states = {check.id: check.limit for check in CHECKS.values() if check.limit is not None}
    return of_states | {check.id: check.limit for check in WEIGHT_CHECKS.values()}


def limit_value(name: str, value: object, where: str) -> float:
    """The limit of a check, looked at.

    Raises
    ------
    OptionError
        As `parse_limits`.
    """
    known = adjustable()
    if name not in known:
        near = get_close_matches(name, known, n=1)
        raise OptionError(
            f"'{name}' has no limit to set." if name in CHECKS else f"There is no check '{name}'.",
            where=where,
            expected="one of " + ", ".join(known),
            found=name,
            hint=f"Did you mean '{near[0]}'?" if near else None,
        )
    try:
        return AtMost().accept(value)
    except ValueError:
        raise OptionError(
            f"The limit of '{name}' is no number of 0 or more.", where=where, found=value
        ) from None
