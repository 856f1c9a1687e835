"""Who reads whom, in words."""

from __future__ import annotations

from rnnscope.model.network import Network, Node


def wiring_lines(network: Network) -> tuple[str, ...]:
    """One sentence for each layer, or for the two directions of a bidirectional layer."""
    lines = []
    done: set[str] = set()
    for node in network.nodes:
        if node.name in done:
            continue
        other = network.other_direction(node)
        pair = (node,) if other is None else (node, other)
        done.update(member.name for member in pair)
        lines.append(_sentence(network, pair))
    return tuple(lines)


def _sentence(network: Network, pair: tuple[Node, ...]) -> str:
    node = pair[0]
    names = " and ".join(member.name for member in pair)
    verb = "reads" if len(pair) == 1 else "read"
    line = f"{names} {verb} {' and '.join(node.reads) or 'nothing that is known'}"
    if len(pair) == 2:
        line += ": the two directions of a bidirectional layer"
    if node.recurrent:
        below = network.recurrent_below(node)
        if below:
            direct = len(below) == 1 and below == node.reads
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
    if layer is None or not layer.starts_from_layers:
        return ""
    line = f"starts from the final state of {' and '.join(layer.starts_from_layers)}"
    back = layer.feedback
    if back is not None:
        line += f", and after its first step reads {back.option.value} of {back.source}'s output"
    return line
