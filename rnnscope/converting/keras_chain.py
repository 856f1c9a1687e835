"""A plan as the layers of a Sequential model of Keras, for formats that hold its configuration."""

from __future__ import annotations

from collections.abc import Callable

from rnnscope.converting.chains import chain, in_the_order, input_width, tree
from rnnscope.converting.interface import Level, Plan
from rnnscope.converting.keras_layers import PLAIN, KerasLayer, Names, recurrent
from rnnscope.converting.names import clean_names
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import UnsupportedCellError, spell
from rnnscope.model.layers import Embedding, Masking
from rnnscope.model.network import Node

INPUT = "input"
"""What Keras calls the input layer: no other may be called so."""


@dataclass(frozen=True, eq=False)
class KerasChain:
    """Layers, one after another.

    Attributes
    ----------
    layers : list of KerasLayer
    names : dict of str to str
        By recurrent node of the plan, what reading the layers calls it.
    steps : tuple of Level or Node
        What the layers were made of.
    left : tuple of Node
        What stands in front and is not written.
    shape : list of int or None
        Of the input: (sequence, timestep, feature), or (sequence, timestep) of ids.
    takes_ids : bool
    dtype : str
    reads : tuple of str
        What each layer reads: the name of another, or `INPUT`.
    """

    layers: list[KerasLayer]
    names: dict[str, str]
    steps: tuple[Level | Node, ...]
    left: tuple[Node, ...]
    shape: list[int | None]
    takes_ids: bool
    dtype: str
    reads: tuple[str, ...]

    @property
    def outputs(self) -> list[str]:
        """The layers that no other reads."""
        names = [layer.config["name"] for layer in self.layers]
        return [name for name in names if name not in self.reads]

    @property
    def is_sequential(self) -> bool:
        """Whether each layer reads the one before."""
        names = [layer.config["name"] for layer in self.layers]
        return self.reads == (INPUT, *names[:-1])

    @property
    def makes_mask(self) -> bool:
        """Whether one of the layers tells which steps count."""
        return any(
            isinstance(step, Node) and isinstance(step.layer, (Embedding, Masking))
            and step.layer.makes_mask
            for step in self.steps
        )  # fmt: skip


def keras_chain(
    plan: Plan,
    target: str,
    names: Names,
    has: Callable[[Node], bool] = lambda _: True,
    *,
    branches: bool = False,
) -> KerasChain:
    """The layers of a plan.

    Parameters
    ----------
    plan : Plan
    target : str
        Of the format, for messages.
    names : mapping of str to str
        What the target calls activations, by rnnscope's names.
    has : callable, optional
        ``has(node) -> bool``: of the plain layers that Keras has, those that the target has.
    branches : bool
        Whether several layers may read the same: the chain is a tree then.

    Raises
    ------
    UnsupportedCellError
        As of `chain`.
    """

    def known(step: Node) -> bool:
        make = PLAIN.get(type(step.layer))
        return make is not None and has(step) and make(step.layer, step.name, names) is not None

    try:
        steps, left = chain(plan, target, known, PLAIN, in_order=False)
    except UnsupportedCellError:
        if not branches:
            raise
        steps, left = tree(plan, target, known, PLAIN, in_order=False)
        steps = _as_keras_counts(steps)
        _refuse_masks(steps)
    named = clean_names((step.name for step in steps), misread=INPUT.__eq__)
    layers: list[KerasLayer] = []
    written: dict[str, str] = {}
    dtype = plan.levels[0].cell.dtype.name
    read = {_read(step) for step in steps}
    for step in steps:
        name = named[step.name]
        if isinstance(step, Level):
            last = step.name not in read
            sequences = not last or all(one.return_sequences for one in step.layers)
            layer, suffixes = recurrent(step, name, sequences=sequences, names=names)
            written |= {
                node.name: name + suffix for node, suffix in zip(step.nodes, suffixes, strict=True)
            }
        else:
            made = PLAIN[type(step.layer)](step.layer, name, names)
            assert made is not None
            layer = made
        if not layer.config["dtype"]:
            layer.config["dtype"] = dtype
        layers.append(layer)
    first = steps[0]
    ids = isinstance(first, Node) and isinstance(first.layer, Embedding)
    shape: list[int | None] = [None, None, *([] if ids else [input_width(steps)])]
    reads = tuple(named.get(_read(step), INPUT) for step in steps)
    return KerasChain(layers, written, steps, left, shape, ids, dtype, reads)


def _read(step: Level | Node) -> str:
    return step.reads if isinstance(step, Level) else step.reads[0] if step.reads else ""


def _as_keras_counts(steps: tuple[Level | Node, ...]) -> tuple[Level | Node, ...]:
    """The steps in the order of a Functional model's layers, by which its weights are named.

    References
    ----------
    keras/src/ops/function.py (map_graph): by the longest way to an output, the longest first; then
    as a walk back from the outputs meets them.
    """
    by_name = {step.name: step for step in steps}
    read = {_read(step) for step in steps}
    leaves = [step.name for step in steps if step.name not in read]
    depth: dict[str, int] = {}
    met: dict[str, int] = {}
    for leaf in leaves:
        name, far = leaf, 0
        while name in by_name:
            met.setdefault(name, len(met))
            depth[name] = max(depth.get(name, 0), far)
            name, far = _read(by_name[name]), far + 1
    return tuple(sorted(steps, key=lambda step: (-depth[step.name], met[step.name])))


def _refuse_masks(steps: tuple[Level | Node, ...]) -> None:
    """Refuse layers that make a mask in a tree: a Functional model hands it on by wires of its own.

    Raises
    ------
    UnsupportedCellError
    """
    for step in steps:
        layer = step.layer if isinstance(step, Node) else None
        if isinstance(layer, (Embedding, Masking)) and layer.makes_mask:
            raise UnsupportedCellError(
                "A layer that makes a mask is written for Keras in a chain alone.",
                where=step.name,
                expected="layers that each read the one before",
                found="several that read the same",
                hint=f"choose layers with {spell('layers')}, or write the weights alone: "
                f"{spell('to', 'torch')} or {spell('to', 'npz')}",
            )


def mask_words(plan: Plan, made: KerasChain, masks: str) -> tuple[str, ...]:
    """That nothing of a chain tells the lengths that the source takes; `masks` says what could."""
    if not any(level.takes_lengths for level in plan.levels) or made.makes_mask:
        return ()
    return (f"Sequences of several lengths: {masks}",)


def order_words(plan: Plan, framework: str) -> tuple[str, ...]:
    """That outputs of a lone backward layer come from the end."""
    alone = [f"'{level.name}'" for level in plan.levels if not in_the_order(level, False)]
    if not alone:
        return ()
    return (f"{framework} returns the outputs of {', '.join(alone)} from the end (go_backwards).",)
