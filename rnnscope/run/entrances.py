"""Where in a network the inputs go in: the run's own, and those of a decoder."""

from __future__ import annotations

from rnnscope.errors import InputError, OptionError
from rnnscope.inputs import InputSource
from rnnscope.model.layers import Dense, Embedding, Masking, PassThrough, Unsupported
from rnnscope.model.layers.unsupported import OWN_OUTPUT
from rnnscope.model.network import Network, Node


def begins_with_ids(network: Network) -> bool:
    """Whether all that reads the model's own inputs are embeddings."""
    readers = [node for node in network.nodes if set(node.inputs) & set(network.inputs)]
    return bool(readers) and all(isinstance(node.layer, Embedding) for node in readers)


class Entrances:
    """Finds, for a layer that no recurrent layer feeds, what takes the place of its input.

    Parameters
    ----------
    network : Network
    source : InputSource
        The run's input.
    decoder_source : InputSource or None
        The decoder inputs.
    notes : list of str
        Sentences are added to it.
    model_input : bool
        The inputs are what the model takes.
    """

    def __init__(
        self,
        network: Network,
        source: InputSource,
        decoder_source: InputSource | None,
        notes: list[str],
        *,
        model_input: bool,
    ) -> None:
        self._network = network
        self._nodes = {node.name: node for node in network.nodes}
        self._source = source
        self._decoder_source = decoder_source
        self._notes = notes
        self._model_input = model_input
        self._embedding: str | None = None

    def choose_embedding(self, name: str) -> None:
        """Let the ids go through this embedding alone."""
        names = [n.name for n in self._network.nodes if isinstance(n.layer, Embedding)]
        if name not in names:
            raise OptionError(
                "--embedding names an embedding that stands in front of no layer.",
                expected=f"one of {', '.join(names)}" if names else "a file with an embedding",
                found=name,
            )
        if not self._source.is_ids:
            raise OptionError(
                "--embedding is given for an input that holds no ids.",
                where=self._source.name,
                expected="integers (sequence, timestep), called ids or given with --ids",
                found=f"{self._source.dtype} with {self._source.features} features",
            )
        self._embedding = name

    def decodes(self, node: Node) -> bool:
        """Whether a layer reads inputs of its own that go with another layer's final state."""
        layer = node.recurrent
        if layer is None or not layer.handed_by:
            return False
        if layer.feedback is not None:
            return True
        shared = {name for other in layer.handed_by for name in self._inputs_behind(other)}
        return not self._inputs_behind(node.name) & shared

    def _inputs_behind(self, name: str) -> set[str]:
        """The network's inputs that a layer reads in the end."""
        pending, found, seen = [name], set[str](), set[str]()
        while pending:
            current = pending.pop()
            if current in seen:
                continue
            seen.add(current)
            if current in self._nodes:
                pending.extend(self._nodes[current].reads)
            else:
                found.add(current)
        return found

    def of_decoder(self, node: Node) -> str | None:
        """Where the decoder inputs go in."""
        layer, source = node.recurrent, self._decoder_source
        assert layer is not None
        if source is None and not self._is_stand_in(node):
            names = " and ".join(f"'{name}'" for name in layer.handed_by)
            self._notes.append(
                f"'{node.name}' starts from the final state of {names} and reads inputs of its "
                "own, which were not given (--decoder-inputs): it was not run."
            )
            return None
        entry = self.of(node, source or self._source)
        if entry is None and source is not None and not self._is_stand_in(node):
            given = "ids" if source.is_ids else f"{source.features} features"
            raise InputError(
                "The decoder inputs do not fit the decoder.",
                where=source.name,
                expected=f"{layer.cell.input_size} features (layer '{node.name}'), or ids where "
                "an embedding stands in front of it",
                found=given,
            )
        return entry

    def obstructed(self, node: Node) -> bool:
        """Whether a layer starts from what is not computed."""
        others = [self._nodes[name] for name in node.inputs[1:] if name in self._nodes]
        return any(isinstance(other.layer, Unsupported) for other in others)

    def _is_stand_in(self, node: Node) -> bool:
        """Whether a layer's x is made of its own output, in a way that is not computed."""
        front = self._nodes.get(node.reads[0]) if node.reads else None
        layer = None if front is None else front.layer
        return isinstance(layer, Unsupported) and layer.kind in OWN_OUTPUT

    def reads_recurrent(self, node: Node) -> bool:
        pending, seen = [*node.reads], set[str]()
        while pending:
            behind = self._nodes.get(name := pending.pop())
            if behind is None or name in seen:
                continue
            if behind.recurrent:
                return True
            seen.add(name)
            pending.extend(behind.reads)
        return False

    def of(self, root: Node, source: InputSource) -> str | None:
        """Where an input goes in for a layer that no recurrent layer feeds."""
        layer = root.recurrent
        if self._is_stand_in(root):
            stand_in = self._nodes[root.reads[0]].layer
            assert isinstance(stand_in, Unsupported)
            self._notes.append(f"'{root.name}' was not run: {stand_in.reason}.")
            return None
        entry = root.inputs[0] if root.inputs else root.name
        if self._model_input:
            return self._model_entry(root)
        if source.is_ids:
            return self._embedding_entry(root)
        masked = source.lengths is not None or source.mask is not None
        while (node := self._nodes.get(entry)) is not None:
            if not isinstance(node.layer, (Masking, PassThrough)):
                break
            if isinstance(node.layer, Masking) and masked:
                self._notes.append(
                    f"The lengths or mask given are used; '{node.name}' of the file, which would "
                    "make a mask from the input, was not run."
                )
                break
            entry = node.inputs[0]
        wrapped = self._nodes.get(entry)
        if wrapped is not None and _projects_input(wrapped):
            kernel = wrapped.layer.kernel  # type: ignore[union-attr]
            if kernel.shape[0] == source.features:
                self._notes.append(
                    f"'{root.name}' receives the input through '{wrapped.name}', the projection "
                    "that is part of its cell."
                )
                return wrapped.inputs[0]
        width = layer.cell.input_size if layer is not None else None
        return entry if width == source.features else None

    def _model_entry(self, root: Node) -> str | None:
        inputs = sorted(self._inputs_behind(root.name) & set(self._network.inputs))
        if len(inputs) != 1:
            raise OptionError(
                "--model-input needs a layer that reads one input of the model.",
                where=f"layer '{root.name}'",
                found=", ".join(inputs) or "none",
                hint="give what the layer itself receives, without --model-input",
            )
        return inputs[0]

    def _embedding_entry(self, root: Node) -> str | None:
        name = root.inputs[0] if root.inputs else ""
        while (node := self._nodes.get(name)) is not None and len(node.inputs) == 1:
            if isinstance(node.layer, Embedding) and self._embedding in (None, node.name):
                return node.inputs[0]
            name = node.inputs[0]
        return None

    def is_direct(self, name: str, entry: str) -> bool:
        """Whether nothing but masks and dropout stand between the run's input and a layer."""
        node = self._nodes[name]
        reads = node.inputs[0] if node.inputs else name
        while reads != entry:
            between = self._nodes[reads]
            if not isinstance(between.layer, (Masking, PassThrough)):
                return False
            reads = between.inputs[0]
        return True


def _projects_input(node: Node) -> bool:
    """Whether a node is what TensorFlow 1's InputProjectionWrapper puts in front of a cell."""
    named = "inputprojectionwrapper" in node.name.replace("_", "").lower()
    return named and isinstance(node.layer, Dense)
