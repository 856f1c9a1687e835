"""What the user says of options that a file may not hold, and what wins where both speak.

A value that the file states (origin ``graph`` or ``config``) is only replaced when the user
insists. A default of the class, or a guess, gives way to a flag.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatchcase
from typing import Any

from rnnscope.errors import OptionError
from rnnscope.model.activations import activation
from rnnscope.model.cell import CellSpec, Option
from rnnscope.model.network import Network
from rnnscope.model.recurrent_layer import RecurrentLayer

STATED = ("graph", "config")
"""Origins that a flag does not replace without ``--override``."""


@dataclass(frozen=True)
class Given:
    """A flag's values by layer: ``("*", 1.0)`` is meant for every layer."""

    pairs: tuple[tuple[str, Any], ...] = ()

    def value(self, layer: str) -> tuple[bool, Any]:
        """Whether the flag speaks of a layer, and what it says: the last that fits wins."""
        fitting = [value for pattern, value in self.pairs if fnmatchcase(layer, pattern)]
        return bool(fitting), fitting[-1] if fitting else None


@dataclass(frozen=True)
class LayerOptions:
    """Options as given by the user, each for all layers or for those that fit a pattern."""

    forget_bias: Given = field(default_factory=Given)
    activation: Given = field(default_factory=Given)
    recurrent_activation: Given = field(default_factory=Given)
    cell_clip: Given = field(default_factory=Given)
    proj_clip: Given = field(default_factory=Given)
    cell: Given = field(default_factory=Given)
    padding: Given = field(default_factory=Given)
    backward: Given = field(default_factory=Given)

    def given(self) -> Mapping[str, Given]:
        """The options that were given at all, by name."""
        return {
            item.name: getattr(self, item.name)
            for item in fields(self)
            if getattr(self, item.name).pairs
        }


CELL_OPTIONS = ("forget_bias", "cell_clip", "proj_clip", "activation", "recurrent_activation")

FLAGS = {"backward": "--go-backwards"}
"""Flags that are not named as the option is."""


def override_options(
    network: Network,
    options: LayerOptions,
    *,
    insist: bool = False,
    dialect_names: Mapping[str, str] | None = None,
) -> Network:
    """The network with the user's options in place of what the file leaves open.

    Parameters
    ----------
    network : Network
    options : LayerOptions
    insist : bool
        ``--override``: replace what the file states, too.
    dialect_names : mapping of str to str, optional
        Activation names that mean something else in this file: Keras 3's ``hard_sigmoid``.

    Raises
    ------
    OptionError
        A flag contradicts the file, or fits no layer.
    """
    given = options.given()
    if not given:
        return network
    names = [node.name for node in network.recurrent]
    for option, flag in given.items():
        for pattern, _ in flag.pairs:
            if not any(fnmatchcase(name, pattern) for name in names):
                raise OptionError(
                    f"{flag_name(option)} names a layer that is not there.",
                    expected=f"one of {', '.join(names)}" if names else "a recurrent layer",
                    found=pattern,
                )
    _refuse_idle(network, given)
    nodes = tuple(
        replace(node, layer=_override(node.name, node.layer, given, insist, dialect_names or {}))
        if isinstance(node.layer, RecurrentLayer)
        else node
        for node in network.nodes
    )
    return replace(network, nodes=nodes)


def flag_name(option: str) -> str:
    """The flag that sets an option."""
    return FLAGS.get(option, "--" + option.replace("_", "-"))


