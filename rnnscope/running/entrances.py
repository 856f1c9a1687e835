"""Where in a network the inputs go in: the run's own, and those of a decoder."""

from __future__ import annotations

from rnnscope.errors import InputError, OptionError, spell
from rnnscope.inputs import InputSource
from rnnscope.model.layers import (
    Activation,
    Dense,
    Embedding,
    GraphFront,
    Masking,
    PassThrough,
    StoredMask,
    Unsupported,
)
from rnnscope.model.layers.evaluated import EvaluatedMask
from rnnscope.model.network import Network, Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.running.skipped import SkippedLayer

_MASKS = (Masking, StoredMask, EvaluatedMask)


def begins_with_ids(network: Network) -> bool:
    """Whether all that reads the model's own inputs are embeddings."""
    readers = [node for node in network.nodes if set(node.reads) & set(network.inputs)]
    return bool(readers) and all(map(_takes_ids, readers))


def _takes_ids(node: Node) -> bool:
    return not isinstance(node.layer, RecurrentLayer) and node.layer.takes_ids


def sequence_inputs(network: Network) -> frozenset[str]:
    """The model's inputs whose values reach a recurrent layer step by step."""
    behind = (network.inputs_behind(node.name) for node in network.recurrent)
    return frozenset().union(*behind) & frozenset(network.inputs)


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
        self._nodes = network.by_name
        self._source = source
        self._decoder_source = decoder_source
        self._notes = notes
        self.model_input = model_input
        self._embedding: str | None = None

    def choose_embedding(self, name: str) -> None:
        """Let the ids go through this embedding alone."""
        names = [n.name for n in self._network.nodes if isinstance(n.layer, Embedding)]
        if name not in names:
            raise OptionError(
                f"{spell('embedding')} names an embedding that stands in front of no layer.",
                expected=f"one of {', '.join(names)}" if names else "a file with an embedding",
                found=name,
            )
        if not self._source.is_ids:
            raise OptionError(
                f"{spell('embedding')} is given for an input that holds no ids.",
                where=self._source.name,
                expected=f"integers (sequence, timestep), called ids or given with {spell('ids')}",
                found=f"{self._source.dtype} with {self._source.features} features",
            )
        self._embedding = name

    def of_decoder(self, node: Node) -> str | SkippedLayer:
        """Where the decoder inputs go in, or why they do not.

        Raises
        ------
        InputError
            The layer takes another number of features.
        """
        layer, source = node.recurrent, self._decoder_source
        assert layer is not None
        own_output = self._network.own_output_before(node) is not None
        if source is None and not own_output:
            names = " and ".join(f"'{name}'" for name in layer.starts_from_layers)
            return SkippedLayer(
                node.name,
                "decoder inputs",
                f"'{node.name}' starts from the final state of {names} and reads inputs of its "
                f"own, which were not given ({spell('decoder_inputs')}): it was not run.",
            )
        entry = self.of(node, source or self._source)
        if isinstance(entry, SkippedLayer) and source is not None and not own_output:
            raise InputError(
                "The decoder inputs do not fit the decoder.",
                where=source.name,
                expected=f"{layer.cell.input_size} features (layer '{node.name}'), or ids where "
                "an embedding stands in front of it",
                found="ids" if source.is_ids else f"{source.features} features",
            )
        return entry

    def of(self, root: Node, source: InputSource) -> str | SkippedLayer:
        """Where an input goes in for a layer that no recurrent layer feeds, or why it does not."""
        assert root.recurrent is not None
        stand_in = self._network.own_output_before(root)
        if stand_in is not None:
            assert isinstance(stand_in.layer, Unsupported)
            words = f"'{root.name}' was not run: {stand_in.layer.reason}."
            return SkippedLayer(root.name, "own output", words)
        if not root.reads:
            return SkippedLayer(
                root.name,
                "no input",
                f"'{root.name}' was not run: the file does not say what it reads "
                f"({spell('feed', root.name)} gives the input to it).",
            )
        if self.model_input:
            return self._model_entry(root)
        if source.is_ids:
            return self._embedding_entry(root)
        entry = self._before_masks(root.reads[0], source)
        if self._lacks_lengths(entry, source):
            return SkippedLayer(
                root.name,
                "lengths",
                f"'{root.name}' was not run: the model computes its lengths of its own input "
                f"('{entry}'). Give that ({spell('model_input')}), or {spell('lengths')}.",
            )
        refused = self._nodes.get(entry)
        if (
            refused is not None
            and isinstance(refused.layer, Unsupported)
            and refused.layer.recurrent
        ):
            return SkippedLayer(
                root.name,
                "no input",
                f"'{root.name}' was not run: it reads '{refused.name}', which is not computed "
                f"({spell('feed', root.name)} gives the input to it).",
            )
        width = root.recurrent.cell.input_size
        wrapped = self._nodes.get(entry)
        while wrapped is not None and isinstance(wrapped.layer, Activation):
            wrapped = self._nodes.get(wrapped.reads[0])
        projected = None if wrapped is None else _input_projection(wrapped)
        takes = None if projected is None else projected.kernel.shape[0]
        if wrapped is not None and takes is not None and takes == source.features:
            self._notes.append(
                f"'{root.name}' receives the input through '{wrapped.name}', the projection that "
                "is part of its cell."
            )
            return wrapped.reads[0]
        if wrapped is not None and isinstance(wrapped.layer, GraphFront):
            front = wrapped.layer
            if front.features == source.features:
                self._notes.append(
                    f"'{root.name}' receives the input through what the graph computes in front of "
                    f"it ('{wrapped.name}')."
                )
                return self._before_masks(wrapped.reads[0], source)
        if width == source.features:
            return entry
        return SkippedLayer(
            root.name,
            "width",
            f"'{root.name}' was not run: it takes {width} features, the input has "
            f"{source.features}.",
        )

    def _lacks_lengths(self, entry: str, source: InputSource) -> bool:
        """Whether lengths would be computed of what is not there, and none are given."""
        node = self._nodes.get(entry)
        masked = source.lengths is not None or source.mask is not None
        return node is not None and isinstance(node.layer, EvaluatedMask) and not masked

    def _before_masks(self, entry: str, source: InputSource) -> str:
        """What stands in front of a layer's dropout, and of its masks where none is given."""
        masked = source.lengths is not None or source.mask is not None
        while (node := self._nodes.get(entry)) is not None:
            if isinstance(node.layer, EvaluatedMask) and len({*node.reads}) > 1 and not masked:
                break
            if not isinstance(node.layer, (*_MASKS, PassThrough)):
                break
            if isinstance(node.layer, _MASKS) and masked:
                self._notes.append(
                    f"The lengths or mask given are used; '{node.name}' of the file, which would "
                    + (
                        "give a constant mask"
                        if isinstance(node.layer, StoredMask)
                        else "make a mask from the input"
                    )
                    + ", was not run."
                )
                break
            entry = node.reads[0]
        return entry

    def _model_entry(self, root: Node) -> str:
        inputs = sorted(self._network.inputs_behind(root.name) & set(self._network.inputs))
        if len(inputs) != 1:
            raise OptionError(
                f"{spell('model_input')} needs a layer that reads one input of the model.",
                where=f"layer '{root.name}'",
                found=", ".join(inputs) or "none",
                hint=f"give what the layer itself receives, without {spell('model_input')}",
            )
        return inputs[0]

    def _embedding_entry(self, root: Node) -> str | SkippedLayer:
        name = root.reads[0]
        while (node := self._nodes.get(name)) is not None and (
            len(node.reads) == 1 or isinstance(node.layer, EvaluatedMask)
        ):
            if isinstance(node.layer, EvaluatedMask):
                pass  # it reads ids beside what it hands on
            elif _takes_ids(node) and self._embedding in (None, node.name):
                return self._before_masks(node.reads[0], self._source)
            name = node.reads[0]
        chosen = "no embedding" if self._embedding is None else f"'{self._embedding}' does not"
        stands = "stands" if self._embedding is None else "stand"
        return SkippedLayer(
            root.name,
            "ids",
            f"'{root.name}' was not run: the input holds ids, and {chosen} {stands} in front of "
            "it.",
        )

    def is_direct(self, name: str, entry: str) -> bool:
        """Whether nothing but masks and dropout stand between the run's input and a layer."""
        reads = self._nodes[name].reads[0]
        while reads != entry:
            between = self._nodes[reads]
            if not isinstance(between.layer, (*_MASKS, PassThrough)):
                return False
            reads = between.reads[0]
        return True


def _input_projection(node: Node) -> Dense | None:
    """What TensorFlow 1's InputProjectionWrapper puts in front of a cell, if a node is that."""
    named = "inputprojectionwrapper" in node.name.replace("_", "").lower()
    return node.layer if named and isinstance(node.layer, Dense) else None
