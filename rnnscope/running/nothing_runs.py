"""Why nothing runs, in words: no recurrent layer, none that can, or none for such an input."""

from __future__ import annotations

from collections.abc import Iterable

from rnnscope.checkpoints.interface import NO_CELL_REASONS, Checkpoint
from rnnscope.errors import InputError, UnsupportedCellError, spell, spell_command
from rnnscope.inputs import InputSource
from rnnscope.model.layers import Unsupported
from rnnscope.model.network import Network, Node


def no_recurrent_layer(checkpoint: Checkpoint, network: Network) -> UnsupportedCellError:
    """A file without recurrent layers: what else it holds."""
    left = sorted(checkpoint.left_out, key=lambda entry: entry.reason in NO_CELL_REASONS)
    named = {
        node.name: f"{node.name}: {node.layer.kind}, {node.layer.reason}"
        for node in network.nodes
        if isinstance(node.layer, Unsupported)
    }
    unsupported = [*named.values()]
    # One of the variables that are left out for the same reason stands for them.
    first = {entry.reason: entry.name for entry in reversed(left)}
    reasons = [f"{first[reason]}: {reason}"
               for reason in dict.fromkeys(entry.reason for entry in left)
               if first[reason] not in named]  # fmt: skip
    return UnsupportedCellError(
        "The file holds no recurrent layer that rnnscope computes.",
        where=checkpoint.path,
        expected="an LSTM, GRU or simple recurrent layer",
        found="; ".join((unsupported + reasons)[:6]) or "no variables",
        hint=f"{spell_command('open_model', checkpoint.path)} lists everything the file holds",
    )


def nothing_runs(checkpoint: Checkpoint, notes: Iterable[str]) -> UnsupportedCellError:
    """Recurrent layers of which none can be run: `notes` say why."""
    return UnsupportedCellError(
        "None of the file's recurrent layers can be run on this input.",
        where=checkpoint.path,
        found=" ".join(dict.fromkeys(notes)),
        hint=f"{spell_command('open_model', checkpoint.path)} lists the layers and what each reads",
    )


def input_fits_none(source: InputSource, network: Network, roots: Iterable[Node]) -> InputError:
    """An input that no layer takes; `roots` are those that might have."""
    if source.is_ids:
        return InputError(
            "The input holds ids, but no embedding of the file stands in front of a layer.",
            where=source.name,
            expected="features (sequence, timestep, feature)",
            found=f"ids of shape {(source.sequences, source.timesteps)}",
        )
    widths = {
        node.recurrent.cell.input_size: node.name
        for node in roots
        if node.recurrent and not network.recurrent_below(node) and not network.decodes(node)
    }
    wanted = ", ".join(f"{width} (layer '{name}')" for width, name in widths.items())
    further = [
        node.name
        for node in network.nodes
        if node.recurrent and node.recurrent.cell.input_size == source.features
    ]
    hint = f"is this the model's own input? Then say {spell('model_input')}"
    if further:
        hint = (
            f"it fits layer '{further[0]}', which reads others: "
            f"{spell('feed', repr(further[0]))} gives the input to it"
        )
    elif source.timesteps in widths:
        hint = "are the axes in another order? rnnscope reads (sequence, timestep, feature)"
    return InputError(
        "The input has the wrong number of features.",
        where=source.name,
        expected=wanted or "a layer that reads the input",
        found=f"{source.features} features: {source.sequences} sequences x "
        f"{source.timesteps} timesteps x {source.features}",
        hint=hint,
    )