def _override(
    name: str,
    layer: RecurrentLayer,
    given: Mapping[str, Given],
    insist: bool,
    dialect_names: Mapping[str, str],
) -> RecurrentLayer:
    def choose(option: str, current: Option[Any], value: Any) -> Option[Any]:
        if current.value == value:
            return current
        if current.origin in STATED and not insist:
            raise OptionError(
                f"{flag_name(option)} contradicts the file.",
                where=f"layer '{name}'" + (f", {current.detail}" if current.detail else ""),
                expected=f"{_words(current.value)}, which the file states ({current.origin})",
                found=_words(value),
                hint="leave the flag out, or add --override to use it all the same",
            )
        return Option(value, "flag", flag_name(option))

    cell = layer.cell
    settings: dict[str, Option[Any]] = {}
    for option in CELL_OPTIONS:
        for value in _said(given, option, name):
            if not _applies(option, cell, value):
                continue
            meant: Any = value
            if option.endswith("activation"):
                meant = dialect_names.get(value, value)
                activation(meant, flag_name(option))
            settings[option] = choose(option, getattr(cell.options, option), meant)
            if option == "activation" and hasattr(cell.options, "output_activation"):
                settings["output_activation"] = choose(
                    option, cell.options.output_activation, meant
                )
    if settings:
        cell = replace(cell, options=replace(cell.options, **settings))
    if "cell" in given:
        cell = _override_class(name, cell, given["cell"], insist)
    layer = replace(layer, cell=cell)
    for value in _said(given, "padding", name):
        layer = replace(layer, padding=choose("padding", layer.padding, value))
    for value in _said(given, "backward", name):
        layer = replace(layer, backward=choose("backward", layer.backward, value))
    return layer


def _said(given: Mapping[str, Given], option: str, layer: str) -> tuple[Any, ...]:
    """What a flag says of a layer: one value, or none."""
    if option not in given:
        return ()
    spoken, value = given[option].value(layer)
    return (value,) if spoken else ()


def _applies(option: str, cell: CellSpec, value: Any) -> bool:
    """Whether a cell has an option at all; a projection's clip needs a projection."""
    if option == "proj_clip" and value is not None:
        return getattr(cell.weights, "projection", None) is not None
    return hasattr(cell.options, option)


def _refuse_idle(network: Network, given: Mapping[str, Given]) -> None:
    """A flag that would change nothing is a mistake, and is said to be one."""
    for option in CELL_OPTIONS:
        if option not in given:
            continue
        layers = [node for node in network.nodes if isinstance(node.layer, RecurrentLayer)]
        meant = [
            (node.name, node.layer.cell, value)
            for node in layers
            if isinstance(node.layer, RecurrentLayer)
            for value in _said(given, option, node.name)
        ]
        if meant and not any(_applies(option, cell, value) for _, cell, value in meant):
            lacking = "a projection" if option == "proj_clip" else f"an option {option}"
            raise OptionError(
                f"{flag_name(option)} is given, but no layer it is meant for has {lacking}.",
                where=", ".join(f"layer '{name}' ({cell.kind})" for name, cell, _ in meant),
                hint="leave it out, or name the layer it is meant for: LAYER=VALUE",
            )


def _override_class(name: str, cell: CellSpec, given: Given, insist: bool) -> CellSpec:
    """Another class of cell: its name, and its defaults where only a default stood."""
    spoken, value = given.value(name)
    if not spoken or value == cell.source_class:
        return cell
    from rnnscope.model.cells.classes import CELL_CLASSES

    stated = [key for key, option in cell.options.items() if option.origin in STATED]
    if stated and not insist:
        raise OptionError(
            "--cell contradicts the file.",
            where=f"layer '{name}'",
            expected=f"{cell.source_class}, whose options the file states ({', '.join(stated)})",
            found=value,
            hint="leave --cell out, or add --override to take that class's defaults",
        )
    defaults = CELL_CLASSES[value].options("flag" if insist else "class default")
    if type(defaults) is not type(cell.options):
        raise OptionError(
            "--cell names a class of another kind of cell.",
            where=f"layer '{name}'",
            expected=f"{cell.source_class}, as its weights are stored",
            found=value,
            hint="leave it out, or name the layer it is meant for: --cell LAYER=CLASS",
        )
    kept = {
        key: option
        for key, option in cell.options.items()
        if option.origin == "flag" or (option.origin in STATED and not insist)
    }
    return replace(cell, source_class=value, options=replace(defaults, **kept))


def _words(value: Any) -> str:
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def parse_given(values: Iterable[str], convert: Any, flag: str) -> Given:
    """``VALUE`` or ``LAYER=VALUE``, as a flag's values on the command line, into a `Given`."""
    pairs: list[tuple[str, Any]] = []
    for text in values:
        pattern, equals, value = text.rpartition("=")
        try:
            pairs.append((pattern if equals else "*", convert(value)))
        except ValueError as error:
            raise OptionError(
                f"{flag} does not understand its value.", expected=str(error), found=text
            ) from None
    return Given(tuple(pairs))
