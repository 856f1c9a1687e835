"""What the user says of the wiring: which layer the input goes to, and which layer reads which.

For files that hold no wiring, or not the one that is wanted: ``feed`` gives the run's input to a
layer, ``after`` (``LAYER=OTHER``) lets a layer read the outputs of another.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fnmatch import fnmatchcase

from rnnscope.errors import OptionError, spell
from rnnscope.model.initial_state import ZERO_STATE
from rnnscope.model.network import Network, Node

FED_INPUT = "the input (feed)"
"""The network input that fed layers read; no file names a layer so. Traces keep the name."""


def rewire(network: Network, feed: Iterable[str] = (), after: Iterable[str] = ()) -> Network:
    """The network with other connections.

    Parameters
    ----------
    network : Network
    feed : iterable of str
        Names or patterns of recurrent layers that receive the run's input itself.
    after : iterable of str
        ``LAYER=OTHER``: recurrent layers (a name or pattern), and the layer whose outputs they
        read.

    Raises
    ------
    OptionError
        A layer is not there, or would read its own outputs; it lists the choices.
    """
    nodes = {node.name: node for node in network.nodes}
    for pattern in feed:
        for name in _recurrent(network, pattern, "feed"):
            nodes[name] = _fed(nodes[name])
    for pair in after:
        pattern, equals, other = pair.rpartition("=")
        if not equals:
            raise OptionError(
                f"{spell('after')} needs two layers.",
                expected="LAYER=OTHER: LAYER reads the outputs of OTHER",
                found=pair,
            )
        if other not in nodes:
            raise _unknown("after", other, nodes)
        for name in _recurrent(network, pattern, "after"):
            nodes[name] = replace(nodes[name], reads=(other,), wiring="flag")
    fed = any(FED_INPUT in node.reads for node in nodes.values())
    wired = network.replaced(nodes, inputs=[FED_INPUT] if fed else [])
    circle = wired.circle()
    if circle:
        raise OptionError(
            f"{spell('after')} makes a circle: a layer would read its own outputs.",
            found=" reads ".join(f"'{part}'" for part in circle),
        )
    return wired.in_order()


def _fed(node: Node) -> Node:
    """A layer that reads the run's input, and starts on its own."""
    layer = node.recurrent
    if layer is not None and layer.starts_from_layers:
        layer = replace(layer.starting(ZERO_STATE, "flag", spell("feed")), feedback=None)
    return replace(node, layer=layer or node.layer, reads=(FED_INPUT,), wiring="flag")


def _recurrent(network: Network, pattern: str, option: str) -> list[str]:
    names = [node.name for node in network.recurrent]
    found = [name for name in names if name == pattern or fnmatchcase(name, pattern)]
    if not found:
        raise _unknown(option, pattern, names)
    return found


def _unknown(option: str, name: str, choices: Iterable[str]) -> OptionError:
    return OptionError(
        f"{spell(option)} names a layer that is not there.",
        expected=f"one of {', '.join(choices)}",
        found=name,
    )
