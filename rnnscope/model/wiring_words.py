"""Who reads whom, in words."""

from __future__ import annotations

from rnnscope.model.network import Network, Node


def wiring_lines(network: Network) -> tuple[str, ...]:
    """One sentence for each layer, or for the two directions of a bidirectional layer."""
    lines = []
    told: set[str] = set()
    for node in network.nodes:
        if node.name in told:
            continue
        other = _other_direction(network, node)
        pair = (node,) if other is None else (node, other)
        told.update(member.name for member in pair)
        lines.append(_sentence(network, pair))
    return tuple(lines)


def _other_direction(network: Network, node: Node) -> Node | None:
    """The one recurrent node that reads the same the other way round."""
    if node.recurrent is None:
        return None
    alike = [other for other in network.recurrent if other.reads == node.reads]
    directions = [other.recurrent.backward.value for other in alike if other.recurrent]
    if sorted(directions) != [False, True]:
        return None
    return next(other for other in alike if other is not node)


def _sentence(network: Network, pair: tuple[Node, ...]) -> str:
    node = pair[0]
    names = " and ".join(member.name for member in pair)
    verb = "reads" if len(pair) == 1 else "read"
    line = f"{names} {verb} {' and '.join(node.reads) or 'nothing that is known'}"
    if len(pair) == 2:
        line += ": the two directions of a bidirectional layer"
    if node.recurrent:
        below = _recurrent_below(network, node)
        if below:
            direct = len(below) == 1 and below == list(node.reads)
            line += " and is stacked on it" if direct else f", stacked on {' and '.join(below)}"
        starts = [_start(member) for member in pair]
        line += "".join(
            f"; {member.name if len(pair) > 1 else 'it'} {start}"
            for member, start in zip(pair, starts, strict=True)
            if start
        )
    return f"{line} (guess)" if node.wiring == "guess" else line


def _start(node: Node) -> str:
    """What a decoder starts from, and what makes its own inputs."""
    layer = node.recurrent
    if layer is None or not layer.handed_by:
        return ""
    line = f"starts from the final state of {' and '.join(layer.handed_by)}"
    back = layer.feedback
    if back is not None:
        line += f", and after its first step reads {back.option.value} of {back.source}'s output"
    return line


def _recurrent_below(network: Network, node: Node) -> list[str]:
    """The nearest recurrent layers that feed a node, through plain layers or straight."""
    nodes = {other.name: other for other in network.nodes}
    found: list[str] = []
    waiting = list(node.reads)
    while waiting:
        name = waiting.pop(0)
        below = nodes.get(name)
        if below is None or name in found:
            continue
        if below.recurrent:
            found.append(name)
        else:
            waiting.extend(below.reads)
    return found
