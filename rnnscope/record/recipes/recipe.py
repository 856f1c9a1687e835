"""A run as a value: checkpoint, input and every option; made by flags, suites and Python alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import OptionError, TraceError, spell
from rnnscope.files.guarding.hashing import files_sha256
from rnnscope.files.guarding.limits import limits
from rnnscope.files.remote.addresses import as_address, is_address
from rnnscope.options import RUN_OPTIONS, RunOption, option_named
from rnnscope.options.held_array import HeldArray, is_array
from rnnscope.options.kinds import ArrayReference

RECIPE_VERSION = 1

BY_NAME = {option.name: option for option in RUN_OPTIONS}

REFERENCES = tuple(option.name for option in RUN_OPTIONS if isinstance(option.kind, ArrayReference))
"""Options that may name files, relative to a suite's folder."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a run computes; equal recipes compute the same.

    `Recipe.make` makes one from what any surface gives.

    Attributes
    ----------
    checkpoint : str
        A path, as given.
    input : str or HeldArray
        As given: ``FILE``, ``FILE::KEY``, or an array in memory.
    options : tuple of (name, value)
        Those that differ from their defaults, in the order of `RUN_OPTIONS`.

    Examples
    --------
    >>> recipe = Recipe.make("model.ckpt", "x.npy", lengths="10,6", forget_bias=1.0)
    >>> recipe["lengths"]
    (10, 6)
    >>> Recipe.from_json(recipe.to_json()) == recipe
    True
    """

    checkpoint: str
    input: str | HeldArray
    options: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def make(
        cls,
        checkpoint: str | PathLike[str],
        input_: Any,
        /,
        *,
        where: object = None,
        called: Callable[[str], str] = spell,
        **options: Any,
    ) -> Recipe:
        """A recipe from options as flags, a suite or Python give them.

        Parameters
        ----------
        checkpoint : str or path
        input_ : str, path or array
        where : object, optional
            What holds the options, for messages: a suite's case.
        called : callable
            ``called(name)``: what the surface calls an option.
        **options
            By the names of `RUN_OPTIONS`; None stands for an option that is not given.

        Raises
        ------
        OptionError
            A name or a value is not to be understood; it says what would be.
        """
        accepted: dict[str, Any] = {}
        for name, value in options.items():
            option = option_named(name, RUN_OPTIONS, what="option of a run", where=where)
            if value is not None:
                accepted[name] = option.accept(value, called=called(name), where=where)
        held = HeldArray.of(input_) if is_array(input_) else input_
        given = held if isinstance(held, HeldArray) else fspath(held or "")
        place = fspath(checkpoint)
        if is_address(place):
            place = str(as_address(place))
        return cls(place, given, _ordered(accepted))

    def __getitem__(self, name: str) -> Any:
        return dict(self.options).get(name, BY_NAME[name].default)

    def given(self) -> Iterator[tuple[RunOption, Any]]:
        """The options that differ from their defaults."""
        return ((BY_NAME[name], value) for name, value in self.options)

    def with_options(self, **options: Any) -> Recipe:
        """The recipe with other values of some options; None takes one back."""
        rest = {name: value for name, value in self.options if name not in options}
        changed = Recipe.make(self.checkpoint, "", **options)
        return replace(self, options=_ordered({**rest, **dict(changed.options)}))

    def reading(self, checkpoint: str | PathLike[str] | None, input_: Any = None) -> Recipe:
        """The recipe for another checkpoint or another input, where they are given."""
        found = self if checkpoint is None else replace(self, checkpoint=fspath(checkpoint))
        if input_ is None:
            return found
        found = found.with_options(random=None)  # it stood in the place of an input
        return replace(found, input=Recipe.make("", input_).input)

    def relative_to(self, folder: Path) -> Recipe:
        """The recipe of a suite: what names files does so from the suite's folder."""
        options = {
            name: _found_in(folder, value) if name in REFERENCES else value
            for name, value in self.options
        }
        return replace(self, options=_ordered(options))

    def fingerprint(self) -> str:
        """The options that can change numbers, as one text: the same text, the same trace."""
        kept = {
            option.name: option.kind.to_json(value)
            for option, value in self.given()
            if option.changes_numbers
        }
        return json.dumps(kept, sort_keys=True)

    def to_dict(self) -> dict[str, Any]:
        """The recipe in JSON's own types; arrays by shape, dtype and digest."""
        return {
            "recipe_version": RECIPE_VERSION,
            "checkpoint": self.checkpoint,
            "input": self.input.to_json() if isinstance(self.input, HeldArray) else self.input,
            "options": {option.name: option.kind.to_json(value) for option, value in self.given()},
        }

    def to_json(self) -> str:
        """The recipe as one line of JSON."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str, *, where: object = None) -> Recipe:
        """The recipe that `to_json` wrote.

        Raises
        ------
        TraceError
            It is no recipe, or one of a later version.
        """
        try:
            stored = json.loads(text)
            version = stored["recipe_version"]
            if version != RECIPE_VERSION:
                raise TraceError(
                    "The recipe of the run is of another version.",
                    where=where,
                    expected=f"recipe_version {RECIPE_VERSION}",
                    found=version,
                    hint="a newer rnnscope reads it",
                )
            input_ = stored["input"]
            given = HeldArray.from_json(input_) if isinstance(input_, Mapping) else str(input_)
            recipe = cls.make(str(stored["checkpoint"]), "", where=where, **stored["options"])
            return replace(recipe, input=given)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise TraceError(
                "The recipe of the run is not to be understood.", where=where, found=repr(error)
            ) from error

    def __str__(self) -> str:
        words = [str(self.checkpoint), str(self.input)]
        words += [f"{option.name}={option.kind.to_json(value)}" for option, value in self.given()]
        return " ".join(words)


def _ordered(options: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """In the order of the table, without those at their defaults."""
    return tuple(
        (name, options[name])
        for name, option in BY_NAME.items()
        if name in options and options[name] != option.default
    )


def _found_in(folder: Path, value: Any) -> Any:
    """A reference to a file of this folder by its whole path; what is no such file stays."""
    if not isinstance(value, str):
        return value
    file = folder / value.partition("::")[0]
    return str(folder / value) if file.is_file() else value


def refuse_execution(recipe: Recipe, where: object) -> None:
    """Refuse a recipe that lets code of the model run, where it is not the user who says so.

    Raises
    ------
    OptionError
    """
    for option, _ in recipe.given():
        if option.executes_model:
            raise OptionError(
                f"'{option.name}' lets the model's own code run; only you can say so, not a file.",
                where=where,
                expected="options that read the model as data",
                found=f"{option.name} = true",
                hint=f"say {spell(option.name)} yourself if you trust the model",
            )


def refuse_addresses(recipe: Recipe, where: object, given: Collection[str] = ()) -> None:
    """Refuse a recipe that names what is at an address, where it is not the user who says so.

    A stranger's recipe could otherwise make this machine ask any store for anything, with the
    user's keys.

    Parameters
    ----------
    recipe : Recipe
    where : object
        The trace or the suite, for messages.
    given : collection of str
        What the user names in place of the recipe's: ``"checkpoint"``, ``"input"``, options.

    Raises
    ------
    OptionError
    """
    named = {"checkpoint": recipe.checkpoint, "input": recipe.input}
    named |= {name: recipe[name] for name in REFERENCES}
    for name, value in named.items():
        if name in given or not is_address(value) or limits().allow_remote:
            continue
        raise OptionError(
            f"The recipe's {name} is at an address; only you can have it fetched, not a file.",
            where=where,
            expected=f"{spell(name)}, named by you",
            found=str(value),
            hint=f"if you trust the file: {spell('allow_remote')}",
        )


def input_sha256(recipe: Recipe, file: Path) -> str:
    """The digest of the input: of its file, or of the values of an array."""
    return recipe.input.sha256 if isinstance(recipe.input, HeldArray) else files_sha256([file])
