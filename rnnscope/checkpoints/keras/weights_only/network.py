"""A network from the layers of a weights-only Keras file: wired by their order and widths.

Nothing in such a file says which layer feeds which. Each is taken to read the one before it where
the widths fit, and an input of the model where they do not. Layers whose options the file does
not hold stand in the network by name only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace

from rnnscope.checkpoints.interface import LeftOut
from rnnscope.checkpoints.keras.dialect import Dialect
from rnnscope.checkpoints.keras.layer_steps import Findings
from rnnscope.checkpoints.keras.layers import NOTHING_AT_INFERENCE
from rnnscope.checkpoints.keras.weights import deferred_table
from rnnscope.checkpoints.keras.weights_only.layers import LayerDirection, LooseLayer, make_cell
from rnnscope.checkpoints.weights_only.wiring import Feed
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError
from rnnscope.model.cell import CellSpec, Option
from rnnscope.model.initial_state import ZERO_STATE
from rnnscope.model.layers import BidirectionalMerge, Embedding, Masking, PassThrough, Unsupported
from rnnscope.model.lengths_source import LENGTHS_NOT_STORED
from rnnscope.model.network import Network, Node
from rnnscope.model.recurrent_layer import PaddingRule, RecurrentLayer
from rnnscope.model.signal import Layer

NOT_STORED = "stands in a file of weights alone, which does not hold its options"
NORMALIZATION = frozenset({"gamma", "beta", "moving_mean", "moving_variance"})


@dataclass
class LooseNetwork:
    """A network while it is guessed.

    Attributes
    ----------
    dialect : Dialect
    findings : Findings
    inputs : list of str
        The model's inputs, those that the file names first.
    """

    dialect: Dialect
    findings: Findings
    inputs: list[str] = field(default_factory=list)
    _nodes: dict[str, Node] = field(default_factory=dict)
    _unused: list[str] = field(default_factory=list)
    _widths: dict[str, int] = field(default_factory=dict)

    def read(self, layers: Sequence[LooseLayer], where: str) -> Network:
        """The network of some layers.

        Raises
        ------
        CheckpointError
            A layer's name cannot be used.
        """
        named = [layer.name for layer in layers if layer.class_name == "InputLayer"]
        self.inputs = list(dict.fromkeys(named)) or ["input"]
        self._unused = self.inputs[1:]
        feed = Feed(self.inputs[0])
        for layer in layers:
            _require_name(layer.name, where)
            if layer.class_name != "InputLayer":
                feed = self._add(layer, feed)
        network = Network(tuple(self.inputs), tuple(self._nodes.values())).around_recurrent()
        return replace(network, inputs=network.inputs or tuple(self.inputs[:1]))

    def _add(self, layer: LooseLayer, feed: Feed) -> Feed:
        if layer.refused:
            return self._refused(layer, feed)
        if layer.directions:
            return self._recurrent(layer, feed)
        self._leave_out(layer)
        roles = layer.roles or {}
        if "embeddings" in roles and len(roles["embeddings"].shape) == 2:
            stored = roles["embeddings"]
            if stored.again is not None or stored.load().dtype.kind == "f":
                table = deferred_table(stored, layer.name)
                self.findings.note(
                    f"Whether '{layer.name}' makes a mask from id 0 is not stored; none is made."
                )
                return self._plain(layer.name, Embedding(table, name=layer.name), feed, table)
        if layer.class_name == "Masking":
            self.findings.note(
                f"'{layer.name}' is taken for Masking(mask_value=0.0); its value is not stored."
            )
            return self._plain(layer.name, Masking(), feed)
        if layer.class_name in NOTHING_AT_INFERENCE:
            return self._plain(layer.name, PassThrough(layer.class_name), feed)
        kernel = roles.get("kernel")
        width = kernel.shape[-1] if kernel is not None and kernel.shape else None
        if roles and roles.keys() <= NORMALIZATION:
            width = feed.width
        kind = layer.class_name or ("Dense" if width and len(roles) <= 2 else "layer")
        stand_in = Unsupported(kind, layer.name, NOT_STORED)
        return Feed(self._node(layer.name, stand_in, (feed.name,)), width)

    def _refused(self, layer: LooseLayer, feed: Feed) -> Feed:
        """A stand-in for a recurrent layer that the file names as none of Keras' own."""
        self.findings.left_out += [
            LeftOut(v.name, f"'{layer.name}' looks recurrent, but {layer.refused}", v.shape)
            for v in layer.variables
        ]
        stand_in = Unsupported("recurrent cell", layer.name, f"is not computed: {layer.refused}")
        return Feed(self._node(layer.name, stand_in, (feed.name,)))

    def _plain(self, name: str, layer: Layer, feed: Feed, table: object = None) -> Feed:
        node = self._node(name, layer, (feed.name,))
        shape = getattr(table, "shape", ())
        return Feed(node, int(shape[-1]) if shape else feed.width)

    def _recurrent(self, layer: LooseLayer, feed: Feed) -> Feed:
        made = [self._cells(layer, direction) for direction in layer.directions]
        read = [cells for cells in made if cells is not None]
        if len(read) < len(made) or len(read) > 2:
            stand_in = Unsupported("recurrent cell", layer.name, "does not fit what Keras computes")
            return Feed(self._node(layer.name, stand_in, (feed.name,)))
        source = self._reads(feed, read[0][0].input_size)
        if len(read) == 1:
            direction = layer.directions[0]
            name = f"{layer.name}/{direction.name}" if direction.name else layer.name
            last = self._stack(name, read[0], source, direction)
            return Feed(last, read[0][-1].output_size)
        ends = [
            self._stack(f"{layer.name}/{direction.name}", cells, source, direction)
            for direction, cells in zip(layer.directions, read, strict=True)
        ]
        node = self._node(layer.name, BidirectionalMerge("concat"), tuple(ends))
        return Feed(node, sum(cells[-1].output_size for cells in read))

    def _cells(self, layer: LooseLayer, direction: LayerDirection) -> list[CellSpec] | None:
        """The cells of one direction, or None if one of them is none."""
        cells: list[CellSpec] = []
        for roles in direction.cells:
            made = make_cell(roles, self.dialect)
            if made.cell is None or (cells and cells[-1].output_size != made.cell.input_size):
                reason = made.reason or "the cells of its stack do not fit each other"
                self.findings.left_out += [
                    LeftOut(v.name, f"'{layer.name}' looks recurrent, but {reason}", v.shape)
                    for v in layer.variables
                ]
                return None
            cells.append(made.cell)
        return cells

    def _stack(
        self, name: str, cells: list[CellSpec], source: str, direction: LayerDirection
    ) -> str:
        for number, cell in enumerate(cells):
            last = number == len(cells) - 1
            full = name if last else f"{name}/cell_{number}"
            layer = _driven(cell, direction, self.dialect)
            if not last:
                layer = replace(layer, outputs_in_input_order=True)
            source = self._node(full, layer, (source,))
        return source

    def _reads(self, feed: Feed, width: int) -> str:
        """What a layer of that input width reads: what is before it, or an input."""
        if feed.name in self.inputs:
            self._widths.setdefault(feed.name, width)
        if feed.width in (None, width):
            return feed.name
        before = self._nodes.get(feed.name)
        joined = before is not None and isinstance(before.layer, BidirectionalMerge)
        if before is not None and joined and feed.width == 2 * width:
            reason = "joins its directions in a way that a file of weights does not hold"
            merge = Unsupported("Bidirectional", feed.name, reason)
            self._nodes[feed.name] = replace(before, layer=merge)
            return feed.name
        known = [name for name, taken in self._widths.items() if taken == width]
        if known and not self._unused:
            return known[0]
        name = self._unused.pop(0) if self._unused else f"input ({width} features)"
        if name not in self.inputs:
            self.inputs.append(name)
        self._widths[name] = width
        return name

    def _node(self, name: str, layer: RecurrentLayer | Layer, reads: tuple[str, ...]) -> str:
        unique, number = name, 2
        while unique in self._nodes or unique in self.inputs:
            unique, number = f"{name}@{number}", number + 1
        self._nodes[unique] = Node(unique, layer, reads, wiring="guess")
        return unique

    def _leave_out(self, layer: LooseLayer) -> None:
        roles = (layer.roles or {}).keys()
        if "embeddings" in roles:
            reason = "embedding"
        elif roles and roles <= {"kernel", "bias"} and len(layer.variables[0].shape) == 2:
            reason = "dense layer"
        else:
            reason = "not recurrent"
        for variable in layer.variables:
            self.findings.left_out.append(LeftOut(variable.name, reason, variable.shape))


def _driven(cell: CellSpec, direction: LayerDirection, dialect: Dialect) -> RecurrentLayer:
    told = direction.told or "names no direction"
    padding: Option[PaddingRule]
    if direction.told and dialect.is_tf:
        padding = Option("zeros", "guess", "Bidirectional with return_sequences")
    else:
        padding = Option("hold", "class default", "Keras repeats the last output at masked steps")
    return RecurrentLayer(
        cell=cell,
        backward=Option(direction.backward, "guess", told),
        padding=padding,
        lengths=Option(LENGTHS_NOT_STORED, "guess"),
        initial_state=Option(ZERO_STATE, "guess"),
        state_format=Option("list [h, c]" if cell.kind == "lstm" else "h", "class default"),
        # On its own a layer with go_backwards, which a flag may tell, keeps its order.
        outputs_in_input_order=bool(direction.told),
    )


def _require_name(name: str, where: str) -> None:
    if any(part in ("", ".") for part in name.split("/")):
        raise CheckpointError(
            "A layer's name cannot be used.",
            where=where,
            expected="names whose parts are neither empty nor '.'",
            found=f"'{name}'",
            hint="The file is damaged; copy it again or save the weights again.",
        )
