"""Options of a run that something else than a run does not read: refused, not ignored."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from rnnscope.errors import OptionError, spell
from rnnscope.options.interface import option_named
from rnnscope.options.table import RUN_OPTIONS


def refuse_unread(given: Mapping[str, Any], groups: Collection[str], why: str, *also: str) -> None:
    """Refuse options that would change nothing of what is asked for.

    Parameters
    ----------
    given : mapping of str to object
        Options by name; None stands for one that is not given.
    groups : collection of str
        Groups of options that are read: keys of `rnnscope.options.table.GROUPS`.
    why : str
        Why the others are not, for the message.
    *also : str
        Single options that are read beside the groups.

    Raises
    ------
    OptionError
        One is not read, or there is none of that name.
    """
    read = [one for one in RUN_OPTIONS if one.group in groups or one.name in also]
    named = "; ".join([f"groups {', '.join(groups)}", *map(spell, also)])
    for name, value in given.items():
        option = option_named(name, RUN_OPTIONS, what="option of a run")
        if value is not None and option not in read:
            raise OptionError(
                f"{spell(name)} would change nothing here: {why}.",
                expected=f"options of the {named}",
                found=spell(name),
                hint="leave it out",
            )
