"""What an option is: its name, what it takes, what it is for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import OptionError
from rnnscope.options.kinds import ValueKind


@dataclass(frozen=True)
class RunOption:
    """One option of a run.

    Attributes
    ----------
    name : str
        The Python keyword, the key of a suite, the name in a recipe.
    kind : ValueKind
        What it takes, and how that is written down.
    group : str
        A key of `GROUPS`: where help and pages list it.
    help : str
        One or two sentences for ``--help``.
    default : object
        What a run does without it.
    default_words : str
        The same where `default` would not tell; shown in brackets.
    flag : str
        On the command line, where it is not ``--name``.
    changes_numbers : bool
        Whether another value can change what is in the trace: such options are part of the
        fingerprint by which an interrupted run is taken up.
    executes_model : bool
        It lets code of the model run, so that only the user at hand can give it: a suite or a
        recorded run never does.
    """

    name: str
    kind: ValueKind
    group: str
    help: str
    default: Any = None
    default_words: str = ""
    flag: str = ""
    changes_numbers: bool = True
    executes_model: bool = False

    @property
    def in_suites(self) -> bool:
        """Whether a case's ``run`` takes it; the case itself says what it is compared with."""
        return not self.executes_model and self.group != "check"

    @property
    def flag_name(self) -> str:
        """The flag on the command line."""
        return self.flag or "--" + self.name.replace("_", "-")

    def accept(self, value: Any, *, called: str, where: object = None) -> Any:
        """A value from any surface in the one form that a recipe keeps.

        Parameters
        ----------
        value : object
            Text as on the command line, or the typed value of TOML, JSON or Python.
        called : str
            What the surface calls the option, for the message.
        where : object, optional
            What holds the value: a suite's case.

        Raises
        ------
        OptionError
            The value is none that the option takes; it says which are.
        """
        return accept(self.kind, value, called=called, where=where)


def accept(kind: ValueKind, value: Any, *, called: str, where: object = None) -> Any:
    """A value of this kind in its one plain form, for options in a table and others alike.

    Raises
    ------
    OptionError
        The value is none of this kind; it says what would be.
    """
    try:
        return kind.accept(value)
    except ValueError as error:
        from difflib import get_close_matches

        near = get_close_matches(str(value), getattr(kind, "names", ()), n=1)
        raise OptionError(
            f"{called} does not understand its value.",
            where=where,
            expected=str(error),
            found=value if isinstance(value, str) else repr(value),
            hint=f"Did you mean '{near[0]}'?" if near else None,
        ) from None


def option_named(
    name: str,
    options: Iterable[RunOption],
    *,
    what: str = "option",
    where: object = None,
    others: Iterable[str] = (),
) -> RunOption:
    """The option of that name.

    Parameters
    ----------
    name : str
    options : iterable of RunOption
    what, where : str, object
        For the message: what options these are, and what holds the name.
    others : iterable of str
        Names that could be meant beside those of the options.

    Raises
    ------
    OptionError
        There is none; it suggests the nearest.
    """
    known = {option.name: option for option in options}
    if name in known:
        return known[name]
    from difflib import get_close_matches

    near = get_close_matches(name, [*others, *known], n=1)
    raise OptionError(
        f"There is no {what} '{name}'.",
        where=where,
        expected=", ".join([*others, *known]),
        found=name,
        hint=f"Did you mean '{near[0]}'?" if near else None,
    )
