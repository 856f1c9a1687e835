"""What the user says of options that a file may not hold, and what wins where both speak.

A value that the file states (origin ``graph`` or ``config``) is only replaced when the user
insists. A default of the class, or a guess, gives way to an option.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields, replace
from fnmatch import fnmatchcase
from typing import Any

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import OptionError, spell
from rnnscope.model.activations import activation
from rnnscope.model.cell import CellSpec, Option
from rnnscope.model.network import Network
from rnnscope.model.recurrent_layer import RecurrentLayer

STATED_ORIGINS = ("graph", "config")
"""Origins of values that an option replaces only where the user insists."""


@dataclass(frozen=True)
class ValuesByLayer:
    """An option's values by pattern of layers: ``("*", 1.0)`` is meant for every layer."""

    pairs: tuple[tuple[str, Any], ...] = ()

    def of(self, layer: str) -> tuple[Any, ...]:
        """The value that is meant for a layer, the last that fits; none if there is none."""
        return tuple(value for pattern, value in self.pairs if fnmatchcase(layer, pattern))[-1:]


@dataclass(frozen=True)
class LayerOptions:
    """Options as given by the user, each for all layers or for those that fit a pattern."""

    forget_bias: ValuesByLayer = field(default_factory=ValuesByLayer)
    activation: ValuesByLayer = field(default_factory=ValuesByLayer)
    recurrent_activation: ValuesByLayer = field(default_factory=ValuesByLayer)
    cell_clip: ValuesByLayer = field(default_factory=ValuesByLayer)
    proj_clip: ValuesByLayer = field(default_factory=ValuesByLayer)
    cell: ValuesByLayer = field(default_factory=ValuesByLayer)
    padding: ValuesByLayer = field(default_factory=ValuesByLayer)
    backward: ValuesByLayer = field(default_factory=ValuesByLayer)
    go_backwards: ValuesByLayer = field(default_factory=ValuesByLayer)

    def present(self) -> Mapping[str, ValuesByLayer]:
        """The options that were given at all, by name."""
        return {
            item.name: getattr(self, item.name)
            for item in fields(self)
            if getattr(self, item.name).pairs
        }


CELL_OPTIONS = ("forget_bias", "cell_clip", "proj_clip", "activation", "recurrent_activation")

DIRECTION_OPTIONS = ("go_backwards", "backward")
"""Two ways to say the same of a layer; what names layers comes last."""


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
        Replace what the file states, too.
    dialect_names : mapping of str to str, optional
        Activation names that mean something else in this file: Keras 3's ``hard_sigmoid``.

    Raises
    ------
    OptionError
        An option contradicts the file, or fits no layer.
    """
    given = options.present()
    if not given:
        return network
    names = [node.name for node in network.recurrent]
    for option, values in given.items():
        for pattern, _ in values.pairs:
            if not any(fnmatchcase(name, pattern) for name in names):
                raise OptionError(
                    f"{spell(option)} names a layer that is not there.",
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


def _override(
    name: str,
    layer: RecurrentLayer,
    given: Mapping[str, ValuesByLayer],
    insist: bool,
    dialect_names: Mapping[str, str],
) -> RecurrentLayer:
    def choose(option: str, current: Option[Any], value: Any) -> Option[Any]:
        if current.value == value:
            return current
        if current.origin in STATED_ORIGINS and not insist:
            raise OptionError(
                f"{spell(option)} contradicts the file.",
                where=f"layer '{name}'" + (f", {current.detail}" if current.detail else ""),
                expected=f"{_words(current.value)}, which the file states ({current.origin})",
                found=_words(value),
                hint=f"leave it out, or add {spell('override')} to use it all the same",
            )
        return Option(value, "flag", spell(option))

    cell = layer.cell
    settings: dict[str, Option[Any]] = {}
    for option in CELL_OPTIONS:
        for value in _value_of(given, option, name):
            if not _applies(option, cell, value):
                continue
            meant: Any = value
            if option.endswith("activation"):
                meant = dialect_names.get(value, value)
                activation(meant, spell(option))
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
    for value in _value_of(given, "padding", name):
        layer = replace(layer, padding=choose("padding", layer.padding, value))
    for option in DIRECTION_OPTIONS:
        for value in _value_of(given, option, name):
            layer = replace(layer, backward=choose(option, layer.backward, value))
    return layer


def _value_of(given: Mapping[str, ValuesByLayer], option: str, layer: str) -> tuple[Any, ...]:
    """What an option says of a layer: one value, or none."""
    return given[option].of(layer) if option in given else ()


def _applies(option: str, cell: CellSpec, value: Any) -> bool:
    """Whether a cell has an option at all; a projection's clip needs a projection."""
    if option == "proj_clip" and value is not None:
        return getattr(cell.weights, "projection", None) is not None
    return hasattr(cell.options, option)


def _refuse_idle(network: Network, given: Mapping[str, ValuesByLayer]) -> None:
    """Refuse an option that would change nothing: it is a mistake."""
    for option in CELL_OPTIONS:
        if option not in given:
            continue
        layers = [node for node in network.nodes if isinstance(node.layer, RecurrentLayer)]
        meant = [
            (node.name, node.layer.cell, value)
            for node in layers
            if isinstance(node.layer, RecurrentLayer)
            for value in _value_of(given, option, node.name)
        ]
        if meant and not any(_applies(option, cell, value) for _, cell, value in meant):
            lacking = "a projection" if option == "proj_clip" else f"an option {option}"
            raise OptionError(
                f"{spell(option)} is given, but no layer it is meant for has {lacking}.",
                where=", ".join(f"layer '{name}' ({cell.kind})" for name, cell, _ in meant),
                hint="leave it out, or name the layer it is meant for: LAYER=VALUE",
            )


def _override_class(name: str, cell: CellSpec, given: ValuesByLayer, insist: bool) -> CellSpec:
    """Another class of cell: its name, and its defaults where only a default stood."""
    (value,) = given.of(name) or (cell.source_class,)
    if value == cell.source_class:
        return cell
    from rnnscope.model.cells.classes import CELL_CLASSES

    stated = [key for key, option in cell.options.items() if option.origin in STATED_ORIGINS]
    if stated and not insist:
        raise OptionError(
            f"{spell('cell')} contradicts the file.",
            where=f"layer '{name}'",
            expected=f"{cell.source_class}, whose options the file states ({', '.join(stated)})",
            found=value,
            hint=f"leave {spell('cell')} out, or add {spell('override')} to take that class's "
            "defaults",
        )
    defaults = CELL_CLASSES[value].options("flag" if insist else "class default")
    if type(defaults) is not type(cell.options):
        raise OptionError(
            f"{spell('cell')} names a class of another kind of cell.",
            where=f"layer '{name}'",
            expected=f"{cell.source_class}, as its weights are stored",
            found=value,
            hint=f"leave it out, or name the layer it is meant for: {spell('cell', 'LAYER=CLASS')}",
        )
    kept = {
        key: option
        for key, option in cell.options.items()
        if option.origin == "flag" or (option.origin in STATED_ORIGINS and not insist)
    }
    options = replace(defaults, **kept)
    return replace(cell, source_class=value, from_keras=False, options=options)


def _words(value: Any) -> str:
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
