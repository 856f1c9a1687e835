"""What a run says of the places at which its input goes in, where these leave something to know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rnnscope.errors import spell
from rnnscope.model.layers import Dense, Masking, StoredMask, Unsupported
from rnnscope.model.layers.evaluated import EvaluatedMask
from rnnscope.model.network import Network
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.signal import Layer


def entrance_notes(
    network: Network, entries: Mapping[str, str], *, model_input: bool
) -> Iterator[str]:
    """Sentences on the entrances of a run.

    Parameters
    ----------
    network : Network
    entries : mapping of str to str
        By recurrent layer, the node or input in whose place the run's input goes in.
    model_input : bool
        The input is what the model takes.
    """
    readers: dict[str, str] = {}
    for layer, entry in entries.items():
        readers.setdefault(entry, layer)
    taken = {entry: layer for entry, layer in readers.items() if entry in network.inputs}
    if len(taken) > 1:
        each = " and ".join(f"'{entry}' (of '{layer}')" for entry, layer in taken.items())
        first = next(iter(taken.values()))
        yield (
            f"The model has an input for each: {each}. All of them receive the one input of the "
            f"run; {spell('feed', first)} gives it to that layer alone."
        )
    for entry, layer in readers.items():
        front = network.by_name.get(entry)
        if model_input or front is None or isinstance(front.layer, RecurrentLayer):
            continue
        if not _may_be_overlooked(front.layer):
            continue
        above = network.upstream_of([entry])
        runs = not any(
            node.name in above and isinstance(node.layer, Unsupported) for node in network.nodes
        )
        way = f"{spell('model_input')} runs it" if runs else "rnnscope does not compute it"
        yield (
            f"The input is what '{layer}' receives: in the file '{entry}' ({front.layer.kind}) "
            f"stands in front of it ({way})."
        )


def _may_be_overlooked(front: Layer) -> bool:
    """Whether what stands in front gives as many features as it takes, as far as is known."""
    if isinstance(front, Dense):
        rows, columns = front.kernel.shape
        return bool(rows == columns)
    # A mask that is not run, since another is given, has a note of its own.
    return not front.takes_ids and not isinstance(front, (Masking, StoredMask, EvaluatedMask))
